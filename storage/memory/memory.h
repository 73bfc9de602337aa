// The allocator of the store: entries, chunks and bucket arrays.
//
// Why our own for small sizes: the memory of a cache is small entries, and a general allocator
// rounds 52 bytes to 64. Here classes are 8 bytes apart up to 256, 32 bytes up to 1 KiB and an
// eighth and less up to 4 KiB, there is no header per object (freeing needs the size, which an
// entry knows), and statistics are exact without asking anybody. Larger sizes go to malloc
// (jemalloc), rounded here as it does it, so that what is counted is what is taken, and the caller
// may use all of it.
//
//   thread cache   per thread and class a free list; no lock, no atomic; almost all calls end here
//   class          slabs of 64 KiB with free objects, under a mutex; objects move in batches
//   regions        mappings of 4 MiB cut into slabs; empty slabs are reused, beyond a reserve their
//                  pages are given back
//
// An object may be freed by another thread than the one that allocated it. In sanitizer builds all
// sizes go to malloc, so that the sanitizers see each object. Sources: Bonwick, "The Slab
// Allocator", USENIX 1994; tcmalloc's design page (thread caches, batches).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tidegate {

// Sizes above this are malloc's.
inline constexpr size_t kSlabObjectBytesMax = 4096;

// Never null: a process that is out of memory ends. `bytes` > 0. 8-byte aligned; 64-byte aligned
// when bytes is a multiple of 64.
void* MemoryAllocate(size_t bytes);

// `bytes` must be what was asked for, or any size of the same class.
void MemoryFree(void* memory, size_t bytes);

// What an allocation of `bytes` really takes. Two sizes with the same answer can share one
// allocation.
size_t MemoryRoundUp(size_t bytes);

// Bytes allocated and not freed, rounding included, over all threads. A sum of counters: exact when
// nobody allocates.
uint64_t MemoryUsedBytes();

// This thread's part of that sum: what it allocated less what it freed, so it may be negative. One
// load: for following the sum between two looks at it.
int64_t MemoryUsedByThread();

// Where the slabs' memory is; all of it beside malloc's.
struct SlabMemory {
  uint64_t used_bytes = 0;      // objects in use, of MemoryUsedBytes
  uint64_t active_bytes = 0;    // slabs that hold any
  uint64_t resident_bytes = 0;  // these and the empty ones that are kept ready
};
SlabMemory ReadSlabMemory();

// Gives what this thread keeps for itself back to the slabs. For threads that rest or that freed
// much: an object in their keeping holds on to its slab.
void MemoryFlushCache();

// Compaction (storage/compaction.h, slab.h): all classes in turn are asked for slabs that shall
// become empty, and told when it is over. The owner of an object in one of these moves it:
// MemoryIsSparse says so, MemoryMove gives its new address. `bytes` as for MemoryFree; one thread.
size_t MemoryChooseSparse(int class_index);
void MemoryUnchoose(int class_index);
int MemoryClassCount();
bool MemoryIsSparse(const void* memory, size_t bytes);
void* MemoryMove(void* memory, size_t bytes);
// Calls of MemoryMove by this thread.
uint64_t MemoryMoves();

// Gives the pages of empty slabs back to the system; a reserve builds up again with use.
void MemoryPurge();

}  // namespace tidegate
