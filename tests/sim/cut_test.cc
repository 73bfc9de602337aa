// A cut holds what was there at its moment, whatever happens while it is made: several workers
// write to keys of all types, drop and swap databases, and the sink takes its time.
#include "storage/cut/cut.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/cut_walker.h"
#include "storage/keyspace/keyspace.h"
#include "storage/rdb/rdb_value_writer.h"
#include "tests/support/writing_client.h"

namespace tidegate {
namespace {

using testing::ForEachWrittenKey;
using testing::LoneThread;
using testing::NextCommand;
using testing::Random;
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
constexpr int kRounds = 6;

// "db:key" -> expiry and payload of DUMP.
using Contents = std::map<std::string, std::string>;

std::string Describe(int64_t expire_at_ms, const std::string& payload) {
  return std::to_string(expire_at_ms) + " " + payload;
}

class MapSink final : public CutSink {
 public:
  explicit MapSink(std::chrono::microseconds pause) : pause_(pause) {}

  void OnMoment(const CutMoment& moment) override {
    moment_ = moment;
    begun_ = true;
  }
  StoredObject Encode(int /*db*/, const Entry& entry, const StoredObject& /*old*/,
                      std::string& out) override {
    for (const std::string& part : {std::string(entry.key()), About(entry)}) {
      const auto bytes = static_cast<uint32_t>(part.size());
      out.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
      out += part;
    }
    return {};
  }
  StoredObject OnEntry(int db, const Entry& entry, const StoredObject& /*old*/) override {
    std::this_thread::sleep_for(pause_);
    Add(db, std::string(entry.key()), About(entry));
    return {};
  }
  void OnEncoded(int db, std::string_view entries) override {
    const auto next = [&] {
      uint32_t bytes = 0;
      std::memcpy(&bytes, entries.data(), sizeof bytes);
      std::string part(entries.substr(sizeof bytes, bytes));
      entries.remove_prefix(sizeof bytes + bytes);
      return part;
    };
    while (!entries.empty()) {
      std::string key = next();
      Add(db, key, next());
      ++encoded_;
    }
  }
  void OnUnreadable(Error error) override { ADD_FAILURE() << error.message; }
  bool failed() const override { return fails_; }

  void Fail() { fails_ = true; }
  bool begun() const { return begun_; }
  const CutMoment& moment() const { return moment_; }
  const Contents& contents() const { return contents_; }
  int twice() const { return twice_; }
  int encoded() const { return encoded_; }

 private:
  std::string About(const Entry& entry) const {
    return Describe(entry.expire_at_ms(), rdb::DumpPayload(entry, moment_.unix_ms));
  }
  void Add(int db, const std::string& key, std::string about) {
    if (!contents_.emplace(std::to_string(db) + ":" + key, std::move(about)).second) ++twice_;
  }

