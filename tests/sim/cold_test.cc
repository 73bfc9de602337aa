// Keys that are on disk and not in memory yet are as good as all others: engines that begin cold,
// over a disk that is slow and fails, while several workers write to keys of all types, databases
// are dropped and swapped, checkpoints are written, some of which fail, and everything is restarted
// at random points. What was recorded, done again by an engine that never was cold, must come to
// the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cold_fixture.h"

namespace tidegate {
namespace {

using testing::ContentsOf;
using testing::EffectCapture;
using testing::LoneThread;
using testing::NextCommand;
using testing::Now;
using testing::ParseResp;
using testing::Random;
using testing::RespValue;
using testing::SteppedClient;
using testing::Words;

constexpr int kRounds = 8;

class ColdTest : public testing::ColdFixture {};

TEST_F(ColdTest, RestartsAtAnyPointComeToTheSame) {
  testing::Replica replica(*table_);
  uint64_t on_demand = 0;
  for (int round = 0; round < kRounds; ++round) {
    disk_.TakeUpTo(std::chrono::microseconds(round % 3 == 0 ? 0 : 300));
    disk_.FailEvery(0);
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    Begin({.batch_entries_max = 1 + seed % 4, .warms_up = round % 2 == 0}, seed);
    const std::string about =
        ", round " + std::to_string(round) + ", seed " + std::to_string(seed_);
    replica.ExpectSameCounts(*process_, journal_, about + " as it begins");
    disk_.FailEvery(round % 3 == 1 ? 5 : 0);
    RunRound(seed);
    if (HasFailure()) return;
    disk_.FailEvery(0);
    on_demand += engine().StatsOfCold().keys_on_demand;
    replica.ExpectSame(*process_, journal_, about);
    if (HasFailure()) return;
  }
  EXPECT_GT(on_demand, 0u);
}

// --- the same commands one after the other, on a cold engine and on one that never was ---

constexpr const char* kReads[] = {
    "GET K",
    "LRANGE K 0 -1",
    "HGETALL K",
    "SMEMBERS K",
    "TYPE K",
    "ZRANGE K 0 -1",
    "XRANGE K - +",
    "PEXPIRETIME K",
    "EXISTS K K K",
    "STRLEN K",
    "DBSIZE",
    "KEYS *",
    "KEYS {tag1}*",
    "SCAN 0 COUNT 100000",
    "MGET K K K",
    "SUNION K K",
    "SORT K ALPHA",
    "DEL K",
    "DEL K K",
    "UNLINK K",
    "RENAME K K",
    "RENAMENX K K",
    "MOVE K 1",
    "COPY K K DB 1 REPLACE",
    "PERSIST K",
    "PEXPIRE K T",
    "SWAPDB 0 1",
    "RANDOMKEY",
    "SORT K BY {tag1}key* ALPHA GET # GET {tag2}key* LIMIT 0 5",
    "SORT K ALPHA STORE K",
    "SORT K BY {tag1}key* ALPHA GET {tag2}key* STORE K",
};

// Whether two engines do the same at once: no chance, no waiting, no errors of a disk. What is in
// a range by member is defined where all scores are the same; else it depends on the form of the
// set, and one that was read from disk may have another than one that grew.
bool IsExact(const Words& words) {
  const std::string& name = words[0];
  if (name.ends_with("LEX") || name == "ZLEXCOUNT") return false;
  if (std::find(words.begin(), words.end(), "BYLEX") != words.end()) return false;
  for (const char* prefix : {"BL", "BR", "BZ", "SPOP", "XREAD", "XADD", "FLUSH"}) {
    if (name.starts_with(prefix)) return false;
  }
  return true;
}

std::string Sorted(const std::string& reply) {
  std::istringstream in(reply);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// A command whose reply two engines with the same contents share.
Words NextExact(Random& random) {
  Words words = NextCommand(random, Now());
  while (!IsExact(words)) words = NextCommand(random, Now());
  return words;
}

// One such command; half of them read, or take keys away.
Words NextExactOrRead(Random& random) {
  if (random() % 400 == 0) return {random() % 2 == 0 ? "FLUSHDB" : "FLUSHALL"};
  if (random() % 2 != 0) return NextExact(random);
  std::istringstream in(kReads[random() % std::size(kReads)]);
  Words words;
  for (std::string word; in >> word;) words.push_back(testing::Fill(word, 'k', random, Now()));
  return words;
}

// Runs the command on both; the replies must agree, in any order.
void ExpectSameReply(LoneThread& cold, LoneThread& reference, const Words& words, int db) {
  const std::string expected = reference.Run(words, Now(), db);
  const std::string got = cold.Run(words, Now(), db);
  if (words[0] != "RANDOMKEY") {
    std::string line;
    for (const std::string& word : words) line += word.substr(0, 40) + " ";
    ASSERT_EQ(Sorted(got), Sorted(expected)) << line << "in " << db;
    return;
  }
  ASSERT_EQ(got == "_\r\n", expected == "_\r\n");
  const RespValue key = ParseResp(got);
  if (!key.is_null()) {
    ASSERT_EQ(reference.Run({"EXISTS", key.text}, Now(), db), ":1\r\n");
  }
  // Each has met other keys whose time is over, and removed them.
  reference.Run({"KEYS", "*"}, Now(), db);
  cold.Run({"KEYS", "*"}, Now(), db);
}

TEST_F(ColdTest, CommandsOneByOneAnswerTheSame) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  Random random(seed_);
  for (int round = 0; round < 6; ++round) {
    auto reference = std::move(Engine::Create({})).value();
    testing::MakeCollectionsSmall(reference->settings());
    LoneThread lone(*reference, *table_);
    Begin();
    Run({"FLUSHALL"});
    for (int i = 0; i < 400 && !HasFailure(); ++i)
      ExpectSameReply(process_->lone, lone, NextExact(random), static_cast<int>(random() % 2));
    // Expired keys are on disk as well.
    RestartCold({.threads = 1, .batch_entries_max = 2, .warms_up = round % 3 == 2});
    testing::g_now_ms += round % 2 == 0 ? 0 : 15;
    for (int i = 0; i < 600 && !HasFailure(); ++i) {
      const Words words = NextExactOrRead(random);
      ExpectSameReply(process_->lone, lone, words, static_cast<int>(random() % 2));
      if (random() % 8 == 0) ++testing::g_now_ms;
    }
    EXPECT_EQ(ContentsOf(process_->lone, Now()), ContentsOf(lone, Now()));
    if (HasFailure()) return;
  }
}

// --- single rules ---

TEST_F(ColdTest, ADeletedKeyStaysDeleted) {
  Begin();
  Run({"SET", "k", "old"});
  RestartCold();
  EXPECT_EQ(Run({"DBSIZE"}), ":1\r\n");
  EXPECT_EQ(Run({"DEL", "k"}), ":1\r\n");
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  EXPECT_EQ(Run({"DBSIZE"}), ":0\r\n");
  // The tombstone leaves with the checkpoint after the one that has deleted the record.
  ASSERT_TRUE(Checkpoint());
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  ASSERT_TRUE(Checkpoint());
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  Begin();
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
}

// Of two loads that bring the same key one may come when it is gone, on disk as well.
TEST_F(ColdTest, WhatWasReadBeforeItWasDeletedDoesNotComeBack) {
  Begin();
  Run({"SET", "k", "v"});
  RestartCold();
  disk_.HoldSlots(true);
  EXPECT_EQ(process_->a.Begin({"KEYS", "k"}), "");
  while (disk_.slots_held() == 0) std::this_thread::yield();
  EXPECT_EQ(Run({"DEL", "k"}), ":1\r\n");
  ASSERT_TRUE(Checkpoint());
  ASSERT_TRUE(Checkpoint());
  disk_.HoldSlots(false);
  EXPECT_EQ(process_->a.ResumeUntilRead(), "*0\r\n");
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  EXPECT_EQ(Run({"DBSIZE"}), ":0\r\n");
}

// What the journal overwrites or removes is not read by a start, and counted all the same.
TEST_F(ColdTest, AStartDoesNotReadWhatTheJournalOverwrites) {
  Begin();
  const std::string large(100'000, 'x');
  for (const char* key : {"replaced", "removed", "timed", "unlinked"}) Run({"SET", key, large});
  Run({"SET", "removed", "v", "PX", "5000"});
  Run({"SET", "untouched", "v"});
  ASSERT_TRUE(Checkpoint());
  Run({"SET", "replaced", "new"});
  Run({"MSET", "replaced", "newer", "fresh", "v"});
  Run({"SET", "timed", "v", "PX", "7000"});
  Run({"DEL", "removed", "fresh"});
  Run({"UNLINK", "unlinked"});
  const uint64_t reads = disk_.reads();
  Begin({.warms_up = false});
  EXPECT_EQ(disk_.reads(), reads);
  EXPECT_EQ(Run({"DBSIZE"}), ":3\r\n");
  EXPECT_EQ(engine().StatsOfDb(0).expires, 1u);
  const auto check = [&] {
    EXPECT_EQ(Run({"GET", "replaced"}), "$5\r\nnewer\r\n");
    EXPECT_EQ(Run({"GET", "removed"}), "_\r\n");
    EXPECT_EQ(Run({"GET", "fresh"}), "_\r\n");
    EXPECT_EQ(Run({"EXISTS", "unlinked"}), ":0\r\n");
    EXPECT_EQ(Run({"PTTL", "timed"}), ":7000\r\n");
    EXPECT_EQ(Run({"GET", "untouched"}), "$1\r\nv\r\n");
    EXPECT_EQ(Run({"DBSIZE"}), ":3\r\n");
  };
  check();
  // And the disk is what it says.
  RestartCold();
  check();
}

TEST_F(ColdTest, AnEntryThatIsReadIsAsItWasWritten) {
  Begin();
  Run({"SET", "s", "v", "PX", "5000"});
  Run({"RPUSH", "l", "a", "b"});
  RestartCold();
  const DbStats before = engine().StatsOfDb(0);
  EXPECT_EQ(before.keys, 2u);
  EXPECT_EQ(before.expires, 1u);
  const uint64_t changes = engine().StatsSinceStart().changes;
  EXPECT_EQ(Run({"PTTL", "s"}), ":5000\r\n");
  EXPECT_EQ(Run({"LRANGE", "l", "0", "-1"}), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_EQ(Run({"SET", "s", "w", "NX"}), "_\r\n");
  EXPECT_EQ(engine().StatsSinceStart().changes, changes);
  EXPECT_EQ(engine().StatsOfDb(0).keys, 2u);
  EXPECT_EQ(engine().StatsOfDb(0).expires, 1u);
  EXPECT_EQ(engine().StatsOfCold().loaded_keys, 2u);
}

// A start that replays a FLUSHALL or SWAPDB does not go on without counting.
TEST_F(ColdTest, TheFirstRecordAfterAStartHasItsCounts) {
  testing::Replica replica(*table_);
  Begin();
  Run({"SET", "k", "v"});
  Run({"SWAPDB", "0", "1"});
  Run({"FLUSHALL"});
  Begin();
  Run({"SET", "k", "v", "PX", "5000"});
  replica.ExpectSame(*process_, journal_, "");
}

TEST_F(ColdTest, AKeyWhoseTimePassedOnDiskIsGone) {
  Begin();
  Run({"SET", "k", "v", "PX", "10"});
  RestartCold();
  testing::g_now_ms += 20;
  EXPECT_EQ(Run({"DBSIZE"}), ":1\r\n");
  EXPECT_EQ(Run({"GET", "k"}), "_\r\n");
  EXPECT_EQ(Run({"DBSIZE"}), ":0\r\n");
  EXPECT_EQ(EffectCapture::Text(journal_.records().back()), "DEL k");
}

TEST_F(ColdTest, WhatCannotBeReadIsAnErrorAndNothingIsLost) {
  Begin();
  Run({"SET", "k", "v"});
  RestartCold();
  disk_.FailEvery(1);
  const size_t records = journal_.records().size();
  for (const Words& words :
       {Words{"GET", "k"}, {"SET", "k", "w"}, {"RENAME", "k", "l"}, {"KEYS", "*"}, {"DEL", "k"}}) {
    EXPECT_EQ(Run(words).substr(0, 9), "-MISCONF ") << words[0];
  }
  EXPECT_EQ(journal_.records().size(), records);
  EXPECT_EQ(Run({"DBSIZE"}), ":1\r\n");
  disk_.FailEvery(0);
  EXPECT_EQ(Run({"GET", "k"}), "$1\r\nv\r\n");
  EXPECT_EQ(Run({"KEYS", "*"}), "*1\r\n$1\r\nk\r\n");
}

TEST_F(ColdTest, DatabasesAreDroppedAndSwappedUnread) {
  Begin();
  Run({"SET", "a", "0"}, 0);
  Run({"SET", "a", "1"}, 1);
  Run({"SET", "b", "1"}, 1);
  RestartCold();
  EXPECT_EQ(Run({"SWAPDB", "0", "1"}), "+OK\r\n");
  EXPECT_EQ(Run({"DBSIZE"}, 0), ":2\r\n");
  EXPECT_EQ(Run({"DBSIZE"}, 1), ":1\r\n");
  EXPECT_EQ(Run({"GET", "a"}, 0), "$1\r\n1\r\n");
  EXPECT_EQ(Run({"FLUSHDB"}, 0), "+OK\r\n");
  EXPECT_EQ(Run({"DBSIZE"}, 0), ":0\r\n");
  EXPECT_EQ(Run({"GET", "b"}, 0), "_\r\n");
  EXPECT_EQ(Run({"GET", "a"}, 1), "$1\r\n0\r\n");
  EXPECT_EQ(Run({"FLUSHALL"}), "+OK\r\n");
  EXPECT_FALSE(engine().IsCold());
  EXPECT_EQ(Run({"GET", "a"}, 1), "_\r\n");
}

// The slots of a request that found a key cold are free meanwhile, and so is its thread.
TEST_F(ColdTest, ASlotWithManyKeysIsReadInSteps) {
  Begin();
  for (int i = 0; i < 500; ++i) Run({"SET", "{one}" + std::to_string(i), std::to_string(i)});
  RestartCold({.batch_entries_max = 7, .warms_up = false});
  Run({"DEL", "{one}100"});
  Run({"SET", "{one}new", "v"});
  const RespValue page = ParseResp(Run({"SCAN", "0", "COUNT", "10"}));
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_GE(page.items[1].items.size(), 10u);
  const RespValue keys = ParseResp(Run({"KEYS", "{one}*"}));
  EXPECT_EQ(keys.items.size(), 500u);
  EXPECT_EQ(Run({"DBSIZE"}), ":500\r\n");
  EXPECT_GT(disk_.reads(), 500u / 7);
}

TEST_F(ColdTest, TheWarmUpBringsEverything) {
  Begin();
  for (int i = 0; i < 2000; ++i) Run({"SET", "k" + std::to_string(i), std::to_string(i)}, i % 2);
  RestartCold({});
  AwaitWarm();
  EXPECT_EQ(engine().StatsOfCold().loaded_keys, 2000u);
  EXPECT_EQ(engine().StatsOfCold().slots_left, 0u);
  EXPECT_EQ(engine().StatsOfDb(0).keys, 1000u);
  const uint64_t reads = disk_.reads();
  EXPECT_EQ(Run({"GET", "k7"}, 1), "$1\r\n7\r\n");
  EXPECT_EQ(Run({"GET", "none"}, 1), "_\r\n");
  EXPECT_EQ(disk_.reads(), reads);
}

// Of a slot that cannot be read the warm-up says so, and tries again.
TEST_F(ColdTest, WhoWantsEverythingHearsOfAFailure) {
  Begin();
  Run({"SET", "k", "v"});
  RestartCold({});
  disk_.FailEvery(1);
  if (engine().IsCold()) {
    EXPECT_EQ(AwaitEverything(), ExecStatus::kRefused);
  }
  disk_.FailEvery(0);
  AwaitWarm();
}

TEST_F(ColdTest, AKeyIsReadOnceForAllWhoWantIt) {
  Begin();
  Run({"SET", "k", "v"});
  RestartCold();
  const uint64_t reads = disk_.reads();
  disk_.HoldKeys(true);
  EXPECT_EQ(process_->a.Begin({"GET", "k"}), "");
  EXPECT_EQ(process_->b.Begin({"APPEND", "k", "w"}), "");
  process_->a.Leave();
  disk_.HoldKeys(false);
  // Whoever asks while the key is being put in place may ask the disk again, as resuming in a
  // circle does.
  while (engine().StatsOfCold().loaded_keys == 0) std::this_thread::yield();
  EXPECT_EQ(process_->b.Resume(), ":2\r\n");
  EXPECT_EQ(Run({"GET", "k"}), "$2\r\nvw\r\n");
  EXPECT_EQ(disk_.reads(), reads + 1);
}

TEST_F(ColdTest, WhoWaitsIsServedByWhatASwapBrings) {
  Begin();
  Run({"RPUSH", "q", "x"}, 1);
  RestartCold();
  EXPECT_EQ(process_->a.Begin({"BLPOP", "q", "0"}), "");
  EXPECT_EQ(process_->a.ResumeUntilRead(), "");  // it is blocked
  EXPECT_EQ(Run({"SWAPDB", "0", "1"}), "+OK\r\n");
  EXPECT_EQ(process_->a.Resume(), "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
  EXPECT_EQ(Run({"EXISTS", "q"}), ":0\r\n");
}

// Whoever serves a BLMOVE writes to its target, which is another key after a SWAPDB.
TEST_F(ColdTest, ATargetThatASwapBringsIsInMemory) {
  Begin();
  Run({"RPUSH", "to", "z"}, 1);
  RestartCold();
  EXPECT_EQ(process_->a.Begin({"BLMOVE", "from", "to", "LEFT", "LEFT", "0"}), "");
  EXPECT_EQ(process_->a.ResumeUntilRead(), "");
  EXPECT_EQ(Run({"SWAPDB", "0", "1"}), "+OK\r\n");
  EXPECT_EQ(Run({"RPUSH", "from", "y"}), ":1\r\n");
  EXPECT_EQ(process_->a.Resume(), "$1\r\ny\r\n");
  EXPECT_EQ(Run({"LRANGE", "to", "0", "-1"}), "*2\r\n$1\r\ny\r\n$1\r\nz\r\n");
}

TEST_F(ColdTest, WatchedKeysAreInMemory) {
  Begin();
  Run({"SET", "k", "0"}, 0);
  Run({"SET", "l", "1"}, 1);
  RestartCold();
  SteppedClient& client = process_->a;
  const auto is_dirty = [&] {
    engine().BeginBatch(client.thread(), Now());
    std::vector<uint16_t> slots;
    for (const auto& key : client.state().watches.keys()) slots.push_back(key.slot);
    EXPECT_EQ(engine().BeginAtomic(client.thread(), slots, false, client.state()),
              ExecStatus::kDone);
    const bool dirty = engine().WatchesAreDirty(client.thread(), client.state());
    engine().EndAtomic(client.thread());
    engine().EndBatch(client.thread());
    client.state().watches.Clear();
    return dirty;
  };
  EXPECT_EQ(client.Begin({"WATCH", "k"}), "");
  EXPECT_EQ(client.ResumeUntilRead(), "+OK\r\n");
  EXPECT_EQ(Run({"GET", "k"}), "$1\r\n0\r\n");
  EXPECT_FALSE(is_dirty());
  EXPECT_EQ(client.Begin({"WATCH", "l"}), "");
  EXPECT_EQ(client.ResumeUntilRead(), "+OK\r\n");
  EXPECT_EQ(Run({"SWAPDB", "0", "1"}), "+OK\r\n");
  EXPECT_TRUE(is_dirty());
}

TEST_F(ColdTest, ATransactionHasAllItsKeys) {
  Begin();
  Run({"SET", "a", "1"});
  Run({"SET", "b", "2"});
  RestartCold();
  Run({"GET", "a"});
  process_->lone.RunTransaction({{"RENAME", "a", "c"}, {"INCR", "b"}, {"GET", "none"}}, Now(), 0);
  EXPECT_EQ(Run({"MGET", "a", "b", "c"}), "*3\r\n_\r\n$1\r\n3\r\n$1\r\n1\r\n");
  // Those of the other database after a SWAPDB among them.
  Run({"SET", "a", "7"}, 1);
  RestartCold();
  process_->lone.RunTransaction({{"SWAPDB", "0", "1"}, {"INCR", "a"}}, Now(), 0);
  EXPECT_EQ(Run({"GET", "a"}), "$1\r\n8\r\n");
}

// A checkpoint while most keys are on disk writes what changed, and only that.
TEST_F(ColdTest, CheckpointsOfAColdEngine) {
  Begin();
  for (int i = 0; i < 100; ++i) Run({"SET", "k" + std::to_string(i), "v"});
  RestartCold();
  Run({"SET", "k1", "w"});
  Run({"DEL", "k2"});
  Run({"GET", "k3"});
  RestartCold();
  EXPECT_EQ(engine().StatsOfDb(0).keys, 99u);
  EXPECT_EQ(Run({"GET", "k1"}), "$1\r\nw\r\n");
  EXPECT_EQ(Run({"GET", "k2"}), "_\r\n");
  EXPECT_EQ(Run({"GET", "k3"}), "$1\r\nv\r\n");
  EXPECT_EQ(Run({"GET", "k4"}), "$1\r\nv\r\n");
}

}  // namespace
}  // namespace tidegate
