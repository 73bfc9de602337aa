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

#include "storage/cold_metrics.h"
#include "storage/cut_walker.h"
#include "storage/engine.h"
#include "storage/journal/record_applier.h"
#include "storage/journal/replay_ahead.h"
#include "tests/support/effect_capture.h"
#include "tests/support/engine_contents.h"
#include "tests/support/memory_disk.h"
#include "tests/support/sim_worker.h"
#include "tests/support/writing_client.h"

namespace tidegate {
namespace {

using testing::ContentsOf;
using testing::EffectCapture;
using testing::ForEachWrittenKey;
using testing::KeyName;
using testing::LoneThread;
using testing::MemoryDisk;
using testing::NextCommand;
using testing::ParseResp;
using testing::Random;
using testing::RespValue;
using testing::SimClient;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;
using testing::WritingClient;

#ifdef TIDEGATE_SANITIZE
constexpr int kScale = 1;
#else
constexpr int kScale = 3;
#endif
constexpr int kWorkers = 3;
constexpr int kRounds = 8;

std::atomic<int64_t> g_now_ms{1'700'000'000'000};
int64_t Now() { return g_now_ms.load(); }

// A client that is executed when the test says so, whoever has woken it.
class SteppedClient final {
 public:
  SteppedClient(Engine& engine, const CommandTable& table)
      : engine_(engine),
        table_(table),
        thread_(&engine.AddThread(nullptr, nullptr)),
        out_(pool_),
        reply_(out_) {}

  // The reply; empty: it waits.
  std::string Begin(Words words, int db = 0) {
    client_.db = db;
    parsed_ = std::make_unique<testing::ParsedRequest>(table_, std::move(words));
    return Resume();
  }
  std::string Resume() {
    engine_.BeginBatch(*thread_, Now());
    (void)engine_.Execute(*thread_, parsed_->request, client_, reply_);
    engine_.EndBatch(*thread_);
    std::string text = out_.CopyFrom(0);
    out_.Clear();
    return text;
  }
  // Until it does not wait for the disk any more.
  std::string ResumeUntilRead() {
    std::string text;
    while (text.empty() && client_.blocked == nullptr) text = Resume();
    return text;
  }
  void Leave() { engine_.Cancel(*thread_, client_); }
  ClientState& state() { return client_; }
  EngineThread& thread() { return *thread_; }

 private:
  Engine& engine_;
  const CommandTable& table_;
  EngineThread* thread_;
  ClientState client_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  std::unique_ptr<testing::ParsedRequest> parsed_;
};

// One life of a process.
struct Process {
  Process(MemoryDisk& disk, EffectCapture& journal, const CommandTable& table, ColdStart options,
          uint64_t seed)
      : engine(std::move(Engine::Create({})).value()),
        world(*engine, table),
        lone(*engine, table),
        a(*engine, table),
        b(*engine, table),
        walker(*engine) {
    testing::MakeCollectionsSmall(engine->settings());
    for (int i = 0; i < kWorkers; ++i)
      workers.push_back(std::make_unique<SimWorker>(world, i, kWorkers, seed));
    engine->SetEffectSink(&journal);
    world.now_ms = Now();
    disk.Restart(*engine, std::move(options));
    RecordApplier applier(*engine, lone.thread(), table);
    ReplayAhead ahead(*engine, table, applier);
    const std::vector<std::string> records = journal.records();
    for (size_t i = disk.sequence(); i < records.size(); ++i) {
      Status status =
          seed % 2 == 0 ? ahead.Add(records[i], Now()) : applier.Apply(records[i], Now());
      if (i + 1 == records.size() && status.ok()) status = ahead.Finish(Now());
      EXPECT_TRUE(status.ok()) << status.error().message << " of record " << i << ": "
                               << EffectCapture::Text(records[i]);
    }
    engine->StartLoading();
  }

