// Checkpoints in the store: what comes in, is read, and lets the journal go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "base/hash.h"
#include "storage/checkpoint/stored_record.h"
#include "storage/persist/checkpoint_files.h"
#include "storage/persist/store.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/storage/persist/fault_file_system.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint16_t kSlots = 3;

// Keys of a few slots, by where they stand.
struct Place {
  uint32_t database = 0;
  uint16_t slot = 0;
  uint64_t hash = 0;
  std::string key;
  friend bool operator==(const Place&, const Place&) = default;
  friend bool operator<(const Place& a, const Place& b) {
    return std::tie(a.database, a.slot, a.hash, a.key) <
           std::tie(b.database, b.slot, b.hash, b.key);
  }
};
struct Value {
  std::string bytes;
  uint64_t object = 0;
  bool operator==(const Value&) const = default;
};
using Model = std::map<Place, Value>;

Place PlaceOf(uint32_t database, const std::string& key) {
  return {database, static_cast<uint16_t>(KeySlot(key) % kSlots), KeyHash(key), key};
}

// Without an expiry.
std::string Record(std::string_view value) {
  return std::string({1, 0, 0, 0, 7}) + std::string(value);
}
std::string ObjectRecord(uint64_t object, std::string_view value) {
  std::string out({1, 2, 0, 0, 7});
  const uint64_t parts = (value.size() + kObjectPartBytes.count - 1) / kObjectPartBytes.count;
  AppendObjectReference(out, {.id = object,
                              .size = value.size(),
                              .parts = static_cast<uint32_t>(parts),
                              .rdb_type = static_cast<uint8_t>(value[0])});
  return out;
}

std::shared_ptr<const JournalGroup> GroupOf(uint64_t first, uint64_t records) {
  JournalGroupBuilder builder;
  builder.Begin(first);
  for (uint64_t i = 0; i < records; ++i) builder.Add("r" + std::to_string(first + i));
  return builder.Finish(1);
}

Model ReadAll(Store& store, uint32_t databases) {
  Model found;
  for (uint32_t database = 0; database < databases; ++database) {
    for (uint16_t slot = 0; slot < kSlots; ++slot) {
      uint64_t last = 0;
      const Status read = store.ReadSlot(database, slot, 0, [&](const StoredEntry& entry) {
        EXPECT_LE(last, entry.hash);
        EXPECT_EQ(entry.access, 7u);
        last = entry.hash;
        found[{database, slot, entry.hash, std::string(entry.key)}] = {std::string(entry.value),
                                                                       entry.object.id};
        return true;
      });
      EXPECT_TRUE(read.ok()) << read.error().message;
    }
  }
  return found;
}

// What it takes from one model to the next.
Status WriteDifference(CheckpointFiles& files, const Model& from, const Model& to) {
  const size_t run = files.NewRun();
  std::map<std::string, std::string> parts;
  for (const auto& [place, value] : from) {
    if (value.object != 0 && (!to.contains(place) || to.at(place) != value))
      files.DeleteRange(PartsOfObjects(value.object, value.object));
  }
  Model both = from;
  both.insert(to.begin(), to.end());
  for (const auto& [place, ignored] : both) {
    const std::string key = EntryKey(place.database, place.slot, place.hash, place.key);
    const auto now = to.find(place);
    if (now == to.end()) {
      TG_RETURN_IF_ERROR(files.Delete(run, key));
      continue;
    }
    const auto before = from.find(place);
    if (before != from.end() && before->second == now->second) continue;
    const Value& value = now->second;
    TG_RETURN_IF_ERROR(files.Put(
        run, key,
        value.object == 0 ? Record(value.bytes) : ObjectRecord(value.object, value.bytes)));
    if (value.object == 0) continue;
    for (size_t at = 0, part = 0; at < value.bytes.size(); at += kObjectPartBytes.count, ++part) {
      parts[ObjectKey(value.object, static_cast<uint32_t>(part))] =
          value.bytes.substr(at, kObjectPartBytes.count);
    }
  }
  const size_t object_run = files.NewRun();
  for (const auto& [key, part] : parts) TG_RETURN_IF_ERROR(files.Put(object_run, key, part));
  return {};
}

