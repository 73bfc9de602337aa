#include "proxy/script/script_execution.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "config/notify.h"
#include "proxy/pubsub/pubsub_hub.h"
#include "proxy/script/eval.h"
#include "proxy/server.h"
#include "proxy/session/session_command.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/worker.h"
#include "storage/breathe.h"
#include "storage/long_command.h"

namespace tidegate {
namespace {

constexpr std::string_view kNoScriptError = "NOSCRIPT No matching script. Please use EVAL.";
constexpr size_t kShaDigits = 40;

// Commands over the whole keyspace, as scripts name them: a script with one of these words in
// quotes is run behind the gate from the first.
constexpr std::array<std::string_view, 8> kKeyspaceCommands = {
    "dbsize", "flushall", "flushdb", "keys", "randomkey", "scan", "sort", "swapdb"};

bool IsQuote(char c) { return c == '"' || c == '\''; }

bool NamesKeyspaceCommand(std::string_view text) {
  const std::string lower = ToLowerAscii(text);
  return std::any_of(
      kKeyspaceCommands.begin(), kKeyspaceCommands.end(), [&lower](std::string_view name) {
        for (size_t at = lower.find(name); at != std::string::npos; at = lower.find(name, at + 1)) {
          const size_t end = at + name.size();
          if (at > 0 && end < lower.size() && IsQuote(lower[at - 1]) && lower[end] == lower[at - 1])
            return true;
        }
        return false;
      });
}

// As Redis: a stream may not be waited for, while a list that is empty is told to be so.
bool Blocks(const CommandSpec& spec, std::span<const std::string_view> args) {
  if (spec.group != Group::kStream || (spec.flags & kBlocking) == 0) return false;
  for (const std::string_view arg : args.subspan(1)) {
    if (EqualsIgnoreCase(arg, "streams")) return false;
    if (EqualsIgnoreCase(arg, "block")) return true;
  }
  return false;
}

// While a script's call runs, nothing of it blocks, and it has no turns of its own.
class InScript final {
 public:
  InScript(EngineThread& thread, int64_t now_ms)
      : thread_(thread),
        was_in_transaction_(std::exchange(thread.in_transaction, true)),
        now_before_ms_(std::exchange(thread.now_ms, now_ms)),
        long_command_(std::exchange(internal::t_long_command, nullptr)) {}
  ~InScript() {
    internal::t_long_command = long_command_;
    thread_.now_ms = now_before_ms_;
    thread_.in_transaction = was_in_transaction_;
  }
  InScript(const InScript&) = delete;
  InScript& operator=(const InScript&) = delete;

