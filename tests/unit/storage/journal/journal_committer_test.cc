// Commits of the journal by the threads that need them (JournalCommitter::CommitHere), beside the
// writer's.
#include "storage/journal/journal_committer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine_thread.h"
#include "storage/journal/journal.h"
#include "tests/support/memory_log.h"

namespace tidegate {
namespace {

using std::chrono::milliseconds;

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

// A thread of the engine, with what it is woken with.
struct Client {
  EngineThread* thread = nullptr;
  std::atomic<int> wakes{0};
};

class JournalCommitterTest : public ::testing::Test {
 protected:
  JournalCommitterTest()
      : engine_(std::move(Engine::Create({})).value()),
        journal_(std::make_unique<Journal>(
            log_, JournalOptions{.mode = Appendfsync::kAlways, .retry_time = milliseconds(10)})) {
    Add(client_);
  }

  void Add(Client& client) {
    client.thread = &engine_->AddThread(
        [](void* self, uint64_t) { static_cast<Client*>(self)->wakes.fetch_add(1); }, &client);
  }

  // As a worker does it: by itself if it may, and else it waits to be woken.
  bool Sync(Client& client, uint64_t sequence) {
    while (!journal_->SyncHere(sequence) && journal_->synced() < sequence) {
      const int before = client.wakes;
      journal_->AwaitSynced(sequence, {client.thread, 7});
      if (!Eventually([&] { return client.wakes > before; })) return false;
    }
    return true;
  }
  uint64_t Append() { return journal_->Append(*client_.thread, "record"); }

  // Until the log has shown that it is quick.
  bool BecomesQuick() {
    return Eventually([&] { return Sync(client_, Append()) && journal_->SyncsHere(); });
  }

  std::unique_ptr<Engine> engine_;
  MemoryLog log_;
  Client client_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalCommitterTest, WhoNeedsASyncOfAQuickLogDoesItItself) {
  EXPECT_FALSE(journal_->SyncsHere());  // nothing is known of it
  EXPECT_FALSE(journal_->SyncHere(Append()));
  ASSERT_TRUE(BecomesQuick());
  std::thread::id writer;
  log_.OnWrite([&] { writer = std::this_thread::get_id(); });
  const int wakes = client_.wakes;
  const uint64_t sequence = Append();
  ASSERT_TRUE(journal_->SyncHere(sequence));
  EXPECT_EQ(writer, std::this_thread::get_id());
  EXPECT_EQ(journal_->synced(), sequence);
  EXPECT_EQ(log_.synced(), sequence);
  EXPECT_EQ(client_.wakes, wakes);
}

TEST_F(JournalCommitterTest, ASlowLogIsTheWriters) {
  ASSERT_TRUE(BecomesQuick());
  log_.SetWriteTime(milliseconds(20));
  ASSERT_TRUE(Sync(client_, Append()));  // this one has to find out
  EXPECT_FALSE(journal_->SyncsHere());
  const uint64_t sequence = Append();
  EXPECT_FALSE(journal_->SyncHere(sequence));
  EXPECT_TRUE(Sync(client_, sequence));
  log_.SetWriteTime(milliseconds(0));
  EXPECT_TRUE(BecomesQuick());
}

TEST_F(JournalCommitterTest, ABusyLogAndManyBytesAreTheWriters) {
  ASSERT_TRUE(BecomesQuick());
  log_.SetBusy(true);
  EXPECT_FALSE(journal_->SyncHere(Append()));
  log_.SetBusy(false);
  ASSERT_TRUE(BecomesQuick());
  log_.Block(true);  // the writer must not be faster than the question
  journal_->Append(*client_.thread, std::string(kJournalCommitHereBytesMax.count + 1, 'x'));
  EXPECT_FALSE(journal_->SyncsHere());
  log_.Block(false);
  EXPECT_TRUE(Sync(client_, Append()));
}

TEST_F(JournalCommitterTest, NobodyWaitsForAnothersCommitButIsToldWhenItIsDone) {
  ASSERT_TRUE(BecomesQuick());
  log_.Block(true);
  std::atomic<bool> writes{false};
  log_.OnWrite([&] { writes = true; });
  Client other;
  Add(other);
  const uint64_t first = Append();
  std::thread committing([&] { EXPECT_TRUE(journal_->SyncHere(first)); });
  ASSERT_TRUE(Eventually([&] { return journal_->Stats().waiting_bytes == 0; }));
  const uint64_t second = journal_->Append(*other.thread, "record");
  EXPECT_FALSE(journal_->SyncHere(second));  // and it returns
  journal_->AwaitSynced(second, {other.thread, 7});
  log_.Block(false);
  committing.join();
  EXPECT_TRUE(writes);
  EXPECT_TRUE(Eventually([&] { return other.wakes > 0; }));
  EXPECT_TRUE(Sync(other, second));
  EXPECT_GE(log_.synced(), second);
}

TEST_F(JournalCommitterTest, AFailureOfACommitHereIsTheJournals) {
  ASSERT_TRUE(BecomesQuick());
  log_.Fail("Input/output error");
  const uint64_t sequence = Append();
  EXPECT_FALSE(journal_->SyncHere(sequence));
  EXPECT_TRUE(journal_->broken());
  EXPECT_EQ(journal_->Admit(*client_.thread, {client_.thread, 1}), EffectSink::Admission::kRefused);
  EXPECT_EQ(journal_->refusal(), "MISCONF Errors writing to the AOF file: Input/output error");
  EXPECT_LT(journal_->synced(), sequence);
  log_.Fail("");  // the writer sees to it, whether or not somebody waits
  EXPECT_TRUE(Eventually([&] { return !journal_->failing() && journal_->synced() == sequence; }));
  EXPECT_TRUE(BecomesQuick());
}

TEST_F(JournalCommitterTest, ManyThreadsCommitAndWaitAndMissNothing) {
  constexpr int kThreads = 3;
  constexpr int kRecords = 2000;
  std::vector<Client> clients(kThreads);
  std::vector<std::thread> threads;
  for (Client& client : clients) Add(client);
  std::atomic<int> wrong{0};
  for (Client& client : clients) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRecords; ++i) {
        const uint64_t sequence = journal_->Append(*client.thread, "record");
        if (!Sync(client, sequence) || log_.synced() < sequence) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  ASSERT_TRUE(journal_->Stop().ok());
  EXPECT_EQ(log_.Records().size(), size_t{kThreads} * kRecords);
}

}  // namespace
}  // namespace tidegate
