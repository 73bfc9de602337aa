#include "storage/persist/journal_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/persist/journal_file_view.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/storage/persist/fault_file_system.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Fault = FaultFileSystem::Fault;

std::shared_ptr<const JournalGroup> GroupOf(uint64_t first, uint64_t records = 1) {
  JournalGroupBuilder builder;
  builder.Begin(first);
  for (uint64_t i = 0; i < records; ++i) builder.Add("record " + std::to_string(first + i));
  return builder.Finish(1);
}

class JournalFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    files_.reset();
    Result<std::unique_ptr<JournalFiles>> opened =
        JournalFiles::Open({.env = env_.get(), .directory = directory_, .file_bytes_max = 90_B});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    files_ = std::move(opened).value();
  }
  // Groups of one record each; of these, two fill a file.
  void Fill(uint64_t from, uint64_t to) {
    for (uint64_t i = from; i <= to; ++i) ASSERT_TRUE(files_->Write(*GroupOf(i), false).ok());
  }
  static std::vector<uint64_t> RecordsOf(const JournalFiles& files) {
    std::vector<uint64_t> records;
    const Status status = files.ForEach([&](const JournalGroupView& group, uint64_t) -> Status {
      for (uint64_t i = group.first(); i <= group.last(); ++i) records.push_back(i);
      return {};
    });
    EXPECT_TRUE(status.ok()) << status.error().message;
    return records;
  }
  std::vector<uint64_t> Records() const { return RecordsOf(*files_); }
  size_t FileCount() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }

  testing::TemporaryFolder temporary_;
  std::string directory_ = temporary_.File("journal");
  std::shared_ptr<FaultFileSystem> disk_ = std::make_shared<FaultFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(disk_);
  std::unique_ptr<JournalFiles> files_;
};