CheckpointInfo InfoAt(uint64_t sequence) {
  CheckpointInfo info;
  info.sequence = sequence;
  info.unix_ms = 5;
  info.next_object_serial = 9;
  info.next_database = 3;
  info.databases = {0, 2};
  info.stats = {{1, 0, 0}, {5, 4, 3}};
  return info;
}

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = temporary_.File("data");
    Open();
  }
  void TearDown() override { store_.reset(); }
  void Open() {
    store_.reset();
    Result<std::unique_ptr<Store>> opened = Store::Open({.dir = dir_});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = std::move(opened).value();
  }
  // "" or the error.
  std::string Replay() {
    records_.clear();
    Result<ReplayProgress> done = store_->Replay(
        [this](std::string_view record) -> Status {
          records_.emplace_back(record);
          return {};
        },
        nullptr);
    if (!done.ok()) return done.error().message;
    last_ = done->last;
    return "";
  }
  void Checkpoint(uint64_t sequence, const Model& from, const Model& to) {
    const std::unique_ptr<CheckpointFiles> files = store_->NewCheckpoint();
    ASSERT_TRUE(WriteDifference(*files, from, to).ok());
    const Status ingested = store_->Ingest(*files, InfoAt(sequence));
    ASSERT_TRUE(ingested.ok()) << ingested.error().message;
  }
  size_t FilesLeft() const {
    const std::filesystem::directory_iterator files(dir_ + "/checkpoint");
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  testing::TemporaryFolder temporary_;
  std::string dir_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> records_;
  uint64_t last_ = 0;
};

TEST_F(CheckpointStoreTest, GivesBackWhatCameIn) {
  EXPECT_FALSE(store_->checkpoint().has_value());
  Model first;
  for (int i = 0; i < 500; ++i)
    first[PlaceOf(static_cast<uint32_t>(i % 3), "key:" + std::to_string(i))] = {
        std::string(static_cast<size_t>(1 + i), 'v'), 0};
  const std::string large(3 * kObjectPartBytes.count + 5, 'L');
  first[PlaceOf(1, "large")] = {large, ObjectId(1, 1)};
  Checkpoint(10, {}, first);
  EXPECT_EQ(ReadAll(*store_, 3), first);
  EXPECT_EQ(store_->checkpoint()->Encode(), InfoAt(10).Encode());

  Model second = first;
  second.erase(PlaceOf(0, "key:0"));
  second[PlaceOf(1, "key:1")] = {"other", 0};
  second[PlaceOf(1, "large")] = {std::string(kInlineBytesMax.count + 1, 'S'), ObjectId(1, 2)};
  Checkpoint(20, first, second);
  Open();
  EXPECT_EQ(ReadAll(*store_, 3), second);
  EXPECT_EQ(store_->checkpoint_sequence(), 20u);
  EXPECT_EQ(FilesLeft(), 0u);

  std::string value;
  const auto read = [&](const Place& place) {
    value.clear();
    Result<bool> found = store_->Read(place.database, place.slot, place.hash, place.key,
                                      [&](const StoredEntry& entry) { value = entry.value; });
    return found.ok() && *found;
  };
  EXPECT_TRUE(read(PlaceOf(1, "key:1")));
  EXPECT_EQ(value, "other");
  EXPECT_TRUE(read(PlaceOf(1, "large")));
  EXPECT_EQ(value, second[PlaceOf(1, "large")].bytes);
  EXPECT_FALSE(read(PlaceOf(0, "key:0")));
  EXPECT_FALSE(read(PlaceOf(0, "key:1")));  // of another database
}

TEST_F(CheckpointStoreTest, AFlushedDatabaseIsGoneAsAWhole) {
  Model first;
  for (int i = 0; i < 300; ++i)
    first[PlaceOf(static_cast<uint32_t>(i % 3), std::to_string(i))] = {"v", 0};
  first[PlaceOf(1, "large")] = {std::string(kObjectPartBytes.count, 'L'), ObjectId(1, 1)};
  Checkpoint(1, {}, first);
  const std::unique_ptr<CheckpointFiles> files = store_->NewCheckpoint();
  files->DeleteAll(EntriesOfDatabases(1, 1));
  files->DeleteAll(ObjectsOfDatabases(1, 1));
  ASSERT_TRUE(store_->Ingest(*files, InfoAt(2)).ok());
  std::erase_if(first, [](const auto& item) { return item.first.database == 1; });
  EXPECT_EQ(ReadAll(*store_, 3), first);
  Open();
  EXPECT_EQ(ReadAll(*store_, 3), first);
}

