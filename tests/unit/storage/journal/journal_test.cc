#include "storage/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine_thread.h"
#include "storage/journal/journal_writer.h"
#include "tests/support/memory_log.h"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds kSoon{10};

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : engine_(std::move(Engine::Create({})).value()) {}

  void Open(Appendfsync mode, uint64_t last = 0) {
    journal_ = std::make_unique<Journal>(
        log_, JournalOptions{.mode = mode, .last = last, .retry_time = kSoon});
  }
  EngineThread& AddThread() {
    return engine_->AddThread(
        [](void* self, uint64_t ticket) {
          static_cast<JournalTest*>(self)->woken_.store(ticket);
          static_cast<JournalTest*>(self)->wakes_.fetch_add(1);
        },
        this);
  }

  std::unique_ptr<Engine> engine_;
  MemoryLog log_;
  std::unique_ptr<Journal> journal_;
  std::atomic<uint64_t> woken_{0};
  std::atomic<int> wakes_{0};
};

TEST_F(JournalTest, WritesWhatManyThreadsAppendInOneDenseOrder) {
  constexpr int kThreads = 4;
  constexpr int kRecords = 20000;
  Open(Appendfsync::kNo, 100);
  std::vector<std::vector<uint64_t>> numbers(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    EngineThread& thread = AddThread();
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRecords; ++i) {
        numbers[t].push_back(journal_->Append(thread, std::to_string(t) + ":" + std::to_string(i)));
        if (i % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(journal_->Stop().ok());
  uint64_t first = 0;
  const std::vector<std::string> records = log_.Records(&first);
  EXPECT_EQ(first, 101u);
  ASSERT_EQ(records.size(), static_cast<size_t>(kThreads) * kRecords);
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kRecords; ++i)
      ASSERT_EQ(records[numbers[t][i] - first], std::to_string(t) + ":" + std::to_string(i));
  }
  EXPECT_EQ(log_.synced(), 100u + records.size());
  EXPECT_LT(log_.group_count(), records.size() / 10);
}

TEST_F(JournalTest, AFastProducerWaitsForRoomAndIsWoken) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  log_.Block(true);
  const std::string record(100'000, 'x');
  const Waiter waiter{&thread, 42};
  int appended = 0;
  while (journal_->Admit(thread, waiter) == EffectSink::Admission::kYes) {
    journal_->Append(thread, record);
    ASSERT_LT(++appended, 2000);
  }
  EXPECT_LE(journal_->Stats().waiting_bytes, kJournalRingBytesMax.count + 2 * record.size());
  EXPECT_EQ(journal_->Stats().waits, 1u);
  // The writer may make room once, for it merges ahead of what it writes.
  while (woken_.exchange(0) == 42 && journal_->Admit(thread, waiter) == EffectSink::Admission::kYes)
    journal_->Append(thread, record);
  log_.Block(false);
  EXPECT_TRUE(
      Eventually([&] { return journal_->Admit(thread, waiter) == EffectSink::Admission::kYes; }));
  EXPECT_TRUE(Eventually([&] { return journal_->Stats().waiting_bytes == 0; }));
}

TEST_F(JournalTest, UnderPressureNothingIsAdmittedForAPartOfTheTime) {
  EngineThread& thread = AddThread();
  std::atomic<double> pressure{1};
  journal_ = std::make_unique<Journal>(
      log_, JournalOptions{.mode = Appendfsync::kEverysec,
                           .last = 0,
                           .retry_time = kSoon,
                           .pressure = [&](uint64_t, uint64_t) { return pressure.load(); }});
  const Waiter waiter{&thread, 42};
  const auto admits = [&] {
    return journal_->Admit(thread, waiter) == EffectSink::Admission::kYes;
  };
  EXPECT_TRUE(Eventually([&] { return !admits(); }));
  // All of it: who waits goes on waiting, and what was let in before is written all the same.
  const uint64_t sequence = journal_->Append(thread, "record");
  EXPECT_TRUE(Eventually([&] { return journal_->Stats().written_sequence == sequence; }));
  journal_->Forget(waiter);
  wakes_ = 0;
  EXPECT_FALSE(admits());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(wakes_, 0);
  pressure = 0;
  EXPECT_TRUE(Eventually([&] { return wakes_ > 0; }));
  EXPECT_TRUE(admits());
  // A part of it: it opens and closes, as long as there is something to write. Looked at all the
  // time, for it does so in even steps.
  pressure = 0.5;
  const auto comes_to = [&](bool admitted) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (admits() != admitted) {
      admitted ? journal_->Forget(waiter) : static_cast<void>(journal_->Append(thread, "record"));
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  };
  for (int turn = 0; turn < 5; ++turn) {
    EXPECT_TRUE(comes_to(false));
    EXPECT_TRUE(comes_to(true));
  }
}

