#include "storage/persist/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "storage/persist/journal_files.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::shared_ptr<const JournalGroup> GroupOf(uint64_t first,
                                            const std::vector<std::string>& records) {
  JournalGroupBuilder builder;
  builder.Begin(first);
  for (const std::string& record : records) builder.Add(record);
  return builder.Finish(1);
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { dir_ = temporary_.File("data"); }
  void TearDown() override { store_.reset(); }

  // "" or the error.
  std::string Open(bool load_truncated = true) {
    store_.reset();
    Result<std::unique_ptr<Store>> opened =
        Store::Open({.dir = dir_, .load_truncated = load_truncated});
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
    if (!done.ok()) return done.error().message;
    last_ = done->last;
    return "";
  }
  // Groups of two records each, one after the other, and closes.
  void Fill(int groups) {
    ASSERT_EQ(Open(), "");
    for (int i = 0; i < groups; ++i) {
      const auto first = static_cast<uint64_t>(2 * i + 1);
      ASSERT_TRUE(
          store_->Write(*GroupOf(first, {"r" + std::to_string(first), "second"}), false).ok());
    }
    store_.reset();
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/journal"))
      files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    return files;
  }
  std::string LastFile() const { return Files().back(); }
  static void Flip(const std::string& path, uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 0x55));
  }

  testing::TemporaryFolder temporary_;
  std::string dir_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> records_;
  uint64_t last_ = 0;
};

TEST_F(StoreTest, GivesBackWhatWasWritten) {
  Fill(3);
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("r1", "second", "r3", "second", "r5", "second"));
  EXPECT_EQ(last_, 6u);
  ASSERT_TRUE(store_->Write(*GroupOf(7, {"r7"}), false).ok());
  ASSERT_TRUE(store_->Sync().ok());
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 7u);
  EXPECT_FALSE(store_->IsNearlyFull());
  EXPECT_GT(store_->Stats().disk_bytes, 0u);
}

TEST_F(StoreTest, AnEmptyOneReplaysNothing) {
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 0u);
}

TEST_F(StoreTest, ADirectoryInUseIsRefused) {
  ASSERT_EQ(Open(), "");
  const Result<std::unique_ptr<Store>> second = Store::Open({.dir = dir_});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("is in use by another process"));
}

TEST_F(StoreTest, ANewerFormatIsRefused) {
  ASSERT_EQ(Open(), "");
  store_.reset();
  std::ofstream(dir_ + "/FORMAT") << "tidegate-data 5\n";
  EXPECT_THAT(Open(), HasSubstr("written by a newer version of Tidegate; this one reads up to 4"));
  std::ofstream(dir_ + "/FORMAT") << "something else\n";
  EXPECT_THAT(Open(), HasSubstr("is no format file of Tidegate"));
}

TEST_F(StoreTest, ATornEndIsDropped) {
  for (const bool load_truncated : {true, false}) {
    std::filesystem::remove_all(dir_);
    Fill(5);
    const std::string file = LastFile();
    const uint64_t group_bytes = std::filesystem::file_size(file) / 5;
    for (uint64_t cut = 5; cut < group_bytes; cut += 10) {
      std::filesystem::resize_file(file, group_bytes * 5 - cut);
      ASSERT_EQ(Open(load_truncated), "") << cut;
      ASSERT_EQ(Replay(), "");
      EXPECT_EQ(last_, 8u);
      EXPECT_EQ(std::filesystem::file_size(file), group_bytes * 4);
    }
  }
}

TEST_F(StoreTest, ATornEndOfAnEarlierStartIsNoDamage) {
  Fill(5);
  std::filesystem::resize_file(LastFile(), std::filesystem::file_size(LastFile()) - 5);
  ASSERT_EQ(Open(), "");  // goes on in a file of its own
  ASSERT_TRUE(store_->Write(*GroupOf(9, {"r9"}), false).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(10, {"r10"}), false).ok());
  store_.reset();
  ASSERT_THAT(Files(), SizeIs(2));
  Flip(LastFile(), std::filesystem::file_size(LastFile()) - 3);
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 9u);
}

TEST_F(StoreTest, ZerosAtTheEndAreNoDamage) {
  Fill(3);
  const std::string file = LastFile();
  const uint64_t bytes = std::filesystem::file_size(file);
  std::filesystem::resize_file(file, bytes + 100);
  ASSERT_EQ(Open(false), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 6u);
  EXPECT_EQ(std::filesystem::file_size(file), bytes);
}