TEST_F(CheckpointStoreTest, ReadsASlotFromAPlaceOnUntilItIsEnough) {
  Model model;
  for (int i = 0; i < 100; ++i) model[PlaceOf(0, std::to_string(i))] = {"v", 0};
  Checkpoint(1, {}, model);
  std::vector<uint64_t> hashes;
  for (const auto& [place, value] : model) {
    if (place.slot == 1) hashes.push_back(place.hash);
  }
  ASSERT_GT(hashes.size(), 10u);
  std::vector<uint64_t> seen;
  ASSERT_TRUE(store_
                  ->ReadSlot(0, 1, hashes[4],
                             [&](const StoredEntry& entry) {
                               seen.push_back(entry.hash);
                               return seen.size() < 3;
                             })
                  .ok());
  EXPECT_THAT(seen, ElementsAre(hashes[4], hashes[5], hashes[6]));
}

TEST_F(CheckpointStoreTest, TheJournalIsReadFromWhereTheCheckpointEnds) {
  ASSERT_TRUE(store_->Write(*GroupOf(1, 3), false).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(4, 3), false).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(7, 2), false).ok());
  Checkpoint(5, {}, {});
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("r6", "r7", "r8"));
  EXPECT_EQ(last_, 8u);
  Open();
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("r6", "r7", "r8"));
  // A crash lost the end of the journal, which the checkpoint has.
  Checkpoint(12, {}, {});
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, IsEmpty());
  EXPECT_EQ(last_, 12u);
  Result<uint64_t> kept = store_->Recover();
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  EXPECT_EQ(*kept, 12u);
  ASSERT_TRUE(store_->Write(*GroupOf(13, 1), true).ok());
  Open();
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("r13"));
  // But nothing may be missing after it.
  Checkpoint(20, {}, {});
  ASSERT_TRUE(store_->Write(*GroupOf(22, 1), true).ok());
  EXPECT_THAT(Replay(), HasSubstr("at record 22 comes after record 20: some are missing"));
}

TEST_F(CheckpointStoreTest, WhatTheCheckpointHoldsOfTheJournalIsDropped) {
  JournalGroupBuilder builder;
  const std::string record(1'000'000, 'x');
  for (uint64_t i = 1; i <= 200; ++i) {
    builder.Begin(i);
    builder.Add(record);
    ASSERT_TRUE(store_->Write(*builder.Finish(1), false).ok());
  }
  Open();  // all of it is in files then
  EXPECT_FALSE(store_->IsNearlyFull());
  const uint64_t before = store_->Stats().disk_bytes;
  EXPECT_GT(before, 190'000'000u);
  Checkpoint(150, {}, {});
  EXPECT_FALSE(store_->IsNearlyFull());
  EXPECT_LT(store_->Stats().disk_bytes, before * 6 / 10);
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(records_.size(), 50u);
}

TEST_F(CheckpointStoreTest, WhatWasNotTakenInIsSwept) {
  {
    const std::unique_ptr<CheckpointFiles> files = store_->NewCheckpoint();
    ASSERT_TRUE(files->Put(files->NewRun(), EntryKey(0, 0, 1, "a"), Record("v")).ok());
  }
  EXPECT_EQ(FilesLeft(), 0u);
  std::ofstream(dir_ + "/checkpoint/000007.sst") << "of a process that was killed";
  Open();
  EXPECT_EQ(FilesLeft(), 0u);
  EXPECT_THAT(ReadAll(*store_, 1), IsEmpty());
}

TEST_F(CheckpointStoreTest, DamageIsSaid) {
  const std::unique_ptr<CheckpointFiles> files = store_->NewCheckpoint();
  const size_t run = files->NewRun();
  ASSERT_TRUE(files->Put(run, EntryKey(0, 0, 1, "a"), "\x09").ok());
  ASSERT_TRUE(files->Put(run, EntryKey(0, 1, 1, "b"), ObjectRecord(ObjectId(0, 1), "Value")).ok());
  ASSERT_TRUE(store_->Ingest(*files, InfoAt(1)).ok());
  const auto ignore = [](const StoredEntry&) { return true; };
  EXPECT_EQ(store_->ReadSlot(0, 0, 0, ignore).error().message,
            "the record of key \"a\" is damaged: a record of version 9");
  EXPECT_EQ(store_->ReadSlot(0, 1, 0, ignore).error().message,
            "the record of key \"b\" is damaged: part 0 of it is missing");
}

