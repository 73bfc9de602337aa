#include "proxy/observe/activity_meter.h"

#include <algorithm>

namespace tidegate {

void ActivityMeter::Sample(int64_t monotonic_nanos, const ActivityTotals& totals,
                           uint64_t used_memory_bytes) {
  MutexLock lock(mutex_);
  peak_memory_bytes_ = std::max(peak_memory_bytes_, used_memory_bytes);
  const Point& newest = points_[(next_ + kActivitySamples - 1) % kActivitySamples];
  if (newest.nanos != 0 && monotonic_nanos - newest.nanos < kActivityPeriodNanos) return;
  points_[next_] = {monotonic_nanos, totals};
  next_ = (next_ + 1) % kActivitySamples;
}

ActivityRates ActivityMeter::Rates() const {
  MutexLock lock(mutex_);
  const Point& newest = points_[(next_ + kActivitySamples - 1) % kActivitySamples];
  const Point& oldest = points_[next_].nanos != 0 ? points_[next_] : points_[0];
  if (newest.nanos <= oldest.nanos) return {};
  const double seconds = static_cast<double>(newest.nanos - oldest.nanos) / 1e9;
  const auto rate = [seconds](uint64_t now, uint64_t then) {
    return now < then ? 0.0 : static_cast<double>(now - then) / seconds;
  };
  return {rate(newest.totals.commands, oldest.totals.commands),
          rate(newest.totals.input_bytes, oldest.totals.input_bytes),
          rate(newest.totals.output_bytes, oldest.totals.output_bytes)};
}

uint64_t ActivityMeter::PeakMemoryBytes(uint64_t used_memory_bytes) const {
  MutexLock lock(mutex_);
  return std::max(peak_memory_bytes_, used_memory_bytes);
}

}  // namespace tidegate
