#include "proxy/upstream/concurrency_limit.h"

#include <algorithm>
#include <cmath>

namespace tidegate {
namespace {

// What replies may take, as a part of the base.
constexpr double kTolerance = 1.5;
// How fast the base is learned, and how much of a step down is made at once.
constexpr double kBaseWeight = 0.1;
constexpr double kSmoothing = 0.2;
constexpr double kGradientMin = 0.5;
constexpr double kGrowth = 1.25;

}  // namespace

double ConcurrencyLimit::MedianNanos() {
  const size_t count = std::min(replies_, took_us_.size());
  const auto middle = took_us_.begin() + static_cast<ptrdiff_t>(count / 2);
  std::nth_element(took_us_.begin(), middle, took_us_.begin() + static_cast<ptrdiff_t>(count));
  return static_cast<double>(*middle) * 1000;
}

void ConcurrencyLimit::LearnBase(double p50_ns) {
  const bool is_calm = static_cast<double>(in_flight_max_) < limit_ / 2;
  const bool is_least = limit() <= kConcurrencyMin;
  if (base_ns_ == 0) {
    base_ns_ = p50_ns;
  } else if (p50_ns < base_ns_ || is_calm || is_least) {
    base_ns_ += (p50_ns - base_ns_) * kBaseWeight;
  }
}

void ConcurrencyLimit::EndWindow(int64_t now_ns) {
  const double p50_ns = std::max(MedianNanos(), 1.0);
  LearnBase(p50_ns);
  const double target_ns = std::max(base_ns_ * kTolerance, static_cast<double>(kTolerableNanos));
  const bool is_used = static_cast<double>(in_flight_max_) >= limit_ / 2;
  if (p50_ns > target_ns) {
    const double less = limit_ * std::max(target_ns / p50_ns, kGradientMin);
    limit_ += (less - limit_) * kSmoothing;
  } else if (is_used) {
    limit_ = p50_ns < target_ns / 2 ? limit_ * kGrowth : limit_ + std::sqrt(limit_) * kSmoothing;
  }
  limit_ = std::clamp(limit_, static_cast<double>(kConcurrencyMin),
                      static_cast<double>(kConcurrencyMax));
  replies_ = 0;
  in_flight_max_ = 0;
  window_began_ns_ = now_ns;
}

}  // namespace tidegate
