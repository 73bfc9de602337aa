#include "policy/load_backlog.h"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

constexpr uint32_t kSort = 7;
constexpr uint32_t kGet = 3;

TEST(LoadBacklog, FewAreNone) {
  LoadBacklog backlog;
  for (size_t i = 0; i + 1 < kBacklogRequestsMin; ++i) {
    backlog.Begin(kSort);
    backlog.Worked(kSort, 1000);
    EXPECT_EQ(backlog.ticks(), 0);
  }
  backlog.Begin(kSort);
  EXPECT_EQ(backlog.ticks(), kBacklogRequestsMin * 1000);
  backlog.End(kSort);
  EXPECT_EQ(backlog.ticks(), 0);
}

// Until one is through, what has been worked so far is the least that it costs.
TEST(LoadBacklog, LearnsWhatACommandCosts) {
  LoadBacklog backlog;
  for (int i = 0; i < 4; ++i) backlog.Begin(kSort);
  EXPECT_EQ(backlog.ticks(), 0);
  backlog.Worked(kSort, 100);
  backlog.Worked(kSort, 50);
  EXPECT_EQ(backlog.CostOf(kSort), 100);
  backlog.Worked(kSort, 300);
  EXPECT_EQ(backlog.ticks(), 4 * 300);
  backlog.EndThrough(kSort, 800);
  EXPECT_EQ(backlog.CostOf(kSort), 800);
  backlog.Begin(kSort);
  EXPECT_EQ(backlog.ticks(), 4 * 800);
  backlog.Worked(kSort, 5000);  // not before it is through
  EXPECT_EQ(backlog.ticks(), 4 * 800);
  backlog.EndThrough(kSort, 1600);
  EXPECT_EQ(backlog.CostOf(kSort), 900);
  EXPECT_EQ(backlog.CostOf(kGet), 0);
}

TEST(LoadBacklog, IsEmptyInTheEnd) {
  LoadBacklog backlog;
  for (uint32_t round = 0; round < 100; ++round) {
    for (uint32_t command = 0; command < 5; ++command) {
      backlog.Begin(command);
      backlog.Worked(command, 10 * command + round);
    }
    for (uint32_t command = 0; command < 5; ++command) {
      if (round % 3 == 0) {
        backlog.End(command);
      } else {
        backlog.EndThrough(command, 1000 / (round + 1) + command);
      }
    }
  }
  for (size_t i = 0; i < kBacklogRequestsMin; ++i) backlog.Begin(99);
  EXPECT_EQ(backlog.ticks(), 0);
}

}  // namespace
}  // namespace tidegate
