// Large collections over checkpoints, failures and restarts, on a real store: what is on disk after
// a checkpoint that succeeds is what there is, although of most values only some parts were
// written. One client, so that every run can be replayed from its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/checkpoint/checkpoint_loader.h"
#include "storage/checkpoint/checkpointer.h"
#include "storage/checkpoint/stored_record.h"
#include "storage/commands/value_digest.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/persist/checkpoint_files.h"
#include "storage/persist/store.h"
#include "storage/rdb/rdb_value_writer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/writing_client.h"
#include "tests/unit/storage/persist/fault_file_system.h"

namespace tidegate {
namespace {

using testing::LoneThread;
using testing::Random;
using testing::Words;

constexpr int64_t kNowMs = 1'700'000'000'000;
constexpr int kRounds = 20;

// An engine that tracks its changes, with who writes its checkpoints.
class Server final {
 public:
  explicit Server(Store& store)
      : engine_(std::move(Engine::Create({})).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        loader_(engine_->AddThread(nullptr, nullptr)) {
    engine_->SetTracksChanges();
    lone_ = std::make_unique<LoneThread>(*engine_, *table_);
    if (store.checkpoint()) {
      Result<CheckpointProgress> done =
          LoadCheckpoint(store, *store.checkpoint(), *engine_, loader_, nullptr);
      EXPECT_TRUE(done.ok()) << done.error().message;
    }
    checkpointer_ = std::make_unique<Checkpointer>(*engine_, store, [] {
      return JournalPosition{};  // none is due by itself
    });
    checkpointer_->Begin({.records_max = 1, .bytes_max = 1_MiB}, 0);
  }

  void Run(const Words& words, int db = 0) { lone_->Run(words, kNowMs, db); }
  // Whether it succeeded.
  bool Checkpoint() {
    const uint64_t count = checkpointer_->Stats().count;
    EXPECT_TRUE(checkpointer_->Start());
    while (checkpointer_->in_progress()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return checkpointer_->Stats().count > count;
  }
  // As who applies a record of the journal that says so.
  void SayObjectIsDead(const std::string& key) {
    loader_.dead_objects.push_back(engine_->keyspace().stored(KeySlot(key), 0).ObjectOf(key).id);
  }
  // The value as RDB has it, with its type byte.
  std::string ValueOf(const std::string& key) {
    std::string value;
    rdb::RdbWriter writer(value, /*compress=*/false);
    const Table* table = engine_->keyspace().FindTable(KeySlot(key), 0);
    rdb::WriteValue(*table->Find(KeyHash(key), key), {.now_ms = 0}, writer);
    return value;
  }
  uint64_t last_bytes() const { return checkpointer_->Stats().last_bytes; }

  // "db:key" -> type, digest of the value with all its fields, and expiry.
  std::map<std::string, std::string> Contents() {
    std::map<std::string, std::string> contents;
    for (int db = 0; db < engine_->databases(); ++db) {
      for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
        const Table* table = engine_->keyspace().FindTable(static_cast<uint16_t>(slot), db);
        if (table == nullptr) continue;
        table->ForEach([&](Entry& entry) {
          contents[std::to_string(db) + ":" + std::string(entry.key())] =
              DigestOfValue(entry, /*now_ms=*/0).Hex() + " " + std::to_string(entry.expire_at_ms());
        });
      }
    }
    return contents;
  }

 private:
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  EngineThread& loader_;
  std::unique_ptr<LoneThread> lone_;
  std::unique_ptr<Checkpointer> checkpointer_;
};

class CheckpointPartsTest : public ::testing::Test {
 protected:
  CheckpointPartsTest()
      : dir_(temporary_.File("data")),
        disk_(std::make_shared<FaultFileSystem>()),
        env_(rocksdb::NewCompositeEnv(disk_)) {
    Start();
  }
  ~CheckpointPartsTest() override {
    server_.reset();
    store_.reset();
  }

