// Data larger than memory is as good as data in memory: whatever may leave does, all the time,
// while several workers write to keys of all types and look at all of them, over a disk that is
// slow and fails; checkpoints fail now and then, and everything is restarted at random points. What
// was recorded, done again by an engine in which all is in memory, must come to the same. And the
// single rules of storage/tier.h, one by one.
#include "storage/tier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "storage/cold/residency.h"
#include "storage/cold/tier_keeper.h"
#include "tests/support/cold_fixture.h"

namespace tidegate {
namespace {

using testing::EffectCapture;
using testing::g_now_ms;
using testing::Now;
using testing::Words;

constexpr int kRounds = 6;
// Time to look at all slots, of which next to none have a key.
constexpr int64_t kSearchNanos = 1'000'000'000;
// Beyond what a round begins with. Fewer commands are run under sanitizers, and the time that a
// turn has for eviction may be over before it has found anything.
#ifdef TIDEGATE_SANITIZE
constexpr uint64_t kRoomBytes = 5'000;
constexpr bool kTurnsSuffice = false;
#else
constexpr uint64_t kRoomBytes = 20'000;
constexpr bool kTurnsSuffice = true;
#endif

class TierTest : public testing::ColdFixture {
 protected:
  TierTest() { tier_.tiered = true; }

