// Records do again what was done: commands of every type from several workers at once, with
// transactions, clients that wait, keys and fields that expire, eviction, and a clock that moves
// on; then everything that was recorded, in its order, on an empty engine whose values are laid out
// otherwise. Both must hold the same, down to times to live, pending entries and their counts.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/introspection.h"
#include "storage/journal/record_applier.h"
#include "storage/slot_set.h"
#include "tests/support/effect_capture.h"
#include "tests/support/sim_worker.h"
#include "tests/support/write_commands.h"

namespace tidegate {
namespace {

using testing::EffectCapture;
using testing::Random;
using testing::RespValue;
using testing::SimClient;
using testing::SimWorker;
using testing::SimWorld;
using testing::Words;

#ifdef TIDEGATE_SANITIZE
constexpr int kScale = 1;
#else
constexpr int kScale = 4;
#endif
constexpr int kWorkers = 3;
constexpr int kClientsPerWorker = 4;
constexpr int kPhases = 3;
constexpr uint64_t kKeys = 12;
// Keys that commands of one type mostly have to themselves: what is in them gets old enough.
constexpr std::string_view kFamilies = "HXZSL";
constexpr uint64_t kKeysOfFamily = 3;

std::string KeyName(uint64_t i, char family = 'k') {
  return "{tag" + std::to_string(i % 6) + "}" + family + "ey" + std::to_string(i);
}

// Of a command by its name; 'k': none.
char FamilyOf(std::string_view name) {
  if (name.starts_with("GEO") || name.starts_with("BZ")) return 'Z';
  if (name.starts_with("SET") || name.starts_with("SORT")) return 'k';
  if (name.starts_with("BL") || name.starts_with("BR") || name.starts_with("RP")) return 'L';
  return kFamilies.find(name[0]) != std::string_view::npos ? name[0] : 'k';
}

std::string Fill(const std::string& word, char family, Random& random, int64_t now_ms) {
  if (word == "K" && family != 'k') return KeyName(random() % kKeysOfFamily, family);
  if (word == "K") return KeyName(random() % kKeys);
  if (word == "F") return "f" + std::to_string(random() % 12);
  if (word == "N") return std::to_string(random() % 20);
  if (word == "#N") return "#" + std::to_string(random() % 20);
  if (word == "T") return std::to_string(1 + random() % 30);
  if (word == "A" || word == "A-0")
    return std::to_string(now_ms - 5 + static_cast<int64_t>(random() % 30)) + word.substr(1);
  if (word == "V") return std::string(random() % 8 == 0 ? 3000 : random() % 90, 'v');
  return word;
}

Words NextCommand(Random& random, int64_t now_ms) {
  const bool whole = random() % 3000 == 0;
  std::istringstream line(
      whole ? testing::kWholeWriteCommands[random() % std::size(testing::kWholeWriteCommands)]
            : testing::kWriteCommands[random() % std::size(testing::kWriteCommands)]);
  Words words;
  char family = 'k';
  for (std::string word; line >> word;) {
    if (words.empty() && random() % 3 != 0) family = FamilyOf(word);
    words.push_back(Fill(word, family, random, now_ms));
  }
  return words;
}

class WritingClient final : public SimClient {
 public:
  WritingClient(SimWorld& world, int db, int commands) : world_(world), db_(db), left_(commands) {}

  int db() const override { return db_; }
  Words Next(Random& random) override {
    if (left_-- == 0) return {};
    // Reads find what has expired.
    if (random() % 16 == 0) return {"GET", KeyName(random() % kKeys)};
    // Who is in the way, and has no end.
    if (random() % 100 == 0) {
      const char family = kFamilies[random() % kFamilies.size()];
      return {"DEL", KeyName(random() % kKeysOfFamily, family)};
    }
    return NextCommand(random, world_.now_ms);
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    if (reply.type != '-') return;
    const bool malformed = reply.text.find("syntax") != std::string::npos ||
                           reply.text.find("unknown") != std::string::npos ||
                           reply.text.find("wrong number") != std::string::npos;
    if (malformed) world_.Fail(sent[0] + ": " + reply.text);
  }

