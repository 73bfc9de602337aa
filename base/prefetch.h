// Prefetch: brings a cache line near that will be needed soon.
// Why not the builtin alone: to the compiler it has no effect, so a function that only prefetches
// counts as pure and its calls are removed (seen with g++ 12 and -flto).
#pragma once

namespace tidegate {

inline void Prefetch(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}

// The same for a line that will be written: brings it in exclusively, so that it need not be asked
// for a second time when another core wrote it last.
inline void PrefetchForWrite(const void* address) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
  asm volatile("");
#endif
}

}  // namespace tidegate