TEST_F(StoreTest, AFileWithoutAGroupIsRemoved) {
  Fill(3);
  std::ofstream(dir_ + "/journal/00000000000000000007.log") << "half a group";
  std::ofstream(dir_ + "/journal/notes.txt") << "not ours";
  ASSERT_EQ(Open(), "");
  EXPECT_THAT(Files(), SizeIs(2));
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 6u);
  ASSERT_TRUE(store_->Write(*GroupOf(7, {"r7"}), true).ok());
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 7u);
}

TEST_F(StoreTest, GarbageAtTheEndIsDroppedUnlessThatIsNotWanted) {
  Fill(5);
  Flip(LastFile(), std::filesystem::file_size(LastFile()) - 3);
  EXPECT_THAT(Open(false), HasSubstr("is damaged at byte"));
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 8u);
  // And is not found again behind what is written next.
  ASSERT_TRUE(store_->Write(*GroupOf(9, {"r9"}), true).ok());
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 9u);
}

TEST_F(StoreTest, DamageInTheMiddleIsRefused) {
  Fill(4);
  const std::string file = LastFile();
  const uint64_t group_bytes = std::filesystem::file_size(file) / 4;
  // Wherever in a group, its size among it.
  for (uint64_t at = group_bytes; at < 2 * group_bytes; at += 3) {
    Flip(file, at);
    const std::string error = Open();
    EXPECT_THAT(error, HasSubstr(file + " is damaged at byte " + std::to_string(group_bytes)));
    EXPECT_THAT(error, HasSubstr("there are records behind it"));
    Flip(file, at);
  }
  ASSERT_EQ(Open(), "");
  ASSERT_TRUE(store_->Write(*GroupOf(9, {"r9"}), true).ok());
  // In a file that is not the last one whatever is wrong is in the middle.
  Flip(file, 4 * group_bytes - 3);
  EXPECT_THAT(Replay(), HasSubstr(file + " is damaged at byte " + std::to_string(3 * group_bytes)));
  std::filesystem::resize_file(file, 4 * group_bytes - 3);
  EXPECT_THAT(Replay(), HasSubstr(file + " ends within a record, after byte "));
  std::filesystem::resize_file(file, 3 * group_bytes);
  EXPECT_THAT(Replay(), HasSubstr("at record 9 comes after record 6: some are missing"));
}

TEST_F(StoreTest, AMissingGroupIsRefused) {
  Fill(2);
  ASSERT_EQ(Open(), "");
  ASSERT_TRUE(store_->Write(*GroupOf(6, {"r6"}), true).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(7, {"r7"}), true).ok());
  EXPECT_THAT(Replay(), HasSubstr("at record 6 comes after record 4: some are missing"));
}

TEST_F(StoreTest, WhatApplyingSaysEndsTheReplay) {
  Fill(2);
  ASSERT_EQ(Open(), "");
  const Result<ReplayProgress> done = store_->Replay(
      [](std::string_view record) -> Status {
        if (record == "r3") return Error{"no such command"};
        return {};
      },
      nullptr);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message, "record 3: no such command");
}

TEST_F(StoreTest, TakesABoundedPartOfMemory) {
  ASSERT_EQ(Open(), "");
  const std::string record(1'000'000, 'x');
  for (uint64_t i = 1; i <= 130; ++i) ASSERT_TRUE(store_->Write(*GroupOf(i, {record}), false).ok());
  EXPECT_THAT(Files(), SizeIs(8));  // of 17 records each
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, SizeIs(130));
  EXPECT_FALSE(store_->IsNearlyFull());
  EXPECT_GT(store_->Stats().disk_bytes, 130'000'000u);
  EXPECT_LT(store_->Stats().disk_bytes, 131'000'000u);
  EXPECT_LT(store_->Stats().memory_bytes, 10'000'000u);
}

TEST_F(StoreTest, ARecordLongerThanAFileHasOneOfItsOwn) {
  ASSERT_EQ(Open(), "");
  const std::string record(3 * kJournalFileBytesMax.count, 'x');
  ASSERT_TRUE(store_->Write(*GroupOf(1, {record}), false).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(2, {"two"}), false).ok());
  EXPECT_THAT(Files(), SizeIs(2));
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre(record, "two"));
}

}  // namespace
}  // namespace tidegate
