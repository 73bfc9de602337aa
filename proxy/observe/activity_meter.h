// ActivityMeter: how busy the server is right now (INFO's instantaneous_… fields) and the most
// memory it ever used. One worker's timer samples the totals about ten times a second; the figures
// are means over the last kActivitySamples of them, as in Redis. Thread: any; a sample is rare, so
// a mutex is cheap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/thread_annotations.h"

namespace tidegate {

inline constexpr size_t kActivitySamples = 16;

// Samples closer together than this count for the peak only, so that the means cover the same time
// whatever `hz` is.
inline constexpr int64_t kActivityPeriodNanos = 95'000'000;

// Totals since the start.
struct ActivityTotals {
  uint64_t commands = 0;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
};

struct ActivityRates {
  double commands_per_second = 0;
  double input_bytes_per_second = 0;
  double output_bytes_per_second = 0;
};

class ActivityMeter final {
 public:
  void Sample(int64_t monotonic_nanos, const ActivityTotals& totals, uint64_t used_memory_bytes)
      TG_EXCLUDES(mutex_);

  ActivityRates Rates() const TG_EXCLUDES(mutex_);

  // The most that a sample saw, and at least `used_memory_bytes`: what is in use now.
  uint64_t PeakMemoryBytes(uint64_t used_memory_bytes) const TG_EXCLUDES(mutex_);

 private:
  struct Point {
    int64_t nanos = 0;  // 0: not taken yet
    ActivityTotals totals;
  };

  mutable Mutex mutex_;
  std::array<Point, kActivitySamples> points_ TG_GUARDED_BY(mutex_);
  size_t next_ TG_GUARDED_BY(mutex_) = 0;
  uint64_t peak_memory_bytes_ TG_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
