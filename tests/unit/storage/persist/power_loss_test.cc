// The journal and its store on a disk that loses what was not synced: see fault_file_system.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine_thread.h"
#include "storage/journal/journal.h"
#include "storage/persist/store.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/storage/persist/fault_file_system.h"

namespace tidegate {
namespace {

constexpr int kThreads = 2;
constexpr std::chrono::milliseconds kSoon{5};

using Records = std::map<uint64_t, std::string>;

// What replaying the store gives, by number.
Records RecordsOf(Store& store) {
  std::vector<std::string> records;
  Result<ReplayProgress> done = store.Replay(
      [&](std::string_view record) -> Status {
        records.emplace_back(record);
        return {};
      },
      nullptr);
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
  Records out;
  for (size_t i = 0; i < records.size(); ++i) out[i + 1] = std::move(records[i]);
  return out;
}

struct Disk {
  explicit Disk(std::string path)
      : dir(std::move(path)),
        files(std::make_shared<FaultFileSystem>()),
        env(rocksdb::NewCompositeEnv(files)) {}
  Result<std::unique_ptr<Store>> Open() {
    return Store::Open({.dir = dir, .load_truncated = true, .env = env.get()});
  }
  std::string dir;
  std::shared_ptr<FaultFileSystem> files;
  std::unique_ptr<rocksdb::Env> env;
};

std::string RandomRecord(std::minstd_rand& random) {
  const size_t size = random() % 40 == 0 ? random() % 200'000 : random() % 200;
  std::string record(size, static_cast<char>('a' + random() % 26));
  for (size_t i = 0; i < record.size(); i += 17) record[i] = static_cast<char>(random());
  return record;
}

// Threads that append until they are told to stop.
class Appenders {
 public:
  Appenders(Engine& engine, Journal& journal, uint32_t seed) {
    for (int t = 0; t < kThreads; ++t) {
      EngineThread& thread = engine.AddThread(nullptr, nullptr);
      threads_.emplace_back([this, &journal, &thread, t, seed] {
        std::minstd_rand random(seed * 7 + static_cast<uint32_t>(t) + 1);
        while (!stop_) {
          std::string record = RandomRecord(random);
          if (journal.Admit(thread, {&thread, 1}) == EffectSink::Admission::kYes)
            appended_[t][journal.Append(thread, record)] = record;
          if (random() % 20 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      });
    }
  }
  void StopInto(Records& model) {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    for (const Records& records : appended_) model.insert(records.begin(), records.end());
  }

 private:
  std::atomic<bool> stop_{false};
  Records appended_[kThreads];
  std::vector<std::thread> threads_;
};

// Runs until the plug is pulled; what is there afterwards must be a beginning of what was appended,
// and hold what was said to be synced.
void OnePowerLoss(const std::string& dir, uint32_t seed, Appendfsync mode, Records& model) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::minstd_rand random(seed + 1);
  Disk disk(dir);
  uint64_t synced = 0;
  {
    Result<std::unique_ptr<Store>> store = disk.Open();
    ASSERT_TRUE(store.ok()) << store.error().message;
    ASSERT_EQ(RecordsOf(**store), model);
    const std::unique_ptr<Engine> engine = std::move(Engine::Create({})).value();
    Journal journal(**store, {.mode = mode, .last = model.size(), .retry_time = kSoon});
    Appenders appenders(*engine, journal, seed);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
    disk.files->PowerOff();
    appenders.StopInto(model);
    const Status stopped = journal.Stop();  // what is on its way may still arrive
    EXPECT_EQ(stopped.ok(), journal.synced() == journal.sequence());
    synced = journal.synced();
  }
  disk.files->TearFiles(random);
  Disk after(dir);
  Result<std::unique_ptr<Store>> store = after.Open();
  ASSERT_TRUE(store.ok()) << store.error().message;
  const Records kept = RecordsOf(**store);
  EXPECT_GE(kept.size(), synced);
  for (const auto& [sequence, record] : kept) ASSERT_EQ(record, model[sequence]) << sequence;
  model.erase(model.upper_bound(kept.size()), model.end());
}

// TIDEGATE_POWER_LOSSES asks for more than the usual number.
uint32_t Points(uint32_t usual) {
  const char* wanted = std::getenv("TIDEGATE_POWER_LOSSES");
  return wanted != nullptr ? static_cast<uint32_t>(std::atoi(wanted)) : usual;
}

class PowerLossTest : public ::testing::Test {
 protected:
  void SetUp() override { dir_ = temporary_.File("data"); }

