#include "policy/refusal_pace.h"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

// Those who ask again at once pause; the others do not notice.
TEST(RefusalPace, IsKept) {
  RefusalPace pace;
  int64_t now_ns = 1'000'000'000;
  for (int64_t i = 1; i <= kRefusalBurstNanos / kRefusalNanos; ++i)
    ASSERT_EQ(pace.Refused(now_ns), 0) << i;
  EXPECT_EQ(pace.Refused(now_ns), kRefusalNanos);
  EXPECT_EQ(pace.Refused(now_ns), 2 * kRefusalNanos);
  for (int i = 0; i < 100'000; ++i) EXPECT_LE(pace.Refused(now_ns), kRefusalPauseNanosMax);
  EXPECT_EQ(pace.Refused(now_ns), kRefusalPauseNanosMax);
  now_ns += kRefusalPauseNanosMax + kRefusalBurstNanos;
  EXPECT_EQ(pace.Refused(now_ns), 0);
  for (int i = 0; i < 10'000; ++i) {
    now_ns += kRefusalNanos;
    ASSERT_EQ(pace.Refused(now_ns), 0);
  }
}

}  // namespace
}  // namespace tidegate
