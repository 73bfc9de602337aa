// Checkpoints on a real store, of an engine that several workers write to, on a disk that fails at
// times: whatever became of those before, one that succeeds holds what there is.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/checkpoint/checkpoint_loader.h"
#include "storage/checkpoint/checkpointer.h"
#include "storage/commands/value_digest.h"
#include "storage/keyspace/keyspace.h"
#include "storage/persist/store.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/writing_client.h"
#include "tests/unit/storage/persist/fault_file_system.h"

namespace tidegate {
namespace {

using testing::LoneThread;
using testing::MakeCollectionsSmall;
using testing::NextCommand;
using testing::Random;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;
using testing::WritingClient;

constexpr int kWorkers = 2;
constexpr int kRounds = 12;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest()
      : dir_(temporary_.File("data")),
        disk_(std::make_shared<FaultFileSystem>()),
        env_(rocksdb::NewCompositeEnv(disk_)),
        engine_(std::move(Engine::Create({})).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        world_(*engine_, *table_),
        seed_(testing::SimSeed()) {
    store_ = std::move(Store::Open({.dir = dir_, .env = env_.get()})).value();
    MakeCollectionsSmall(engine_->settings());
    engine_->SetTracksChanges();
    lone_ = std::make_unique<LoneThread>(*engine_, *table_);
    // None is due by itself.
    checkpointer_ = std::make_unique<Checkpointer>(*engine_, *store_, [this] {
      return JournalPosition{0, journal_bytes_.load()};
    });
    checkpointer_->Begin({.records_max = 1000, .bytes_max = 1_MiB}, 0);
  }
  ~CheckpointTest() override {
    checkpointer_->Stop();
    checkpointer_.reset();
    store_.reset();
  }

  using Workers = std::vector<std::unique_ptr<SimWorker>>;

  // The engine's threads are complete before a cut begins.
  Workers MakeWorkers(uint64_t seed, int commands) {
    Workers workers;
    for (int i = 0; i < kWorkers; ++i) {
      auto& worker = workers.emplace_back(std::make_unique<SimWorker>(world_, i, kWorkers, seed));
      for (int client = 0; client < 4; ++client)
        worker->Add(std::make_unique<WritingClient>(world_, client % 2, commands));
    }
    return workers;
  }

  void RunWorkers(const Workers& workers, uint64_t seed) {
    for (const auto& worker : workers) worker->Start();
    std::atomic<bool> running{true};
    std::thread others([&] {
      Random random(seed + 7);
      while (running) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++world_.now_ms;
        std::vector<Words> transaction(1 + random() % 3);
        for (Words& words : transaction) words = NextCommand(random, world_.now_ms);
        lone_->RunTransaction(transaction, world_.now_ms, static_cast<int>(random() % 2));
        const std::string key = testing::KeyName(random() % testing::kWrittenKeys);
        if (random() % 4 == 0)
          lone_->Run({"SET", key, std::string(random() % 300'000, 'L')}, world_.now_ms);
        if (random() % 8 == 0) lone_->Run({"MOVE", key, "1"}, world_.now_ms);
        if (random() % 16 == 0) lone_->Run({"SWAPDB", "0", "1"}, world_.now_ms);
        if (random() % 32 == 0) lone_->Run({"FLUSHDB"}, world_.now_ms, 1);
      }
    });
    for (const auto& worker : workers) worker->Join();
    running = false;
    others.join();
  }

  void WaitForCheckpoint() const {
    while (checkpointer_->in_progress()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  // With nobody else there: "db:key" -> digest of the value with all its fields, and expiry.
  static std::map<std::string, std::string> ContentsOf(Engine& engine) {
    std::map<std::string, std::string> contents;
    for (int db = 0; db < engine.databases(); ++db) {
      for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
        const Table* table = engine.keyspace().FindTable(static_cast<uint16_t>(slot), db);
        if (table == nullptr) continue;
        table->ForEach([&](Entry& entry) {
          contents[std::to_string(db) + ":" + std::string(entry.key())] =
              DigestOfValue(entry, /*now_ms=*/0).Hex() + " " + std::to_string(entry.expire_at_ms());
        });
      }
    }
    return contents;
  }

  // As a start after a crash finds it.
  void CheckLoaded() {
    store_.reset();
    store_ = std::move(Store::Open({.dir = dir_, .env = env_.get()})).value();
    const std::unique_ptr<Engine> loaded = std::move(Engine::Create({})).value();
    MakeCollectionsSmall(loaded->settings());
    loaded->SetTracksChanges();
    EngineThread& thread = loaded->AddThread(nullptr, nullptr);
    Result<CheckpointProgress> done =
        LoadCheckpoint(*store_, *store_->checkpoint(), *loaded, thread, nullptr);
    ASSERT_TRUE(done.ok()) << done.error().message << ", seed " << seed_;
    for (const int db : {0, 1})
      EXPECT_EQ(loaded->StatsOfDb(db).keys, engine_->StatsOfDb(db).keys) << "seed " << seed_;
    EXPECT_EQ(ContentsOf(*loaded), ContentsOf(*engine_)) << "seed " << seed_;
  }

  testing::TemporaryFolder temporary_;
  const std::string dir_;
  std::shared_ptr<FaultFileSystem> disk_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  SimWorld world_;
  uint64_t seed_;
  std::unique_ptr<LoneThread> lone_;
  std::atomic<uint64_t> journal_bytes_{0};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Checkpointer> checkpointer_;
};

// None is due; but somebody waits for what it makes clean.
TEST_F(CheckpointTest, WhoAsksGetsOneSoon) {
  lone_->Run({"SET", "k", "v"}, world_.now_ms);
  checkpointer_->Ask();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (checkpointer_->Stats().count == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(checkpointer_->Stats().last_entries, 1u);
}

TEST_F(CheckpointTest, OneThatSucceedsHoldsWhatThereIs) {
  Random random(seed_);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    const bool fails = random() % 3 == 0;
    const Workers workers = MakeWorkers(seed, 100);
    // Now and then more has changed than is noted.
    for (size_t i = 0; round % 4 == 3 && i <= kChangedKeysMax; ++i)
      lone_->thread().changed.Add(0, 0);
    EXPECT_TRUE(checkpointer_->Start());
    std::thread breaks([&, after_us = random() % 5000] {
      std::this_thread::sleep_for(std::chrono::microseconds(after_us));
      if (fails) disk_->FailWith(FaultFileSystem::Fault::kNoSpace);
    });
    RunWorkers(workers, seed);
    breaks.join();
    WaitForCheckpoint();
    disk_->FailWith(FaultFileSystem::Fault::kNone);
    // What broke in RocksDB itself is mended as the journal's writer does it.
    ASSERT_TRUE(store_->Recover().ok());
  }
  const CheckpointStats before = checkpointer_->Stats();
  EXPECT_GT(before.count, 0u);
  EXPECT_TRUE(checkpointer_->Start());
  WaitForCheckpoint();
  EXPECT_EQ(checkpointer_->Stats().count, before.count + 1);
  EXPECT_GT(before.entries, 0u);
  checkpointer_->Stop();
  ASSERT_EQ(world_.failure(), "") << "seed " << seed_;
  CheckLoaded();
}

TEST_F(CheckpointTest, WritesAreSlowedDownWhenTheJournalOutgrowsIt) {
  const auto pressure = [this](uint64_t records, uint64_t bytes) {
    return checkpointer_->Pressure({records, bytes});
  };
  EXPECT_EQ(pressure(1'000'000, (100_MiB).count), 0);  // none is made
  for (int i = 0; i < 1000; ++i) lone_->Run({"SET", "k" + std::to_string(i), "v"}, world_.now_ms);
  disk_->Hold(true);
  journal_bytes_ = 1000;
  EXPECT_TRUE(checkpointer_->Start());
  disk_->AwaitHeld();
  // From its moment on, by whichever limit is nearer.
  EXPECT_EQ(pressure(400, 1000), 0);
  EXPECT_NEAR(pressure(1000, 1000), 0.5, 0.01);
  EXPECT_NEAR(pressure(0, 1000 + (1_MiB).count), 0.5, 0.01);
  EXPECT_EQ(pressure(0, (100_MiB).count), 1);
  disk_->Hold(false);
  WaitForCheckpoint();
  EXPECT_EQ(checkpointer_->Stats().count, 1u);
  EXPECT_EQ(pressure(0, (100_MiB).count), 0);
}

}  // namespace
}  // namespace tidegate
