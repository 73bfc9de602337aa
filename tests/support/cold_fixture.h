// What tests of keys that are on disk share: an engine that begins over a disk in memory, workers
// that write to keys of all types and look at everything while checkpoints are written, some of
// which fail, and the comparison of what became of it with what was recorded.
//
//   ColdFixture     one data directory's life: Begin is a start, what was recorded since the last
//                   checkpoint is replayed
//   SteppedClient   a client that is executed when the test says so
//
// Time is the tests' own: SimNow.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/cold_metrics.h"
#include "storage/cut_walker.h"
#include "storage/engine.h"
#include "storage/journal/record_applier.h"
#include "storage/journal/replay_ahead.h"
#include "storage/tier.h"
#include "tests/support/effect_capture.h"
#include "tests/support/engine_contents.h"
#include "tests/support/memory_disk.h"
#include "tests/support/sim_worker.h"
#include "tests/support/writing_client.h"

namespace tidegate::testing {

#ifdef TIDEGATE_SANITIZE
inline constexpr int kColdScale = 1;
#else
inline constexpr int kColdScale = 3;
#endif
inline constexpr int kColdWorkers = 3;

inline std::atomic<int64_t> g_now_ms{1'700'000'000'000};
inline int64_t Now() { return g_now_ms.load(); }

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
    parsed_ = std::make_unique<ParsedRequest>(table_, std::move(words));
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
  std::unique_ptr<ParsedRequest> parsed_;
};

// Whether data may be larger than memory, and how much room it has there; 0: any.
struct TierUse {
  bool tiered = false;
  EvictionPolicy policy = EvictionPolicy::kAllKeysLru;
  uint64_t room_bytes = 0;
};

// One life of a process.
struct Process {
  Process(MemoryDisk& disk, EffectCapture& journal, const CommandTable& table, ColdStart options,
          uint64_t seed, const TierUse& tier = {})
      : engine(std::move(Engine::Create({})).value()),
        world(*engine, table),
        lone(*engine, table),
        a(*engine, table),
        b(*engine, table),
        walker(*engine),
        snapshots(*engine) {
    MakeCollectionsSmall(engine->settings());
    for (int i = 0; i < kColdWorkers; ++i)
      workers.push_back(std::make_unique<SimWorker>(world, i, kColdWorkers, seed));
    engine->SetEffectSink(&journal);
    world.now_ms = Now();
    options.now_ms = &Now;
    disk.Restart(*engine, std::move(options), tier.tiered);
    if (tier.tiered) {
      engine->settings().maxmemory_policy = tier.policy;
      if (tier.room_bytes != 0)
        engine->settings().maxmemory_bytes = engine->UsedMemoryBytes() + tier.room_bytes;
      engine->tier()->SetCheckpointRequest(
          [](void* asked) { static_cast<std::atomic<bool>*>(asked)->store(true); },
          &checkpoint_asked);
    }
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
  // A reader that has just read wakes those who wait for it, `lone` too, until it is stopped.
  ~Process() { engine->StopLoading(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  std::atomic<bool> checkpoint_asked{false};
  std::unique_ptr<Engine> engine;
  SimWorld world;
  LoneThread lone;
  SteppedClient a;
  SteppedClient b;
  CutWalker walker;  // of checkpoints
  CutWalker snapshots;
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

// An engine that never was cold, to which what was recorded is done again.
class Replica final {
 public:
  explicit Replica(const CommandTable& table)
      : engine_(std::move(Engine::Create({})).value()),
        lone_(*engine_, table),
        applier_(*engine_, lone_.thread(), table) {}

  // Applies what is new in the journal; then both must have as many keys, and as many that expire.
  void ExpectSameCounts(Process& process, EffectCapture& journal, const std::string& about) {
    const std::vector<std::string> records = journal.records();
    for (; applied_ < records.size(); ++applied_) {
      const Status status = applier_.Apply(records[applied_], Now());
      ASSERT_TRUE(status.ok()) << status.error().message << " of record " << applied_ << ": "
                               << EffectCapture::Text(records[applied_]) << about;
      ASSERT_EQ(applier_.miscounted(), 0u)
          << "record " << applied_ << ": " << EffectCapture::Text(records[applied_]) << about;
    }
    for (const int db : {0, 1}) {
      const DbStats stats = process.engine->StatsOfDb(db);
      EXPECT_EQ(stats.keys, engine_->StatsOfDb(db).keys) << "database " << db << about;
      EXPECT_EQ(stats.expires, engine_->StatsOfDb(db).expires) << "database " << db << about;
    }
  }

  // The same of everything they hold.
  void ExpectSame(Process& process, EffectCapture& journal, const std::string& about) {
    const auto expected = ContentsOf(process.lone, Now());
    ASSERT_NO_FATAL_FAILURE(ExpectSameCounts(process, journal, about));
    const std::vector<std::string> records = journal.records();
    const auto found = ContentsOf(lone_, Now());
    for (const auto& [key, text] : found) {
      const auto at = expected.find(key);
      ASSERT_TRUE(at != expected.end())
          << key << " is missing" << about << EffectCapture::History(records, key.substr(2));
      ASSERT_EQ(at->second, text) << key << about << EffectCapture::History(records, key.substr(2));
    }
    for (const auto& [key, text] : expected)
      ASSERT_TRUE(found.contains(key))
          << key << " is too many" << about << EffectCapture::History(records, key.substr(2));
  }

 private:
  std::unique_ptr<Engine> engine_;
  LoneThread lone_;
  RecordApplier applier_;
  size_t applied_ = 0;
};

class ColdFixture : public ::testing::Test {
 protected:
  ColdFixture() : table_(CommandTable::Create(StorageCommandFamilies())), seed_(SimSeed()) {}

  void Begin(ColdStart options = {}, uint64_t seed = 0) {
    process_.reset();
    process_ = std::make_unique<Process>(disk_, journal_, *table_, std::move(options), seed, tier_);
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

  // Clients on all workers, checkpoints, some of which fail, other turns one after the other; and
  // `beside` in a thread of its own, which ends soon after `running` has.
  void RunRound(uint64_t seed,
                const std::function<void(const std::atomic<bool>& running)>& beside = nullptr);
  virtual void AddClients(SimWorker& worker);
  virtual void RunOtherTurn(Random& random);

  TierUse tier_;
  MemoryDisk disk_;
  EffectCapture journal_;
  std::unique_ptr<CommandTable> table_;
  uint64_t seed_;
  std::unique_ptr<Process> process_;
};

// What a thread beside the workers does: time goes on, transactions, everything over a whole
// database.
inline void ColdFixture::RunOtherTurn(Random& random) {
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
  if (random() % 64 == 0 && !tier_.tiered) process_->lone.Evict(world.now_ms);
}

inline void ColdFixture::AddClients(SimWorker& worker) {
  for (int client = 0; client < 4; ++client) {
    worker.Add(
        std::make_unique<WritingClient>(process_->world, client == 0 ? 1 : 0, 150 * kColdScale));
  }
  worker.Add(std::make_unique<LookingClient>(process_->world, 10 * kColdScale));
}

inline void ColdFixture::RunRound(
    uint64_t seed, const std::function<void(const std::atomic<bool>& running)>& beside) {
  const auto& workers = process_->workers;
  for (const auto& worker : workers) AddClients(*worker);
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
  std::thread third([&] {
    if (beside) beside(running);
  });
  for (const auto& worker : workers) worker->Join();
  running = false;
  others.join();
  checkpoints.join();
  third.join();
  ASSERT_EQ(process_->world.failure(), "") << "seed " << seed_;
}

}  // namespace tidegate::testing
