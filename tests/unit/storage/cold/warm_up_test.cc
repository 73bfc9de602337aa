// In which order the warm-up goes.
#include "storage/cold/warm_up.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace tidegate {
namespace {

TEST(WarmUpTest, HotKeysOfKnownDatabasesComeFirst) {
  WarmUp warm_up({4, 7}, {{7, "a"}, {5, "of a database that is gone"}, {4, "b"}});
  EXPECT_EQ(warm_up.NextKey(), ColdTarget::Key(7, KeyRef::Of("a")));
  EXPECT_EQ(warm_up.NextKey(), ColdTarget::Key(4, KeyRef::Of("b")));
  EXPECT_EQ(warm_up.NextKey(), std::nullopt);
  EXPECT_EQ(warm_up.NextKey(), std::nullopt);
}

TEST(WarmUpTest, ASlotIsTheNextUntilItIsDone) {
  WarmUp warm_up({4, 7}, {});
  EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(4, 0));
  EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(4, 0));
  warm_up.Done();
  EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(7, 0));
  warm_up.Done();
  EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(4, 1));
}

TEST(WarmUpTest, GoesOnFromWhereSomebodyLooksAndComesBack) {
  WarmUp warm_up({4}, {});
  EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(4, 0));
  warm_up.GoTo(kSlotCount - 1);
  EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(4, kSlotCount - 1));
  warm_up.Done();
  std::set<uint16_t> seen;
  while (const auto slot = warm_up.NextSlot()) {
    EXPECT_TRUE(seen.insert(slot->slot).second);
    warm_up.Done();
  }
  EXPECT_EQ(seen.size(), kSlotCount - 1);
  EXPECT_TRUE(warm_up.through());
  EXPECT_FALSE(warm_up.BeginRound());
}

TEST(WarmUpTest, WhatFailedIsTriedAgainInTheNextRound) {
  WarmUp warm_up({4}, {});
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    ASSERT_TRUE(warm_up.NextSlot().has_value());
    i % 1000 == 0 ? warm_up.Failed() : warm_up.Done();
  }
  EXPECT_EQ(warm_up.NextSlot(), std::nullopt);
  EXPECT_FALSE(warm_up.through());
  ASSERT_TRUE(warm_up.BeginRound());
  for (uint16_t slot = 0; slot < kSlotCount; slot += 1000) {
    EXPECT_EQ(warm_up.NextSlot(), ColdTarget::Slot(4, slot));
    warm_up.Done();
  }
  EXPECT_EQ(warm_up.NextSlot(), std::nullopt);
  EXPECT_TRUE(warm_up.through());
}

}  // namespace
}  // namespace tidegate
