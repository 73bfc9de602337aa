#include "storage/persist/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "storage/persist/wal_check.h"
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

JournalGroup Garbage(uint64_t first) {
  constexpr std::string_view kBytes = "garbage";
  std::unique_ptr<char[]> bytes(new char[kBytes.size()]);
  kBytes.copy(bytes.get(), kBytes.size());
  return {first, 1, std::move(bytes), kBytes.size()};
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { dir_ = temporary_.File("data"); }
  void TearDown() override { store_.reset(); }

  // "" or the error.
  std::string Open(bool load_truncated = true, Bytes value_bytes_max = kStoreValueBytesMax) {
    store_.reset();
    Result<std::unique_ptr<Store>> opened = Store::Open({.dir = dir_,
                                                         .load_truncated = load_truncated,
                                                         .env = nullptr,
                                                         .value_bytes_max = value_bytes_max});
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
  std::string Wal() const {
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/store")) {
      if (entry.path().extension() == ".log" && std::filesystem::file_size(entry.path()) > 0)
        return entry.path().string();
    }
    return "";
  }
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
  EXPECT_GT(store_->Stats().memory_bytes, 0u);
}

// As a transaction of more than 4 GiB would need it, with smaller values.
TEST_F(StoreTest, AGroupLongerThanAValueIsStoredInParts) {
  constexpr Bytes kValueMax = 1000_B;
  std::string varied(4321, '\0');
  for (size_t i = 0; i < varied.size(); ++i) varied[i] = static_cast<char>(i * 7 + i / 256);
  // What fills a value to the last byte, and one that begins with a full value and ends there.
  const std::string exact(1000 - kJournalGroupHeaderBytes - 2, 'e');
  const std::string twice(2000 - kJournalGroupHeaderBytes - 2, 't');
  const std::vector<std::string> all = {"small", varied, exact, twice, varied};
  ASSERT_EQ(Open(true, kValueMax), "");
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(store_->Write(*GroupOf(i + 1, {all[i]}), false).ok());
    Result<uint64_t> last = store_->Recover();
    ASSERT_TRUE(last.ok());
    EXPECT_EQ(*last, i + 1);
  }
  ASSERT_EQ(Open(true, kValueMax), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(records_, all);
  EXPECT_EQ(last_, all.size());
}

TEST_F(StoreTest, ADamagedGroupInPartsIsDroppedWhole) {
  constexpr Bytes kValueMax = 3_B;
  ASSERT_EQ(Open(true, kValueMax), "");
  ASSERT_TRUE(store_->Write(*GroupOf(1, {"one"}), false).ok());
  ASSERT_TRUE(store_->Write(Garbage(2), true).ok());  // three parts
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("one"));
  ASSERT_TRUE(store_->Write(*GroupOf(2, {"two"}), true).ok());
  ASSERT_EQ(Open(true, kValueMax), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, ElementsAre("one", "two"));
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
  std::ofstream(dir_ + "/FORMAT") << "tidegate-data 4\n";
  EXPECT_THAT(Open(), HasSubstr("written by a newer version of Tidegate; this one reads up to 3"));
  std::ofstream(dir_ + "/FORMAT") << "something else\n";
  EXPECT_THAT(Open(), HasSubstr("is no format file of Tidegate"));
}

TEST_F(StoreTest, ATornEndIsDropped) {
  Fill(5);
  const std::string wal = Wal();
  std::filesystem::resize_file(wal, std::filesystem::file_size(wal) - 5);
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 8u);
}

TEST_F(StoreTest, ATornEndOfAnEarlierStartIsNoDamage) {
  Fill(5);
  std::string wal = Wal();
  std::filesystem::resize_file(wal, std::filesystem::file_size(wal) - 5);
  ASSERT_EQ(Open(), "");  // goes on in a log of its own
  ASSERT_TRUE(store_->Write(*GroupOf(9, {"r9"}), false).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(10, {"r10"}), false).ok());
  store_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/store")) {
    const std::string path = entry.path().string();
    if (path.ends_with(".log") && path > wal && std::filesystem::file_size(path) > 0) wal = path;
  }
  Flip(wal, std::filesystem::file_size(wal) - 3);
  ASSERT_EQ(Open(), "");
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 9u);
}

TEST_F(StoreTest, GarbageAtTheEndIsDroppedUnlessThatIsNotWanted) {
  Fill(5);
  const std::string wal = Wal();
  Flip(wal, std::filesystem::file_size(wal) - 3);
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
  Fill(2000);  // more than one block of the log
  const std::string wal = Wal();
  Flip(wal, std::filesystem::file_size(wal) / 3);
  const std::string error = Open();
  EXPECT_THAT(error, HasSubstr(wal + " is damaged at byte"));
  EXPECT_THAT(error, HasSubstr("there are records behind it"));
}

TEST_F(StoreTest, ADamagedGroupIsDroppedAtTheEndAndRefusedInTheMiddle) {
  Fill(2);
  ASSERT_EQ(Open(), "");
  ASSERT_TRUE(store_->Write(Garbage(5), true).ok());
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 4u);
  EXPECT_THAT(records_, SizeIs(4));
  // It is gone: what follows takes its place.
  ASSERT_TRUE(store_->Write(*GroupOf(5, {"r5"}), true).ok());
  ASSERT_EQ(Replay(), "");
  EXPECT_EQ(last_, 5u);
  ASSERT_TRUE(store_->Write(Garbage(6), true).ok());
  ASSERT_TRUE(store_->Write(*GroupOf(7, {"r7"}), true).ok());
  EXPECT_THAT(Replay(), HasSubstr("the journal's group at record 6 (7 bytes, after "));
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
  // More than all memtables hold.
  const std::string record(1'000'000, 'x');
  for (uint64_t i = 1; i <= 130; ++i) ASSERT_TRUE(store_->Write(*GroupOf(i, {record}), false).ok());
  ASSERT_EQ(Replay(), "");
  EXPECT_THAT(records_, SizeIs(130));
  EXPECT_FALSE(store_->IsNearlyFull());
  EXPECT_GT(store_->Stats().disk_bytes, 125'000'000u);
  EXPECT_LT(store_->Stats().disk_bytes, 140'000'000u);
  EXPECT_LT(store_->Stats().memory_bytes, 80'000'000u);
}

}  // namespace
}  // namespace tidegate