 private:
  SimWorld& world_;
  int db_;
  int left_;
};

// A request with its keys, as a parser makes it.
struct ParsedRequest {
  ParsedRequest(const CommandTable& table, Words words_in) : words(std::move(words_in)) {
    args.assign(words.begin(), words.end());
    const Command* command = table.Find(args[0]);
    if (command->is_container()) command = CommandTable::FindSubcommand(*command, args[1]);
    std::vector<int> positions;
    TG_CHECK(FindKeyArguments(*command->spec, args, positions));
    for (const int position : positions)
      keys.push_back(KeyRef::Of(args[static_cast<size_t>(position)]));
    request = {.command = command, .args = args, .keys = keys};
  }
  ParsedRequest(const ParsedRequest&) = delete;
  ParsedRequest& operator=(const ParsedRequest&) = delete;

  Words words;
  std::vector<std::string_view> args;
  std::vector<KeyRef> keys;
  Request request;
};

// A thread of the engine that runs one thing after the other, and sleeps while it is suspended.
class LoneThread final {
 public:
  LoneThread(Engine& engine, const CommandTable& table)
      : engine_(engine), table_(table), thread_(&engine.AddThread(&LoneThread::Wake, this)) {}

  std::string Run(const Words& words, int64_t now_ms, int db = 0) {
    const ParsedRequest parsed(table_, words);
    return Run(parsed.request, now_ms, db);
  }
  std::string Run(const Request& request, int64_t now_ms, int db) {
    client_.db = db;
    OutputBuffer out(pool_);
    ReplyWriter reply(out);
    reply.set_protocol(Protocol::kResp3);
    Until([&] { return engine_.Execute(*thread_, request, client_, reply); }, now_ms);
    return out.CopyFrom(0);
  }
  void RunTransaction(const std::vector<Words>& commands, int64_t now_ms, int db) {
    client_.db = db;
    std::vector<std::unique_ptr<ParsedRequest>> parsed;
    std::vector<uint16_t> slots;
    bool whole = false;
    for (const Words& words : commands) {
      const Request& request =
          parsed.emplace_back(std::make_unique<ParsedRequest>(table_, words))->request;
      for (const KeyRef& key : request.keys) slots.push_back(key.slot);
      const Scope scope = ScopeOfCall(*request.command->spec, request.args);
      whole = whole || scope == Scope::kWholeKeyspace || scope == Scope::kSlotBySlot;
    }
    OutputBuffer out(pool_);
    ReplyWriter reply(out);
    Until(
        [&] {
          const ExecStatus admitted = engine_.AdmitWrite(*thread_, client_);
          if (admitted != ExecStatus::kDone) return admitted;
          if (engine_.BeginAtomic(*thread_, slots, whole, client_) == ExecStatus::kSuspended)
            return ExecStatus::kSuspended;
          for (const auto& one : parsed)
            engine_.ExecuteAtomic(*thread_, one->request, client_, reply);
          engine_.EndAtomic(*thread_);
          return ExecStatus::kDone;
        },
        now_ms);
  }
  // Evicts a few keys.
  void Evict(int64_t now_ms) {
    EngineSettings& settings = engine_.settings();
    settings.maxmemory_policy = EvictionPolicy::kAllKeysRandom;
    settings.maxmemory_bytes = 1;
    thread_->eviction.turn_nanos_left = 1;
    engine_.BeginBatch(*thread_, now_ms);
    (void)engine_.MakeRoom(*thread_);
    engine_.EndBatch(*thread_);
    settings.maxmemory_bytes = 0;
  }
  EngineThread& thread() { return *thread_; }

 private:
  template <typename Try>
  void Until(Try&& attempt, int64_t now_ms) {
    for (;;) {
      engine_.BeginBatch(*thread_, now_ms);
      const ExecStatus status = attempt();
      engine_.EndBatch(*thread_);
      if (status != ExecStatus::kSuspended) return;
      std::unique_lock lock(mutex_);
      ASSERT_TRUE(signal_.wait_for(lock, std::chrono::seconds(60), [this] { return woken_; }));
      woken_ = false;
    }
  }
  static void Wake(void* self, uint64_t /*ticket*/) {
    auto& lone = *static_cast<LoneThread*>(self);
    const std::lock_guard lock(lone.mutex_);
    lone.woken_ = true;
    lone.signal_.notify_one();
  }

