// Error replies by code, and what a reset leaves.
#include "proxy/observe/error_stats.h"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

TEST(ErrorStats, AResetIsForInfoAndNotForMetrics) {
  ErrorStats stats;
  stats.Count("ERR one");
  stats.Count("WRONGTYPE two");
  EXPECT_EQ(stats.total(), 2u);
  stats.Reset();
  stats.Count("ERR three");
  EXPECT_EQ(stats.total(), 1u);
  EXPECT_EQ(stats.total_since_start(), 3u);
  EXPECT_EQ(stats.Get().size(), 1u);
}

TEST(ErrorStats, CodesThatClientsMakeUpAreBounded) {
  ErrorStats stats;
  for (size_t i = 0; i < 2 * kErrorCodesMax; ++i) stats.Count("CODE" + std::to_string(i) + " x");
  EXPECT_EQ(stats.Get().size(), kErrorCodesMax);
  EXPECT_EQ(stats.total(), 2 * kErrorCodesMax);
}

}  // namespace
}  // namespace tidegate
