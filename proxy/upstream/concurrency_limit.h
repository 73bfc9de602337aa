// ConcurrencyLimit: how many requests without a reply one worker should have at a node
// (max-in-flight: auto), found out from how long replies take: more than the node can work on only
// wait there.
//
//   p50 of a window above the target  --> less: limit x target / p50, at least half of it
//             below half the target   --> a quarter more   } only if what there is was used
//             in between              --> a few more       }
//
// The target is half as much again as replies take when few requests are there (the base), and
// kTolerableNanos in any case: a server with one thread answers 500 clients in 5 ms and is none the
// worse for it. The base is learned from windows in which less than half of the limit was in
// flight, and at the least limit, where a longer time is the node's own. In others it may fall and
// not rise: else it would follow the queue that it is there to bound.
//
// Why no queue of ours in front of the limit: the node answers in order, so a request waits as long
// in its line as it would in ours.
// Pure: time is a parameter. Owner: a connection, on one worker. Cost: some additions for each
// reply, and a median of 128 figures for each window. Source: Netflix, concurrency-limits
// (Gradient2); Envoy, adaptive concurrency.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tidegate {

inline constexpr uint64_t kConcurrencyMin = 16;
inline constexpr uint64_t kConcurrencyMax = 1024;
inline constexpr uint64_t kConcurrencyStart = 64;
// A window has so many replies, and takes so long, at least.
inline constexpr size_t kConcurrencyWindowReplies = 50;
inline constexpr int64_t kConcurrencyWindowNanos = 50'000'000;
// Replies that take no longer are never a reason for less.
inline constexpr int64_t kTolerableNanos = 20'000'000;

class ConcurrencyLimit final {
 public:
  uint64_t limit() const { return static_cast<uint64_t>(limit_); }

  // A reply came so long after its request; there were so many in flight with it. True: a window
  // has ended, and the limit may be another one.
  bool Replied(int64_t took_ns, uint64_t in_flight, int64_t now_ns) {
    took_us_[replies_++ % took_us_.size()] = static_cast<uint32_t>(took_ns / 1000);
    if (in_flight > in_flight_max_) in_flight_max_ = in_flight;
    if (replies_ < kConcurrencyWindowReplies) return false;
    if (now_ns - window_began_ns_ < kConcurrencyWindowNanos) return false;
    EndWindow(now_ns);
    return true;
  }

 private:
  void EndWindow(int64_t now_ns);
  void LearnBase(double p50_ns);
  double MedianNanos();

  double limit_ = static_cast<double>(kConcurrencyStart);
  double base_ns_ = 0;  // 0: not known yet
  std::array<uint32_t, 128> took_us_{};
  size_t replies_ = 0;  // of this window
  uint64_t in_flight_max_ = 0;
  int64_t window_began_ns_ = 0;
};

}  // namespace tidegate
