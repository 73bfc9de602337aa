// MemoryRest: what a thread has no use for any more is given back once the thread rests.
//
// A value that grows by and by passes through most size classes, and leaves in each of them an
// object in its thread's keeping, and with it a slab of which that was the first: a page or two for
// each class, a quarter of a megabyte for one list. A thread that allocates rarely would keep that
// for ever. So whoever has a timer calls this about ten times a second: when nothing was allocated
// or freed for a second, what the thread keeps goes back, and slabs that are empty then go back to
// the system. Cost otherwise: one load and a comparison.
#pragma once

namespace tidegate {

// Calls without change after which a thread rests.
inline constexpr int kMemoryRestCalls = 10;

void MemoryRest();

}  // namespace tidegate
