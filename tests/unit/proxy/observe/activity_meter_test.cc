#include "proxy/observe/activity_meter.h"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(ActivityMeter, NoSampleNoRate) {
  ActivityMeter meter;
  EXPECT_EQ(meter.Rates().commands_per_second, 0);
  meter.Sample(kSecond, {.commands = 100}, 0);
  EXPECT_EQ(meter.Rates().commands_per_second, 0);
}

TEST(ActivityMeter, MeanOverTheLastSamples) {
  ActivityMeter meter;
  for (int64_t i = 0; i < 100; ++i) {
    const auto commands = static_cast<uint64_t>(i < 50 ? 0 : (i - 50) * 10);
    meter.Sample(kSecond + i * kSecond / 10,
                 {.commands = commands, .input_bytes = commands * 2, .output_bytes = commands * 3},
                 0);
  }
  const ActivityRates rates = meter.Rates();
  EXPECT_DOUBLE_EQ(rates.commands_per_second, 100);
  EXPECT_DOUBLE_EQ(rates.input_bytes_per_second, 200);
  EXPECT_DOUBLE_EQ(rates.output_bytes_per_second, 300);
}

TEST(ActivityMeter, SamplesTooCloseTogetherAreNotPoints) {
  ActivityMeter meter;
  meter.Sample(kSecond, {.commands = 0}, 0);
  meter.Sample(kSecond + 1000, {.commands = 1000}, 0);
  EXPECT_EQ(meter.Rates().commands_per_second, 0);
  meter.Sample(2 * kSecond, {.commands = 1000}, 0);
  EXPECT_DOUBLE_EQ(meter.Rates().commands_per_second, 1000);
}

TEST(ActivityMeter, CountersSetBackAreNoRate) {
  ActivityMeter meter;
  meter.Sample(kSecond, {.commands = 1000}, 0);
  meter.Sample(2 * kSecond, {.commands = 10}, 0);
  EXPECT_EQ(meter.Rates().commands_per_second, 0);
}

TEST(ActivityMeter, PeakMemory) {
  ActivityMeter meter;
  meter.Sample(kSecond, {}, 500);
  meter.Sample(2 * kSecond, {}, 300);
  EXPECT_EQ(meter.PeakMemoryBytes(200), 500u);
  EXPECT_EQ(meter.PeakMemoryBytes(700), 700u);
}

}  // namespace
}  // namespace tidegate
