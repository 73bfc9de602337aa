// Time. The request path reads the clock once per batch and passes the value on: code below the
// proxy takes time as a parameter, so that a test can say what time it is.
//   UnixMillis / UnixMicros   wall clock, for expiry and TIME. May step.
//   MonotonicNanos            never goes back; for durations.
//   Ticks                     the processor's time stamp counter where it is constant (about 8 ns a
//                             read), for timing single commands; TicksToNanos converts a difference
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace tidegate {

int64_t UnixMillis();
int64_t UnixMicros();
int64_t MonotonicNanos();
// Processor time that the calling thread has had. A system call: about 0.3 us.
int64_t ThreadCpuNanos();

namespace internal {
extern const bool kTimeStampCounterUsable;
extern const double kNanosPerTick;
}  // namespace internal

inline uint64_t Ticks() {
#if defined(__x86_64__)
  if (internal::kTimeStampCounterUsable) return __rdtsc();
#endif
  return static_cast<uint64_t>(MonotonicNanos());
}

inline int64_t TicksToNanos(uint64_t ticks) {
  return static_cast<int64_t>(static_cast<double>(ticks) * internal::kNanosPerTick);
}

}  // namespace tidegate