TEST_F(JournalFilesTest, AFullFileIsFollowedByAnother) {
  Fill(1, 5);
  EXPECT_EQ(FileCount(), 3u);
  EXPECT_EQ(files_->last(), 5u);
  EXPECT_THAT(Records(), ElementsAre(1, 2, 3, 4, 5));
  const uint64_t bytes = files_->bytes();
  Open();
  EXPECT_EQ(files_->last(), 5u);
  EXPECT_EQ(files_->bytes(), bytes);
  Fill(6, 6);
  EXPECT_EQ(FileCount(), 4u);
  EXPECT_THAT(Records(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(JournalFilesTest, FilesAreDroppedThatHaveNothingNewer) {
  Fill(1, 5);
  files_->DropUpTo(1);
  EXPECT_THAT(Records(), ElementsAre(1, 2, 3, 4, 5));
  files_->DropUpTo(2);
  EXPECT_THAT(Records(), ElementsAre(3, 4, 5));
  // But never the one that is written to.
  files_->DropUpTo(100);
  EXPECT_THAT(Records(), ElementsAre(5));
  EXPECT_EQ(FileCount(), 1u);
  Open();
  files_->DropUpTo(100);
  EXPECT_THAT(Records(), ElementsAre(5));
  Fill(6, 6);
  files_->DropUpTo(5);
  EXPECT_THAT(Records(), ElementsAre(6));
}

TEST_F(JournalFilesTest, AFailedWriteIsCutOff) {
  Fill(1, 1);
  disk_->FailWith(Fault::kNoSpace);
  const Status failed = files_->Write(*GroupOf(2), false);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("No space left on device"));
  // What a disk that fills up leaves of it.
  const std::string path = directory_ + "/00000000000000000001.log";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + 20);
  EXPECT_FALSE(files_->Recover().ok());  // it is still full
  disk_->FailWith(Fault::kNone);
  EXPECT_EQ(files_->Recover().value(), 1u);
  Fill(2, 3);
  EXPECT_THAT(Records(), ElementsAre(1, 2, 3));
  Open();
  EXPECT_THAT(Records(), ElementsAre(1, 2, 3));
}

TEST_F(JournalFilesTest, WhatAFailedSyncMayHaveLostIsWrittenAgain) {
  for (const bool some_synced : {false, true}) {
    SCOPED_TRACE(some_synced);
    std::filesystem::remove_all(directory_);
    Open();
    ASSERT_TRUE(files_->Write(*GroupOf(1, 3), some_synced).ok());
    ASSERT_TRUE(files_->Write(*GroupOf(4, 3), false).ok());
    disk_->FailWith(Fault::kIoError);
    EXPECT_FALSE(files_->Sync().ok());
    // Twice, with nothing gained in between.
    EXPECT_FALSE(files_->Recover().ok());
    disk_->FailWith(Fault::kIoError, 2);
    EXPECT_FALSE(files_->Recover().ok());
    disk_->FailWith(Fault::kNone);
    EXPECT_FALSE(files_->Sync().ok());  // it would mean nothing
    EXPECT_EQ(files_->Recover().value(), 6u);
    // All of it is on the disk.
    disk_->PowerOff();
    files_.reset();
    std::minstd_rand random(1);
    disk_->TearFiles(random);
    disk_ = std::make_shared<FaultFileSystem>();
    env_ = rocksdb::NewCompositeEnv(disk_);
    Open();
    EXPECT_THAT(Records(), ElementsAre(1, 2, 3, 4, 5, 6));
  }
}

// The sync that comes with cutting off a failed write may be the one that fails.
TEST_F(JournalFilesTest, ASyncThatFailsOnTheWayBackIsNotBelievedEither) {
  ASSERT_TRUE(files_->Write(*GroupOf(1, 3), false).ok());
  disk_->FailWith(Fault::kIoError);
  EXPECT_FALSE(files_->Write(*GroupOf(4), false).ok());
  disk_->FailWith(Fault::kIoError, 1);
  EXPECT_FALSE(files_->Recover().ok());
  disk_->FailWith(Fault::kNone);
  EXPECT_EQ(files_->Recover().value(), 3u);
  disk_->PowerOff();
  files_.reset();
  std::minstd_rand random(1);
  disk_->TearFiles(random);
  disk_ = std::make_shared<FaultFileSystem>();
  env_ = rocksdb::NewCompositeEnv(disk_);
  Open();
  EXPECT_THAT(Records(), ElementsAre(1, 2, 3));
}

TEST_F(JournalFilesTest, ACopyIsOfTheMoment) {
  Fill(1, 5);
  const std::string copy = temporary_.File("copy");
  ASSERT_TRUE(files_->CopyTo(copy).ok());
  Fill(6, 7);
  files_->DropUpTo(6);
  Result<std::unique_ptr<JournalFiles>> copied =
      JournalFiles::Open({.env = env_.get(), .directory = copy, .read_only = true});
  ASSERT_TRUE(copied.ok()) << copied.error().message;
  EXPECT_THAT(RecordsOf(**copied), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ((*copied)->last(), 5u);
}

TEST_F(JournalFilesTest, OfADirectoryThatIsNotThereNothingIsReadAndNothingMade) {
  const std::string none = temporary_.File("none");
  Result<std::unique_ptr<JournalFiles>> opened =
      JournalFiles::Open({.env = env_.get(), .directory = none, .read_only = true});
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_THAT(RecordsOf(**opened), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(none));
}

TEST(JournalFileView, SurvivesAnyBytes) {
  std::minstd_rand random(3);
  std::string whole;
  for (uint64_t i = 1; i < 10; i += 3) whole += GroupOf(i, 3)->bytes();
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = whole.substr(0, random() % (whole.size() + 1));
    for (uint32_t changes = random() % 3; changes > 0 && !bytes.empty(); --changes)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    JournalFileView view(bytes);
    while (view.Next() == JournalFileView::Found::kGroup) ASSERT_LE(view.end(), bytes.size());
    static_cast<void>(view.HasGroupBehind());
    EXPECT_NE(view.Next(), JournalFileView::Found::kGroup);
  }
}

}  // namespace
}  // namespace tidegate