  Engine& engine_;
  const CommandTable& table_;
  EngineThread* thread_;
  ClientState client_;
  OutputBlockPool pool_;
  std::mutex mutex_;
  std::condition_variable signal_;
  bool woken_ = false;
};

// The reply behind a name, of one that says names and values.
std::string ValueAfter(const std::string& reply, const std::string& name) {
  const size_t begin = reply.find("\r\n" + name + "\r\n") + name.size() + 4;
  size_t end = reply.find("\r\n", begin);
  if (reply[begin] == '$') end = reply.find("\r\n", end + 2);
  return name + " " + reply.substr(begin, end - begin) + "\n";
}

// What an engine holds: for each key, everything about it that a client can see and that is not how
// it is laid out.
std::map<std::string, std::string> ContentsOf(LoneThread& lone, int64_t now_ms) {
  std::map<std::string, std::string> contents;
  std::vector<std::string> names;
  for (uint64_t i = 0; i < kKeys; ++i) names.push_back(KeyName(i));
  for (const char family : kFamilies) {
    for (uint64_t i = 0; i < kKeysOfFamily; ++i) names.push_back(KeyName(i, family));
  }
  for (const int db : {0, 1}) {
    for (const std::string& key : names) {
      const std::string type = lone.Run({"TYPE", key}, now_ms, db);
      if (type == "+none\r\n") continue;
      std::string& about = contents[std::to_string(db) + ":" + key];
      const std::string_view args[] = {"DEBUG", "DIGEST-VALUE", key};
      const KeyRef keys[] = {KeyRef::Of(key)};
      about =
          type + lone.Run({"PEXPIRETIME", key}, now_ms, db) +
          lone.Run({.command = &DebugDigestValueCommand(), .args = args, .keys = keys}, now_ms, db);
      if (type == "+hash\r\n") {
        Words words = {"HPEXPIRETIME", key, "FIELDS", "12"};
        for (int f = 0; f < 12; ++f) words.push_back("f" + std::to_string(f));
        about += lone.Run(words, now_ms, db);
      }
      if (type == "+stream\r\n") {
        const std::string info = lone.Run({"XINFO", "STREAM", key}, now_ms, db);
        for (const char* name : {"length", "last-generated-id", "max-deleted-entry-id",
                                 "entries-added", "recorded-first-entry-id", "groups"}) {
          about += ValueAfter(info, name);
        }
        about += lone.Run({"XINFO", "GROUPS", key}, now_ms, db) +
                 lone.Run({"XPENDING", key, "g", "-", "+", "1000"}, now_ms, db);
      }
    }
  }
  return contents;
}

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
    EngineSettings& settings = engine_->settings();
    settings.hash_listpack_entries_max = 6;
    settings.set_listpack_entries_max = 6;
    settings.set_intset_entries_max = 4;
    settings.zset_listpack_entries_max = 6;
    settings.list_listpack_size = 4;
    settings.stream_node_entries_max = 3;
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
    }
    const auto expected = ContentsOf(*lone_, now_ms);
    const auto found = ContentsOf(lone, now_ms);
    EXPECT_GT(records.size(), 100u);
    for (const auto& [key, about] : expected) {
      const auto at = found.find(key);
      ASSERT_TRUE(at != found.end()) << key << " is missing, seed " << seed_ << Trace(records, key);
      ASSERT_EQ(at->second, about) << key << ", seed " << seed_ << Trace(records, key);
    }
    for (const auto& [key, about] : found)
      ASSERT_TRUE(expected.contains(key))
          << key << " is too many, seed " << seed_ << Trace(records, key);
    for (const int db : {0, 1})
      EXPECT_EQ(other->StatsOfDb(db).keys, engine_->StatsOfDb(db).keys) << "seed " << seed_;
  }

  // The last records that name the key.
  static std::string Trace(const std::vector<std::string>& records, const std::string& key) {
    const std::string name = key.substr(2);
    std::string text;
    int left = 40;
    for (size_t i = records.size(); i > 0 && left > 0; --i) {
      const std::string record = EffectCapture::Text(records[i - 1]);
      if (record.find(name) == std::string::npos && record.find("DB") == std::string::npos)
        continue;
      text.insert(0, "\n" + record.substr(0, 300));
      --left;
    }
    return text;
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