  std::unique_ptr<Engine> engine;
  SimWorld world;
  LoneThread lone;
  SteppedClient a;
  SteppedClient b;
  CutWalker walker;
  std::vector<std::unique_ptr<SimWorker>> workers;
};

// Looks at everything that goes over all keys.
class LookingClient final : public SimClient {
 public:
  LookingClient(SimWorld& world, int commands) : world_(world), left_(commands) {}

  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    switch (random() % 6) {
      case 0:
        return {"KEYS", "*"};
      case 1:
        return {"SCAN", "0", "COUNT", "50"};
      case 2:
        return {"RANDOMKEY"};
      case 3:
        return {"SORT",      KeyName(random() % 3, 'S'), "BY", "{tag1}key*", "ALPHA", "GET",
                "{tag2}key*"};
      case 4:
        return {"COPY", KeyName(random() % 12), KeyName(random() % 12), "DB", "1", "REPLACE"};
      default:
        return {"DBSIZE"};
    }
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    FailIfMalformed(world_, sent, reply);
  }

 private:
  SimWorld& world_;
  int left_;
};

class ColdTest : public ::testing::Test {
 protected:
  ColdTest() : table_(CommandTable::Create(StorageCommandFamilies())), seed_(testing::SimSeed()) {}

  void Begin(ColdStart options = {}, uint64_t seed = 0) {
    process_.reset();
    process_ = std::make_unique<Process>(disk_, journal_, *table_, std::move(options), seed);
  }
  std::string Run(const Words& words, int db = 0) { return process_->lone.Run(words, Now(), db); }
  Engine& engine() { return *process_->engine; }

  bool Checkpoint(bool fails = false) {
    return disk_.Checkpoint(engine(), process_->walker, &Now, fails);
  }
  // The same contents, none of them in memory.
  void RestartCold(ColdStart options = {.warms_up = false}) {
    ASSERT_TRUE(Checkpoint());
    Begin(std::move(options));
  }
  void AwaitWarm() {
    EXPECT_EQ(AwaitEverything(), ExecStatus::kDone);
    EXPECT_FALSE(engine().IsCold());
  }
  // As a transaction does that comes upon any key.
  ExecStatus AwaitEverything() {
    SteppedClient& client = process_->a;
    for (;; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      engine().BeginBatch(client.thread(), Now());
      const ExecStatus begun = engine().BeginAtomic(
          client.thread(), {}, /*whole=*/true, client.state(), {.keys = {}, .everything = true});
      if (begun == ExecStatus::kDone) engine().EndAtomic(client.thread());
      engine().EndBatch(client.thread());
      if (begun != ExecStatus::kSuspended) return begun;
    }
  }

  void RunRound(uint64_t seed);
  void RunOtherTurn(Random& random);

  MemoryDisk disk_;
  EffectCapture journal_;
  std::unique_ptr<CommandTable> table_;
  uint64_t seed_;
  std::unique_ptr<Process> process_;
};

// What a thread beside the workers does: time goes on, transactions, everything over a whole
// database.
void ColdTest::RunOtherTurn(Random& random) {
  SimWorld& world = process_->world;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  g_now_ms = ++world.now_ms;
  std::vector<Words> transaction(1 + random() % 3);
  for (Words& words : transaction) words = NextCommand(random, world.now_ms);
  if (random() % 16 == 0) transaction.push_back({"SWAPDB", "0", "1"});
  if (random() % 16 == 0) transaction.push_back({"KEYS", "*"});
  process_->lone.RunTransaction(transaction, world.now_ms, static_cast<int>(random() % 2));
  if (random() % 16 == 0) process_->lone.Run({"SWAPDB", "0", "1"}, world.now_ms, 0);
  if (random() % 64 == 0) process_->lone.Run({"FLUSHDB"}, world.now_ms, 1);
  if (random() % 64 == 0) process_->lone.Evict(world.now_ms);
}

void ColdTest::RunRound(uint64_t seed) {
  SimWorld& world = process_->world;
  const auto& workers = process_->workers;
  for (const auto& worker : workers) {
    for (int client = 0; client < 4; ++client)
      worker->Add(std::make_unique<WritingClient>(world, client == 0 ? 1 : 0, 150 * kScale));
    worker->Add(std::make_unique<LookingClient>(world, 10 * kScale));
  }
  for (const auto& worker : workers) worker->Start();
  std::atomic<bool> running{true};
  std::thread others([&] {
    Random random(seed + 7);
    while (running) RunOtherTurn(random);
  });
  std::thread checkpoints([&] {
    Random random(seed + 8);
    while (running) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 10));
      Checkpoint(random() % 4 == 0);
    }
  });
  for (const auto& worker : workers) worker->Join();
  running = false;
  others.join();
  checkpoints.join();
  ASSERT_EQ(world.failure(), "") << "seed " << seed_;
}

