// The 24 access bits of an entry: how long ago and how often it was used, for eviction and OBJECT
// IDLETIME/FREQ.
//
// LRU: the clock in seconds, 24 bits, which wraps after 194 days; idle time is a difference modulo
// 2^24. LFU: 16 bits of the clock in minutes and 8 bits of a counter that grows with probability
// 1/((counter-5)*factor+1) and loses one for every decay period without use. As Redis, so that its
// tuning advice holds. Source: Redis evict.c's description of its LFU; Morris, "Counting large
// numbers of events in small registers", 1978.
#pragma once

#include <cstdint>

namespace tidegate::access {

inline constexpr uint32_t kClockMask = 0xffffff;
// What a new key starts with, so that it is not the first to go.
inline constexpr uint32_t kLfuInitial = 5;

inline uint32_t LruClock(int64_t now_ms) {
  return static_cast<uint32_t>(now_ms / 1000) & kClockMask;
}
inline uint32_t LruIdleSeconds(uint32_t access, int64_t now_ms) {
  return (LruClock(now_ms) - access) & kClockMask;
}

inline uint32_t LfuMinutes(int64_t now_ms) {
  return static_cast<uint32_t>(now_ms / 60000) & 0xffff;
}
inline uint32_t LfuFresh(int64_t now_ms) { return (LfuMinutes(now_ms) << 8) | kLfuInitial; }

// The counter after the decay since its last change.
inline uint32_t LfuCounter(uint32_t access, int64_t now_ms, int decay_minutes) {
  const uint32_t counter = access & 0xff;
  if (decay_minutes <= 0) return counter;
  const uint32_t periods =
      ((LfuMinutes(now_ms) - (access >> 8)) & 0xffff) / static_cast<uint32_t>(decay_minutes);
  return periods >= counter ? 0 : counter - periods;
}

// Since the last use, or since the counter was last looked at to add to it.
inline uint32_t LfuIdleMinutes(uint32_t access, int64_t now_ms) {
  return (LfuMinutes(now_ms) - (access >> 8)) & 0xffff;
}

// The bits after one more access. `random` is uniform over 32 bits.
inline uint32_t LfuTouched(uint32_t access, int64_t now_ms, int decay_minutes, int log_factor,
                           uint32_t random) {
  uint32_t counter = LfuCounter(access, now_ms, decay_minutes);
  if (counter < 255) {
    const uint32_t above = counter > kLfuInitial ? counter - kLfuInitial : 0;
    const double p = 1.0 / (static_cast<double>(above) * log_factor + 1);
    if (static_cast<double>(random) < p * 4294967296.0) ++counter;
  }
  return (LfuMinutes(now_ms) << 8) | counter;
}

}  // namespace tidegate::access