  uint64_t Evicted() { return engine().StatsSinceStart().tier_evicted_keys; }
  uint64_t Loaded() { return engine().StatsOfCold().loaded_keys; }
  // Sends to disk what may go.
  void Evict() {
    EngineSettings& settings = engine().settings();
    const uint64_t bound = settings.maxmemory_bytes;
    const int tenacity = settings.maxmemory_tenacity;
    settings.maxmemory_bytes = 1;
    settings.maxmemory_tenacity = 100;
    EvictionState& state = process_->lone.thread().eviction;
    // A slot that the loader's threads look at meanwhile is passed over.
    for (int rounds = 0; rounds < 3; ++rounds) {
      for (uint64_t before = ~uint64_t{0}; before != Evicted();) {
        before = Evicted();
        state.searched_nanos = 0;
        engine().BeginTurn(process_->lone.thread());
        state.turn_nanos_left = kSearchNanos;
        engine().EvictInBackground(process_->lone.thread(), Now());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    settings.maxmemory_bytes = bound;
    settings.maxmemory_tenacity = tenacity;
  }
  // Nothing leaves by itself.
  void BeginCalm(ColdStart options = {.warms_up = false}) { Begin(std::move(options)); }
  bool IsInMemory(const std::string& key, int db = 0) {
    const Table* table = engine().keyspace().FindTable(KeySlot(key), db);
    return table != nullptr && table->Find(KeyHash(key), key) != nullptr;
  }
  // In more words: of a condition that comes about on another thread.
  template <typename Fn>
  bool Eventually(Fn&& fn) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!fn()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  void RunRounds(EvictionPolicy policy);
};

void TierTest::RunRounds(EvictionPolicy policy) {
  tier_.policy = policy;
  tier_.room_bytes = kRoomBytes;
  testing::Replica replica(*table_);
  uint64_t evicted = 0;
  for (int round = 0; round < kRounds; ++round) {
    disk_.TakeUpTo(std::chrono::microseconds(round % 3 == 0 ? 0 : 300));
    disk_.FailEvery(0);
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    Begin({.batch_entries_max = 1 + seed % 4, .warms_up = round % 2 == 0}, seed);
    disk_.FailEvery(round % 3 == 1 ? 5 : 0);
    disk_.HaveFilters(round % 2 == 1);
    RunRound(seed);
    if (HasFailure()) return;
    disk_.FailEvery(0);
    if (kTurnsSuffice) Evict();  // whatever else the machine has done with the turns' time
    evicted += Evicted();
    replica.ExpectSame(*process_, journal_,
                       ", round " + std::to_string(round) + ", seed " + std::to_string(seed_));
    if (HasFailure()) return;
  }
  if (kTurnsSuffice) {
    EXPECT_GT(evicted, 0u);
  }
}

TEST_F(TierTest, LruComesToTheSame) { RunRounds(EvictionPolicy::kAllKeysLru); }
TEST_F(TierTest, RandomComesToTheSame) { RunRounds(EvictionPolicy::kAllKeysRandom); }
TEST_F(TierTest, LfuComesToTheSame) { RunRounds(EvictionPolicy::kAllKeysLfu); }

TEST_F(TierTest, WhatIsCleanLeavesWithoutATrace) {
  BeginCalm();
  Run({"SET", "k", "v", "PX", "50000"});
  Run({"RPUSH", "l", std::string(100'000, 'x'), "y"});
  Evict();
  EXPECT_TRUE(IsInMemory("k")) << "the disk does not have it";
  ASSERT_TRUE(Checkpoint());
  const size_t records = journal_.records().size();
  Evict();
  EXPECT_FALSE(IsInMemory("k"));
  EXPECT_FALSE(IsInMemory("l"));
  EXPECT_EQ(Evicted(), 2u);
  EXPECT_EQ(engine().StatsSinceStart().evicted_keys, 0u);
  EXPECT_EQ(journal_.records().size(), records);
  EXPECT_EQ(Run({"DBSIZE"}), ":2\r\n");
  EXPECT_EQ(engine().StatsOfDb(0).expires, 1u);
  EXPECT_EQ(Run({"GET", "k"}), "$1\r\nv\r\n");
  EXPECT_EQ(Run({"PTTL", "k"}), ":50000\r\n");
  EXPECT_EQ(Run({"LLEN", "l"}), ":2\r\n");
  EXPECT_EQ(Loaded(), 2u);
  EXPECT_EQ(engine().StatsOfDb(0).expires, 1u);
}

TEST_F(TierTest, WhatACheckpointHasLostStays) {
  BeginCalm();
  Run({"SET", "k", "v"});
  ASSERT_FALSE(Checkpoint(/*fails=*/true));
  Evict();
  EXPECT_TRUE(IsInMemory("k"));
  ASSERT_TRUE(Checkpoint());
  Run({"SET", "k", "w"});
  Evict();
  EXPECT_TRUE(IsInMemory("k")) << "it was changed since";
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_FALSE(IsInMemory("k"));
  EXPECT_EQ(Run({"GET", "k"}), "$1\r\nw\r\n");
}

TEST_F(TierTest, VolatilePoliciesSendOnlyWhatExpires) {
  tier_.policy = EvictionPolicy::kVolatileLru;
  BeginCalm();
  Run({"SET", "stays", "v"});
  Run({"SET", "goes", "v", "EX", "100"});
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_TRUE(IsInMemory("stays"));
  EXPECT_FALSE(IsInMemory("goes"));
}

TEST_F(TierTest, ADeletedKeyDoesNotComeBackFromDisk) {
  BeginCalm();
  Run({"SET", "k", "v"});
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_EQ(Run({"DEL", "k"}), ":1\r\n");
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Checkpoint());
    EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  }
  EXPECT_EQ(Run({"DBSIZE"}), ":0\r\n");
}

// Between its read and its place the key was changed, written and evicted.
TEST_F(TierTest, ALoadDoesNotBringWhatIsOlder) {
  BeginCalm({.threads = 2, .warms_up = false});
  Run({"SET", "k", "old"});
  ASSERT_TRUE(Checkpoint());
  Evict();
  disk_.HoldSlots(true);
  EXPECT_EQ(process_->a.Begin({"KEYS", "k"}), "");
  while (disk_.slots_held() == 0) std::this_thread::yield();
  EXPECT_EQ(Run({"SET", "k", "new"}), "+OK\r\n");
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_TRUE(IsInMemory("k")) << "its slot is being read";
  disk_.HoldSlots(false);
  EXPECT_EQ(process_->a.ResumeUntilRead(), "*1\r\n$1\r\nk\r\n");
  // Who is executed without having been woken may have asked for the slot once more.
  EXPECT_TRUE(Eventually([&] {
    Evict();
    return !IsInMemory("k");
  }));
  EXPECT_EQ(Run({"GET", "k"}), "$3\r\nnew\r\n");
}

// A request for many keys ends although each of them may leave as soon as it is here.
TEST_F(TierTest, ARequestHoldsWhatItWaitsFor) {
  BeginCalm();
  Words wanted = {"MGET"};
  Words sets = {"MSET"};
  for (int i = 0; i < 300; ++i) {
    wanted.push_back("k" + std::to_string(i));
    sets.push_back(wanted.back());
    sets.push_back("v");
  }
  Run(sets);
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_EQ(Evicted(), 300u);
  EXPECT_EQ(process_->a.Begin(wanted), "");
  EXPECT_EQ(engine().StatsOfCold().holds, 1u);
  ASSERT_TRUE(Eventually([&] { return Loaded() == 300; }));
  Evict();
  EXPECT_EQ(Evicted(), 300u) << "they are held";
  EXPECT_EQ(testing::ParseResp(process_->a.ResumeUntilRead()).items.size(), 300u);
  EXPECT_EQ(engine().StatsOfCold().holds, 0u);
  Evict();
  EXPECT_EQ(Evicted(), 600u);
  // And when its client leaves.
  EXPECT_EQ(process_->a.Begin(wanted), "");
  process_->a.Leave();
  EXPECT_EQ(engine().StatsOfCold().holds, 0u);
}

TEST_F(TierTest, RequestsEndWhileEverythingLeavesAtOnce) {
  tier_.room_bytes = 20'000;
  Begin({.batch_entries_max = 2, .warms_up = false});
  for (int i = 0; i < 200; ++i) {
    Run({"SADD", "s" + std::to_string(i), std::to_string(i)});
    Run({"SET", "{one}" + std::to_string(i), "v"});
    if (i % 20 == 19) {
      ASSERT_TRUE(Checkpoint());
    }
  }
  Evict();  // however little of it the turns had time for
  const uint64_t evicted = Evicted();
  EXPECT_GE(evicted, 400u);
  Words sets = {"SUNIONSTORE", "to"};
  for (int i = 0; i < 200; ++i) sets.push_back("s" + std::to_string(i));
  EXPECT_EQ(Run(sets), ":200\r\n");
  EXPECT_EQ(testing::ParseResp(Run({"KEYS", "*"})).items.size(), 401u);
  EXPECT_EQ(testing::ParseResp(Run({"KEYS", "{one}*"})).items.size(), 200u);
  Run({"RPUSH", "list", "1", "2", "3"});
  ASSERT_TRUE(Checkpoint());
  EXPECT_EQ(Run({"SORT", "list", "BY", "s*", "GET", "{one}*", "ALPHA"}).substr(0, 4), "*3\r\n");
  Words absent = {"MGET"};
  for (int i = 0; i < 1000; ++i) absent.push_back("{one}absent" + std::to_string(i));
  EXPECT_EQ(testing::ParseResp(Run(absent)).items.size(), 1000u);
  Evict();  // as above
  EXPECT_GT(Evicted(), evicted) << "what the requests read was in memory again";
}

// What a load has left of keys that are not there is forgotten, but for who waits.
TEST_F(TierTest, AbsentKeysAreForgotten) {
  BeginCalm();
  for (int i = 0; i < 100; ++i) Run({"SET", "k" + std::to_string(i), "v"});
  ASSERT_TRUE(Checkpoint());
  Evict();
  const auto look = [&] {
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(Run({"GET", "{k" + std::to_string(i) + "}no"}), "_\r\n");
    return engine().StatsOfCold().absent_keys;
  };
  const uint64_t absent = look();
  EXPECT_GT(absent, 0u);
  EXPECT_EQ(look(), absent) << "they are known";
  g_now_ms += 3000;
  EXPECT_TRUE(Eventually([&] { return look() > absent; }));
}

TEST_F(TierTest, WatchedAndAwaitedKeysStay) {
  BeginCalm();
  Run({"SET", "w", "v"});
  Run({"RPUSH", "to", "z"});
  Run({"SET", "other", "v"});
  EXPECT_EQ(process_->a.Begin({"WATCH", "w"}), "+OK\r\n");
  EXPECT_EQ(process_->b.Begin({"BLMOVE", "from", "to", "LEFT", "LEFT", "0"}), "");
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_FALSE(IsInMemory("other"));
  EXPECT_TRUE(IsInMemory("w"));
  EXPECT_TRUE(IsInMemory("to"));
  EXPECT_EQ(Run({"RPUSH", "from", "y"}), ":1\r\n");
  EXPECT_EQ(process_->b.Resume(), "$1\r\ny\r\n");
  EXPECT_EQ(Run({"FLUSHALL"}), "+OK\r\n");
  EXPECT_TRUE(process_->a.state().watches.dirty());
}

TEST_F(TierTest, KeysOnDiskExpire) {
  BeginCalm();
  for (int i = 0; i < 200; ++i)
    Run({"SET", "k" + std::to_string(i), "v", "PX", i % 2 == 0 ? "5000" : "500000"});
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_EQ(Run({"DBSIZE"}), ":200\r\n");
  g_now_ms += 6000;
  const auto expire = [&] {
    engine().BackgroundStep(process_->lone.thread(), Now(), 0, 1, 100'000'000);
    return Run({"DBSIZE"}) == ":100\r\n";
  };
  EXPECT_TRUE(Eventually(expire));
  EXPECT_EQ(engine().StatsSinceStart().expired_keys, 100u);
  EXPECT_EQ(engine().StatsOfCold().expired_on_disk, 100u);
  // After a start nobody knows when.
  RestartCold();
  EXPECT_EQ(Run({"DBSIZE"}), ":100\r\n");
  g_now_ms += 500'000;
  EXPECT_TRUE(Eventually([&] {
    engine().BackgroundStep(process_->lone.thread(), Now(), 0, 1, 100'000'000);
    return Run({"DBSIZE"}) == ":0\r\n";
  }));
}

// Nothing is clean: writers wait for a checkpoint, and are refused when none comes about.
TEST_F(TierTest, WritersWaitForACheckpoint) {
  BeginCalm();
  const std::string large(1'000'000, 'x');
  for (int i = 0; i < 20; ++i) Run({"SET", "k" + std::to_string(i), large});
  engine().settings().maxmemory_bytes = engine().UsedMemoryBytes() - 100'000;
  EXPECT_EQ(Run({"SET", "small", "v"}), "+OK\r\n");  // within the bound
  for (int i = 0; i < 5; ++i) Run({"APPEND", "a", large});
  EXPECT_EQ(process_->a.Begin({"APPEND", "b", large}), "");
  EXPECT_TRUE(process_->checkpoint_asked.exchange(false));
  // At the latest when a turn was long enough to find out that nothing is clean.
  EXPECT_TRUE(Eventually([&] {
    engine().BeginTurn(process_->a.thread());
    EXPECT_EQ(process_->a.Resume(), "");
    return engine().StatsOfCold().checkpoint_waits > 0;
  }));
  ASSERT_TRUE(Checkpoint());
  engine().BeginTurn(process_->a.thread());
  EXPECT_EQ(process_->a.ResumeUntilRead(), ":1000000\r\n");
  EXPECT_GT(Evicted(), 0u);
}

TEST_F(TierTest, WritersAreRefusedWhenCheckpointsFail) {
  BeginCalm();
  const std::string large(1'000'000, 'x');
  for (int i = 0; i < 20; ++i) Run({"SET", "k" + std::to_string(i), large});
  engine().settings().maxmemory_bytes = engine().UsedMemoryBytes() - 100'000;
  ASSERT_FALSE(Checkpoint(/*fails=*/true));
  std::string reply;
  for (int i = 0; i < 10 && reply.substr(0, 4) != "-OOM"; ++i) {
    reply = process_->a.Begin({"APPEND", "a", large});
    engine().BeginTurn(process_->a.thread());
    if (reply.empty()) reply = process_->a.ResumeUntilRead();
  }
  EXPECT_EQ(reply.substr(0, 4), "-OOM");
  EXPECT_EQ(Run({"GET", "nothing"}), "_\r\n");
  ASSERT_TRUE(Checkpoint());
  engine().BeginTurn(process_->lone.thread());
  EXPECT_EQ(Run({"APPEND", "b", large}), ":1000000\r\n");
}

// Who owns the gate, and finds something missing when it is woken, does not keep out who reads it.
TEST_F(TierTest, WhoWantsTheGateAndEverythingLetsReadersIn) {
  BeginCalm();
  Run({"SET", "k", "v"});
  ASSERT_TRUE(Checkpoint());
  EngineThread& wanting = process_->a.thread();
  EngineThread& other = process_->b.thread();
  const auto begin = [&] {
    engine().BeginBatch(wanting, Now());
    const ExecStatus status = engine().BeginAtomic(wanting, {}, /*whole=*/true, process_->a.state(),
                                                   {.keys = {}, .everything = true});
    if (status == ExecStatus::kDone) engine().EndAtomic(wanting);
    engine().EndBatch(wanting);
    return status;
  };
  engine().BeginBatch(other, Now());
  EXPECT_EQ(begin(), ExecStatus::kSuspended) << "the other one is in the engine";
  engine().settings().maxmemory_bytes = 1;
  EXPECT_TRUE(Eventually([&] {
    engine().BeginTurn(other);
    other.eviction.searched_nanos = 0;
    (void)engine().MakeRoom(other);
    return Evicted() == 1;
  }));
  engine().settings().maxmemory_bytes = 0;
  engine().EndBatch(other);
  EXPECT_TRUE(Eventually([&] { return begin() == ExecStatus::kDone; }));
  EXPECT_TRUE(IsInMemory("k"));
}

TEST_F(TierTest, FlushedAndSwappedDatabases) {
  BeginCalm();
  Run({"SET", "a", "0"}, 0);
  Run({"SET", "a", "1"}, 1);
  Run({"SET", "b", "1"}, 1);
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_EQ(Run({"SWAPDB", "0", "1"}), "+OK\r\n");
  EXPECT_EQ(Run({"GET", "a"}, 0), "$1\r\n1\r\n");
  EXPECT_EQ(Run({"FLUSHDB"}, 0), "+OK\r\n");
  EXPECT_EQ(Run({"GET", "b"}, 0), "_\r\n");
  EXPECT_EQ(Run({"DBSIZE"}, 0), ":0\r\n");
  EXPECT_EQ(Run({"GET", "a"}, 1), "$1\r\n0\r\n");
  Run({"SET", "a", "2"}, 0);
  ASSERT_TRUE(Checkpoint());
  Evict();
  EXPECT_EQ(Run({"GET", "a"}, 0), "$1\r\n2\r\n");
}

}  // namespace
}  // namespace tidegate
