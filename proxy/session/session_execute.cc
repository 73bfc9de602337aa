// The part of Session that executes: admission, the handler or the engine, counters.
#include <algorithm>
#include <string>

#include "base/clock.h"
#include "policy/judge.h"
#include "proxy/background_save.h"
#include "proxy/observe/big_keys.h"
#include "proxy/script/scripting.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_command.h"
#include "proxy/session/session_guards.h"
#include "proxy/session/session_upstream.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/worker.h"
#include "storage/engine.h"
#include "storage/errors.h"

namespace tidegate {
namespace {

// A monitor may not mix replies about keys with its lines. As Redis, where it counts as a replica.
bool TouchesKeyspace(const CommandSpec& spec) {
  return spec.access == Access::kRead || spec.access == Access::kWrite ||
         (spec.flags & kMayReplicate) != 0;
}

constexpr std::string_view kBusyScript =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

bool AScriptIsBusy(Server& server) { return server.script_texts().scripting().watch().busy(); }

// Whether a request that is suspended has worked, and will: not what waits by its client's wish, or
// for the process.
bool IsWork(const CommandSpec& spec) {
  return spec.scope != Scope::kProcess && (spec.flags & kBlocking) == 0;
}

bool NeedsPrefetch(std::span<const Request> requests) {
  return requests.size() > 1 || requests[0].keys.size() > 1;
}

}  // namespace

// Executes or refuses the next request of a batch.
inline Session::Step Session::Advance(const Request& request, bool routed, int64_t now_ms,
                                      Progress& progress) {
  const Command* command = request.command;
  if (__builtin_expect(routed, 0) && awaits_upstream() && MayBeAnsweredHere(request) &&
      WaitsForUpstream(0))
    return Step::kStay;
  if (__builtin_expect(command == nullptr || !command->spec->arity.Accepts(request.args.size()),
                       0)) {
    progress.output_bytes = kUnknownOutput;
    Refuse(request);
    return closing() ? Step::kLast : Step::kNext;
  }
  if (__builtin_expect(
          worker_.attention() || !authenticated_ || transaction_.open() || subscribed(), 0)) {
    // RESET took the authentication back: what follows is parsed again, with stricter limits.
    if (AuthRequired() && parsed_as_authenticated_) return Step::kStay;
    progress.output_bytes = kUnknownOutput;
    if (!Admit(request, now_ms)) return stops_ != 0 ? Step::kStay : Step::kNext;
  }
  if (__builtin_expect(progress.late, 0)) {
    if (const std::optional<Step> step = Shed(request)) {
      progress.output_bytes = kUnknownOutput;
      return *step;
    }
  }
  if (__builtin_expect(routed && router().guards(command->id), 0))
    return AdvanceGuarded(request, now_ms, progress);
  // One that goes on was begun here, wherever the routes lead by now.
  if (__builtin_expect(routed && !resuming_, 0)) {
    if (const std::optional<Step> step = Forward(request, progress.ticks)) {
      progress.output_bytes = kUnknownOutput;
      return *step;
    }
  }
  return AdvanceHere(request, routed, now_ms, progress);
}

// The size of the reply is how much output has grown.
inline Session::Step Session::AdvanceHere(const Request& request, bool routed, int64_t now_ms,
                                          Progress& progress) {
  if (__builtin_expect(progress.output_bytes == kUnknownOutput, 0))
    progress.output_bytes = output_.size();
  const uint32_t errors_before = errors_;
  const ExecStatus status = routed ? ExecuteFiltered(request, now_ms) : ExecuteOne(request, now_ms);
  if (status == ExecStatus::kSuspended) {
    if (IsWork(*request.command->spec))
      Guards().Suspend(worker_.judge().backlog(), request.command->id, Ticks() - progress.ticks);
    Suspended(progress.ticks);
    return Step::kStay;
  }
  if (__builtin_expect(status == ExecStatus::kRefused, 0)) {
    EndRefused(request);
    progress.output_bytes = kUnknownOutput;
    return Step::kNext;
  }
  if (__builtin_expect(guards_ != nullptr, 0) && KeepsMiss(request, progress.output_bytes)) {
    progress.output_bytes = kUnknownOutput;
    return Step::kStay;
  }
  if (__builtin_expect(routed, 0) && router().any_mirrors() && errors_ == errors_before)
    Mirror(request, request);
  const uint64_t now_ticks = Ticks();
  const size_t output_bytes = output_.size();
  // None: CLIENT REPLY keeps the reply back, or some output was sent meanwhile.
  const size_t reply_bytes =
      output_bytes > progress.output_bytes ? output_bytes - progress.output_bytes : 0;
  if (__builtin_expect(reply_bytes > 0, 1))
    worker_.mutable_counters().reply_bytes.Record(reply_bytes);
  if (__builtin_expect(reply_bytes >= kMovedBytesMin, 0)) NoteMovedHere(request, reply_bytes);
  const uint64_t ticks = now_ticks - progress.ticks;
  Finished(request, {.ticks = ticks,
                     .worked_ticks = ticks,
                     .reply_bytes = reply_bytes,
                     .failed = errors_ != errors_before});
  progress.ticks = now_ticks;
  progress.output_bytes = output_bytes;
  const bool enough = closing() || output_bytes > kUnsentOutputBytesMax.count;
  return enough ? Step::kLast : Step::kNext;
}

size_t Session::Execute(std::span<const Request> requests, int64_t now_ms) {
  if (requests.empty()) return 0;
  Engine& engine = worker_.server().engine();
  EngineThread& thread = worker_.engine_thread();
  engine.BeginBatch(thread, now_ms);
  if (NeedsPrefetch(requests)) engine.Prefetch(thread, requests, client_.db);
  const bool routed = router().looks();
  if (__builtin_expect(worker_.counts_routes(), 0)) {
    worker_.mutable_route_meter().Begin(worker_.engine_counters());
    if (!routed) figures_ = 0;
  }
  Progress progress{.ticks = Ticks(),
                    .output_bytes = output_.size(),
                    .late = worker_.MayShed() || worker_.judge().backlog().ticks() > 0};
  size_t done = 0;
  while (done < requests.size()) {
    const Step step = Advance(requests[done], routed, now_ms, progress);
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
  if (!resuming_ && (spec.flags & kAllowBusy) == 0 && AScriptIsBusy(worker_.server()) &&
      router().Place(request).upstream == nullptr) {
    RefuseWith(request, kBusyScript);
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
  NoteRefused(&request);
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
  if (worker_.counts_routes()) figures_ = router().RouteOf(request).figures;
  const uint32_t errors_before = errors_;
  const size_t bytes_before = reply_.out().size();
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
  const uint64_t ticks = kept != nullptr ? kept->ticks : Ticks() - begin;
  const size_t bytes = reply_.out().size();
  if (bytes >= bytes_before + kMovedBytesMin) NoteMovedHere(request, bytes - bytes_before);
  Account(request, {.ticks = ticks, .worked_ticks = ticks, .failed = errors_ != errors_before});
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
  NoteRefused(nullptr);
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
  if (guards_ != nullptr) guards_->GiveUp(worker_.judge().backlog());
  client_.continuation.reset();
  worker_.mutable_command_stats().Reject(request.command->id);
  NoteRefused(&request);
  if (!redacted_.empty()) redacted_.clear();
  AfterReply();
}

inline void Session::Finished(const Request& request, Cost cost) {
  const Command& command = *request.command;
  if (__builtin_expect(resuming_, 0)) {
    // What a client waits for by its own wish (BLPOP) is no time of the server's.
    if ((command.spec->flags & kBlocking) == 0) cost.ticks = Ticks() - suspended_since_ticks_;
    resuming_ = false;
    if (guards_ != nullptr) guards_->EndThrough(worker_.judge().backlog(), cost.worked_ticks);
    client_.continuation.reset();
  }
  Account(request, cost);
  AfterReply();
}

inline void Session::Account(const Request& request, const Cost& cost) {
  const Command& command = *request.command;
  worker_.mutable_counters().commands_processed.Add(1);
  worker_.mutable_command_stats().Record(command.id, cost.ticks, cost.failed,
                                         worker_.latency_tracking());
  if (__builtin_expect(worker_.counts_routes(), 0)) {
    worker_.mutable_route_meter().CountHere(figures_, cost.ticks, worker_.latency_tracking(),
                                            worker_.engine_counters());
  }
  if (__builtin_expect(cost.ticks >= worker_.slow_ticks(), 0)) NoteSlow(request, cost);
  if (__builtin_expect(worker_.attention(), 0)) {
    if ((command.spec->flags & (kSkipMonitor | kAdmin)) == 0)
      worker_.FeedMonitors(*this, request, redacted_);
  }
  if (!redacted_.empty()) redacted_.clear();
}

}  // namespace tidegate
