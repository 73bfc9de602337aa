// A snapshot of an engine of which most is on disk is of one moment and whole, and loads nothing:
// while several workers write to keys of all types, databases are dropped and swapped, checkpoints
// are written, and the disk is slow. What was recorded up to the moment, done again by an engine
// that never was cold, must come to what the snapshot, loaded by a third one, has.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/data_files.h"
#include "storage/engine.h"
#include "storage/journal/record_applier.h"
#include "storage/rdb/rdb_cut_sink.h"
#include "tests/support/cold_fixture.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using testing::ContentsOf;
using testing::LoneThread;
using testing::NextCommand;
using testing::Now;
using testing::Random;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;
using testing::WritingClient;

constexpr int kRounds = 6;
constexpr int kStillKeys = 100;

struct Snapshot {
  std::string path;
  uint64_t sequence = 0;
};

class ColdSnapshotTest : public testing::ColdFixture {
 protected:
  ColdSnapshotTest() : folder_(temporary_.File("data")) {
    std::filesystem::create_directories(folder_);
  }
  ~ColdSnapshotTest() override { process_.reset(); }

  uint64_t loaded() { return engine().StatsOfCold().loaded_keys; }

  // As BGSAVE makes one. "": it worked.
  std::string Save(Snapshot& snapshot) {
    snapshot.path = folder_ + "/" + std::to_string(saved_++) + ".rdb";
    const std::atomic<bool> cancelled{false};
    rdb::RdbCutSink sink(engine(), snapshot.path, {}, cancelled);
    process_->snapshots.Write(sink, &Now);
    snapshot.sequence = sink.moment().sequence;
    Result<SaveReport> report = sink.Finish();
    return report.ok() ? "" : report.error().message;
  }
  // As SAVE makes one.
  std::string SaveAlone(Snapshot& snapshot) {
    snapshot.path = folder_ + "/" + std::to_string(saved_++) + ".rdb";
    snapshot.sequence = journal_.records().size();
    EngineThread& thread = process_->lone.thread();
    ClientState nobody;
    engine().BeginBatch(thread, Now());
    ExecStatus begun = ExecStatus::kSuspended;
    while (begun == ExecStatus::kSuspended)  // keys are being loaded
      begun = engine().BeginAtomic(thread, {}, /*whole=*/true, nobody);
    EXPECT_EQ(begun, ExecStatus::kDone);
    Result<SaveReport> report = SaveRdb(engine(), thread, snapshot.path, {});
    engine().EndAtomic(thread);
    engine().EndBatch(thread);
    return report.ok() ? "" : report.error().message;
  }

  // What a file holds, and what the records up to its moment come to.
  std::map<std::string, std::string> ContentsOfFile(const std::string& path) {
    auto engine = std::move(Engine::Create({})).value();
    LoneThread lone(*engine, *table_);
    ClientState nobody;
    engine->BeginBatch(lone.thread(), Now());
    EXPECT_EQ(engine->BeginAtomic(lone.thread(), {}, /*whole=*/true, nobody), ExecStatus::kDone);
    Result<LoadReport> loaded = LoadRdb(*engine, lone.thread(), path, {});
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    engine->EndAtomic(lone.thread());
    engine->EndBatch(lone.thread());
    return AllOf(lone);
  }
  // With the keys that nobody changes, and that are on disk alone after a restart.
  static std::map<std::string, std::string> AllOf(LoneThread& lone) {
    std::map<std::string, std::string> all = ContentsOf(lone, Now());
    for (const int db : {0, 1}) {
      std::istringstream keys(lone.Run({"KEYS", "*"}, Now(), db));
      for (std::string line; std::getline(keys, line);) all[std::to_string(db) + " key " + line];
      all[std::to_string(db) + ":h"] =
          lone.Run({"HPEXPIRETIME", "h", "FIELDS", "2", "f", "g"}, Now(), db);
      for (int i = 0; i < kStillKeys; ++i) {
        const std::string key = "still:" + std::to_string(i);
        all[std::to_string(db) + ":" + key] = lone.Run({"GET", key}, Now(), db);
      }
    }
    return all;
  }
  std::map<std::string, std::string> ContentsAt(uint64_t sequence) {
    auto engine = std::move(Engine::Create({})).value();
    LoneThread lone(*engine, *table_);
    RecordApplier applier(*engine, lone.thread(), *table_);
    const std::vector<std::string> records = journal_.records();
    for (size_t i = 0; i < sequence; ++i) EXPECT_TRUE(applier.Apply(records[i], Now()).ok());
    return AllOf(lone);
  }
  void ExpectRight(const Snapshot& snapshot) {
    EXPECT_EQ(ContentsOfFile(snapshot.path), ContentsAt(snapshot.sequence)) << "seed " << seed_;
    std::filesystem::remove(snapshot.path);
  }

  void AddClients(SimWorker& worker) override {
    for (int client = 0; client < 3; ++client) {
      worker.Add(std::make_unique<WritingClient>(process_->world, client == 0 ? 1 : 0,
                                                 100 * testing::kColdScale));
    }
  }
  void RunOtherTurn(Random& random) override;
  std::vector<Snapshot> RunRoundOfSnapshots(uint64_t seed);

  testing::TemporaryFolder temporary_;
  const std::string folder_;
  int saved_ = 0;
  int cold_ = 0;  // begun while there was something on disk alone
};

