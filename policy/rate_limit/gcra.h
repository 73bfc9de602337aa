// Gcra: one rate, by the generic cell rate algorithm: all that is kept of a key is the time at
// which its requests so far would be due if they came evenly (the theoretical arrival time).
//
//   time  --------now-----------------------------------> tat       tat - now: what is used of the
//                  |<------------ tolerance ------------->|         burst; beyond it: wait
//
// Why not a token bucket: that is two numbers, which several workers cannot change together without
// a lock. This is one, so a request is one compare-and-swap; all workers share it, and the limit is
// that of the process. Integers alone: nothing is lost by rounding, however long it runs.
// Threads: any. Source: ITU-T I.371, annex A.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "config/policy_options.h"

namespace tidegate {

// What a burst is worth, at most: beyond a day nobody plans, and sums stay far from overflow.
inline constexpr int64_t kGcraNanosMax = int64_t{86'400} * 1'000'000'000;

struct GcraOutcome {
  bool taken = false;
  int64_t wait_ns = 0;  // taken: until it may go; else: until it would be taken
};

class Gcra final {
 public:
  Gcra(const Rate& rate, int64_t burst)
      : interval_ns_(std::max<int64_t>(
            std::chrono::nanoseconds(rate.period).count() / std::max<int64_t>(rate.requests, 1),
            1)),
        tolerance_ns_(burst > kGcraNanosMax / interval_ns_ ? kGcraNanosMax : burst * interval_ns_) {
  }

  int64_t tolerance_ns() const { return tolerance_ns_; }

  // Takes a request at `now_ns`, if it has to wait for no longer than `wait_max_ns`.
  GcraOutcome Take(std::atomic<int64_t>& tat_ns, int64_t now_ns, int64_t wait_max_ns) const {
    int64_t seen = tat_ns.load(std::memory_order_relaxed);
    while (true) {
      const int64_t next = std::max(seen, now_ns) + interval_ns_;
      const int64_t wait_ns = std::max<int64_t>(next - now_ns - tolerance_ns_, 0);
      if (wait_ns > wait_max_ns) return {.taken = false, .wait_ns = wait_ns};
      if (tat_ns.compare_exchange_weak(seen, next, std::memory_order_relaxed))
        return {.taken = true, .wait_ns = wait_ns};
    }
  }
  // Takes one that goes in any case: those who come later wait for it.
  void TakeAnyway(std::atomic<int64_t>& tat_ns) const {
    tat_ns.fetch_add(interval_ns_, std::memory_order_relaxed);
  }
  // Of a request that was taken and will not be executed after all.
  void GiveBack(std::atomic<int64_t>& tat_ns) const {
    tat_ns.fetch_sub(interval_ns_, std::memory_order_relaxed);
  }
  // Whether requests have to wait now, or nearly: half of the burst is used.
  bool IsPressed(int64_t tat_ns, int64_t now_ns) const {
    return tat_ns - now_ns > tolerance_ns_ / 2;
  }

 private:
  int64_t interval_ns_;
  int64_t tolerance_ns_;
};

}  // namespace tidegate
