// Which keys are in memory: slots that become cold again, what is pinned meanwhile, and when
// something on disk alone expires.
#include "storage/cold/residency.h"

#include <gtest/gtest.h>

#include <memory>

#include "storage/engine.h"
#include "storage/keyspace/keyspace.h"

namespace tidegate {
namespace {

class ResidencyTest : public ::testing::Test {
 protected:
  ResidencyTest() : engine_(std::move(Engine::Create({})).value()) { residency().MakeTiered(); }
  Residency& residency() { return engine_->residency(); }
  bool IsFlaggedCold(uint16_t slot) {
    return (engine_->keyspace().slot(slot).flags & Slot::kCold) != 0;
  }

  std::unique_ptr<Engine> engine_;
};

TEST_F(ResidencyTest, ASlotIsColdFromWhatHasLeftOn) {
  EXPECT_FALSE(residency().any());
  const KeyRef key = KeyRef::Of("key");
  residency().Evicted(0, key.slot, key.hash, kNoExpire);
  EXPECT_TRUE(residency().any());
  EXPECT_TRUE(residency().IsCold(0, key.slot));
  EXPECT_TRUE(IsFlaggedCold(key.slot));
  EXPECT_FALSE(residency().IsResident(0, key));
  EXPECT_FALSE(residency().IsResidentInAll(key));
  EXPECT_TRUE(residency().IsResident(1, key));
  const KeyRef below{"other", key.hash - 1, key.slot};
  EXPECT_TRUE(residency().IsResident(0, below)) << "nothing below has left";
  EXPECT_EQ(residency().cold_slots(), 1u);
  residency().Evicted(0, key.slot, 5, kNoExpire);
  EXPECT_EQ(residency().LoadedBelow(0, key.slot), 5u);
  EXPECT_EQ(residency().cold_slots(), 1u);
  // And back.
  residency().Advance(0, key.slot, Residency::kAll);
  EXPECT_TRUE(residency().IsResident(0, key));
  EXPECT_FALSE(residency().any());
  EXPECT_FALSE(IsFlaggedCold(key.slot));
}

TEST_F(ResidencyTest, TheLastHashOfAllCanLeave) {
  residency().Evicted(0, 7, Residency::kAll, kNoExpire);
  EXPECT_TRUE(residency().IsCold(0, 7));
  EXPECT_FALSE(residency().IsResident(0, KeyRef{"k", Residency::kAll, 7}));
}

TEST_F(ResidencyTest, DatabasesAreDroppedAndSwapped) {
  residency().Evicted(0, 1, 10, kNoExpire);
  residency().Evicted(3, 1, 20, kNoExpire);
  residency().Evicted(3, 2, 20, kNoExpire);
  EXPECT_EQ(residency().cold_slots(), 3u);
  residency().Swap(0, 3);
  EXPECT_EQ(residency().LoadedBelow(0, 1), 20u);
  EXPECT_EQ(residency().LoadedBelow(3, 1), 10u);
  residency().Clear(0);
  EXPECT_EQ(residency().cold_slots(), 1u);
  EXPECT_TRUE(IsFlaggedCold(1));
  EXPECT_FALSE(IsFlaggedCold(2));
  residency().Clear(-1);
  EXPECT_FALSE(residency().any());
}

TEST_F(ResidencyTest, TheEarliestExpiryIsKept) {
  EXPECT_EQ(residency().EarliestExpiry(0, 1), Residency::kExpiresNever);
  residency().Evicted(0, 1, 10, kNoExpire);
  EXPECT_EQ(residency().EarliestExpiry(0, 1), Residency::kExpiresNever);
  residency().Evicted(0, 1, 10, 90'500);
  residency().Evicted(0, 1, 10, 70'500);
  residency().Evicted(0, 1, 10, 80'500);
  EXPECT_EQ(residency().EarliestExpiry(0, 1), 70u);
  residency().ForgetExpiries(0, 1);
  EXPECT_EQ(residency().EarliestExpiry(0, 1), Residency::kExpiresNever);
  residency().LowerExpiry(0, 1, 99);
  EXPECT_EQ(residency().EarliestExpiry(0, 1), 99u);
  residency().Advance(0, 1, Residency::kAll);
  EXPECT_EQ(residency().EarliestExpiry(0, 1), Residency::kExpiresNever);
  // Of what there was at the start nobody knows, where anything expires.
  residency().MakeCold(1, /*expires=*/true);
  residency().MakeCold(2, /*expires=*/false);
  EXPECT_EQ(residency().EarliestExpiry(1, 5), Residency::kExpiryUnknown);
  EXPECT_EQ(residency().EarliestExpiry(2, 5), Residency::kExpiresNever);
}

TEST(ColdPinsTest, WhatIsHeldIsPinnedUntilNobodyHoldsIt) {
  const auto pins = std::make_shared<ColdPins>();
  EXPECT_FALSE(pins->IsPinned(3, 30));
  pins->Enable();
  const ColdTarget key{ColdTarget::Kind::kKey, 0, 3, 30, "key"};
  {
    ColdHold first(*pins, /*counted=*/true);
    first.Add(key);
    {
      ColdHold second(*pins);
      second.Add(key);
      second.Add(ColdTarget::Slot(0, 4));
      EXPECT_TRUE(pins->IsPinned(4, 1)) << "all of a slot";
      EXPECT_EQ(second.size(), 2u);
    }
    EXPECT_TRUE(pins->IsPinned(3, 30));
    EXPECT_FALSE(pins->IsPinned(3, 31));
    EXPECT_FALSE(pins->IsPinned(4, 1));
    EXPECT_EQ(pins->holds(), 1u);
  }
  EXPECT_FALSE(pins->IsPinned(3, 30));
  EXPECT_EQ(pins->holds(), 0u);
  ColdHold everything(*pins);
  everything.Add(ColdTarget::Everything());
  EXPECT_TRUE(pins->IsPinned(9, 9));
}

}  // namespace
}  // namespace tidegate