  // Anew, with what is on disk.
  void Start() {
    server_.reset();
    store_.reset();
    store_ = std::move(Store::Open({.dir = dir_, .env = env_.get()})).value();
    server_ = std::make_unique<Server>(*store_);
  }
  // Of which so many calls that write succeed: maybe all.
  bool FailingCheckpoint(uint64_t after_calls = 0) {
    disk_->FailWith(FaultFileSystem::Fault::kNoSpace, after_calls);
    const bool made = server_->Checkpoint();
    disk_->FailWith(FaultFileSystem::Fault::kNone);
    EXPECT_TRUE(store_->Recover().ok());
    return made;
  }
  // HSET, SADD or ZADD of so many numbered elements.
  void Fill(const std::string& command, const std::string& key, uint64_t first, uint64_t count,
            const std::string& value) {
    Words words = {command, key};
    for (uint64_t i = first; i < first + count; ++i) {
      const std::string element = "element:" + std::to_string(i);
      if (command == "ZADD") words.push_back(std::to_string((i * 7919 + value.size()) % 1000));
      words.push_back(element);
      if (command == "HSET") words.push_back(value);
    }
    server_->Run(words);
  }
  void Remove(const std::string& command, const std::string& key, uint64_t first, uint64_t count) {
    Words words = {command, key};
    for (uint64_t i = first; i < first + count; ++i)
      words.push_back("element:" + std::to_string(i));
    server_->Run(words);
  }
  // What a checkpoint writes when nothing but a small key has changed.
  uint64_t BytesOfLittle() {
    server_->Run({"SET", "little", "1"});
    EXPECT_TRUE(server_->Checkpoint());
    return server_->last_bytes();
  }

