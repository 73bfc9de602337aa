// RefreshPace: when the topology of one cluster is asked for next.
//
//   nothing happens          each refresh-interval, give or take a tenth
//   a hint (MOVED, a node    at once, but not sooner after the last time than a pause: 100 ms at
//   failed, CLUSTERDOWN)     first, twice as long after each time that brought nothing new
//   an urgent hint           the same, and the pause begins anew: of those who decide (sentinels)
//   no answer, a dispute     again after the same pause
//
// So a storm of MOVED is one question and not one each, a failover is asked about ten times a
// second at first, and a cluster that stays down is asked once a second, or at the interval if that
// is shorter. The pause varies by a fifth, so that many proxies do not come together.
// Pure: time and randomness are parameters. Owner: one watcher.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace tidegate::discovery {

inline constexpr std::chrono::milliseconds kRefreshPauseMin{100};
inline constexpr std::chrono::milliseconds kRefreshPauseMax{1000};

class RefreshPace final {
 public:
  enum class Outcome : uint8_t {
    kChanged,    // something new, and it is settled
    kUnchanged,  // as it was
    kUnsettled,  // too few answers, or they differ: ask again soon
  };

  RefreshPace(std::chrono::milliseconds interval, uint32_t seed)
      : interval_(interval),
        pause_max_(std::clamp(interval, kRefreshPauseMin, kRefreshPauseMax)),
        random_(seed) {}

  // A hint that something has changed. Also while a refresh is under way: what it was told may be
  // older than the hint.
  void Hint() { hinted_ = true; }
  void HintUrgently() {
    hinted_ = true;
    pause_ = kRefreshPauseMin;
  }
  bool hinted() const { return hinted_; }

  void Began(int64_t now_ns) {
    running_ = true;
    began_ns_ = now_ns;
    was_hinted_ = hinted_;
    hinted_ = false;
  }

  void Ended(Outcome outcome) {
    running_ = false;
    unsettled_ = outcome == Outcome::kUnsettled;
    const bool in_vain = outcome != Outcome::kChanged && (unsettled_ || was_hinted_);
    pause_ = in_vain ? std::min(pause_ * 2, pause_max_) : kRefreshPauseMin;
  }

  // Milliseconds until the next refresh is to begin. Not while one is under way.
  uint64_t Wait(int64_t now_ns) {
    if (began_ns_ == 0) return 0;
    const bool soon = hinted_ || unsettled_;
    const double wanted_ms = soon ? Spread(pause_, 0.2) : Spread(interval_, 0.1);
    const double passed_ms = static_cast<double>(now_ns - began_ns_) / 1e6;
    return wanted_ms > passed_ms ? static_cast<uint64_t>(wanted_ms - passed_ms) : 0;
  }

  bool running() const { return running_; }

 private:
  double Spread(std::chrono::milliseconds time, double share) {
    return static_cast<double>(time.count()) *
           std::uniform_real_distribution<double>(1 - share, 1 + share)(random_);
  }

  const std::chrono::milliseconds interval_;
  const std::chrono::milliseconds pause_max_;
  std::minstd_rand random_;
  std::chrono::milliseconds pause_ = kRefreshPauseMin;
  int64_t began_ns_ = 0;  // 0: never
  bool running_ = false;
  bool hinted_ = false;
  bool was_hinted_ = false;
  bool unsettled_ = false;
};

}  // namespace tidegate::discovery