 private:
  EngineThread& thread_;
  const bool was_in_transaction_;
  const int64_t now_before_ms_;
  LongCommand* const long_command_;
};

}  // namespace

ScriptExecution::ScriptExecution(CommandContext& context, Worker& worker, Form form)
    : context_(context),
      worker_(worker),
      scripting_(worker.server().script_texts().scripting()),
      own_(scripting_.OfWorker(worker.index())),
      form_(form),
      begin_nanos_(MonotonicNanos()),
      in_exec_(context.thread().in_transaction),
      now_ms_(context.now_ms()),
      extra_slots_(context) {
  const EngineThread& thread = context.thread();
  mode_ = internal::t_long_command != nullptr         ? Mode::kFiber
          : thread.in_transaction || thread.exclusive ? Mode::kExclusive
                                                      : Mode::kInline;
  client_.db = context.client().db;
  client_.no_touch = context.client().no_touch;
  client_.ticket = context.client().ticket;
  client_.in_multi = true;
}

ScriptExecution::~ScriptExecution() = default;

ScriptProgress& ScriptExecution::Progress() {
  std::unique_ptr<ClientState::Continuation>& kept = context_.client().continuation;
  if (kept == nullptr) kept = std::make_unique<ScriptProgress>(scripting_);
  return static_cast<ScriptProgress&>(*kept);
}

ExecStatus ScriptExecution::Run(size_t key_count) {
  if (own_.in_use) {
    own_.waiting.push_back(context_.client().ticket);
    context_.client().parked = true;
    return ExecStatus::kSuspended;
  }
  script_ = FindScript();
  if (script_ == nullptr || !MayRun()) return Finish(ExecStatus::kDone);
  ExecStatus status = ExecStatus::kDone;
  if (BeginsElsewhere(status)) return status;
  return RunHere(key_count);
}

CompiledScript* ScriptExecution::FindScript() {
  const std::string_view said = context_.arg(1);
  if (form_.by_sha && said.size() != kShaDigits) {
    context_.reply().Error(kNoScriptError);
    return nullptr;
  }
  sha_ = form_.by_sha ? ToLowerAscii(said) : own_.ShaOf(said);
  if (CompiledScript* known = own_.interpreter->Find(sha_)) return known;
  const std::shared_ptr<const std::string> kept =
      form_.by_sha ? scripting_.Find(sha_) : std::shared_ptr<const std::string>();
  if (form_.by_sha && kept == nullptr) {
    context_.reply().Error(kNoScriptError);
    return nullptr;
  }
  const std::string_view text = form_.by_sha ? std::string_view(*kept) : said;
  std::string error;
  if (!own_.interpreter->Compile(sha_, text, error)) {
    context_.reply().Error("ERR " + error);
    return nullptr;
  }
  if (!form_.by_sha) scripting_.Keep(sha_, text);
  CompiledScript* script = own_.interpreter->Find(sha_);
  script->meets_any_key = NamesKeyspaceCommand(text);
  return script;
}

bool ScriptExecution::MayRun() {
  const ScriptFlags& flags = script_->flags;
  read_only_ = form_.read_only || flags.no_writes;
  if (!flags.declared || flags.no_writes) return true;
  if (form_.read_only) {
    context_.reply().Error("ERR Can not execute a script with write flag using *_ro command.");
    return false;
  }
  if (!flags.allow_oom && context_.engine().MakeRoom(context_.thread()) == Room::kNo) {
    context_.reply().Error(
        "OOM allow-oom flag is not set on the script, can not run it when used memory > "
        "'maxmemory'");
    return false;
  }
  return true;
}

bool ScriptExecution::BeginsElsewhere(ExecStatus& status) {
  if (mode_ == Mode::kExclusive) return false;
  if (script_->meets_any_key) {
    status = BeginBehindGate();
    return true;
  }
  if (mode_ == Mode::kInline && (script_->is_long || (script_->writes && !read_only_))) {
    status = BeginOnFiber();
    return true;
  }
  return false;
}

ExecStatus ScriptExecution::BeginOnFiber() {
  if (!Progress().TakeToken(waiter())) {
    context_.client().parked = true;
    return ExecStatus::kSuspended;
  }
  return context_.RunLong();
}

ExecStatus ScriptExecution::BeginBehindGate() {
  Progress().GiveTokenBack();
  Progress().scope = Scope::kWholeKeyspace;
  return context_.Yield();
}

ExecStatus ScriptExecution::RunHere(size_t key_count) {
  EngineCounters& counters = context_.thread().counters;
  hits_before_ = counters.keyspace_hits.value();
  misses_before_ = counters.keyspace_misses.value();
  const std::span<const std::string_view> words = context_.args().subspan(3);
  own_.in_use = true;
  own_.interpreter->Run({.sha = sha_,
                         .keys = words.first(key_count),
                         .args = words.subspan(key_count),
                         .host = this});
  own_.in_use = false;
  own_.memory_bytes.store(own_.interpreter->memory_bytes(), std::memory_order_relaxed);
  if (__builtin_expect(!own_.waiting.empty(), 0)) {
    for (const uint64_t ticket : std::exchange(own_.waiting, {})) context_.thread().Wake(ticket);
  }
  // What it has done so far is half of something: a start finds nothing of it.
  if (end_ == End::kShutdown) context_.thread().effects.Clear();
  extra_slots_.UnlockAll();
  if (is_watched_) {
    if (is_busy_) worker_.server().monitors().fetch_sub(1, std::memory_order_relaxed);
    scripting_.watch().End();
  }
  if (end_ == End::kAnew || end_ == End::kAnyKey || end_ == End::kOnDisk) return RunAnew();
  own_.interpreter->WriteReply(context_.reply());
  return Finish(ExecStatus::kDone);
}

// It has changed nothing.
ExecStatus ScriptExecution::RunAnew() {
  EngineThread& thread = context_.thread();
  EngineCounters& counters = thread.counters;
  counters.keyspace_hits.Add(hits_before_ - counters.keyspace_hits.value());
  counters.keyspace_misses.Add(misses_before_ - counters.keyspace_misses.value());
  std::erase_if(thread.events,
                [](const KeyEvent& event) { return event.event_class == notify::kKeyMiss; });
  if (end_ == End::kAnew) return BeginOnFiber();
  if (end_ == End::kAnyKey) return BeginBehindGate();
  Progress().GiveTokenBack();
  std::vector<KeyRef> keys;
  keys.reserve(missing_.size());
  for (const std::string& name : missing_) keys.push_back(KeyRef::Of(name));
  return context_.AwaitKeys(keys);
}

ExecStatus ScriptExecution::Finish(ExecStatus status) {
  context_.RecordNothing();
  context_.client().continuation.reset();  // and with it the token
  return status;
}

std::string_view ScriptExecution::ending() const {
  switch (end_) {
    case End::kTooLong:
      return "Script ended: it ran for more than 5 seconds in a transaction, or with a command "
             "over all keys, while nobody else could go on";
    case End::kShutdown:
      return "Script ended by SHUTDOWN";
    default:
      return "Script killed by user with SCRIPT KILL...";
  }
}

// --- its calls ---

const Command* ScriptExecution::FindCommand(std::span<const std::string_view> args) const {
  const Command* command = worker_.server().commands().Find(args[0]);
  if (command == nullptr || !command->is_container()) return command;
  return args.size() < 2 ? nullptr : CommandTable::FindSubcommand(*command, args[1]);
}

bool ScriptExecution::Knows(std::span<const std::string_view> args) {
  return FindCommand(args) != nullptr;
}

ScriptHost::CallResult ScriptExecution::Check(const Command* command,
                                              std::span<const std::string_view> args,
                                              std::string& error) {
  if (command == nullptr) {
    error = "Unknown Redis command called from script";
    return CallResult::kRefused;
  }
  const CommandSpec& spec = *command->spec;
  if (!spec.arity.Accepts(args.size())) {
    error = "Wrong number of args calling Redis command from script";
    return CallResult::kRefused;
  }
  if ((spec.flags & (kNoScript | kMaySuspend)) != 0) {
    error = "This Redis command is not allowed from script";
    return CallResult::kRefused;
  }
  if (Blocks(spec, args)) {
    error = command->full_name + " command is not allowed with BLOCK option from scripts";
    return CallResult::kRefused;
  }
  if (read_only_ && (spec.access == Access::kWrite || (spec.flags & kMayReplicate) != 0)) {
    error = "Write commands are not allowed from read-only scripts.";
    return CallResult::kRefused;
  }
  const Scope scope = ScopeOfCall(spec, args);
  const bool any_key = scope == Scope::kWholeKeyspace || scope == Scope::kSlotBySlot;
  if (any_key && mode_ != Mode::kExclusive) {
    script_->meets_any_key = true;
    if (!has_written_) return Stop(End::kAnyKey);
    error = "A script that has written can not call a command over all keys; call it first";
    return CallResult::kRefused;
  }
  // EXEC has brought everything into memory; who has the gate otherwise cannot wait for it.
  const bool may_meet_disk = any_key && !in_exec_ && (spec.flags & kMeetsAnyKey) != 0;
  if (may_meet_disk && context_.engine().IsCold()) {
    error = "-" + std::string(errors::kCannotLoad);
    return CallResult::kRefused;
  }
  return spec.access == Access::kWrite ? CheckWrite(spec, error) : CallResult::kReplied;
}

ScriptHost::CallResult ScriptExecution::CheckWrite(const CommandSpec& spec, std::string& error) {
  if (has_written_) return CallResult::kReplied;
  if (mode_ == Mode::kInline) {
    script_->writes = true;
    return Stop(End::kAnew);
  }
  const bool may_need_memory = (spec.flags & kDenyOom) != 0 && !script_->flags.allow_oom;
  if (may_need_memory && context_.engine().MakeRoom(context_.thread()) == Room::kNo) {
    error = "-" + std::string(errors::kOutOfMemory);
    return CallResult::kRefused;
  }
  has_written_ = true;
  if (is_watched_) scripting_.watch().SetWritten();
  return CallResult::kReplied;
}

ScriptHost::CallResult ScriptExecution::Call(std::span<const std::string_view> args,
                                             ReplyWriter& reply, std::string& error) {
  const Command* command = FindCommand(args);
  CallResult result = Check(command, args, error);
  if (result != CallResult::kReplied) return result;
  FindKeys(*command->spec, args);
  result = ReachKeys(error);
  if (result != CallResult::kReplied) return result;
  const Request request{command, args, keys_};
  const uint64_t begin_ticks = Ticks();
  if (command->spec->scope == Scope::kProcess) {
    result = ExecuteInProcess(request, reply, error);
  } else {
    Execute(request, reply);
  }
  OutputBuffer::Piece piece{};
  const bool failed = reply.out().Peek(&piece, 1) == 1 && piece.size > 0 && piece.data[0] == '-';
  worker_.mutable_command_stats().Record(command->id, Ticks() - begin_ticks, failed,
                                         worker_.latency_tracking());
  return result;
}

void ScriptExecution::FindKeys(const CommandSpec& spec, std::span<const std::string_view> args) {
  keys_.clear();
  if (spec.find_keys == nullptr && spec.keys.first == spec.keys.last) {
    if (spec.keys.first > 0)
      keys_.push_back(KeyRef::Of(args[static_cast<size_t>(spec.keys.first)]));
    return;
  }
  key_arguments_.clear();
  if (!FindKeyArguments(spec, args, key_arguments_)) return;  // the handler has its own error
  for (const int index : key_arguments_)
    keys_.push_back(KeyRef::Of(args[static_cast<size_t>(index)]));
}

// With the token a script waits for it, in turns: nobody waits for the script that it waits for.
bool ScriptExecution::Reach(uint16_t slot) {
  while (!extra_slots_.TryLock(slot)) {
    if (mode_ == Mode::kInline) {
      end_ = End::kAnew;
      return false;
    }
    if (!GoOn()) return false;
  }
  return true;
}

ScriptHost::CallResult ScriptExecution::ReachKeys(std::string& error) {
  for (const KeyRef& key : keys_) {
    if (mode_ != Mode::kExclusive && !extra_slots_.Holds(key.slot) && !Reach(key.slot))
      return CallResult::kEnd;
  }
  if (__builtin_expect(!context_.engine().IsCold(), 1)) return CallResult::kReplied;
  missing_.clear();
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  CommandContext context(context_.engine(), context_.thread(), context_.request(), client_, reply);
  for (const KeyRef& key : keys_) {
    if (!context.IsInMemory(key)) missing_.emplace_back(key.name);
  }
  if (missing_.empty()) return CallResult::kReplied;
  const bool can_begin_anew =
      !has_written_ && mode_ != Mode::kExclusive && client_.db == context_.client().db;
  if (can_begin_anew) return Stop(End::kOnDisk);
  error = "-" + std::string(errors::kCannotLoad);
  return CallResult::kRefused;
}

void ScriptExecution::Execute(const Request& request, ReplyWriter& reply) {
  const InScript in_script(context_.thread(), now_ms_);
  CommandContext call(context_.engine(), context_.thread(), request, client_, reply);
  TG_CHECK(call.Run() == ExecStatus::kDone);
  client_.continuation.reset();
}

ScriptHost::CallResult ScriptExecution::ExecuteInProcess(const Request& request, ReplyWriter& reply,
                                                         std::string& error) {
  const std::string_view name = request.command->full_name;
  if (name == "publish" || name == "spublish") {
    const auto kind =
        name == "publish" ? SubscriptionKind::kChannel : SubscriptionKind::kShardChannel;
    reply.Integer(static_cast<int64_t>(
        worker_.server().pubsub().Publish(worker_, kind, request.args[1], request.args[2])));
    return CallResult::kReplied;
  }
  Session* session = worker_.FindSession(SessionOfTicket(client_.ticket));
  if (session == nullptr) {
    error = "The client that called the script is gone, and so is what this command is about";
    return CallResult::kRefused;
  }
  const InScript in_script(context_.thread(), now_ms_);
  // SELECT is the script's own.
  const int db = std::exchange(session->client().db, client_.db);
  SessionCommand command(*session, request, reply, now_ms_);
  TG_CHECK(request.command->spec->session_handler(command) == ExecStatus::kDone);
  client_.db = std::exchange(session->client().db, db);
  return CallResult::kReplied;
}

// --- its time ---

bool ScriptExecution::GoOn() {
  const int64_t elapsed_nanos = MonotonicNanos() - begin_nanos_;
  switch (mode_) {
    case Mode::kFiber:
      return GoOnOnFiber(elapsed_nanos);
    case Mode::kExclusive:
      if (elapsed_nanos < int64_t{kExclusiveScriptMillisMax} * 1'000'000) return true;
      end_ = End::kTooLong;
      return false;
    case Mode::kInline:
      if (elapsed_nanos < context_.engine().options().long_command_turn_nanos) return true;
      script_->is_long = true;
      end_ = End::kAnew;
      return false;
  }
  return true;
}

bool ScriptExecution::GoOnOnFiber(int64_t elapsed_nanos) {
  ScriptWatch& watch = scripting_.watch();
  if (!is_watched_) {
    is_watched_ = true;
    watch.Begin();
    if (has_written_) watch.SetWritten();
    scripting_.token().HoldLong();
  }
  if (watch.kill_asked()) {
    end_ = End::kKilled;
    return false;
  }
  if (worker_.server().shutting_down()) {
    end_ = End::kShutdown;
    return false;
  }
  const int64_t threshold_nanos =
      std::chrono::nanoseconds(worker_.options().busy_reply_threshold).count();
  if (!is_busy_ && threshold_nanos > 0 && elapsed_nanos > threshold_nanos) BeBusy();
  Breathe();
  return true;
}

// The request path looks further while somebody monitors: see Worker::attention and Session::Admit.
void ScriptExecution::BeBusy() {
  is_busy_ = true;
  scripting_.watch().SetBusy();
  worker_.server().monitors().fetch_add(1, std::memory_order_relaxed);
}

}  // namespace tidegate