TEST_F(ColdTest, RestartsAtAnyPointComeToTheSame) {
  auto reference = std::move(Engine::Create({})).value();
  LoneThread lone(*reference, *table_);
  RecordApplier applier(*reference, lone.thread(), *table_);
  size_t applied = 0;
  uint64_t on_demand = 0;
  for (int round = 0; round < kRounds; ++round) {
    disk_.TakeUpTo(std::chrono::microseconds(round % 3 == 0 ? 0 : 300));
    disk_.FailEvery(0);
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    Begin({.batch_entries_max = 1 + seed % 4, .warms_up = round % 2 == 0}, seed);
    disk_.FailEvery(round % 3 == 1 ? 5 : 0);
    RunRound(seed);
    if (HasFailure()) return;
    disk_.FailEvery(0);
    const auto expected = ContentsOf(process_->lone, Now());
    on_demand += engine().StatsOfCold().keys_on_demand;
    const std::vector<std::string> records = journal_.records();
    for (; applied < records.size(); ++applied) {
      const Status status = applier.Apply(records[applied], Now());
      ASSERT_TRUE(status.ok()) << status.error().message << " of record " << applied << ": "
                               << EffectCapture::Text(records[applied]) << ", seed " << seed_;
    }
    const auto found = ContentsOf(lone, Now());
    for (const auto& [key, about] : found) {
      const auto at = expected.find(key);
      ASSERT_TRUE(at != expected.end()) << key << " is missing, round " << round << ", seed "
                                        << seed_ << EffectCapture::History(records, key.substr(2));
      ASSERT_EQ(at->second, about) << key << ", round " << round << ", seed " << seed_
                                   << EffectCapture::History(records, key.substr(2));
    }
    for (const auto& [key, about] : expected)
      ASSERT_TRUE(found.contains(key)) << key << " is too many, round " << round << ", seed "
                                       << seed_ << EffectCapture::History(records, key.substr(2));
    for (const int db : {0, 1}) {
      const DbStats stats = engine().StatsOfDb(db);
      EXPECT_EQ(stats.keys, reference->StatsOfDb(db).keys) << round << ", seed " << seed_;
      EXPECT_EQ(stats.expires, reference->StatsOfDb(db).expires) << round << ", seed " << seed_;
    }
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

// Whether two engines do the same at once: no chance, no waiting, no errors of a disk.
bool IsExact(const Words& words) {
  const std::string& name = words[0];
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
    g_now_ms += round % 2 == 0 ? 0 : 15;
    for (int i = 0; i < 600 && !HasFailure(); ++i) {
      const Words words = NextExactOrRead(random);
      ExpectSameReply(process_->lone, lone, words, static_cast<int>(random() % 2));
      if (random() % 8 == 0) ++g_now_ms;
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

TEST_F(ColdTest, AKeyWhoseTimePassedOnDiskIsGone) {
  Begin();
  Run({"SET", "k", "v", "PX", "10"});
  RestartCold();
  g_now_ms += 20;
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
  disk_.TakeUpTo(std::chrono::milliseconds(50));
  EXPECT_EQ(process_->a.Begin({"GET", "k"}), "");
  EXPECT_EQ(process_->b.Begin({"APPEND", "k", "w"}), "");
  process_->a.Leave();
  EXPECT_EQ(process_->b.ResumeUntilRead(), ":2\r\n");
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
