// Copies of values: which are kept, until when they are given, and what makes them go.
#include "policy/stale/stale_copies.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace tidegate {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;

class StaleCopiesTest : public ::testing::Test {
 protected:
  void Use(StaleOptions options) {
    options.any = true;
    options.mode = options.mode == PolicyMode::kOff ? PolicyMode::kEnforce : options.mode;
    options.keys = {"item:*"};
    copies_ = std::make_unique<StaleCopies>(options, counters_);
  }
  static CopiedKey Key(std::string_view name, uint16_t cluster = 0, uint16_t database = 0) {
    return {.name = name,
            .hash = KeyHash(name),
            .keyspace = {.cluster = cluster, .database = database}};
  }
  void Keep(std::string_view name, std::string_view reply, int64_t at_ns) {
    copies_->Found(Key(name), copies_->Begin(Key(name), at_ns), reply);
  }
  std::string Of(std::string_view name, int64_t now_ns) {
    const auto copy = copies_->Find(Key(name), now_ns);
    return copy ? copy->reply : "";
  }

  std::shared_ptr<PolicyCounters> counters_ = std::make_shared<PolicyCounters>();
  std::unique_ptr<StaleCopies> copies_;
};

TEST_F(StaleCopiesTest, GivesWhatWasSeenUntilItIsTooOld) {
  Use({.mode = PolicyMode::kEnforce, .keep = std::chrono::seconds(10)});
  EXPECT_EQ(Of("item:1", 0), "");
  Keep("item:1", "$1\r\nv\r\n", kSecond);
  EXPECT_EQ(Of("item:1", kSecond), "$1\r\nv\r\n");
  EXPECT_EQ(copies_->Find(Key("item:1"), 4 * kSecond)->age_ns, 3 * kSecond);
  EXPECT_EQ(Of("item:1", 11 * kSecond - 1), "$1\r\nv\r\n");
  EXPECT_EQ(Of("item:1", 11 * kSecond), "");
  EXPECT_EQ(Of("item:2", kSecond), "");
}

TEST_F(StaleCopiesTest, AnotherDatabaseOrClusterIsAnotherKey) {
  Use({.mode = PolicyMode::kEnforce});
  Keep("item:1", "$1\r\nv\r\n", 0);
  EXPECT_FALSE(copies_->Find(Key("item:1", 1), 1));
  EXPECT_FALSE(copies_->Find(Key("item:1", 0, 1), 1));
}

TEST_F(StaleCopiesTest, TheSameValueIsMadeYoungerAndAnotherTakesItsPlace) {
  Use({.mode = PolicyMode::kEnforce, .keep = std::chrono::seconds(16)});
  Keep("item:1", "$1\r\na\r\n", 0);
  // Not worth it yet.
  EXPECT_FALSE(copies_->IsWanted(Key("item:1"), copies_->Begin(Key("item:1"), kSecond / 2)));
  Keep("item:1", "$1\r\na\r\n", kSecond / 2);
  EXPECT_EQ(copies_->Find(Key("item:1"), kSecond)->age_ns, kSecond);
  EXPECT_TRUE(copies_->IsWanted(Key("item:1"), copies_->Begin(Key("item:1"), kSecond)));
  Keep("item:1", "$1\r\na\r\n", kSecond);
  EXPECT_EQ(copies_->Find(Key("item:1"), kSecond)->age_ns, 0);
  Keep("item:1", "$1\r\nb\r\n", kSecond + 1);
  EXPECT_EQ(Of("item:1", kSecond + 1), "$1\r\nb\r\n");
  // A reply that was asked for earlier and came later is the older one.
  Keep("item:1", "$1\r\na\r\n", kSecond);
  EXPECT_EQ(Of("item:1", kSecond + 1), "$1\r\nb\r\n");
}

TEST_F(StaleCopiesTest, AWriteDropsAndWhatWasAskedForBeforeItsEndIsNotKept) {
  Use({.mode = PolicyMode::kEnforce});
  Keep("item:1", "$1\r\na\r\n", 0);
  const StaleCopies::Ask before = copies_->Begin(Key("item:1"), 1);
  StaleCopies::Ask during;
  {
    const StaleCopies::Write write = copies_->BeginWrite(Key("item:1"), true);
    EXPECT_EQ(Of("item:1", 1), "");
    EXPECT_EQ(counters_->stale.dropped.load(), 1);
    copies_->Found(Key("item:1"), before, "$1\r\na\r\n");
    EXPECT_EQ(Of("item:1", 1), "");
    during = copies_->Begin(Key("item:1"), 2);
  }
  copies_->Found(Key("item:1"), before, "$1\r\na\r\n");
  copies_->Found(Key("item:1"), during, "$1\r\na\r\n");
  EXPECT_EQ(Of("item:1", 2), "");
  Keep("item:1", "$1\r\nb\r\n", 3);
  EXPECT_EQ(Of("item:1", 3), "$1\r\nb\r\n");
}

TEST_F(StaleCopiesTest, AWriteThatIsMovedEndsOnce) {
  Use({.mode = PolicyMode::kEnforce});
  StaleCopies::Write write = copies_->BeginWrite(Key("item:1"), false);
  StaleCopies::Write moved(std::move(write));
  Keep("item:1", "$1\r\na\r\n", 0);
  EXPECT_EQ(Of("item:1", 0), "");
  moved = StaleCopies::Write();
  Keep("item:1", "$1\r\na\r\n", 1);
  EXPECT_EQ(Of("item:1", 1), "$1\r\na\r\n");
}

