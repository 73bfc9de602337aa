#include "policy/single_flight/lease_table.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/single_flight/cache_classes.h"
#include "policy/single_flight/load_times.h"

namespace tidegate {
namespace {

using Place = LeaseTable::Place;

constexpr int64_t kMs = 1'000'000;

LeaseTable::Asker Ask(const LeaseTable& leases, hotkey::KeyId id, uint64_t client, int64_t now_ms,
                      int worker = 0) {
  return {.id = id,
          .generation = leases.GenerationOf(id),
          .client = client,
          .worker = worker,
          .now_ns = now_ms * kMs,
          .lease_ns = 100 * kMs};
}

TEST(LeaseTable, TheFirstLeadsAndTheOthersWait) {
  LeaseTable leases;
  EXPECT_EQ(leases.Miss(Ask(leases, 7, 1, 0)).place, Place::kLeads);
  const LeaseTable::Missed second = leases.Miss(Ask(leases, 7, 2, 1, 3));
  EXPECT_EQ(second.place, Place::kWaits);
  EXPECT_EQ(second.until_ns, 100 * kMs);
  EXPECT_EQ(leases.Miss(Ask(leases, 7, 1, 1)).place, Place::kPasses);  // the leader never waits
  EXPECT_EQ(leases.Miss(Ask(leases, 8, 2, 1)).place, Place::kLeads);
  EXPECT_EQ(leases.waiters(), 1);
  const LeaseTable::Ended ended = leases.Write(7, 50 * kMs);
  EXPECT_EQ(ended.workers, uint64_t{1} << 3);
  EXPECT_EQ(ended.load_ns, 50 * kMs);
  leases.Left(7, second.lease);
  EXPECT_EQ(leases.waiters(), 0);
  EXPECT_EQ(leases.Write(7, 60 * kMs).workers, 0);
  EXPECT_EQ(leases.Miss(Ask(leases, 7, 2, 61)).place, Place::kLeads);
}

TEST(LeaseTable, AKeyThatIsStillThereIsLoadedByOneUntilItIsWritten) {
  LeaseTable leases;
  const auto early = [&leases](uint64_t client, int64_t now_ms) {
    LeaseTable::Asker asker = Ask(leases, 7, client, now_ms);
    asker.may_wait = false;
    asker.is_early = true;
    return leases.Miss(asker).place;
  };
  EXPECT_EQ(early(1, 0), Place::kLeads);
  EXPECT_EQ(early(2, 10), Place::kWaits);
  leases.Found(7, 20 * kMs);  // by all others
  EXPECT_EQ(early(2, 30), Place::kWaits);
  EXPECT_EQ(leases.Write(7, 40 * kMs).load_ns, 40 * kMs);
  EXPECT_EQ(early(2, 50), Place::kLeads);
  // It has expired meanwhile: then who finds it says that it was loaded.
  EXPECT_EQ(leases.Miss(Ask(leases, 7, 3, 60)).place, Place::kWaits);
  leases.Found(7, 70 * kMs);
  EXPECT_FALSE(leases.MayHave(7));
  // Nobody wrote it in time.
  EXPECT_EQ(early(2, 100), Place::kLeads);
  EXPECT_EQ(early(3, 250), Place::kLeads);
}

TEST(LeaseTable, AWriteBetweenTheReadAndItsMissIsSeen) {
  LeaseTable leases;
  const LeaseTable::Asker early = Ask(leases, 7, 1, 0);
  leases.Write(7, 0);
  EXPECT_EQ(leases.Miss(early).place, Place::kAgain);
  EXPECT_FALSE(leases.MayHave(7));
  EXPECT_EQ(leases.Miss(Ask(leases, 7, 1, 0)).place, Place::kLeads);
  const LeaseTable::Asker late = Ask(leases, 7, 2, 0);
  leases.Write(7, 0);
  EXPECT_EQ(leases.Miss(late).place, Place::kAgain);
}

TEST(LeaseTable, OneTakesOverWhatEnds) {
  LeaseTable leases;
  leases.Miss(Ask(leases, 7, 1, 0));
  leases.Miss(Ask(leases, 7, 2, 0));
  leases.Miss(Ask(leases, 7, 3, 0));
  EXPECT_EQ(leases.TakeOver(Ask(leases, 7, 2, 99)).place, Place::kWaits);
  EXPECT_EQ(leases.TakeOver(Ask(leases, 7, 2, 100)).place, Place::kLeads);
  EXPECT_EQ(leases.TakeOver(Ask(leases, 7, 3, 100)).place, Place::kWaits);
  EXPECT_TRUE(leases.Leads(7, 2, 100 * kMs));
  // The slow load is known for what it was.
  EXPECT_EQ(leases.Write(7, 150 * kMs).load_ns, 150 * kMs);
  EXPECT_EQ(leases.TakeOver(Ask(leases, 7, 3, 151)).place, Place::kAgain);
}

TEST(LeaseTable, ALeaderThatGoesLeavesItsLease) {
  LeaseTable leases;
  leases.Miss(Ask(leases, 7, 1, 0));
  EXPECT_EQ(leases.Abandon(7, 1, 1 * kMs), 0);  // nobody waits
  EXPECT_EQ(leases.Miss(Ask(leases, 7, 2, 1)).place, Place::kLeads);
  leases.Miss(Ask(leases, 7, 3, 2, 1));
  EXPECT_EQ(leases.Abandon(7, 1, 2 * kMs), 0);  // it leads no more
  EXPECT_EQ(leases.Abandon(7, 2, 2 * kMs), 2);
  EXPECT_EQ(leases.TakeOver(Ask(leases, 7, 3, 2)).place, Place::kLeads);
}

TEST(LeaseTable, TooManyPass) {
  LeaseTable leases;
  leases.Miss(Ask(leases, 7, 1, 0));
  for (uint32_t i = 0; i < kWaitersPerKeyMax; ++i)
    ASSERT_EQ(leases.Miss(Ask(leases, 7, i + 2, 0)).place, Place::kWaits);
  const LeaseTable::Missed beyond = leases.Miss(Ask(leases, 7, 1'000'000, 0));
  EXPECT_EQ(beyond.place, Place::kPasses);
  EXPECT_TRUE(beyond.full);
}

TEST(LeaseTable, LeasesHaveABoundAndOldOnesGo) {
  LeaseTable leases;
  uint64_t passed = 0;
  const uint64_t many = 2 * kLeaseShards * kLeasesPerShardMax;
  for (uint64_t id = 0; id < many; ++id) {
    if (leases.Miss(Ask(leases, id, 1, 0)).full) ++passed;
  }
  EXPECT_GE(passed, many / 2 - kLeasesPerShardMax);
  for (uint64_t id = 0; id < 1000; ++id)
    EXPECT_EQ(leases.Miss(Ask(leases, many + id, 1, 101)).place, Place::kLeads);
}

TEST(LoadTimes, AverageByTheBeginningOfTheName) {
  LoadTimes times;
  EXPECT_EQ(KindOfKey("shop:item:17"), "shop:item:");
  EXPECT_EQ(KindOfKey("item{17}"), "item");
  EXPECT_EQ(KindOfKey("item"), "");
  const uint16_t place = LoadTimes::PlaceOf("item:1");
  EXPECT_EQ(place, LoadTimes::PlaceOf("item:2"));
  EXPECT_EQ(times.NanosOf(place), 0);
  times.Note(place, 100 * kMs);
  EXPECT_EQ(times.NanosOf(place), 100 * kMs);
  times.Note(place, 200 * kMs);
  EXPECT_EQ(times.NanosOf(place), 125 * kMs);
  times.Note(place, 20'000 * kMs);  // no load takes so long
  EXPECT_EQ(times.NanosOf(place), 125 * kMs);
}

TEST(CacheClasses, LearnsAndForgets) {
  CacheClasses classes;
  int64_t now_ns = 0;
  const auto use = [&](const std::string& key, bool fill) {
    classes.NoteNil(key, KeyHash(key), ++now_ns);
    if (fill) classes.NoteFill(key, KeyHash(key), ++now_ns);
  };
  for (int i = 0; i < 19; ++i) use("item:" + std::to_string(i), true);
  EXPECT_FALSE(classes.Has("item:1", now_ns));
  use("item:20", false);
  EXPECT_TRUE(classes.Has("item:1", now_ns));
  EXPECT_EQ(classes.Names(now_ns), std::vector<std::string>{"item:"});
  for (int i = 0; i < 40; ++i) use("item:n" + std::to_string(i), false);
  EXPECT_FALSE(classes.Has("item:1", now_ns));
  for (int i = 0; i < 60; ++i) use("item:m" + std::to_string(i), true);
  EXPECT_TRUE(classes.Has("item:1", now_ns));
  classes.NotePrimary("item:lock", now_ns);
  EXPECT_FALSE(classes.Has("item:1", now_ns));
  for (int i = 0; i < 60; ++i) use("item:o" + std::to_string(i), true);
  EXPECT_FALSE(classes.Has("item:1", now_ns));
  EXPECT_TRUE(classes.Has("item:1", now_ns + kPrimaryNanos));
}

TEST(CacheClasses, ManyThatMissOneKeyAreOneNilAndALateWriteIsNoLoad) {
  CacheClasses classes;
  for (int i = 0; i < 1000; ++i) classes.NoteNil("item:1", 1, i);
  EXPECT_FALSE(classes.Has("item:1", 1000));
  for (uint64_t i = 0; i < 40; ++i) {
    classes.NoteNil("late:" + std::to_string(i), i, 0);
    classes.NoteFill("late:" + std::to_string(i), i, kFillNanosMax + 1);
  }
  EXPECT_FALSE(classes.Has("late:1", kFillNanosMax + 1));
}

}  // namespace
}  // namespace tidegate
