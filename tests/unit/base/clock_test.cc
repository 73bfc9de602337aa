#include "base/clock.h"

#include <chrono>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

TEST(Clock, WallClockIsUnixTimeInItsUnit) {
  const int64_t millis = UnixMillis();
  const int64_t micros = UnixMicros();
  EXPECT_GT(millis, 1'700'000'000'000);
  EXPECT_NEAR(static_cast<double>(micros) / 1000.0, static_cast<double>(millis), 1000.0);
}

TEST(Clock, TicksMeasureTheSameTimeAsTheMonotonicClock) {
  const int64_t nanos_before = MonotonicNanos();
  const uint64_t ticks_before = Ticks();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const int64_t ticks_nanos = TicksToNanos(Ticks() - ticks_before);
  const int64_t nanos = MonotonicNanos() - nanos_before;
  EXPECT_GE(nanos, 20'000'000);
  // Wide, because a busy machine may stop us between the two readings.
  EXPECT_GT(ticks_nanos, nanos / 2);
  EXPECT_LT(ticks_nanos, nanos + nanos / 10);
}

}  // namespace
}  // namespace tidegate
