#include "storage/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/persist/store.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/storage/persist/fault_file_system.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

std::shared_ptr<const JournalGroup> GroupOf(uint64_t record) {
  JournalGroupBuilder builder;
  builder.Begin(record);
  builder.Add("record " + std::to_string(record));
  return builder.Finish(1);
}

class BackupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = temporary_.File("data");
    env_ = rocksdb::NewCompositeEnv(disk_);
    Result<std::unique_ptr<Store>> opened = Store::Open(
        {.dir = root_ + "/data", .load_truncated = true, .read_only = false, .env = env_.get()});
    ASSERT_TRUE(opened.ok());
    store_ = std::move(opened).value();
  }
  void TearDown() override { store_.reset(); }

  std::string directory() const { return root_ + "/backups"; }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory()))
      names.push_back(entry.path().filename().string());
    return names;
  }
  // How many records a copy has from the first one on, none missing.
  static uint64_t RecordsOf(const std::string& path) {
    Result<std::unique_ptr<Store>> copy =
        Store::Open({.dir = path, .load_truncated = false, .read_only = true});
    if (!copy.ok()) return 0;
    Result<ReplayProgress> done =
        (*copy)->Replay([](std::string_view) -> Status { return {}; }, nullptr);
    return done.ok() ? done->records : 0;
  }

  testing::TemporaryFolder temporary_;
  std::string root_;
  std::shared_ptr<FaultFileSystem> disk_ = std::make_shared<FaultFileSystem>();
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<Store> store_;
};

TEST_F(BackupTest, NamesAreOfTheTimeOrPlain) {
  constexpr int64_t kNow = 1'769'903'999'000;
  EXPECT_EQ(NameOfBackup(directory(), "", kNow).value(), "20260131-235959");
  fs::create_directories(directory() + "/20260131-235959");
  EXPECT_EQ(NameOfBackup(directory(), "", kNow).value(), "20260131-235959-2");
  EXPECT_EQ(NameOfBackup(directory(), "before update", kNow).value(), "before update");
  for (const char* name : {".", "..", ".x", "a/b", "/", "tab\t", "20260131-235959"})
    EXPECT_FALSE(NameOfBackup(directory(), name, kNow).ok()) << name;
}

TEST_F(BackupTest, HoldsWhatWasWrittenWhileOthersWrite) {
  std::atomic<uint64_t> written{0};
  std::atomic<bool> stopping{false};
  std::thread writer([&] {
    for (uint64_t record = 1; !stopping.load(); ++record) {
      EXPECT_TRUE(store_->Write(*GroupOf(record), false).ok());
      written.store(record);
    }
  });
  for (int i = 0; i < 5; ++i) {
    while (written.load() == 0) std::this_thread::yield();
    const uint64_t before = written.load();
    Result<BackupReport> made = MakeBackup(*store_, directory(), std::to_string(i));
    EXPECT_TRUE(made.ok());
    if (!made.ok()) break;
    EXPECT_GE(made->sequence, before);
    EXPECT_EQ(RecordsOf(made->path), made->sequence);
  }
  stopping.store(true);
  writer.join();
}

TEST_F(BackupTest, ADiskThatIsFullLeavesNothingAndTheStoreGoesOn) {
  ASSERT_TRUE(store_->Write(*GroupOf(1), false).ok());
  disk_->FailWith(FaultFileSystem::Fault::kNoSpace);
  Result<BackupReport> made = MakeBackup(*store_, directory(), "x");
  disk_->FailWith(FaultFileSystem::Fault::kNone);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("No space left on device"));
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_TRUE(store_->Write(*GroupOf(2), false).ok());
  EXPECT_TRUE(store_->Sync().ok());
  made = MakeBackup(*store_, directory(), "x");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->sequence, 2u);
  EXPECT_THAT(Names(), ElementsAre("x"));
}

// A failed write of the copy's log, after its file was made.
TEST_F(BackupTest, AFailureAnywhereLeavesNothingAndTheStoreGoesOn) {
  ASSERT_TRUE(store_->Write(*GroupOf(1), false).ok());
  bool whole = false;
  for (uint64_t calls = 1; !whole; ++calls) {
    disk_->FailWritesAfter(calls, root_ + "/backups");
    Result<BackupReport> made = MakeBackup(*store_, directory(), std::to_string(calls));
    disk_->FailWritesAfter(UINT64_MAX, "");
    whole = made.ok();
    if (!whole) EXPECT_THAT(Names(), IsEmpty()) << calls;
    EXPECT_TRUE(store_->Write(*GroupOf(calls + 1), false).ok());
    EXPECT_TRUE(store_->Sync().ok()) << calls;
    ASSERT_LT(calls, 1000u);
  }
}

}  // namespace
}  // namespace tidegate