  void Run(Appendfsync mode, uint32_t points) {
    Records model;
    for (uint32_t seed = 0; seed < points && !HasFatalFailure(); ++seed) {
      if (seed % 8 == 0) {  // so that a run does not only grow
        std::filesystem::remove_all(dir_);
        model.clear();
      }
      OnePowerLoss(dir_, seed, mode, model);
    }
  }

  testing::TemporaryFolder temporary_;
  std::string dir_;
};

TEST_F(PowerLossTest, AlwaysLosesNothingThatWasSynced) { Run(Appendfsync::kAlways, Points(48)); }

TEST_F(PowerLossTest, EverysecKeepsABeginning) { Run(Appendfsync::kEverysec, Points(16)); }

class DiskFaultTest : public PowerLossTest {
 protected:
  // Fails in the middle of a load, and heals; nothing may be missing.
  void FailAndHeal(FaultFileSystem::Fault fault, const std::string& text) {
    Disk disk(dir_);
    Records model;
    {
      Result<std::unique_ptr<Store>> store = disk.Open();
      ASSERT_TRUE(store.ok());
      const std::unique_ptr<Engine> engine = std::move(Engine::Create({})).value();
      Journal journal(**store, {.mode = Appendfsync::kEverysec, .last = 0, .retry_time = kSoon});
      Appenders appenders(*engine, journal, 5);
      for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        disk.files->FailWith(fault);
        for (int i = 0; i < 5000 && !journal.failing(); ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_TRUE(journal.failing());
        EXPECT_EQ(journal.refusal(), "MISCONF Errors writing to the AOF file: " + text);
        // Tries to open the store again fail meanwhile, for the same reason.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_EQ(journal.refusal(), "MISCONF Errors writing to the AOF file: " + text);
        disk.files->FailWith(FaultFileSystem::Fault::kNone);
        for (int i = 0; i < 5000 && journal.failing(); ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_FALSE(journal.failing()) << journal.refusal();
      }
      appenders.StopInto(model);
      EXPECT_TRUE(journal.Stop().ok());
    }
    Result<std::unique_ptr<Store>> store = disk.Open();
    ASSERT_TRUE(store.ok());
    EXPECT_EQ(RecordsOf(**store), model);
  }
};

TEST_F(DiskFaultTest, AFullDiskRefusesAndHeals) {
  FailAndHeal(FaultFileSystem::Fault::kNoSpace, "No space left on device");
}

TEST_F(DiskFaultTest, ABrokenDiskRefusesAndHeals) {
  FailAndHeal(FaultFileSystem::Fault::kIoError, "Input/output error");
}

TEST_F(DiskFaultTest, LittleFreeSpaceIsNoticed) {
  Disk disk(dir_);
  Result<std::unique_ptr<Store>> store = disk.Open();
  ASSERT_TRUE(store.ok());
  EXPECT_FALSE((*store)->IsNearlyFull());
  disk.files->SetFreeBytes(kStoreFreeBytesMin.count - 1);
  EXPECT_TRUE((*store)->IsNearlyFull());
  disk.files->SetFreeBytes(kStoreFreeBytesMin.count);
  EXPECT_FALSE((*store)->IsNearlyFull());
}

}  // namespace
}  // namespace tidegate
