// RetryBudget: how many requests that failed at one node may be sent to another: a share of its
// recent requests, and a few in any case. Without it everything that a dying node had would be on
// the others at once, at the moment at which they have the most to do.
// Pure: time is a parameter. Owner: a node, on one worker.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tidegate {

// How many are allowed within kRetryBudgetNanos however few requests there were: more than a
// circuit breaker needs to open, so that a replica that is lost fails no read of a few clients.
inline constexpr uint64_t kRetriesMin = 10;
inline constexpr int64_t kRetryBudgetNanos = 5'000'000'000;

class RetryBudget final {
 public:
  // Of the recent requests; 0: none at all.
  explicit RetryBudget(int percent) : percent_(static_cast<uint64_t>(percent)) {}

  bool Take(uint64_t recent_requests, int64_t now_ns) {
    if (now_ns - began_ns_ >= kRetryBudgetNanos) {
      began_ns_ = now_ns;
      taken_ = 0;
    }
    const uint64_t allowed = std::max(recent_requests * percent_ / 100, kRetriesMin);
    if (percent_ == 0 || taken_ >= allowed) return false;
    ++taken_;
    return true;
  }

 private:
  const uint64_t percent_;
  uint64_t taken_ = 0;
  int64_t began_ns_ = 0;
};

}  // namespace tidegate