TEST_F(CheckpointStoreTest, ADirectoryOfVersionOneBecomesOneOfThisVersion) {
  ASSERT_TRUE(store_->Write(*GroupOf(1, 3), false).ok());
  store_.reset();
  std::ofstream(dir_ + "/FORMAT") << "tidegate-data 1\n";
  Open();
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("r1", "r2", "r3"));
  const uint64_t seed = store_->hash_seed();
  std::ifstream format(dir_ + "/FORMAT");
  std::string line;
  std::getline(format, line);
  EXPECT_EQ(line, "tidegate-data 4");
  const uint64_t mine = KeyHashSeed();
  SetKeyHashSeed(mine + 1);
  Open();
  SetKeyHashSeed(mine);
  EXPECT_EQ(store_->hash_seed(), seed);
}

// --- power losses ---

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }

 private:
  std::minstd_rand random_;
};

// Changes some of it; objects get fresh ids.
Model Changed(Model model, Dice& dice, uint64_t& serial, bool& flushed) {
  flushed = dice.Below(6) == 0;
  if (flushed) std::erase_if(model, [](const auto& item) { return item.first.database == 1; });
  const uint64_t changes = dice.Below(60);
  for (uint64_t i = 0; i < changes; ++i) {
    const uint32_t database = flushed ? 0 : static_cast<uint32_t>(dice.Below(2));
    const Place place = PlaceOf(database, "key:" + std::to_string(dice.Below(80)));
    const char letter = static_cast<char>('a' + dice.Below(26));
    if (dice.Below(3) == 0) {
      model.erase(place);
    } else if (dice.Below(5) == 0) {
      model[place] = {std::string(20'000 + dice.Below(200'000), letter),
                      ObjectId(database, ++serial)};
    } else {
      model[place] = {std::string(1 + dice.Below(300), letter), 0};
    }
  }
  return model;
}

// Checkpoints until the power goes off, somewhere in the writing of one. Then the store holds it or
// the one before, and the journal from there on.
TEST_F(CheckpointStoreTest, AfterAPowerLossOneOfTwoCheckpointsStandsWhole) {
  const char* wanted = std::getenv("TIDEGATE_POWER_LOSSES");
  const uint32_t points = wanted != nullptr ? static_cast<uint32_t>(std::atoi(wanted)) : 24;
  store_.reset();
  std::filesystem::remove_all(dir_);
  Model before;
  uint64_t serial = 0;
  uint64_t sequence = 0;  // of the checkpoint
  uint64_t newest = 0;    // record
  for (uint32_t seed = 0; seed < points; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed + 1);
    auto disk = std::make_shared<FaultFileSystem>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    Model after;
    uint64_t next = newest;
    bool ingested = false;
    {
      Result<std::unique_ptr<Store>> store = Store::Open({.dir = dir_, .env = env.get()});
      ASSERT_TRUE(store.ok()) << store.error().message;
      disk->PowerOffAfter(dice.Below(160));
      for (bool ok = true; ok;) {
        const uint64_t records = 1 + dice.Below(5);
        // Some of it may not be written yet when the checkpoint comes.
        ok = (*store)->Write(*GroupOf(next + 1, records), dice.Below(4) == 0).ok();
        if (!ok) break;
        next += records;
        if (dice.Below(3) != 0) continue;
        bool flushed = false;
        after = Changed(before, dice, serial, flushed);
        const std::unique_ptr<CheckpointFiles> files = (*store)->NewCheckpoint();
        if (flushed) {
          files->DeleteAll(EntriesOfDatabases(1, 1));
          files->DeleteAll(ObjectsOfDatabases(1, 1));
        }
        ok = WriteDifference(*files, before, after).ok() &&
             (*store)->Ingest(*files, InfoAt(next)).ok();
        ingested = ok;
        if (!ok) break;
        before = after;
        sequence = next;
      }
    }
    std::minstd_rand random(seed);
    disk->TearFiles(random);
    Open();
    ASSERT_FALSE(HasFatalFailure());
    const uint64_t kept = store_->checkpoint_sequence();
    ASSERT_TRUE(kept == sequence || (!ingested && kept == next)) << kept << " " << sequence;
    if (kept != sequence) {
      before = after;
      sequence = kept;
    }
    ASSERT_EQ(ReadAll(*store_, 2), before);
    ASSERT_EQ(Replay(), "");
    for (size_t i = 0; i < records_.size(); ++i)
      ASSERT_EQ(records_[i], "r" + std::to_string(kept + 1 + i));
    ASSERT_EQ(FilesLeft(), 0u);
    store_.reset();
    newest = last_;
  }
}

}  // namespace
}  // namespace tidegate
