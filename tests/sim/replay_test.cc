// Records do again what was done: commands of every type from several workers at once, with
// transactions, clients that wait, keys and fields that expire, eviction, and a clock that moves
// on; then everything that was recorded, in its order, on an empty engine whose values are laid out
// otherwise. Both must hold the same, down to times to live, pending entries and their counts.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine.h"
#include "storage/journal/record_applier.h"
#include "tests/support/effect_capture.h"
#include "tests/support/engine_contents.h"
#include "tests/support/sim_worker.h"
#include "tests/support/writing_client.h"

namespace tidegate {
namespace {

using testing::ContentsOf;
using testing::EffectCapture;
using testing::LoneThread;
using testing::NextCommand;
using testing::Random;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;
using testing::WritingClient;

#ifdef TIDEGATE_SANITIZE
constexpr int kScale = 1;
#else
constexpr int kScale = 4;
#endif
constexpr int kWorkers = 3;
constexpr int kClientsPerWorker = 4;
constexpr int kPhases = 3;

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() : ReplayTest(EngineOptions{}) {}
  explicit ReplayTest(EngineOptions options)
      : engine_(std::move(Engine::Create(options)).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        world_(*engine_, *table_),
        seed_(testing::SimSeed()) {
    engine_->SetEffectSink(&capture_);
    capture_.AnswerLaterEvery(50);
    testing::MakeCollectionsSmall(engine_->settings());
    lone_ = std::make_unique<LoneThread>(*engine_, *table_);
  }

  void RunPhases() {
    for (int phase = 0; phase < kPhases; ++phase) {
      RunPhase(phase);
      ASSERT_EQ(world_.failure(), "") << "seed " << seed_;
      Compare();
      if (HasFailure()) return;
    }
  }

  void RunPhase(int phase) {
    // With the sweep, and without: then commands find more that has expired.
    engine_->settings().active_expire = phase != 1;
    std::vector<std::unique_ptr<SimWorker>> workers;
    for (int i = 0; i < kWorkers; ++i) {
      auto& worker = workers.emplace_back(std::make_unique<SimWorker>(
          world_, i, kWorkers, seed_ + static_cast<uint64_t>(100 * phase)));
      for (int client = 0; client < kClientsPerWorker; ++client)
        worker->Add(std::make_unique<WritingClient>(world_, client == 0 ? 1 : 0, 800 * kScale));
    }
    for (auto& worker : workers) worker->Start();
    std::atomic<bool> running{true};
    std::thread clock([&] {
      while (running) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++world_.now_ms;
      }
    });
    std::thread transactions([&] {
      Random random(seed_ + static_cast<uint64_t>(phase) + 7);
      for (int i = 0; i < 400 * kScale && running; ++i) {
        std::vector<Words> commands(2 + random() % 4);
        for (Words& words : commands) words = NextCommand(random, world_.now_ms);
        lone_->RunTransaction(commands, world_.now_ms, static_cast<int>(random() % 2));
        if (random() % 40 == 0) lone_->Evict(world_.now_ms);
      }
    });
    for (auto& worker : workers) worker->Join();
    transactions.join();
    running = false;
    clock.join();
  }

  // All that was recorded so far, on an empty engine with the limits that servers have.
  void Compare() {
    const int64_t now_ms = world_.now_ms;
    auto other = std::move(Engine::Create({})).value();
    other->settings().stream_node_entries_max = 7;
    LoneThread lone(*other, *table_);
    RecordApplier applier(*other, lone.thread(), *table_);
    const std::vector<std::string> records = capture_.records();
    // Long after, and by a clock that went back.
    for (size_t i = 0; i < records.size(); ++i) {
      const Status status = applier.Apply(records[i], now_ms + (i % 2 == 0 ? 3'600'000 : -9000));
      ASSERT_TRUE(status.ok()) << status.error().message << " of record " << i << ": "
                               << EffectCapture::Text(records[i]) << ", seed " << seed_;
      ASSERT_EQ(applier.miscounted(), 0u)
          << "of record " << i << ": " << EffectCapture::Text(records[i]) << ", seed " << seed_;
    }
    const auto expected = ContentsOf(*lone_, now_ms);
    const auto found = ContentsOf(lone, now_ms);
    EXPECT_GT(records.size(), 100u);
    for (const auto& [key, about] : expected) {
      const auto at = found.find(key);
      ASSERT_TRUE(at != found.end())
          << key << " is missing, seed " << seed_ << EffectCapture::History(records, key.substr(2));
      ASSERT_EQ(at->second, about)
          << key << ", seed " << seed_ << EffectCapture::History(records, key.substr(2));
    }
    for (const auto& [key, about] : found)
      ASSERT_TRUE(expected.contains(key)) << key << " is too many, seed " << seed_
                                          << EffectCapture::History(records, key.substr(2));
    for (const int db : {0, 1})
      EXPECT_EQ(other->StatsOfDb(db).keys, engine_->StatsOfDb(db).keys) << "seed " << seed_;
  }

  EffectCapture capture_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  SimWorld world_;
  uint64_t seed_;
  std::unique_ptr<LoneThread> lone_;
};

TEST_F(ReplayTest, RecordsDoTheSameAgain) { RunPhases(); }

// The same with everything that can be a long command being one.
class ReplayInTurnsTest : public ReplayTest {
 protected:
  ReplayInTurnsTest()
      : ReplayTest({.short_command_elements_max = 1, .long_command_turn_nanos = 0}) {}
};

TEST_F(ReplayInTurnsTest, RecordsDoTheSameAgain) { RunPhases(); }

}  // namespace
}  // namespace tidegate
