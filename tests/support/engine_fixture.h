// TestEngine: an engine with one thread and one client, for tests of data commands.
//
// Run("SET key value") executes a command and gives the reply as RESP text, so a test says what a
// client would see and nothing about how. Time stands still at kStartMs unless the test moves it,
// so expiry needs no sleeping. A command that suspends (yields its turn) is executed again, as a
// session would. One TestEngine per test; not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "storage/command.h"
#include "storage/command_context.h"
#include "storage/engine.h"
#include "storage/request.h"

namespace tidegate::testing {

class TestEngine final {
 public:
  static constexpr int64_t kStartMs = 1'700'000'000'000;
  // Turns after which a command that never ends fails the test.
  static constexpr int kTurnsMax = 100'000;

  TestEngine() : TestEngine(EngineOptions{}) {}
  explicit TestEngine(EngineOptions options)
      : engine_(std::move(Engine::Create(options)).value()),
        table_(CommandTable::Create(StorageCommandFamilies())),
        thread_(&engine_->AddThread(nullptr, nullptr)),
        out_(pool_),
        reply_(out_) {}

  // Words separated by single spaces.
  std::string Run(std::string_view line) {
    std::vector<std::string> words(1);
    for (const char c : line) {
      if (c == ' ') {
        words.emplace_back();
      } else {
        words.back().push_back(c);
      }
    }
    return RunWords(words);
  }

  // Words of any bytes.
  std::string RunWords(const std::vector<std::string>& words) {
    TG_CHECK(!words.empty());
    const std::vector<std::string_view> args(words.begin(), words.end());
    const Command* command = table_->Find(args[0]);
    if (command == nullptr) return "-ERR unknown command '" + words[0] + "'\r\n";
    if (command->is_container() && args.size() > 1) {
      command = CommandTable::FindSubcommand(*command, args[1]);
      if (command == nullptr) return "-ERR unknown subcommand '" + words[1] + "'\r\n";
    }
    if (!command->spec->arity.Accepts(args.size())) {
      return "-ERR wrong number of arguments for '" + command->full_name + "' command\r\n";
    }
    std::vector<int> positions;
    std::vector<KeyRef> keys;
    FindKeyArguments(*command->spec, args, positions);
    for (const int position : positions) {
      keys.push_back(KeyRef::Of(args[static_cast<size_t>(position)]));
    }
    Execute({.command = command, .args = args, .keys = keys});
    return TakeReply();
  }

  // A request of a command that no client can name.
  std::string RunCommand(const Request& request) {
    Execute(request);
    return TakeReply();
  }

  // Calls fn in a command that writes to this key, for tests of what handlers use.
  using Body = std::function<void(Database& db, const KeyRef& key)>;
  void WithDatabase(std::string_view key, const Body& fn) {
    static thread_local const Body* body = nullptr;
    static const CommandSpec kSpec = {.name = "TEST",
                                      .arity = Exactly(2),
                                      .keys = {1, 1, 1},
                                      .access = Access::kWrite,
                                      .scope = Scope::kOneKey,
                                      .group = Group::kGeneric,
                                      .handler = [](CommandContext& context) {
                                        (*body)(context.db(), context.key());
                                        return ExecStatus::kDone;
                                      }};
    body = &fn;
    Command command;
    command.spec = &kSpec;
    command.full_name = "test";
    const std::string_view args[] = {"test", key};
    const KeyRef keys[] = {KeyRef::Of(key)};
    Execute({.command = &command, .args = args, .keys = keys});
  }

  void AdvanceMs(int64_t ms) { now_ms_ += ms; }
  int64_t now_ms() const { return now_ms_; }
  void UseResp3() { reply_.set_protocol(Protocol::kResp3); }

  Engine& engine() { return *engine_; }
  EngineThread& thread() { return *thread_; }
  const CommandTable& table() const { return *table_; }
  ClientState& client() { return client_; }

 private:
  void Execute(const Request& request) {
    for (int turn = 0; turn < kTurnsMax; ++turn) {
      engine_->BeginTurn(*thread_);
      engine_->BeginBatch(*thread_, now_ms_);
      const ExecStatus status = engine_->Execute(*thread_, request, client_, reply_);
      engine_->EndBatch(*thread_);
      if (status != ExecStatus::kSuspended) return;
    }
    TG_CHECK(false && "the command stays suspended");
  }

  std::string TakeReply() {
    std::string text;
    while (!out_.empty()) {
      OutputBuffer::Piece piece{};
      TG_CHECK(out_.Peek(&piece, 1) == 1);
      text.append(piece.data, piece.size);
      out_.Consume(piece.size);
    }
    return text;
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CommandTable> table_;
  EngineThread* thread_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  ClientState client_;
  int64_t now_ms_ = kStartMs;
};

// The RESP text of a bulk string.
inline std::string Bulk(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}
// The RESP text of an integer.
inline std::string Integer(int64_t value) { return ":" + std::to_string(value) + "\r\n"; }

inline constexpr std::string_view kOk = "+OK\r\n";
inline constexpr std::string_view kNull = "$-1\r\n";

}  // namespace tidegate::testing