void ColdSnapshotTest::RunOtherTurn(Random& random) {
  SimWorld& world = process_->world;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  testing::g_now_ms = ++world.now_ms;
  std::vector<Words> transaction(1 + random() % 3);
  for (Words& words : transaction) words = NextCommand(random, world.now_ms);
  process_->lone.RunTransaction(transaction, world.now_ms, static_cast<int>(random() % 2));
  if (random() % 16 == 0) Run({"SWAPDB", "0", "1"});
  if (random() % 128 == 0) Run({"FLUSHDB"}, 1);
  if (random() % 64 == 0) process_->lone.Evict(world.now_ms);
  if (random() % 32 != 0) return;
  Words words = {"MSET"};
  for (int i = 0; i < kStillKeys; i += 1 + static_cast<int>(random() % 8)) {
    words.push_back("still:" + std::to_string(i));
    words.push_back(std::to_string(random()));
  }
  Run(words, static_cast<int>(random() % 2));
}

std::vector<Snapshot> ColdSnapshotTest::RunRoundOfSnapshots(uint64_t seed) {
  std::vector<Snapshot> made;
  RunRound(seed, [&](const std::atomic<bool>& running) {
    Random random(seed + 9);
    while (running || made.empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 10));
      const bool cold = engine().IsCold();
      EXPECT_EQ(Save(made.emplace_back()), "");
      if (cold) ++cold_;
    }
  });
  return made;
}

TEST_F(ColdSnapshotTest, SnapshotsAtAnyMomentAreOfThatMoment) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    disk_.TakeUpTo(std::chrono::microseconds(round % 2 == 0 ? 0 : 200));
    Begin({.batch_entries_max = 1 + seed % 4, .warms_up = round % 3 == 2}, seed);
    const std::vector<Snapshot> made = RunRoundOfSnapshots(seed);
    disk_.TakeUpTo(std::chrono::microseconds(0));
    // The last ones, and some of the others.
    for (size_t i = 0; i < made.size() && !HasFailure(); ++i) {
      if (i + 3 >= made.size() || i % 8 == 0) ExpectRight(made[i]);
    }
    Snapshot alone;
    EXPECT_EQ(SaveAlone(alone), "");
    ExpectRight(alone);
    if (HasFailure()) return;
  }
  EXPECT_GT(cold_, 0) << "seed " << seed_;
}

// What the file says of its version, which goes by what is in it.
std::string VersionOf(const Snapshot& snapshot) {
  std::ifstream file(snapshot.path);
  std::string head(9, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head;
}

TEST_F(ColdSnapshotTest, NothingIsLoadedForIt) {
  Begin();
  Run({"MSET", "a", "1", "b", "2", "{b}c", "3"});
  Run({"HSET", "h", "f", "v", "g", "w"});
  Run({"HPEXPIREAT", "h", "4000000000000", "FIELDS", "1", "f"});
  Run({"SET", "other", "x"}, 1);
  RestartCold();
  Run({"DEL", "b"});
  Run({"SET", "new", "y"});
  const uint64_t before = loaded();
  Snapshot snapshot;
  ASSERT_EQ(Save(snapshot), "");
  EXPECT_EQ(ContentsOfFile(snapshot.path), ContentsAt(snapshot.sequence));
  EXPECT_EQ(VersionOf(snapshot), "REDIS0012");
  ASSERT_EQ(SaveAlone(snapshot), "");
  EXPECT_EQ(ContentsOfFile(snapshot.path), ContentsAt(snapshot.sequence));
  EXPECT_EQ(VersionOf(snapshot), "REDIS0012");
  EXPECT_EQ(loaded(), before);
  EXPECT_TRUE(engine().IsCold());
}

// While the walk stands at a key that is read from disk.
TEST_F(ColdSnapshotTest, DatabasesThatAreDroppedMeanwhileAreInIt) {
  Begin();
  const auto key = [](int i) { return "still:" + std::to_string(i); };
  for (int i = 0; i < kStillKeys; ++i) {
    Run({"SET", key(i), "old" + std::to_string(i)}, 0);
    Run({"SET", key(i), "other" + std::to_string(i)}, 1);
  }
  RestartCold();
  for (int i = 0; i < 40; ++i) Run({"GET", key(i)});
  for (int i = 20; i < 30; ++i) Run({"DEL", key(i)});
  for (int i = 30; i < 40; ++i) Run({"SET", key(i), "changed"});
  disk_.HoldSlots(true);
  Snapshot snapshot;
  std::thread saver([&] { EXPECT_EQ(Save(snapshot), ""); });
  while (disk_.slots_held() == 0) std::this_thread::yield();
  Run({"FLUSHDB"}, 0);
  for (int i = 0; i < kStillKeys; i += 3) Run({"SET", key(i), "second"}, 0);
  Run({"SWAPDB", "0", "1"});
  Run({"FLUSHDB"}, 1);
  for (int i = 0; i < kStillKeys; i += 5) Run({"SET", key(i), "third"}, 1);
  disk_.HoldSlots(false);
  saver.join();
  ExpectRight(snapshot);
}

TEST_F(ColdSnapshotTest, WhatCannotBeReadIsAnError) {
  Begin();
  Run({"SET", "k", "v"});
  RestartCold();
  disk_.FailEvery(1);
  Snapshot snapshot;
  EXPECT_EQ(Save(snapshot), "read keys that are not in memory: no such luck");
  EXPECT_FALSE(std::filesystem::exists(snapshot.path));
  EXPECT_EQ(SaveAlone(snapshot), "read keys that are not in memory: no such luck");
  EXPECT_FALSE(std::filesystem::exists(snapshot.path));
  disk_.FailEvery(0);
  EXPECT_EQ(Save(snapshot), "");
  EXPECT_EQ(VersionOf(snapshot), "REDIS0010");
  ExpectRight(snapshot);
}

}  // namespace
}  // namespace tidegate
