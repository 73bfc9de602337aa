// Directories of versions that had the journal in the database: what lies there is read, goes on in
// files, and goes with the first checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "storage/checkpoint/big_endian.h"
#include "storage/persist/checkpoint_files.h"
#include "storage/persist/store.h"
#include "tests/support/journal_group_bytes.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::InVersion1;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::shared_ptr<const JournalGroup> GroupOf(uint64_t first,
                                            const std::vector<std::string>& records) {
  JournalGroupBuilder builder;
  builder.Begin(first);
  for (const std::string& record : records) builder.Add(record);
  return builder.Finish(1);
}

std::string KeyOf(uint64_t sequence) {
  std::string key;
  AppendBigEndian(key, sequence, 8);
  return key;
}

class StoredJournalTest : public ::testing::Test {
 protected:
  // A directory of version 3 with these keys and values.
  void Make(const std::vector<std::pair<std::string, std::string>>& stored) {
    std::filesystem::create_directories(dir_);
    std::ofstream(dir_ + "/FORMAT") << "tidegate-data 3\nhash-seed 00000000000000aa\n";
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    std::vector<rocksdb::ColumnFamilyHandle*> families;
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::Open(options, dir_ + "/store",
                          {{rocksdb::kDefaultColumnFamilyName, {}}, {"journal", {}}, {"data", {}}},
                          &families, &opened);
    ASSERT_TRUE(status.ok()) << status.ToString();
    const std::unique_ptr<rocksdb::DB> db(opened);
    for (const auto& [key, value] : stored)
      ASSERT_TRUE(db->Put(rocksdb::WriteOptions(), families[1], key, value).ok());
    for (rocksdb::ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family);
  }
  static std::pair<std::string, std::string> Stored(uint64_t first,
                                                    const std::vector<std::string>& records) {
    return {KeyOf(first), InVersion1(std::string(GroupOf(first, records)->bytes()))};
  }
  std::string Open(Bytes value_bytes_max = kStoreValueBytesMax) {
    store_.reset();
    Result<std::unique_ptr<Store>> opened =
        Store::Open({.dir = dir_, .value_bytes_max = value_bytes_max});
    if (!opened.ok()) return opened.error().message;
    store_ = std::move(opened).value();
    return "";
  }
  std::string Replay() {
    records_.clear();
    Result<ReplayProgress> done = store_->Replay(
        [this](std::string_view record) -> Status {
          records_.emplace_back(record);
          return {};
        },
        nullptr);
    return done.ok() ? "" : done.error().message;
  }
  void Checkpoint(uint64_t sequence) {
    const std::unique_ptr<CheckpointFiles> files = store_->NewCheckpoint();
    CheckpointInfo info;
    info.sequence = sequence;
    ASSERT_TRUE(store_->Ingest(*files, info).ok());
  }

  testing::TemporaryFolder temporary_;
  std::string dir_ = temporary_.File("data");
  std::unique_ptr<Store> store_;
  std::vector<std::string> records_;
};

TEST_F(StoredJournalTest, IsReplayedBeforeTheFiles) {
  Make({Stored(1, {"one", "two"}), Stored(3, {"three"})});
  ASSERT_EQ(Open(), "");
  EXPECT_EQ(store_->hash_seed(), 0xaau);
  EXPECT_EQ(store_->LastRecord(), 3u);
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("one", "two", "three"));
  ASSERT_TRUE(store_->Write(*GroupOf(4, {"four"}), true).ok());
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("one", "two", "three", "four"));
  EXPECT_EQ(store_->Recover().value(), 4u);
}

TEST_F(StoredJournalTest, GoesWithTheCheckpointThatHasAllOfIt) {
  Make({Stored(1, {"one", "two"}), Stored(3, {"three"})});
  ASSERT_EQ(Open(), "");
  ASSERT_TRUE(store_->Write(*GroupOf(4, {"four"}), true).ok());
  Checkpoint(2);
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("three", "four"));
  Checkpoint(3);
  for (int opened = 0; opened < 2; ++opened) {
    ASSERT_EQ(Replay(), "");
    EXPECT_THAT(records_, ElementsAre("four"));
    ASSERT_EQ(Open(), "");
  }
  // A checkpoint of which a later one would be the first to be missing something.
  std::filesystem::remove_all(dir_ + "/journal");
  ASSERT_EQ(Open(), "");
  EXPECT_EQ(store_->LastRecord(), 3u);
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, IsEmpty());
}

TEST_F(StoredJournalTest, ADamagedEndIsDroppedUnlessThereAreFiles) {
  const std::pair<std::string, std::string> damaged = {KeyOf(3), "garbage"};
  Make({Stored(1, {"one", "two"}), damaged});
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("one", "two"));
  ASSERT_TRUE(store_->Write(*GroupOf(3, {"three"}), true).ok());
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("one", "two", "three"));
  store_.reset();
  std::filesystem::rename(dir_ + "/journal", temporary_.File("journal"));
  std::filesystem::remove_all(dir_);
  Make({Stored(1, {"one", "two"}), damaged});
  std::filesystem::rename(temporary_.File("journal"), dir_ + "/journal");
  ASSERT_EQ(Open(), "");
  EXPECT_THAT(Replay(), HasSubstr("the journal's group at record 3 (7 bytes, after "));
}

// As a transaction of more than 4 GiB needed it, with smaller values.
TEST_F(StoredJournalTest, AGroupLongerThanAValueIsInParts) {
  constexpr Bytes kValueMax = 1000_B;
  const std::vector<std::string> records = {std::string(4321, 'v'), std::string(1000, 'w')};
  std::vector<std::pair<std::string, std::string>> stored;
  for (size_t i = 0; i < records.size(); ++i) {
    auto [key, bytes] = Stored(i + 1, {records[i]});
    for (uint32_t part = 0; part * kValueMax.count < bytes.size(); ++part) {
      std::string name = key;
      if (part > 0) AppendBigEndian(name, part, 4);
      stored.emplace_back(name, bytes.substr(part * kValueMax.count, kValueMax.count));
    }
  }
  ASSERT_THAT(stored, SizeIs(7));
  Make(stored);
  ASSERT_EQ(Open(kValueMax), "");
  EXPECT_EQ(store_->LastRecord(), 2u);
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(records_, records);
}

}  // namespace
}  // namespace tidegate
