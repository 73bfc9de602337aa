// OffsetHistory: how far a primary's replication stream was, and when. What turns bytes into time:
// a replica is more than so many seconds behind when it lacks bytes that the primary had already
// written so many seconds ago.
//
// Not the difference of two offsets by the write rate: both are asked at slightly different times,
// and a rate that was just measured says nothing about a burst. Without a sample that is old enough
// nobody is behind: that is so for the first seconds only. Pure; owner: one watcher. Cost: at most
// kOffsetSamplesMax samples, which are spread over the time that matters.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace tidegate::discovery {

inline constexpr size_t kOffsetSamplesMax = 64;

class OffsetHistory final {
 public:
  explicit OffsetHistory(std::chrono::nanoseconds lag_max) : lag_max_ns_(lag_max.count()) {}

  // Of the primary. One that is smaller begins a new stream.
  void Note(int64_t now_ns, int64_t offset) {
    if (!samples_.empty() && offset < samples_.back().offset) samples_.clear();
    // Of those that are older than what matters, one is enough.
    while (samples_.size() > 1 && samples_[1].at_ns <= now_ns - lag_max_ns_) samples_.pop_front();
    const int64_t apart_ns = lag_max_ns_ / static_cast<int64_t>(kOffsetSamplesMax / 2);
    if (samples_.empty() || now_ns - samples_.back().at_ns >= apart_ns)
      samples_.push_back({now_ns, offset});
  }

  // Whether who is at `offset` lacks something that is older than the limit.
  bool IsTooFarBehind(int64_t now_ns, int64_t offset) const {
    bool is_behind = false;
    for (const Sample& sample : samples_) {  // the newest that is old enough has the last word
      if (sample.at_ns <= now_ns - lag_max_ns_) is_behind = offset < sample.offset;
    }
    return is_behind;
  }

  void Clear() { samples_.clear(); }

 private:
  struct Sample {
    int64_t at_ns;
    int64_t offset;
  };

  const int64_t lag_max_ns_;
  std::deque<Sample> samples_;
};

}  // namespace tidegate::discovery