TEST_F(JournalTest, AForgottenWaiterIsNotWoken) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  log_.Block(true);
  const std::string record(1'000'000, 'x');
  const Waiter waiter{&thread, 42};
  EXPECT_TRUE(Eventually([&] {
    if (journal_->Admit(thread, waiter) == EffectSink::Admission::kLater) return wakes_ == 0;
    journal_->Append(thread, record);
    wakes_ = 0;
    return false;
  }));
  journal_->Forget(waiter);
  log_.Block(false);
  EXPECT_TRUE(Eventually([&] { return journal_->Stats().waiting_bytes == 0; }));
  EXPECT_EQ(wakes_, 0);
}

TEST_F(JournalTest, AlwaysWakesWhenSynced) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kAlways);
  for (int i = 0; i < 50; ++i) {
    wakes_ = 0;
    const uint64_t sequence = journal_->Append(thread, "record");
    journal_->AwaitSynced(sequence, {&thread, 7});
    EXPECT_TRUE(Eventually([&] { return wakes_ > 0; }));
    EXPECT_GE(journal_->synced(), sequence);
    EXPECT_GE(log_.synced(), sequence);
  }
}

// The writer asks the system for short slices, and by that for the usual class of scheduling.
TEST_F(JournalTest, ItsWriterStaysInTheProcesssClassOfScheduling) {
  std::thread([this] {
    const sched_param priority{};
    ASSERT_EQ(sched_setscheduler(0, SCHED_BATCH, &priority), 0);
    Open(Appendfsync::kAlways);
  }).join();
  EngineThread& thread = AddThread();
  const uint64_t sequence = journal_->Append(thread, "record");
  journal_->AwaitSynced(sequence, {&thread, 7});
  ASSERT_TRUE(Eventually([&] { return journal_->synced() == sequence; }));
  int writers = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name != "journal") continue;
    ++writers;
    EXPECT_EQ(sched_getscheduler(std::stoi(task.path().filename())), SCHED_BATCH);
  }
  EXPECT_EQ(writers, 1);
}

TEST_F(JournalTest, EverysecSyncsWithinAboutASecond) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  const uint64_t sequence = journal_->Append(thread, "record");
  journal_->AwaitSynced(sequence, {&thread, 7});
  EXPECT_TRUE(Eventually([&] { return wakes_ > 0; }));
  EXPECT_EQ(log_.synced(), sequence);
}

TEST_F(JournalTest, EverysecSyncsSoonerWhenThereIsMuch) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  const std::string record(kJournalSyncBytes.count / 4, 'x');
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    uint64_t sequence = 0;
    for (int i = 0; i < 4; ++i) sequence = journal_->Append(thread, record);
    ASSERT_TRUE(Eventually([&] { return journal_->synced() >= sequence; }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(kRounds / 2));
  EXPECT_LE(journal_->tail().bytes(), kJournalTailBytesMax.count + 4 * record.size() + 1000);
}

// What expires and is evicted is recorded without being let in.
TEST_F(JournalTest, RemovalsRestWhileItFailsAndWhileARingIsFull) {
  EngineThread& thread = AddThread();
  std::atomic<bool> rest{false};
  Open(Appendfsync::kEverysec);
  journal_->SetRest(rest);
  log_.Fail("No space left on device");
  journal_->Append(thread, "first");
  EXPECT_TRUE(Eventually([&] { return rest.load(); }));
  log_.Fail("");
  EXPECT_TRUE(Eventually([&] { return !rest; }));
  log_.Block(true);
  const std::string record(10'000, 'x');
  size_t bytes = 0;
  while (!rest && bytes < 100'000'000) bytes += (journal_->Append(thread, record), record.size());
  EXPECT_TRUE(rest);
  EXPECT_LT(journal_->Stats().waiting_bytes, kJournalRingBytesMax.count + kJournalBlockBytes.count);
  log_.Block(false);
  EXPECT_TRUE(Eventually([&] { return !rest; }));
  log_.SetNearlyFull(true);
  EXPECT_TRUE(Eventually([&] {
    journal_->Append(thread, "record");
    return rest.load();
  }));
  log_.SetNearlyFull(false);
  EXPECT_TRUE(Eventually([&] { return !rest; }));
  journal_.reset();
}

TEST_F(JournalTest, ModeChangesTakeEffectAtOnce) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kNo);
  const uint64_t sequence = journal_->Append(thread, "record");
  EXPECT_TRUE(Eventually([&] { return journal_->Stats().written_sequence == sequence; }));
  EXPECT_EQ(log_.synced(), 0u);
  journal_->SetMode(Appendfsync::kAlways);
  EXPECT_TRUE(Eventually([&] { return journal_->synced() == sequence; }));
}

