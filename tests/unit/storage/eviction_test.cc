// Eviction: who goes first under each policy, what counts as used, when a writer waits, and what is
// left to the lazy freer.
#include "storage/eviction.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "storage/engine_thread.h"
#include "storage/eviction_pool.h"
#include "storage/memory/memory.h"
#include "tests/support/engine_fixture.h"

namespace tidegate::testing {
namespace {

constexpr int kKeys = 4000;
const std::string kValue(500, 'v');

class EvictionTest : public ::testing::Test {
 protected:
  EngineSettings& settings() { return engine_.engine().settings(); }
  uint64_t Used() { return engine_.engine().UsedMemoryBytes(); }
  uint64_t Evicted() { return engine_.engine().Stats().evicted_keys; }
  void Set(const std::string& key) { engine_.Run("SET " + key + " " + kValue); }
  bool Has(const std::string& key) { return engine_.Run("EXISTS " + key) == Integer(1); }

  void Fill(std::string_view prefix, int keys) {
    for (int i = 0; i < keys; ++i) Set(std::string(prefix) + std::to_string(i));
  }
  int CountOf(std::string_view prefix, int begin, int end) {
    int count = 0;
    for (int i = begin; i < end; ++i) count += Has(std::string(prefix) + std::to_string(i)) ? 1 : 0;
    return count;
  }
  // A collection of so many bytes, and more than one allocation.
  void PutHash(const std::string& key, size_t bytes) {
    const std::string value(1000, 'x');
    for (size_t i = 0; i < bytes / 1000; ++i)
      engine_.Run("HSET " + key + " f" + std::to_string(i) + " " + value);
  }

  Room MakeRoom() {
    engine_.engine().BeginBatch(engine_.thread(), engine_.now_ms());
    const Room room = engine_.engine().MakeRoom(engine_.thread());
    engine_.engine().EndBatch(engine_.thread());
    return room;
  }
  void EvictDownTo(EvictionPolicy policy, uint64_t limit) {
    settings().maxmemory_policy = policy;
    settings().maxmemory_bytes = limit;
    for (int turn = 0; turn < 10'000 && Used() > limit; ++turn) {
      engine_.engine().BeginTurn(engine_.thread());
      engine_.engine().EvictInBackground(engine_.thread(), engine_.now_ms());
    }
    EXPECT_LE(Used(), limit);
    settings().maxmemory_bytes = 0;
  }
  void WaitUntilFreed() {
    while (engine_.engine().Stats().lazyfree_pending_objects > 0) std::this_thread::yield();
  }

