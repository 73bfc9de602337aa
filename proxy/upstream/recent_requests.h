// RecentRequests: how many requests of one node were answered, and how many failed, in the last few
// seconds: what shares of failures and of retries are shares of.
//
//   |---- half: 2.5 s ----|---- half ----|· now        counted: from the begin of the older half
//
// Counted are whole halves, so "recent" is between 2.5 and 5 seconds. A reply costs an addition and
// no clock: the marks between halves are set by Advance, which whoever sends requests calls at the
// end of a turn. Pure: time is a parameter. Owner: a node, on one worker.
#pragma once

#include <cstdint>

namespace tidegate {

inline constexpr int64_t kRecentHalfNanos = 2'500'000'000;

class RecentRequests final {
 public:
  void Answered() { ++answered_; }
  void Failed(uint64_t requests) { failed_ += requests; }

  // Often while there are requests: more than a half apart means that there were none.
  void Advance(int64_t now_ns) {
    const int64_t age_ns = now_ns - newer_.began_ns;
    if (__builtin_expect(age_ns < kRecentHalfNanos, 1)) return;
    const Mark now{now_ns, answered_, failed_};
    older_ = age_ns < 2 * kRecentHalfNanos ? newer_ : now;
    newer_ = now;
  }

  // What has been counted is not recent any more.
  void Forget() { older_ = newer_ = {newer_.began_ns, answered_, failed_}; }

  uint64_t answered() const { return answered_ - older_.answered; }
  uint64_t failed() const { return failed_ - older_.failed; }
  uint64_t total() const { return answered() + failed(); }
  // Whether a reply came within the last half.
  bool HasAnsweredLately(int64_t now_ns) const {
    return now_ns - newer_.began_ns < kRecentHalfNanos && answered_ != newer_.answered;
  }
  // Since ever: to see whether there was one between two moments.
  uint64_t all_answered() const { return answered_; }

 private:
  struct Mark {
    int64_t began_ns = 0;
    uint64_t answered = 0;
    uint64_t failed = 0;
  };

  uint64_t answered_ = 0;
  uint64_t failed_ = 0;
  Mark newer_;
  Mark older_;
};

}  // namespace tidegate