  const std::chrono::microseconds pause_;
  std::atomic<bool> begun_{false};
  std::atomic<bool> fails_{false};
  CutMoment moment_;
  Contents contents_;
  int twice_ = 0;
  int encoded_ = 0;
};

std::atomic<int64_t> g_now_ms{0};
int64_t Now() { return g_now_ms.load(); }

class CutTest : public ::testing::Test {
 protected:
  CutTest()
      : engine_(std::move(Engine::Create({})).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        world_(*engine_, *table_),
        seed_(testing::SimSeed()) {
    testing::MakeCollectionsSmall(engine_->settings());
    lone_ = std::make_unique<LoneThread>(*engine_, *table_);
    walker_ = std::make_unique<CutWalker>(*engine_);
    g_now_ms = world_.now_ms.load();
  }

  // With nobody writing: what is there now. `fleeting`: may be gone before anybody looks, because
  // its time comes.
  void ReadContents(Contents& contents, std::map<std::string, bool>& fleeting) {
    for (const int db : {0, 1}) {
      ForEachWrittenKey([&](const std::string& key) {
        const std::string payload = lone_->Run({"DUMP", key}, world_.now_ms, db);
        if (payload == "_\r\n") return;
        const std::string expire = lone_->Run({"PEXPIRETIME", key}, world_.now_ms, db);
        const std::string name = std::to_string(db) + ":" + key;
        const size_t begin = payload.find("\r\n") + 2;
        contents[name] = Describe(std::stoll(expire.substr(1)),
                                  payload.substr(begin, payload.size() - begin - 2));
        fleeting[name] = expire != ":-1\r\n" || HasFieldTimes(key, db);
      });
    }
  }

  bool HasFieldTimes(const std::string& key, int db) {
    Words fields = {"HPEXPIRETIME", key, "FIELDS", "12"};
    for (int f = 0; f < 12; ++f) fields.push_back("f" + std::to_string(f));
    return lone_->Run(fields, world_.now_ms, db).find(":17") != std::string::npos;
  }

  using Workers = std::vector<std::unique_ptr<SimWorker>>;

  // The engine's threads are complete before a cut begins.
  Workers MakeWorkers(uint64_t seed, int commands) {
    Workers workers;
    for (int i = 0; i < kWorkers; ++i) {
      auto& worker = workers.emplace_back(std::make_unique<SimWorker>(world_, i, kWorkers, seed));
      for (int client = 0; client < 4; ++client)
        worker->Add(std::make_unique<WritingClient>(world_, client == 0 ? 1 : 0, commands));
    }
    return workers;
  }

  void RunWorkers(uint64_t seed, int commands) { RunWorkers(MakeWorkers(seed, commands), seed); }

  void RunWorkers(const Workers& workers, uint64_t seed) {
    for (const auto& worker : workers) worker->Start();
    std::atomic<bool> running{true};
    std::thread others([&] {
      Random random(seed + 7);
      while (running) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        g_now_ms = ++world_.now_ms;
        std::vector<Words> transaction(1 + random() % 3);
        for (Words& words : transaction) words = NextCommand(random, world_.now_ms);
        lone_->RunTransaction(transaction, world_.now_ms, static_cast<int>(random() % 2));
        if (random() % 16 == 0) lone_->Run({"SWAPDB", "0", "1"}, world_.now_ms, 0);
        if (random() % 32 == 0) lone_->Run({"FLUSHDB"}, world_.now_ms, 1);
        if (random() % 64 == 0) lone_->Evict(world_.now_ms);
      }
    });
    for (const auto& worker : workers) worker->Join();
    running = false;
    others.join();
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  SimWorld world_;
  uint64_t seed_;
  std::unique_ptr<LoneThread> lone_;
  std::unique_ptr<CutWalker> walker_;
};

TEST_F(CutTest, HoldsWhatWasThereAtItsMoment) {
  int encoded = 0;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    RunWorkers(seed, 200 * kScale);
    Contents expected;
    std::map<std::string, bool> fleeting;
    ReadContents(expected, fleeting);
    const DbStats stats = engine_->StatsOfDb(0);

    MapSink sink(std::chrono::microseconds(500));
    const Workers workers = MakeWorkers(seed + 50, 200 * kScale);
    std::thread walk([&] { walker_->Write(sink, &Now); });
    while (!sink.begun()) std::this_thread::yield();
    RunWorkers(workers, seed + 50);
    walk.join();

    ASSERT_EQ(world_.failure(), "") << "seed " << seed_;
    EXPECT_EQ(sink.twice(), 0) << "seed " << seed_;
    EXPECT_EQ(sink.moment().dbs[0].keys, stats.keys);
    for (const auto& [key, about] : expected) {
      const auto found = sink.contents().find(key);
      if (found == sink.contents().end()) {
        EXPECT_TRUE(fleeting[key]) << key << " is missing, round " << round << ", seed " << seed_;
      } else {
        EXPECT_EQ(found->second, about) << key << ", round " << round << ", seed " << seed_;
      }
    }
    for (const auto& [key, about] : sink.contents())
      EXPECT_TRUE(expected.contains(key)) << key << " is too many, seed " << seed_;
    encoded += sink.encoded();
    if (HasFailure()) return;
  }
  EXPECT_GT(encoded, 0);
}

// The entries that a failed cut did not write have its mark all the same.
TEST_F(CutTest, OneThatFailedLeavesNothingBehind) {
  for (int i = 0; i < 100; ++i) lone_->Run({"SET", "k" + std::to_string(i), "v"}, Now());
  MapSink failing(std::chrono::microseconds(0));
  failing.Fail();
  walker_->Write(failing, &Now);
  EXPECT_TRUE(failing.contents().empty());
  lone_->Run({"SET", "more", "v"}, Now());
  MapSink sink(std::chrono::microseconds(0));
  walker_->Write(sink, &Now);
  EXPECT_EQ(sink.contents().size(), 101u);
  MapSink again(std::chrono::microseconds(0));
  walker_->Write(again, &Now);
  EXPECT_EQ(again.contents(), sink.contents());
}

// What would take long to encode is left to the walk, and the writer waits for it.
TEST_F(CutTest, AWriterWaitsForTheWalkOfALargeValue) {
  Words fill = {"RPUSH", "large"};
  for (int i = 0; i < 50'000; ++i) fill.push_back("element:" + std::to_string(i));
  lone_->Run(fill, Now());
  for (int i = 0; i < 2000; ++i) lone_->Run({"SET", "k" + std::to_string(i), "v"}, Now());
  MapSink sink(std::chrono::microseconds(100));
  std::thread walk([&] { walker_->Write(sink, &Now); });
  while (!sink.begun()) std::this_thread::yield();
  EXPECT_EQ(lone_->Run({"RPUSH", "large", "more"}, Now()), ":50001\r\n");
  const uint32_t walked = walker_->slots_walked();
  walk.join();
  EXPECT_LT(walked, kSlotCount);  // it did not wait for all of it
  EXPECT_EQ(sink.encoded(), 0);
  EXPECT_EQ(sink.contents().size(), 2001u);
}

// The disk as checkpoints leave it, in memory: records by "id:key", and objects that hold values.
struct Disk {
  struct Record {
    std::string about;
    uint64_t object = 0;
  };
  std::map<std::string, Record> records;
  std::map<uint64_t, std::string> objects;  // id -> the key that it was made for
  DatabaseIds ids;
};

// Writes a checkpoint to a disk, all at once at its end: or not, when it is one that fails.
class DiskSink final : public CutSink {
 public:
  // `fails_after`: so many entries. `replaced`: objects that one which failed has given a new id.
  DiskSink(const Disk& disk, std::atomic<uint64_t>& next_object, int fails_after,
           std::vector<uint64_t>& replaced)
      : disk_(disk), next_object_(next_object), entries_left_(fails_after), replaced_(replaced) {}

  bool only_dirty() const override { return true; }
  void OnMoment(const CutMoment& moment) override {
    moment_ = moment;
    disk_.ids = moment.ids;
    begun_ = true;
  }
  StoredObject Encode(int db, const Entry& entry, const StoredObject& old,
                      std::string& out) override {
    const MutexLock lock(mutex_);
    out += '+';
    return Write(db, entry, old.id);
  }
  StoredObject OnEntry(int db, const Entry& entry, const StoredObject& old) override {
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    const MutexLock lock(mutex_);
    return Write(db, entry, old.id);
  }
  void OnEncoded(int /*db*/, std::string_view entries) override { encoded_ += entries.size(); }
  void OnDead(const DeadRecords& dead) override {
    const MutexLock lock(mutex_);
    for (const uint64_t id : dead.objects) disk_.objects.erase(id);
    for (const uint64_t id : replaced_) disk_.objects.erase(id);
    for (const uint32_t id : dead.databases) {
      const std::string prefix = std::to_string(id) + ":";
      std::erase_if(disk_.records, [&](const auto& r) { return r.first.starts_with(prefix); });
      std::erase_if(disk_.objects, [&](const auto& o) { return o.second.starts_with(prefix); });
    }
  }
  void OnUnreadable(Error error) override { ADD_FAILURE() << error.message; }
  bool failed() const override { return entries_left_ <= 0; }

  bool begun() const { return begun_; }
  const CutMoment& moment() const { return moment_; }
  const Disk& disk() const { return disk_; }
  size_t encoded() const { return encoded_; }
  int written() const { return written_; }

 private:
  StoredObject Write(int db, const Entry& entry, uint64_t old_object) TG_REQUIRES(mutex_) {
    --entries_left_;
    ++written_;
    const uint32_t id = moment_.ids.id_of[static_cast<size_t>(db)];
    const std::string name = std::to_string(id) + ":" + std::string(entry.key());
    if (old_object != 0) replaced_.push_back(old_object);
    if (entry.removed()) {
      disk_.records.erase(name);
      return {};
    }
    const uint64_t object = entry.embedded() ? 0 : ++next_object_;
    if (object != 0) disk_.objects[object] = name;
    disk_.records[name] = {Describe(entry.expire_at_ms(), rdb::DumpPayload(entry, moment_.unix_ms)),
                           object};
    return {.id = object};
  }

  Mutex mutex_;
  Disk disk_;
  std::atomic<uint64_t>& next_object_;
  std::atomic<int> entries_left_;
  std::vector<uint64_t>& replaced_;
  std::atomic<bool> begun_{false};
  CutMoment moment_;
  size_t encoded_ = 0;
  std::atomic<int> written_{0};
};

class CheckpointCutTest : public CutTest {
 protected:
  CheckpointCutTest() { engine_->SetTracksChanges(); }

  // A cut while others write. Every other one fails, somewhere or at its very end.
  bool Checkpoint(uint64_t seed, bool succeeds) {
    Random random(seed);
    const bool breaks = !succeeds && random() % 2 == 0;
    DiskSink sink(disk_, next_object_, breaks ? 1 + static_cast<int>(random() % 30) : 1 << 30,
                  replaced_);
    const Workers workers = MakeWorkers(seed + 50, 100 * kScale);
    std::thread walk([&] { walker_->Write(sink, &Now); });
    while (!sink.begun()) std::this_thread::yield();
    RunWorkers(workers, seed + 50);
    walk.join();
    const bool done = succeeds && !sink.failed();
    if (done) {
      disk_ = sink.disk();
      replaced_.clear();
    }
    engine_->CheckpointEnded(done);
    encoded_ += sink.encoded();
    return done;
  }

  void CheckObjects() {
    std::map<uint64_t, std::string> named;
    for (const auto& [name, record] : disk_.records) {
      if (record.object != 0) named[record.object] = name;
    }
    for (const auto& [id, name] : named)
      EXPECT_TRUE(disk_.objects.contains(id)) << name << " has lost its object, seed " << seed_;
    for (const auto& [id, name] : disk_.objects) {
      // Of a database that was flushed during the cut nobody knows any more which objects its keys
      // had before. It is dead, so the next checkpoint deletes all of them.
      if (HasDied(name)) continue;
      EXPECT_TRUE(named.contains(id)) << "nobody has the object of " << name << ", seed " << seed_;
    }
  }
  // Its database was there at the moment of the cut, and is not any more.
  bool HasDied(const std::string& name) {
    const auto id = static_cast<uint32_t>(std::stoul(name));
    const auto has = [id](const std::vector<uint32_t>& ids) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    return has(disk_.ids.id_of) && !has(engine_->keyspace().database_map().ids().id_of);
  }

  void CheckContents(const Contents& expected, std::map<std::string, bool>& fleeting) {
    Contents found;
    for (int db : {0, 1}) {
      const std::string prefix = std::to_string(disk_.ids.id_of[static_cast<size_t>(db)]) + ":";
      for (const auto& [name, record] : disk_.records) {
        if (name.starts_with(prefix))
          found[std::to_string(db) + ":" + name.substr(prefix.size())] = record.about;
      }
    }
    for (const auto& [key, about] : expected) {
      if (fleeting[key] && !found.contains(key)) continue;
      EXPECT_EQ(found[key], about) << key << ", seed " << seed_;
    }
    for (const auto& [key, about] : found)
      EXPECT_TRUE(expected.contains(key)) << key << " is too many, seed " << seed_;
  }

  Disk disk_;
  std::atomic<uint64_t> next_object_{0};
  std::vector<uint64_t> replaced_;
  size_t encoded_ = 0;
};

TEST_F(CheckpointCutTest, WhatIsDirtyMakesTheDiskWhatTheDataIs) {
  for (int round = 0; round < 2 * kRounds; ++round) {
    const uint64_t seed = seed_ + static_cast<uint64_t>(100 * round);
    RunWorkers(seed, 100 * kScale);
    Contents expected;
    std::map<std::string, bool> fleeting;
    ReadContents(expected, fleeting);
    if (Checkpoint(seed, round % 3 != 1)) {
      CheckContents(expected, fleeting);
      CheckObjects();
    }
    ASSERT_EQ(world_.failure(), "") << "seed " << seed_;
    if (HasFailure()) return;
  }
  EXPECT_GT(encoded_, 0u);
  // And what was left for the next one goes with it.
  DiskSink last(disk_, next_object_, 1 << 30, replaced_);
  walker_->Write(last, &Now);
  disk_ = last.disk();
  engine_->CheckpointEnded(true);
  CheckObjects();
}

TEST_F(CheckpointCutTest, WritesWhatHasChangedSinceTheLastOne) {
  const auto written = [&] {
    DiskSink sink(disk_, next_object_, 1 << 30, replaced_);
    walker_->Write(sink, &Now);
    disk_ = sink.disk();
    engine_->CheckpointEnded(true);
    return sink.written();
  };
  for (int i = 0; i < 100; ++i) lone_->Run({"SET", "k" + std::to_string(i), "v"}, Now());
  EXPECT_EQ(written(), 100);
  EXPECT_EQ(written(), 0);
  lone_->Run({"GET", "k1"}, Now());
  lone_->Run({"APPEND", "k2", "more"}, Now());
  lone_->Run({"DEL", "k3"}, Now());
  lone_->Run({"RENAME", "k4", "k5"}, Now());
  lone_->Run({"SET", "fleeting", "v"}, Now());
  lone_->Run({"DEL", "fleeting"}, Now());
  EXPECT_EQ(written(), 4);  // k2, k3 and k4 gone, k5
  EXPECT_EQ(written(), 0);
  EXPECT_EQ(disk_.records.size(), 98u);
  // A dump in between changes nothing of that.
  lone_->Run({"DEL", "k6"}, Now());
  MapSink dump(std::chrono::microseconds(0));
  walker_->Write(dump, &Now);
  EXPECT_EQ(dump.contents().size(), 97u);
  EXPECT_EQ(written(), 1);
  EXPECT_EQ(disk_.records.size(), 97u);
}

}  // namespace
}  // namespace tidegate
