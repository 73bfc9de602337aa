// Clients that write to everything: random commands of all types over a few keys, and a thread of
// the engine on which a test runs one thing after the other. For tests in which several workers
// change the same data at once.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "tests/support/sim_worker.h"
#include "tests/support/write_commands.h"

namespace tidegate::testing {

// Keys of all types, which share six slots.
inline constexpr uint64_t kWrittenKeys = 12;
// Keys that commands of one type mostly have to themselves: what is in them gets old enough.
inline constexpr std::string_view kWrittenFamilies = "HXZSL";
inline constexpr uint64_t kWrittenKeysOfFamily = 3;

inline std::string KeyName(uint64_t i, char family = 'k') {
  return "{tag" + std::to_string(i % 6) + "}" + family + "ey" + std::to_string(i);
}

// Of a command by its name; 'k': none.
inline char FamilyOf(std::string_view name) {
  if (name.starts_with("GEO") || name.starts_with("BZ")) return 'Z';
  if (name.starts_with("SET") || name.starts_with("SORT")) return 'k';
  if (name.starts_with("BL") || name.starts_with("BR") || name.starts_with("RP")) return 'L';
  return kWrittenFamilies.find(name[0]) != std::string_view::npos ? name[0] : 'k';
}

inline std::string Fill(const std::string& word, char family, Random& random, int64_t now_ms) {
  if (word == "K" && family != 'k') return KeyName(random() % kWrittenKeysOfFamily, family);
  if (word == "K") return KeyName(random() % kWrittenKeys);
  if (word == "F") return "f" + std::to_string(random() % 12);
  if (word == "N") return std::to_string(random() % 20);
  if (word == "#N") return "#" + std::to_string(random() % 20);
  if (word == "T") return std::to_string(1 + random() % 30);
  if (word == "A" || word == "A-0")
    return std::to_string(now_ms - 5 + static_cast<int64_t>(random() % 30)) + word.substr(1);
  if (word == "V") return std::string(random() % 8 == 0 ? 3000 : random() % 90, 'v');
  return word;
}

inline Words NextCommand(Random& random, int64_t now_ms) {
  const bool whole = random() % 3000 == 0;
  std::istringstream line(whole ? kWholeWriteCommands[random() % std::size(kWholeWriteCommands)]
                                : kWriteCommands[random() % std::size(kWriteCommands)]);
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
    if (random() % 16 == 0) return {"GET", KeyName(random() % kWrittenKeys)};
    // Who is in the way, and has no end.
    if (random() % 100 == 0) {
      const char family = kWrittenFamilies[random() % kWrittenFamilies.size()];
      return {"DEL", KeyName(random() % kWrittenKeysOfFamily, family)};
    }
    return NextCommand(random, world_.now_ms);
  }
  void OnReply(const Words& sent, const RespValue& reply) override {
    FailIfMalformed(world_, sent, reply);
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
    std::vector<KeyRef> keys;
    bool whole = false;
    bool everything = false;
    for (const Words& words : commands) {
      const Request& request =
          parsed.emplace_back(std::make_unique<ParsedRequest>(table_, words))->request;
      for (const KeyRef& key : request.keys) slots.push_back(key.slot);
      keys.insert(keys.end(), request.keys.begin(), request.keys.end());
      const Scope scope = ScopeOfCall(*request.command->spec, request.args);
      whole = whole || scope == Scope::kWholeKeyspace || scope == Scope::kSlotBySlot;
      everything = everything || ((request.command->spec->flags & kMeetsAnyKey) != 0 &&
                                  scope != Scope::kManyKeys);
    }
    OutputBuffer out(pool_);
    ReplyWriter reply(out);
    Until(
        [&] {
          const ExecStatus admitted = engine_.AdmitWrite(*thread_, client_);
          if (admitted != ExecStatus::kDone) return admitted;
          const ExecStatus begun = engine_.BeginAtomic(*thread_, slots, whole, client_,
                                                       {.keys = keys, .everything = everything});
          if (begun != ExecStatus::kDone) return begun;
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

// Calls fn(key) for all of them.
template <typename Fn>
void ForEachWrittenKey(Fn&& fn) {
  for (uint64_t i = 0; i < kWrittenKeys; ++i) fn(KeyName(i));
  for (const char family : kWrittenFamilies) {
    for (uint64_t i = 0; i < kWrittenKeysOfFamily; ++i) fn(KeyName(i, family));
  }
}

}  // namespace tidegate::testing