  testing::TemporaryFolder temporary_;
  const std::string dir_;
  std::shared_ptr<FaultFileSystem> disk_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Server> server_;
};

struct Family {
  const char* add;
  const char* remove;
  const char* key;
};
constexpr Family kFamilies[] = {
    {"HSET", "HDEL", "hash"}, {"SADD", "SREM", "set"}, {"ZADD", "ZREM", "zset"}};

TEST_F(CheckpointPartsTest, WritesOfALargeCollectionWhatHasChanged) {
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.key);
    const std::string key = family.key;
    for (uint64_t i = 0; i < 100; ++i) Fill(family.add, key, i * 1000, 1000, "value");
    ASSERT_TRUE(server_->Checkpoint());
    EXPECT_GT(server_->last_bytes(), 1'000'000u);
    const uint64_t little = BytesOfLittle();
    const auto expect_little_more = [&](const char* what, uint64_t bytes) {
      SCOPED_TRACE(what);
      ASSERT_TRUE(server_->Checkpoint());
      EXPECT_LT(server_->last_bytes(), little + bytes);
    };
    Fill(family.add, key, 500'000, 1, "other");
    expect_little_more("a new element", 30'000);
    Remove(family.remove, key, 77, 1);
    expect_little_more("one is gone", 30'000);
    server_->Run({"EXPIRE", key, "1000"});
    expect_little_more("expire", 2'000);
    server_->Run({"EXPIRE", key, "2000"});
    expect_little_more("another expiry", 2'000);
    server_->Run({"PERSIST", key});
    expect_little_more("persist", 2'000);
    server_->Run({"RENAME", key, key + "2"});
    expect_little_more("rename", 2'000);
    Fill(family.add, key + "2", 500'001, 1, "other");
    expect_little_more("a new element, after that", 30'000);
    const auto before = server_->Contents();
    Start();
    EXPECT_EQ(server_->Contents(), before);
    server_->Run({"EXPIRE", key + "2", "1000"});
    expect_little_more("expire, after a start", 2'000);
    Fill(family.add, key + "2", 500'002, 1, "other");
    expect_little_more("a new element, after a start", 30'000);
    const auto then = server_->Contents();
    Start();
    EXPECT_EQ(server_->Contents(), then);
    server_->Run({"DEL", key + "2"});
  }
}

TEST_F(CheckpointPartsTest, AnyLargeValueKeepsItsObjectWhenItIsRenamed) {
  server_->Run({"SET", "string", std::string(1'000'000, 's')});
  Words list = {"RPUSH", "list"};
  for (int i = 0; i < 20'000; ++i) list.push_back("element:" + std::to_string(i));
  server_->Run(list);
  for (int i = 0; i < 5'000; ++i) server_->Run({"XADD", "stream", "*", "field", "value"});
  ASSERT_TRUE(server_->Checkpoint());
  const uint64_t little = BytesOfLittle();
  for (const std::string key : {"string", "list", "stream"}) {
    SCOPED_TRACE(key);
    server_->Run({"EXPIRE", key, "1000"});
    server_->Run({"RENAME", key, key + "2"});
    ASSERT_TRUE(server_->Checkpoint());
    EXPECT_LT(server_->last_bytes(), little + 2'000);
    const auto before = server_->Contents();
    Start();
    EXPECT_EQ(server_->Contents(), before);
  }
  // And is written when it changes.
  server_->Run({"RPUSH", "list2", "one more"});
  server_->Run({"APPEND", "string2", "one more"});
  server_->Run({"XADD", "stream2", "*", "one", "more"});
  ASSERT_TRUE(server_->Checkpoint());
  EXPECT_GT(server_->last_bytes(), little + 1'000'000);
  const auto before = server_->Contents();
  Start();
  EXPECT_EQ(server_->Contents(), before);
}

TEST_F(CheckpointPartsTest, WhatAFailureLeftOutComesWithTheNext) {
  Fill("HSET", "hash", 0, 5'000, "value");
  EXPECT_FALSE(FailingCheckpoint());  // of all of it
  Fill("HSET", "hash", 5'000, 3, "value");
  ASSERT_TRUE(server_->Checkpoint());
  const auto first = server_->Contents();
  Start();
  EXPECT_EQ(server_->Contents(), first);
  Fill("HSET", "hash", 100, 3, "other");
  EXPECT_FALSE(FailingCheckpoint());
  server_->Run({"EXPIRE", "hash", "1000"});
  server_->Run({"RENAME", "hash", "renamed"});
  EXPECT_FALSE(FailingCheckpoint());
  Remove("HDEL", "renamed", 200, 3);
  ASSERT_TRUE(server_->Checkpoint());
  const auto before = server_->Contents();
  Start();
  EXPECT_EQ(server_->Contents(), before);
}

TEST_F(CheckpointPartsTest, FieldsOfAnySizeComeAndGo) {
  Fill("HSET", "hash", 0, 2'000, "value");
  server_->Run({"HSET", "hash", "large", std::string(1'000'000, 'l'), "larger",
                std::string(3'000'000, 'L')});
  for (const size_t bytes : {size_t{200'000}, size_t{1}, size_t{70'000}, size_t{500'000}}) {
    ASSERT_TRUE(server_->Checkpoint());
    const auto before = server_->Contents();
    Start();
    EXPECT_EQ(server_->Contents(), before);
    server_->Run({"HSET", "hash", "large", std::string(bytes, 'x')});
    server_->Run({"HDEL", "hash", "larger"});
  }
}

TEST_F(CheckpointPartsTest, PartsThatGetEmptyAreGone) {
  Fill("HSET", "hash", 0, 48, std::string(900, 'v'));
  for (uint64_t gone = 0; gone < 30; gone += 3) {
    Remove("HDEL", "hash", gone, 3);
    ASSERT_TRUE(server_->Checkpoint());
    if (gone % 2 != 0) continue;
    const auto before = server_->Contents();
    Start();
    EXPECT_EQ(server_->Contents(), before);
  }
}

// The journal says which objects died when it was written. What is replayed may come out another
// way: then a key may have one of them, and change it.
TEST_F(CheckpointPartsTest, AnObjectThatAKeyHasIsNotDead) {
  Fill("HSET", "hash", 0, 5'000, "value");
  Fill("HSET", "renamed", 0, 5'000, "value");
  ASSERT_TRUE(server_->Checkpoint());
  server_->SayObjectIsDead("hash");
  server_->SayObjectIsDead("renamed");
  Fill("HSET", "hash", 7, 1, "other");
  server_->Run({"RENAME", "renamed", "again"});
  ASSERT_TRUE(server_->Checkpoint());
  const auto before = server_->Contents();
  Start();
  EXPECT_EQ(server_->Contents(), before);
}

// As checkpoints wrote a table before there were parts of it.
TEST_F(CheckpointPartsTest, AWholeTableOfAnOlderDirectoryIsReadAndCutInParts) {
  Fill("HSET", "hash", 0, 20'000, "value");
  const std::string value = server_->ValueOf("hash");
  const auto wanted = server_->Contents();
  const std::unique_ptr<CheckpointFiles> files = store_->NewCheckpoint();
  StoredObject object{.id = ObjectId(0, 1), .size = value.size()};
  object.rdb_type = static_cast<uint8_t>(value[0]);
  const size_t parts = files->NewRun();
  for (size_t at = 0; at < value.size(); at += kObjectPartBytes.count) {
    ASSERT_TRUE(files
                    ->Put(parts, ObjectKey(object.id, object.parts++),
                          value.substr(at, kObjectPartBytes.count))
                    .ok());
  }
  std::string record({1, 2, 0, 0, 7});
  AppendObjectReference(record, object);
  const size_t records = files->NewRun();
  ASSERT_TRUE(
      files->Put(records, EntryKey(0, KeySlot("hash"), KeyHash("hash"), "hash"), record).ok());
  CheckpointInfo info{.sequence = 1, .next_object_serial = 2, .next_database = 1};
  info.databases = {0};
  info.stats = {{1, 0, 0}};
  ASSERT_TRUE(store_->Ingest(*files, info).ok());
  std::string seed;
  {
    std::ifstream format(dir_ + "/FORMAT");
    std::getline(format, seed);
    EXPECT_EQ(seed, "tidegate-data 4");
    std::getline(format, seed);
  }
  std::ofstream(dir_ + "/FORMAT") << "tidegate-data 2\n" << seed << "\n";
  Start();
  EXPECT_EQ(server_->Contents(), wanted);
  server_->Run({"RENAME", "hash", "renamed"});
  ASSERT_TRUE(server_->Checkpoint());
  EXPECT_LT(server_->last_bytes(), 10'000u);
  Fill("HSET", "renamed", 7, 1, "other");
  ASSERT_TRUE(server_->Checkpoint());
  EXPECT_GT(server_->last_bytes(), 300'000u);
  Fill("HSET", "renamed", 8, 1, "other");
  ASSERT_TRUE(server_->Checkpoint());
  EXPECT_LT(server_->last_bytes(), 20'000u);
  const auto before = server_->Contents();
  Start();
  EXPECT_EQ(server_->Contents(), before);
}

// --- at random ---

class RandomChanges final {
 public:
  RandomChanges(Server& server, Random& random) : server_(server), random_(random) {}

  void Change(int round) {
    const std::string key = Key();
    const Family& family = kFamilies[Below(std::size(kFamilies))];
    switch (Below(12)) {
      case 0:
        return server_.Run({"RENAME", key, Key()}, Db());
      case 1:
        return server_.Run({"EXPIRE", key, "1000"}, Db());
      case 2:
        return server_.Run({"PERSIST", key}, Db());
      case 3:
        return Rare(key);
      case 4:
        return server_.Run({"HPEXPIRE", key, "100000000", "FIELDS", "1", Element(round)}, Db());
      case 5:
        return Many(family, key, round, 400);
      default:
        return Many(family, key, round, 8);
    }
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  int Db() { return static_cast<int>(Below(8) == 0 ? 1 : 0); }
  std::string Key() { return "{tag" + std::to_string(Below(2)) + "}" + std::to_string(Below(4)); }
  // Collections grow large and small in turns.
  static bool Grows(int round) { return round % 30 < 20; }
  std::string Element(int round) {
    return "element:" + std::to_string(Below(Grows(round) ? 8'000 : 800));
  }
  std::string Value() { return std::string(Below(200) == 0 ? 80'000 : Below(60), 'v'); }

  void Many(const Family& family, const std::string& key, int round, uint64_t most) {
    const bool adds = Below(10) < (Grows(round) ? 8u : 2u);
    Words words = {adds ? family.add : family.remove, key};
    for (uint64_t left = 1 + Below(most); left > 0; --left) {
      if (adds && family.add[0] == 'Z') words.push_back(std::to_string(Below(1000)));
      words.push_back(Element(round));
      if (adds && family.add[0] == 'H') words.push_back(Value());
    }
    server_.Run(words, Db());
  }
  void Rare(const std::string& key) {
    switch (Below(8)) {
      case 0:
        return server_.Run({"MOVE", key, "1"});
      case 1:
        return server_.Run({"SWAPDB", "0", "1"});
      case 2:
        if (Below(4) == 0) server_.Run({"FLUSHDB"}, Db());
        return;
      case 3:
        return server_.Run({"DEL", key}, Db());
      case 4:
        return server_.Run({"COPY", key, Key(), "REPLACE"}, Db());
      case 5:
        return server_.Run({"SUNIONSTORE", key, Key(), Key()}, Db());
      case 6:
        return server_.Run({"SET", key, std::string(30'000, 's')}, Db());
      default:
        return server_.Run({"ZRANGESTORE", key, Key(), "0", "-1"}, Db());
    }
  }

  Server& server_;
  Random& random_;
};

TEST_F(CheckpointPartsTest, OneThatSucceedsHoldsWhatThereIs) {
  const uint64_t seed = testing::SimSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  using Contents = std::map<std::string, std::string>;
  Contents saved;
  std::vector<Contents> maybe_saved;  // since then, by those that failed, or only said so
  for (int round = 0; round < kRounds; ++round) {
    RandomChanges changes(*server_, random);
    for (uint64_t left = random() % 60; left > 0; --left) changes.Change(round);
    const bool fails = random() % 2 == 0;
    const bool made = fails ? FailingCheckpoint(random() % 40) : server_->Checkpoint();
    ASSERT_TRUE(made || fails) << "round " << round;
    if (made) {
      saved = server_->Contents();
      maybe_saved.clear();
    } else {
      maybe_saved.push_back(server_->Contents());
    }
    if (random() % 4 != 0) continue;
    Start();
    const Contents found = server_->Contents();
    if (std::find(maybe_saved.begin(), maybe_saved.end(), found) != maybe_saved.end())
      saved = found;
    ASSERT_EQ(found, saved) << "round " << round;
    maybe_saved.clear();
  }
}

}  // namespace
}  // namespace tidegate