  TestEngine engine_;
};

TEST(EvictionPoolTest, KeepsTheBestAndGivesThemInOrder) {
  EvictionPool pool;
  EXPECT_EQ(pool.TakeBest(), nullptr);
  for (int i = 0; i < 100; ++i) pool.Offer(i * 37 % 100, 0, 1, "k" + std::to_string(i * 37 % 100));
  for (int score = 99; score > 99 - static_cast<int>(EvictionPool::kCandidatesMax); --score) {
    const EvictionPool::Candidate* best = pool.TakeBest();
    ASSERT_NE(best, nullptr);
    EXPECT_EQ(best->score, score);
    EXPECT_EQ(best->key, "k" + std::to_string(score));
  }
  EXPECT_TRUE(pool.empty());
}

TEST_F(EvictionTest, LruEvictsWhatWasNotUsedHoweverKeysAreSpread) {
  for (const std::string_view prefix : {"k", "{tag}k"}) {
    Fill(prefix, kKeys);
    engine_.AdvanceMs(10'000);
    for (int i = 0; i < kKeys / 2; ++i)
      engine_.Run("GET " + std::string(prefix) + std::to_string(i));
    const uint64_t used = Used();
    EvictDownTo(EvictionPolicy::kAllKeysLru, used - used / 4);
    EXPECT_GE(CountOf(prefix, 0, kKeys / 2), kKeys / 2 - 20) << prefix;
    EXPECT_LT(CountOf(prefix, kKeys / 2, kKeys), kKeys / 3) << prefix;
    engine_.Run("FLUSHALL");
    WaitUntilFreed();
  }
}

TEST_F(EvictionTest, LfuEvictsWhatIsUsedLeast) {
  settings().maxmemory_policy = EvictionPolicy::kAllKeysLfu;
  settings().lfu_log_factor = 0;  // every use counts
  Fill("k", kKeys);
  for (int i = 0; i < kKeys / 2; ++i) engine_.Run("GET k" + std::to_string(i));
  const uint64_t used = Used();
  EvictDownTo(EvictionPolicy::kAllKeysLfu, used - used / 4);
  EXPECT_GE(CountOf("k", 0, kKeys / 2), kKeys / 2 - 20);
}

TEST_F(EvictionTest, VolatilePoliciesLeaveOthersAlone) {
  for (const EvictionPolicy policy :
       {EvictionPolicy::kVolatileLru, EvictionPolicy::kVolatileLfu, EvictionPolicy::kVolatileRandom,
        EvictionPolicy::kVolatileTtl}) {
    Fill("stays", 3000);
    for (int i = 0; i < 1000; ++i)
      engine_.Run("SET v" + std::to_string(i) + " " + kValue + " EX 900");
    const uint64_t used = Used();
    EvictDownTo(policy, used - used / 8);
    EXPECT_EQ(CountOf("stays", 0, 3000), 3000);
    settings().maxmemory_policy = policy;
    settings().maxmemory_bytes = 1;
    while (MakeRoom() != Room::kNo) engine_.engine().BeginTurn(engine_.thread());
    EXPECT_EQ(CountOf("v", 0, 1000), 0);
    EXPECT_EQ(engine_.Run("DBSIZE"), Integer(3000));
    settings().maxmemory_bytes = 0;
  }
}

TEST_F(EvictionTest, TtlEvictsTheNearestFirst) {
  for (int i = 0; i < kKeys; ++i)
    engine_.Run("SET k" + std::to_string(i) + " " + kValue + " EX " + std::to_string(1000 + i));
  const uint64_t used = Used();
  EvictDownTo(EvictionPolicy::kVolatileTtl, used - used / 4);
  // A quarter went: hardly any from the later half.
  EXPECT_GE(CountOf("k", kKeys / 2, kKeys), kKeys / 2 - 20);
}

TEST_F(EvictionTest, OtherDatabasesAreSampledToo) {
  engine_.client().db = 9;
  const uint64_t without = Used();  // what other tests have left behind counts, too
  Fill("k", 1000);
  const uint64_t used = Used();
  EvictDownTo(EvictionPolicy::kAllKeysLru, used - (used - without) / 4);
  EXPECT_GT(Evicted(), 100u);
  EXPECT_GT(CountOf("k", 0, 1000), 300);
}

TEST_F(EvictionTest, ABigVictimIsTheOnlyOne) {
  constexpr size_t kBigBytes = 6'000'000;
  PutHash("big", kBigBytes);
  engine_.AdvanceMs(10'000);
  Fill("k", kKeys);
  const uint64_t used = Used();
  settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  settings().maxmemory_bytes = used - kBigBytes / 2;
  // All samples of a round may be of the others, so more may go before it; none after it.
  while (Has("big")) {
    engine_.engine().BeginTurn(engine_.thread());
    MakeRoom();
  }
  const uint64_t evicted = Evicted();
  EXPECT_EQ(MakeRoom(), Room::kYes);
  EXPECT_EQ(engine_.Run("SET more " + kValue), kOk);
  EXPECT_EQ(Evicted(), evicted);
  WaitUntilFreed();
  EXPECT_LE(Used(), used - kBigBytes / 2);
  EXPECT_EQ(engine_.engine().PendingFreeBytes(), 0u);
}

TEST_F(EvictionTest, WritersWaitWhenMemoryGrowsFasterThanItIsFreed) {
  Fill("k", 20'000);
  settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  settings().maxmemory_bytes = Used() / 2;
  engine_.thread().eviction.turn_nanos_left = 0;
  EXPECT_EQ(MakeRoom(), Room::kYes) << "the limit was lowered: nobody has to wait for that";
  engine_.thread().client_bytes = kOvershootBytesMax.count + 100'000;
  engine_.thread().used_at_ms = 0;
  EXPECT_EQ(MakeRoom(), Room::kLater);
  int turns = 0;
  for (Room room = Room::kLater; room == Room::kLater; ++turns) {
    engine_.engine().BeginTurn(engine_.thread());
    room = MakeRoom();
  }
  EXPECT_GT(Evicted(), 0u);
  EXPECT_LT(turns, 1000);
}

TEST_F(EvictionTest, BuffersOfClientsCount) {
  Fill("k", kKeys);
  settings().maxmemory_bytes = Used() + 500'000;
  EXPECT_EQ(engine_.Run("SET a b"), kOk);
  engine_.thread().client_bytes = 1'000'000;
  engine_.AdvanceMs(1);
  EXPECT_EQ(engine_.Run("SET a b").substr(0, 4), "-OOM");
  settings().maxmemory_policy = EvictionPolicy::kAllKeysLru;
  for (int turn = 0; turn < 1000 && Used() > settings().maxmemory_bytes; ++turn)
    EXPECT_EQ(engine_.Run("SET a b"), kOk);
  EXPECT_LE(Used(), settings().maxmemory_bytes.load());
}

TEST_F(EvictionTest, WhatFlushallDroppedIsRoomAtOnce) {
  Fill("k", 20'000);
  settings().maxmemory_bytes = Used();
  Fill("more", 10);
  EXPECT_EQ(engine_.Run("SET a b").substr(0, 4), "-OOM");
  engine_.Run("FLUSHALL");
  EXPECT_EQ(engine_.Run("SET a b"), kOk);
  WaitUntilFreed();
  EXPECT_EQ(engine_.engine().PendingFreeBytes(), 0u);
}

TEST_F(EvictionTest, LazyfreeOptionsSayWhoFreesInTheBackground) {
  constexpr size_t kBytes = 50'000;
  uint64_t before = 0;
  const auto freed_since = [&] {
    WaitUntilFreed();
    const uint64_t freed = engine_.engine().Stats().lazyfreed_objects;
    return freed - std::exchange(before, freed);
  };
  const auto check = [&](std::atomic<bool>& option, const std::function<void()>& act) {
    option = false;
    act();
    EXPECT_EQ(freed_since(), 0u);
    option = true;
    act();
    EXPECT_EQ(freed_since(), 1u);
    option = false;
  };
  check(settings().lazyfree_user_del, [&] {
    PutHash("h", kBytes);
    engine_.Run("DEL h");
  });
  check(settings().lazyfree_server_del, [&] {
    PutHash("h", kBytes);
    engine_.Run("SET h v");
    engine_.Run("DEL h");
  });
  check(settings().lazyfree_server_del, [&] {
    PutHash("h", kBytes);
    engine_.Run("SET other v");
    engine_.Run("RENAME other h");
    engine_.Run("DEL h");
  });
  check(settings().lazyfree_expire, [&] {
    PutHash("h", kBytes);
    engine_.Run("PEXPIRE h 5");
    engine_.AdvanceMs(10);
    EXPECT_EQ(engine_.Run("EXISTS h"), Integer(0));
  });
  check(settings().lazyfree_eviction, [&] {
    PutHash("h", kBytes);
    EvictDownTo(EvictionPolicy::kAllKeysLru, Used() - 1);
  });
  PutHash("h", kBytes);
  engine_.Run("UNLINK h");
  EXPECT_EQ(freed_since(), 1u);
  // One allocation is freed at once, whoever asks, as in Redis.
  engine_.Run("SET s " + std::string(20'000, 'v'));
  engine_.Run("UNLINK s");
  EXPECT_EQ(freed_since(), 0u);
}

}  // namespace
}  // namespace tidegate::testing
