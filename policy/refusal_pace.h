// RefusalPace: that refusing takes little of a worker's time, whatever those do who are refused. A
// client that asks again at once is refused again at once, and a thousand of these would have the
// worker do nothing else. So refusals beyond a pace cost their clients a pause: each is told at
// once, and its next request is not looked at before the pause is over. Who asks at times of his
// own does not notice it. Pure: time is a parameter. Owner: one worker.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tidegate {

// One refusal in such a time: a twentieth of the worker's, or less. So many at once cost no pause,
// and no pause is longer than that.
inline constexpr int64_t kRefusalNanos = 500'000;
inline constexpr int64_t kRefusalBurstNanos = 50'000'000;
inline constexpr int64_t kRefusalPauseNanosMax = 1'000'000'000;

class RefusalPace final {
 public:
  // A request is refused now: how long its client has to pause.
  int64_t Refused(int64_t now_ns) {
    const int64_t latest_ns = now_ns + kRefusalBurstNanos + kRefusalPauseNanosMax;
    next_ns_ = std::min(std::max(next_ns_, now_ns) + kRefusalNanos, latest_ns);
    return std::max<int64_t>(next_ns_ - now_ns - kRefusalBurstNanos, 0);
  }

 private:
  int64_t next_ns_ = 0;
};

}  // namespace tidegate
