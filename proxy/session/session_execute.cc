// The part of Session that executes: admission, the handler or the engine, counters.
#include <algorithm>
#include <string>

#include "base/clock.h"
#include "proxy/background_save.h"
#include "proxy/server.h"
#include "proxy/session/redaction.h"
#include "proxy/session/session.h"
#include "proxy/session/session_command.h"
#include "proxy/session/session_upstream.h"
#include "proxy/worker.h"
#include "storage/engine.h"
#include "storage/errors.h"

namespace tidegate {
namespace {

// Arguments as others may see them: secrets replaced, cut as Redis cuts them.
std::vector<std::string> SlowlogArguments(const Request& request,
                                          std::span<const uint32_t> redacted) {
  const size_t argc = request.args.size();
  const size_t shown = std::min(argc, kSlowlogArgumentsMax);
  std::vector<std::string> arguments;
  arguments.reserve(shown);
  for (size_t i = 0; i < shown; ++i) {
    const std::string_view arg = request.args[i];
    if (shown != argc && i + 1 == shown) {
      arguments.push_back("... (" + std::to_string(argc - shown + 1) + " more arguments)");
    } else if (IsRedacted(request, redacted, i)) {
      arguments.emplace_back(kRedacted);
    } else if (arg.size() > kSlowlogArgumentBytesMax) {
      arguments.push_back(std::string(arg.substr(0, kSlowlogArgumentBytesMax)) + "... (" +
                          std::to_string(arg.size() - kSlowlogArgumentBytesMax) + " more bytes)");
    } else {
      arguments.emplace_back(arg);
    }
  }
  return arguments;
}

// A monitor may not mix replies about keys with its lines. As Redis, where it counts as a replica.
bool TouchesKeyspace(const CommandSpec& spec) {
  return spec.access == Access::kRead || spec.access == Access::kWrite ||
         (spec.flags & kMayReplicate) != 0;
}

bool NeedsPrefetch(std::span<const Request> requests) {
  return requests.size() > 1 || requests[0].keys.size() > 1;
}

}  // namespace

// Executes or refuses the next request of a batch. `ticks`: when it began; then, when it ended.
inline Session::Step Session::Advance(const Request& request, bool routed, int64_t now_ms,
                                      uint64_t& ticks) {
  const Command* command = request.command;
  if (__builtin_expect(routed, 0) && awaits_upstream() && MayBeAnsweredHere(request) &&
      WaitsForUpstream(0))
    return Step::kStay;
  if (__builtin_expect(command == nullptr || !command->spec->arity.Accepts(request.args.size()),
                       0)) {
    Refuse(request);
    return closing() ? Step::kLast : Step::kNext;
  }
  if (__builtin_expect(
          worker_.attention() || !authenticated_ || transaction_.open() || subscribed(), 0)) {
    // RESET took the authentication back: what follows is parsed again, with stricter limits.
    if (AuthRequired() && parsed_as_authenticated_) return Step::kStay;
    if (!Admit(request, now_ms)) return stops_ != 0 ? Step::kStay : Step::kNext;
  }
  // One that goes on was begun here, wherever the routes lead by now.
  if (__builtin_expect(routed && !resuming_, 0)) {
    if (const std::optional<Step> step = Forward(request, ticks)) return *step;
  }
  const uint32_t errors_before = errors_;
  const ExecStatus status = routed ? ExecuteFiltered(request, now_ms) : ExecuteOne(request, now_ms);
  if (status == ExecStatus::kSuspended) {
    Suspended(ticks);
    return Step::kStay;
  }
  if (__builtin_expect(status == ExecStatus::kRefused, 0)) {
    EndRefused(request);
    return Step::kNext;
  }
  if (__builtin_expect(routed, 0) && router().any_mirrors() && errors_ == errors_before)
    Mirror(request, request);
  const uint64_t now_ticks = Ticks();
  Finished(request, now_ticks - ticks, errors_before);
  ticks = now_ticks;
  const bool enough = closing() || output_.size() > kUnsentOutputBytesMax.count;
  return enough ? Step::kLast : Step::kNext;
}

size_t Session::Execute(std::span<const Request> requests, int64_t now_ms) {
  if (requests.empty()) return 0;
  Engine& engine = worker_.server().engine();
  EngineThread& thread = worker_.engine_thread();
  engine.BeginBatch(thread, now_ms);
  if (NeedsPrefetch(requests)) engine.Prefetch(thread, requests, client_.db);
  const bool routed = router().looks();
  uint64_t ticks = Ticks();
  size_t done = 0;
  while (done < requests.size()) {
    const Step step = Advance(requests[done], routed, now_ms, ticks);
    if (step == Step::kStay) break;
    ++done;
    if (step == Step::kLast) break;
  }
  engine.EndBatch(thread);
  worker_.set_current_request(nullptr, nullptr);
  return done;
}

inline ExecStatus Session::ExecuteOne(const Request& request, int64_t now_ms) {
  worker_.set_current_request(this, &request);
  last_command_ = request.command;
  const CommandSpec& spec = *request.command->spec;
  if (spec.scope != Scope::kProcess) {
    if (worker_.observer() != nullptr) return ExecuteObserved(request, Alone::kYes);
    return worker_.server().engine().Execute(worker_.engine_thread(), request, client_, reply_);
  }
  SessionCommand command(*this, request, reply_, now_ms);
  return spec.session_handler(command);
}

ExecStatus Session::ExecuteFiltered(const Request& request, int64_t now_ms) {
  FilterChain& chain = router().RouteOf(request).filters;
  if (chain.empty()) return ExecuteOne(request, now_ms);
  RequestContext context{request, client_, reply_, now_ms};
  const uint32_t errors_before = errors_;
  const size_t mark = reply_.out().Mark();
  suspended_chain_ = &chain;
  ExecStatus status = ExecStatus::kDone;
  switch (chain.OnRequest(context, filter_progress_)) {
    case FilterVerdict::kSuspended:
      return ExecStatus::kSuspended;
    case FilterVerdict::kContinue:
      status = ExecuteOne(request, now_ms);
      if (status == ExecStatus::kSuspended) return status;
      break;
    case FilterVerdict::kAnswered:
      break;
  }
  suspended_chain_ = nullptr;
  chain.OnReply(context, filter_progress_, ReplyView(reply_.out(), mark, errors_ != errors_before));
  return status;
}

bool Session::Admit(const Request& request, int64_t now_ms) {
  const CommandSpec& spec = *request.command->spec;
  if (!authenticated_ && AuthRequired() && (spec.flags & kNoAuth) == 0) {
    RefuseWith(request, errors::kNoAuth);
    return false;
  }
  const bool queued = transaction_.open() && (spec.flags & kRunsInMulti) == 0;
  if (queued && (spec.flags & kNoMulti) != 0) {
    RefuseWith(request, "ERR Command not allowed inside a transaction");
    return false;
  }
  // As Redis: without memory nothing is queued and nothing watched, for what is queued takes some.
  const bool ends_or_opens = (spec.flags & kRunsInMulti) != 0 && spec.scope == Scope::kProcess;
  if (transaction_.open() && !ends_or_opens &&
      worker_.server().engine().MakeRoom(worker_.engine_thread()) == Room::kNo) {
    RefuseWith(request, errors::kOutOfMemory);
    return false;
  }
  if (queued && spec.access == Access::kWrite &&
      worker_.server().engine().RefusesWrites(worker_.engine_thread(), client_) &&
      router().Place(request).upstream == nullptr) {
    RefuseWith(request, worker_.server().engine().RefusalOfWrites());
    return false;
  }
  // What goes to an upstream is in no snapshot of ours.
  if (MayWrite(request) && worker_.server().background_save().RefusesWrites(worker_.options()) &&
      router().Place(request).upstream == nullptr) {
    RefuseWith(request, errors::kSnapshotFailed);
    return false;
  }
  if (subscribed() && protocol() == Protocol::kResp2 && (spec.flags & kRunsSubscribed) == 0) {
    RefuseWith(request, "ERR Can't execute '" + request.command->full_name +
                            "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
                            "allowed in this context");
    return false;
  }
  if (monitor_ && TouchesKeyspace(spec)) {
    RefuseWith(request, errors::kMonitorNoKeyspace);
    return false;
  }
  const ClientPause& pause = worker_.server().pause();
  if (!resuming_ && pause.possible() && IsHeld(pause.mode(now_ms), request)) {
    StopFor(kStopPostponed);
    worker_.mutable_counters().sessions_suspended.Add(1);
    worker_.Postpone(*this);
    return false;
  }
  if (queued && !IsRefusedInTransaction(request)) Queue(request);
  return !queued;
}

// EXEC counts as what it will execute. So does PING for Redis, where monitoring asks it whether the
// server is well.
bool Session::MayWrite(const Request& request) const {
  if (request.command->spec->access == Access::kWrite || request.command->full_name == "ping")
    return true;
  return transaction_.open() && (request.command->spec->flags & kRunsInMulti) != 0 &&
         request.command->full_name == "exec" && transaction_.writes() &&
         transaction_.upstream() == nullptr;
}

// EXEC counts as what it will execute.
bool Session::IsHeld(PauseMode mode, const Request& request) const {
  if (ClientPause::Holds(mode, *request.command->spec)) return true;
  if (!transaction_.open() || (request.command->spec->flags & kRunsInMulti) == 0) return false;
  for (size_t i = 0; i < transaction_.size(); ++i) {
    if (ClientPause::Holds(mode, *transaction_.at(i).command()->spec)) return true;
  }
  return false;
}

void Session::RefuseWith(const Request& request, std::string_view error) {
  worker_.mutable_command_stats().Reject(request.command->id);
  if (request.command->full_name == "exec") {
    // Told in EXEC's words, and the transaction, if there is one, is over.
    const size_t text = error.starts_with("ERR ") ? 4 : 0;
    CloseTransaction();
    client_.watches.Clear();
    reply_.Error("EXECABORT Transaction discarded because of: " + std::string(error.substr(text)));
  } else {
    if (transaction_.open()) transaction_.Refuse();
    reply_.Error(error);
  }
  AfterReply();
}

void Session::Queue(const Request& request) {
  const size_t before = transaction_.memory_bytes();
  transaction_.Add(request);
  worker_.client_bytes() += transaction_.memory_bytes() - before;
  reply_.SimpleString("QUEUED");
  AfterReply();
}

void Session::ExecuteQueued(const Request& request, const TransactionQueue::Kept* kept,
                            int64_t now_ms) {
  worker_.set_current_request(this, &request);
  const uint32_t errors_before = errors_;
  const uint64_t begin = Ticks();
  if (kept != nullptr) {
    reply_.Replay(kept->reply);
  } else if (request.command->spec->scope == Scope::kProcess) {
    SessionCommand command(*this, request, reply_, now_ms);
    TG_CHECK(request.command->spec->session_handler(command) == ExecStatus::kDone);
  } else if (worker_.observer() != nullptr) {
    ExecuteObserved(request, Alone::kNo);
  } else {
    worker_.server().engine().ExecuteAtomic(worker_.engine_thread(), request, client_, reply_);
  }
  Account(request, kept != nullptr ? kept->ticks : Ticks() - begin, errors_before);
  errors_ = errors_before;  // EXEC has not failed
}

void Session::Refuse(const Request& request) {
  const std::string_view name = request.args[0];
  if (request.command == nullptr &&
      (EqualsIgnoreCase(name, "post") || EqualsIgnoreCase(name, "host:"))) {
    // A browser was made to talk to us: what follows are headers that an attacker may have chosen.
    log::Warning(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
        "commands to Tidegate. This is likely due to an attacker attempting to use Cross Protocol "
        "Scripting to compromise your instance. Connection from " +
        peer_address_ + " aborted.");
    return Kill();
  }
  if (request.command != nullptr)
    return RefuseWith(request, errors::WrongArity(request.command->full_name));
  if (transaction_.open()) transaction_.Refuse();
  reply_.Error(UnknownCommand(request));
  AfterReply();
}

std::string Session::UnknownCommand(const Request& request) const {
  const Command* container = worker_.server().commands().Find(request.args[0]);
  if (container == nullptr) return errors::UnknownCommand(request.args);
  if (request.args.size() == 1) return errors::WrongArity(container->full_name);
  return errors::UnknownSubcommand(ToUpperAscii(request.args[0]), request.args[1]);
}

void Session::Suspended(uint64_t begin_ticks) {
  StopFor(kStopSuspended);
  if (!resuming_) suspended_since_ticks_ = begin_ticks;
  resuming_ = false;
  worker_.mutable_counters().sessions_suspended.Add(1);
  if (blocked()) ArmDeadline();
}

// As Redis: a command that was refused counts as rejected, and as nothing else.
void Session::EndRefused(const Request& request) {
  resuming_ = false;
  client_.continuation.reset();
  worker_.mutable_command_stats().Reject(request.command->id);
  if (!redacted_.empty()) redacted_.clear();
  AfterReply();
}

inline void Session::Finished(const Request& request, uint64_t ticks, uint32_t errors_before) {
  const Command& command = *request.command;
  if (__builtin_expect(resuming_, 0)) {
    // What a client waits for by its own wish (BLPOP) is no time of the server's.
    if ((command.spec->flags & kBlocking) == 0) ticks = Ticks() - suspended_since_ticks_;
    resuming_ = false;
    client_.continuation.reset();
  }
  Account(request, ticks, errors_before);
  AfterReply();
}

inline void Session::Account(const Request& request, uint64_t ticks, uint32_t errors_before) {
  const Command& command = *request.command;
  worker_.mutable_counters().commands_processed.Add(1);
  worker_.mutable_command_stats().Record(command.id, ticks, errors_ != errors_before,
                                         worker_.latency_tracking());
  if (__builtin_expect(ticks >= worker_.slow_ticks(), 0)) NoteSlow(request, ticks);
  if (__builtin_expect(worker_.attention(), 0)) {
    if ((command.spec->flags & (kSkipMonitor | kAdmin)) == 0)
      worker_.FeedMonitors(*this, request, redacted_);
  }
  if (!redacted_.empty()) redacted_.clear();
}

void Session::NoteSlow(const Request& request, uint64_t ticks) {
  const Options& options = worker_.options();
  const int64_t micros = TicksToNanos(ticks) / 1000;
  AddToSlowlog(*request.command, micros, SlowlogArguments(request, redacted_));
  const int64_t latency_ms = options.latency_monitor_threshold.count();
  if (latency_ms > 0 && micros / 1000 >= latency_ms) {
    const bool fast = (request.command->spec->flags & kFast) != 0;
    worker_.server().latency_monitor().Add(fast ? "fast-command" : "command", UnixMillis() / 1000,
                                           static_cast<uint32_t>(micros / 1000));
  }
}

// Of a transaction each command's time would be that of the whole: EXEC tells it.
void Session::NoteSlowUpstream(const UpstreamRequest& request, uint64_t ticks) {
  if (request.part() == RequestPart::kUnitPart) return;
  const std::string& name = request.command->full_name;
  std::vector<std::string> arguments;
  const size_t bar = name.find('|');
  arguments.push_back(name.substr(0, bar));
  if (bar != std::string::npos) arguments.push_back(name.substr(bar + 1));
  if (request.key_bytes > 0) {
    std::string key(request.kept_key());
    const size_t more = request.key_bytes - key.size();
    if (more > 0) key += "... (" + std::to_string(more) + " more bytes)";
    arguments.push_back(std::move(key));
  }
  AddToSlowlog(*request.command, TicksToNanos(ticks) / 1000, std::move(arguments));
}

void Session::AddToSlowlog(const Command& command, int64_t micros,
                           std::vector<std::string> arguments) {
  const Options& options = worker_.options();
  const int64_t threshold = options.slowlog_log_slower_than.count();
  if (threshold < 0 || micros < threshold || (command.spec->flags & kSkipSlowlog) != 0) return;
  worker_.server().slowlog().Add({.unix_seconds = UnixMillis() / 1000,
                                  .duration_us = micros,
                                  .arguments = std::move(arguments),
                                  .client_address = peer_address_,
                                  .client_name = name_},
                                 options.slowlog_max_len);
}

}  // namespace tidegate
