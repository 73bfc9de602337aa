// HistogramFold: the fine buckets that workers count in, folded into the few that are shown.
//
// A fine bucket counts below a bound when all of it is below: values within 6.25% under a bound may
// count above it, never the other way. The fine counts of several workers are added up first; the
// sum of the values is made from the middles of the fine buckets, where nobody keeps an exact one.
// Thread: a local object.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "proxy/session/command_stats.h"

namespace tidegate {

// What a LatencyHistogram counts, as it was at one moment, of as many of them as were added.
class FineCounts final {
 public:
  void Add(const LatencyHistogram& histogram) {
    for (int i = 0; i < LatencyHistogram::kBuckets; ++i)
      counts_[static_cast<size_t>(i)] += histogram.CountOf(i);
  }
  void Add(const FineCounts& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  // What was read a moment later may have counted more: then nothing is left.
  void Subtract(const FineCounts& other) {
    for (size_t i = 0; i < counts_.size(); ++i)
      counts_[i] -= counts_[i] < other.counts_[i] ? counts_[i] : other.counts_[i];
  }
  uint64_t at(int bucket) const { return counts_[static_cast<size_t>(bucket)]; }

 private:
  std::array<uint64_t, LatencyHistogram::kBuckets> counts_{};
};

class HistogramFold final {
 public:
  // `bounds`: upper ones, rising, in the unit of the fine buckets.
  HistogramFold(std::span<const int64_t> bounds, const FineCounts& fine)
      : counts_(bounds.size() + 1) {
    size_t bound = 0;
    for (int bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
      const auto upper = static_cast<int64_t>(LatencyHistogram::UpperBoundNanos(bucket));
      while (bound < bounds.size() && upper > bounds[bound]) ++bound;
      const uint64_t count = fine.at(bucket);
      if (count == 0) continue;
      counts_[bound] += count;
      const auto lower =
          static_cast<double>(bucket == 0 ? 0 : LatencyHistogram::UpperBoundNanos(bucket - 1) + 1);
      middles_ += static_cast<double>(count) * (lower + static_cast<double>(upper)) / 2;
    }
  }

  // One for each bound, and one for what is above the last; not cumulative.
  const std::vector<uint64_t>& counts() const { return counts_; }
  // The sum of all values, in the unit of the fine buckets.
  double sum() const { return middles_; }

 private:
  std::vector<uint64_t> counts_;
  double middles_ = 0;
};

}  // namespace tidegate