TEST_F(JournalTest, AFailureRefusesWritesKeepsRecordsAndHeals) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  const Waiter waiter{&thread, 1};
  log_.Fail("No space left on device");
  journal_->Append(thread, "first");
  ASSERT_TRUE(Eventually([&] { return journal_->failing(); }));
  EXPECT_EQ(journal_->Admit(thread, waiter), EffectSink::Admission::kRefused);
  EXPECT_EQ(journal_->refusal(), "MISCONF Errors writing to the AOF file: No space left on device");
  journal_->Append(thread, "second");  // of a command that was under way
  log_.Fail("Input/output error");
  EXPECT_TRUE(Eventually([&] {
    return journal_->refusal() == "MISCONF Errors writing to the AOF file: Input/output error";
  }));
  log_.Fail("");
  ASSERT_TRUE(Eventually([&] { return !journal_->failing(); }));
  EXPECT_EQ(journal_->Admit(thread, waiter), EffectSink::Admission::kYes);
  EXPECT_THAT(log_.Records(), ::testing::ElementsAre("first", "second"));
  EXPECT_EQ(journal_->synced(), 2u);
}

TEST_F(JournalTest, AlwaysSaysNothingIsSyncedWhileItFails) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kAlways);
  log_.Fail("Input/output error");
  const uint64_t sequence = journal_->Append(thread, "record");
  journal_->AwaitSynced(sequence, {&thread, 7});
  ASSERT_TRUE(Eventually([&] { return wakes_ > 0; }));  // to see that it fails
  EXPECT_TRUE(journal_->broken());
  EXPECT_LT(journal_->synced(), sequence);
  wakes_ = 0;
  journal_->AwaitSynced(sequence, {&thread, 7});
  log_.Fail("");
  ASSERT_TRUE(Eventually([&] { return wakes_ > 0 && journal_->synced() == sequence; }));
  EXPECT_EQ(log_.synced(), sequence);
}

TEST_F(JournalTest, WritesAgainWhatARecoveredLogHasLost) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  for (int i = 1; i <= 10; ++i) {
    const uint64_t sequence = journal_->Append(thread, "record" + std::to_string(i));
    ASSERT_TRUE(Eventually([&] { return journal_->Stats().written_sequence == sequence; }));
  }
  log_.Fail("Input/output error");
  journal_->Append(thread, "record11");
  ASSERT_TRUE(Eventually([&] { return journal_->failing(); }));
  log_.LoseUnsynced();
  log_.Fail("");
  ASSERT_TRUE(Eventually([&] { return !journal_->failing(); }));
  EXPECT_EQ(log_.Records().size(), 11u);
  EXPECT_EQ(log_.synced(), 11u);
}

TEST_F(JournalTest, ANearlyFullDiskRefusesWritesAndStillTakesWhatIsUnderWay) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kAlways);
  log_.SetNearlyFull(true);
  ASSERT_TRUE(Eventually([&] {
    journal_->Append(thread, "record");
    return journal_->failing();
  }));
  EXPECT_FALSE(journal_->broken());
  const uint64_t sequence = journal_->Append(thread, "record");
  journal_->AwaitSynced(sequence, {&thread, 7});
  EXPECT_TRUE(Eventually([&] { return journal_->synced() == sequence; }));
  log_.SetNearlyFull(false);
  EXPECT_TRUE(Eventually([&] { return !journal_->failing(); }));
}

TEST_F(JournalTest, StopSaysWhenTheEndCouldNotBeWritten) {
  EngineThread& thread = AddThread();
  Open(Appendfsync::kEverysec);
  log_.Fail("No space left on device");
  journal_->Append(thread, "record");
  const Status stopped = journal_->Stop();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().message, "No space left on device");
}

}  // namespace
}  // namespace tidegate
