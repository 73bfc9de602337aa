// Prefetch: brings a cache line near that will be needed soon.
// Why not the builtin alone: to the compiler it has no effect, so a function that only prefetches
// counts as pure and its calls are removed (seen with g++ 12 and -flto).
#pragma once

namespace tidegate {

inline void Prefetch(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}

}  // namespace tidegate