TEST_F(StaleCopiesTest, WhatIsDeletedStaysOnlyWhereARuleSaysSo) {
  Use({.mode = PolicyMode::kEnforce, .after_delete = true});
  Keep("item:1", "$1\r\na\r\n", 0);
  { const StaleCopies::Write deletes = copies_->BeginWrite(Key("item:1"), true); }
  EXPECT_EQ(Of("item:1", 1), "$1\r\na\r\n");
  const StaleCopies::Write writes = copies_->BeginWrite(Key("item:1"), false);
  EXPECT_EQ(Of("item:1", 1), "");
}

TEST_F(StaleCopiesTest, AWriteOfAnyKeyDropsAll) {
  Use({.mode = PolicyMode::kEnforce});
  Keep("item:1", "$1\r\na\r\n", 0);
  const StaleCopies::Ask before = copies_->Begin(Key("item:2"), 1);
  {
    const StaleCopies::Write write = copies_->BeginWriteOfAny(0);
    EXPECT_EQ(Of("item:1", 1), "");
    Keep("item:1", "$1\r\na\r\n", 1);
    EXPECT_EQ(Of("item:1", 1), "");
  }
  copies_->Found(Key("item:2"), before, "$1\r\na\r\n");
  EXPECT_EQ(Of("item:2", 1), "");
  Keep("item:1", "$1\r\nb\r\n", 2);
  EXPECT_EQ(Of("item:1", 2), "$1\r\nb\r\n");
}

TEST_F(StaleCopiesTest, AReloadDropsAllAndKeepsNothingForAMoment) {
  Use({.mode = PolicyMode::kEnforce});
  Keep("item:1", "$1\r\na\r\n", 0);
  copies_->Restart(kSecond);
  EXPECT_EQ(Of("item:1", kSecond), "");
  Keep("item:1", "$1\r\na\r\n", kSecond + kStaleSettleNanos - 1);
  EXPECT_EQ(Of("item:1", kSecond + kStaleSettleNanos), "");
  Keep("item:1", "$1\r\na\r\n", kSecond + kStaleSettleNanos);
  EXPECT_EQ(Of("item:1", kSecond + kStaleSettleNanos), "$1\r\na\r\n");
}

TEST_F(StaleCopiesTest, LargeValuesAreNotKept) {
  Use({.mode = PolicyMode::kEnforce, .entry_bytes_max = 16_B});
  Keep("item:1", "$1\r\na\r\n", 0);
  Keep("item:1", "$11\r\nhello there\r\n", 1);
  EXPECT_EQ(Of("item:1", 1), "");
  Keep("item:1", "$1\r\na\r\n", 2);
  copies_->FoundLarge(Key("item:1"));
  EXPECT_EQ(Of("item:1", 2), "");
}

TEST_F(StaleCopiesTest, MemoryHasABound) {
  Use({.mode = PolicyMode::kEnforce, .bytes_max = 1_MiB});
  const std::string reply = "$1000\r\n" + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 5000; ++i) Keep("item:" + std::to_string(i), reply, i);
  EXPECT_LE(copies_->bytes(), (1_MiB).count);
  EXPECT_GT(copies_->bytes(), (1_MiB).count / 2);
  EXPECT_GT(copies_->keys(), 0);
}

TEST_F(StaleCopiesTest, WhatIsGivenIsCountedAndObserveGivesNothing) {
  Use({.mode = PolicyMode::kEnforce});
  Keep("item:1", "$1\r\na\r\n", 0);
  EXPECT_TRUE(copies_->Give(Key("item:1"), &StaleFigures::down, 40 * kMs));
  EXPECT_FALSE(copies_->Give(Key("item:2"), &StaleFigures::down, 40 * kMs));
  EXPECT_EQ(counters_->stale.down.load(), 1);
  EXPECT_EQ(counters_->stale.missing.load(), 1);
  EXPECT_EQ(counters_->stale.age_ms.load(), 40);
  Use({.mode = PolicyMode::kObserve});
  Keep("item:1", "$1\r\na\r\n", 0);
  EXPECT_FALSE(copies_->Give(Key("item:1"), &StaleFigures::limited, 1));
  EXPECT_EQ(counters_->stale.limited.load(), 0);
  EXPECT_EQ(counters_->of(PolicyKind::kStale).observed.load(), 1);
}

TEST_F(StaleCopiesTest, SaysWhatItDoesAndWhatIsKept) {
  Use({.mode = PolicyMode::kEnforce, .when = StaleWhen::kDown, .after_delete = true});
  EXPECT_EQ(copies_->Describe(),
            "stale enforce: keys item:* when down keep 10s after-delete bytes-max 67108864");
  EXPECT_EQ(copies_->DescribeCopy(Key("item:1"), 0), "stale: no copy of this key");
  Keep("item:1", "$1\r\na\r\n", 0);
  EXPECT_EQ(copies_->DescribeCopy(Key("item:1"), 7 * kMs),
            "stale: a copy of this key, last seen 7 ms ago");
  EXPECT_EQ(copies_->DescribeCopy(Key("other"), 0), "");
}

}  // namespace
}  // namespace tidegate
