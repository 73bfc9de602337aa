// ScriptExecution: one try to run a script, and what its calls do in the engine.
//
// Made by EVAL's handler for each time that it is executed; what lasts from one try to the next is
// in ScriptProgress, the client's continuation. Owner: the handler's stack.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/script/scripting.h"
#include "storage/command_context.h"
#include "storage/engine.h"
#include "storage/extra_slots.h"
#include "storage/script_interpreter.h"

namespace tidegate {

class Worker;

struct ScriptProgress final : ClientState::Continuation {
  explicit ScriptProgress(Scripting& owner) : scripting(owner) { scope = Scope::kManyKeys; }
  ~ScriptProgress() override { GiveTokenBack(); }

  bool TakeToken(Waiter waiter) {
    if (!has_token) has_token = scripting.token().Take(waiter);
    return has_token;
  }
  void GiveTokenBack() {
    if (!has_token) return;
    has_token = false;
    scripting.token().GiveBack();
  }

  Scripting& scripting;
  bool has_token = false;
};

class ScriptExecution final : private ScriptHost {
 public:
  struct Form {
    bool by_sha = false;
    bool read_only = false;
  };

  ScriptExecution(CommandContext& context, Worker& worker, Form form);
  ~ScriptExecution() override;
  ScriptExecution(const ScriptExecution&) = delete;
  ScriptExecution& operator=(const ScriptExecution&) = delete;

  // As a handler: replies, or suspends.
  ExecStatus Run(size_t key_count);

 private:
  enum class Mode : uint8_t { kInline, kFiber, kExclusive };
  // Why the script was made to end.
  enum class End : uint8_t {
    kNone,
    kAnew,     // it is run again, with the token
    kAnyKey,   // it is run again, behind the gate
    kOnDisk,   // it is run again, when missing_ are in memory
    kKilled,   // SCRIPT KILL
    kTooLong,  // where there are no turns
    kShutdown,
  };

  // ScriptHost.
  CallResult Call(std::span<const std::string_view> args, ReplyWriter& reply,
                  std::string& error) override;
  bool GoOn() override;
  std::string_view ending() const override;
  bool Knows(std::span<const std::string_view> args) override;

  // The script, compiled; null: the error is written.
  CompiledScript* FindScript();
  // False: the error is written.
  bool MayRun();
  // Where it has to be run otherwise, before it begins: the status of that.
  bool BeginsElsewhere(ExecStatus& status);
  ExecStatus BeginOnFiber();
  ExecStatus BeginBehindGate();
  ExecStatus RunHere(size_t key_count);
  ExecStatus RunAnew();
  ExecStatus Finish(ExecStatus status);
  ScriptProgress& Progress();
  Waiter waiter() { return {&context_.thread(), context_.client().ticket}; }

  const Command* FindCommand(std::span<const std::string_view> args) const;
  // Whether the call may be made: kReplied; else as Call's.
  CallResult Check(const Command* command, std::span<const std::string_view> args,
                   std::string& error);
  CallResult CheckWrite(const CommandSpec& spec, std::string& error);
  CallResult Stop(End end) {
    end_ = end;
    return CallResult::kEnd;
  }
  void FindKeys(const CommandSpec& spec, std::span<const std::string_view> args);
  CallResult ReachKeys(std::string& error);
  bool Reach(uint16_t slot);
  void Execute(const Request& request, ReplyWriter& reply);
  CallResult ExecuteInProcess(const Request& request, ReplyWriter& reply, std::string& error);
  void BeBusy();
  bool GoOnOnFiber(int64_t elapsed_nanos);

  CommandContext& context_;
  Worker& worker_;
  Scripting& scripting_;
  WorkerScripts& own_;
  const Form form_;
  Mode mode_;
  std::string sha_;
  CompiledScript* script_ = nullptr;
  bool read_only_ = false;
  bool has_written_ = false;
  bool is_busy_ = false;
  bool is_watched_ = false;
  End end_ = End::kNone;
  const int64_t begin_nanos_;
  const bool in_exec_;
  const int64_t now_ms_;  // of the whole script
  ClientState client_;    // of its calls: SELECT is theirs alone
  // Of the call at hand.
  std::vector<int> key_arguments_;
  std::vector<KeyRef> keys_;
  ExtraSlots extra_slots_;
  std::vector<std::string> missing_;
  // What inline running has counted, and is taken back when it begins anew.
  int64_t hits_before_ = 0;
  int64_t misses_before_ = 0;
};

}  // namespace tidegate
