// The part of Session that asks the policies of its request's routes, and does what they say:
//
//   Advance --> AskPolicies --> passes ----------------------------> Forward, or executed here
//                  |            passes, but not yet --> parked --------^
//                  |            passes as UNLINK, as a shorter LRANGE, with less EX --^
//                  +----------> an error, or as if there were nothing: behind replies in front
//
// One place for the engine and all kinds of upstreams, before it is decided who answers. EXEC is
// asked about as all that is queued: a transaction is executed whole or not at all. What goes on
// after a suspension (BLPOP, a busy slot) was asked about when it came. Load shedding is here, too:
// it needs no policy, and comes first, because it has to be cheap.
#include "proxy/session/session_guards.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "policy/blank_reply.h"
#include "policy/load_shedding.h"
#include "proxy/commands/unnamed_writes.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/key_observer.h"
#include "proxy/server.h"
#include "proxy/session/absence_hook.h"
#include "proxy/session/session.h"
#include "proxy/session/session_private.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"

namespace tidegate {

hotkey::Keyspace KeyspaceOf(const Route& route, int database) {
  const uint16_t cluster =
      route.upstream == nullptr ? uint16_t{0} : KeyspaceNumber(route.upstream->number());
  return {.cluster = cluster, .database = static_cast<uint16_t>(database)};
}

namespace {

// A reply that may say that there is nothing is no longer than that.
constexpr size_t kNothingBytesMax = 8;

// What may write any key is no business of one route.
void NoteWriteOfAny(Judge& judge, Router& router) {
  for (const Route& route : router.routes()) {
    if (route.policies != nullptr) judge.NoteWriteOfAny(*route.policies);
  }
}

// Each route of a request's keys once, with those that are its own. False: it is decided.
bool AskRoutes(Judge& judge, Router& router, const Request& request, int database) {
  const bool names_keys = !request.keys.empty();
  if (MayWriteUnnamedKeys(*request.command, names_keys) ||
      (names_keys && WritesUnnamedKeys(request)))
    NoteWriteOfAny(judge, router);
  if (request.keys.size() <= 1) {
    Route& route = router.RouteOf(request);
    return route.policies == nullptr ||
           judge.Ask(*route.policies, request, request.keys, KeyspaceOf(route, database));
  }
  std::vector<std::pair<Route*, KeyRef>> left;
  left.reserve(request.keys.size());
  for (const KeyRef& key : request.keys) left.emplace_back(&router.RouteOfKey(key.name), key);
  while (!left.empty()) {
    Route& route = *left.front().first;
    const auto others = std::stable_partition(
        left.begin(), left.end(), [&route](const auto& one) { return one.first == &route; });
    std::vector<KeyRef> keys;
    for (auto one = left.begin(); one != others; ++one) keys.push_back(one->second);
    left.erase(left.begin(), others);
    if (route.policies != nullptr &&
        !judge.Ask(*route.policies, request, keys, KeyspaceOf(route, database)))
      return false;
  }
  return true;
}

// The request as a policy wants it; itself, if none wants anything.
Request InForm(const Request& request, const CommandTable& commands, SessionGuards& guards) {
  const Verdict& verdict = guards.verdict;
  if (!verdict.unlink && !verdict.cap && !verdict.ttl) return request;
  guards.args.assign(request.args.begin(), request.args.end());
  Request other = request;
  if (verdict.unlink) {
    guards.args[0] = "UNLINK";
    other.command = commands.Find("unlink");
  } else {
    guards.number_text = std::to_string(verdict.cap ? verdict.cap->stop : verdict.ttl->value);
    guards.args[verdict.cap ? 3 : verdict.ttl->argument] = guards.number_text;
  }
  other.args = guards.args;
  return other;
}

// Whether the policies of its key's route are all that can have a say in it, and Judge has none:
// most requests are like that, where policies are about few keys.
bool IsUnjudged(const Request& request, Router& router) {
  if (request.keys.size() != 1 || !router.guards_by_key(request.command->id)) return false;
  const Route& route = router.RouteOfKey(request.keys[0].name);
  return route.policies == nullptr || !route.policies->Judges(*request.command);
}

// Nor have single_flight and stale: there is nothing left but replies that are kept (local_cache).
bool Passes(const Request& request, Router& router) {
  if (!IsUnjudged(request, router)) return false;
  const Route& route = router.RouteOfKey(request.keys[0].name);
  return route.policies == nullptr ||
         !route.policies->Flies(*request.command, request.keys[0].name);
}

// What a command works that is not through within its turn: half of a long command's turn.
constexpr int64_t kPutAsideNanosMin = 250'000;

// How long a request of the command would wait for those that were put aside. What is through
// within its turn does not.
int64_t BacklogNanosFor(const Command& command, const LoadBacklog& backlog) {
  if (backlog.ticks() == 0 || TicksToNanos(backlog.CostOf(command.id)) < kPutAsideNanosMin)
    return 0;
  return TicksToNanos(backlog.ticks());
}

bool IsTooMuch(const Worker& worker, RoutePriority priority, bool needs_memory) {
  return needs_memory && ShedsForMemory(priority, worker.memory_for_shedding(),
                                        worker.options().load_shedding_memory.count);
}

std::string Overloaded(int64_t waited_ns, int64_t backlog_ns) {
  constexpr int64_t kMillisecond = 1'000'000;
  const std::string wait =
      backlog_ns > 0 ? "would wait for " + std::to_string((waited_ns + backlog_ns) / kMillisecond)
                     : "waited " + std::to_string(waited_ns / kMillisecond);
  return "OVERLOADED the request " + wait +
         " ms and was not executed (load shedding): try again later";
}

// Rounded up: who wakes early would wait again.
std::chrono::milliseconds MillisUntil(int64_t until_ns) {
  constexpr int64_t kMillisecond = 1'000'000;
  return std::chrono::milliseconds((until_ns - MonotonicNanos() + kMillisecond - 1) / kMillisecond);
}

}  // namespace

void SessionGuards::End() {
  state = State::kNone;
  verdict = {};
  if (flights != nullptr) flights->End();
  hook.reset();
  absence = nullptr;
  fanout = nullptr;
}

void SessionGuards::AddHook(std::unique_ptr<ReplyHook> added) {
  if (absence != nullptr) return absence->SetNext(std::move(added));
  hook = std::move(added);
}

void SessionGuards::Suspend(LoadBacklog& backlog, uint32_t command, uint64_t turn_ticks) {
  if (!aside) {
    aside = PutAside{.command = command};
    backlog.Begin(command);
  }
  aside->worked_ticks += turn_ticks;
  backlog.Worked(command, aside->worked_ticks);
}

void SessionGuards::EndThrough(LoadBacklog& backlog, uint64_t turn_ticks) {
  if (!aside) return;
  backlog.EndThrough(aside->command, aside->worked_ticks + turn_ticks);
  aside.reset();
}

void SessionGuards::GiveUp(LoadBacklog& backlog) {
  if (aside) backlog.End(aside->command);
  aside.reset();
}

SessionGuards& Session::Guards() {
  if (guards_ == nullptr) {
    guards_ = std::make_unique<SessionGuards>();
    const std::string_view address(peer_address_);
    guards_->client = KeyHash(address.substr(0, address.rfind(':')));
    guards_->user = KeyHash(user());
  }
  return *guards_;
}

Session::Step Session::AdvanceGuarded(const Request& request, int64_t now_ms, Progress& progress) {
  using State = SessionGuards::State;
  // One that goes on and was not asked about when it came passes now as well.
  const bool is_new = guards_ == nullptr || guards_->state == State::kNone;
  if (is_new && (resuming_ || (!transaction_.open() && Passes(request, router()))))
    return AdvanceUnasked(request, now_ms, progress);
  SessionGuards& guards = Guards();
  if (guards.state == State::kNone && !resuming_) {
    AskPolicies(request, now_ms, guards);
    if (guards.state != State::kAnswer && worker_.flights().leases().used())
      SessionFlights::BeginFor(*this, request);
  }
  if (guards.state == State::kParked) {
    if (guards.parked_until_ns > MonotonicNanos()) {
      Park(guards.parked_until_ns);
      return Step::kStay;
    }
    guards.state = State::kPassed;
  }
  std::optional<Step> step;
  if (guards.state == State::kAnswer) {
    progress.output_bytes = kUnknownOutput;
    step = AnswerForPolicy(request, guards, progress);
  } else {
    const Request sent = InForm(request, worker_.server().commands(), guards);
    if (!resuming_) step = ForwardCached(sent, progress);
    if (step) {
      progress.output_bytes = kUnknownOutput;
    } else {
      if (guards.flights != nullptr) guards.flights->BeforeExecution();
      step = AdvanceWatched(sent, now_ms, progress, guards);
    }
  }
  if (*step != Step::kStay) guards.End();
  return *step;
}

Session::Step Session::AdvanceUnasked(const Request& request, int64_t now_ms, Progress& progress) {
  if (!resuming_) {
    const std::optional<Step> step = ForwardCached(request, progress);
    if (guards_ != nullptr) guards_->fanout = nullptr;
    if (step) {
      progress.output_bytes = kUnknownOutput;
      return *step;
    }
  }
  return AdvanceHere(request, true, now_ms, progress);
}

// Executed here: what the engine replies is looked at where it stands. What CLIENT REPLY keeps back
// is not there.
bool Session::IsKnownAbsent(SessionGuards& guards, size_t mark) {
  if (guards.absence == nullptr) return false;
  const size_t end = output_.Mark();
  const bool may_be_nothing = end > mark && end - mark <= kNothingBytesMax;
  const std::string_view instead =
      guards.absence->OnOwnReply(may_be_nothing ? output_.CopyFrom(mark) : std::string());
  if (instead.empty()) return false;
  output_.Truncate(mark);
  reply_.Replay(instead);
  return true;
}

Session::Step Session::AdvanceWatched(const Request& request, int64_t now_ms, Progress& progress,
                                      SessionGuards& guards) {
  const size_t mark = output_.Mark();
  const Step step = AdvanceHere(request, true, now_ms, progress);
  if (step != Step::kStay && IsKnownAbsent(guards, mark)) progress.output_bytes = kUnknownOutput;
  return step;
}

void Session::AskPolicies(const Request& request, int64_t now_ms, SessionGuards& guards) {
  using State = SessionGuards::State;
  guards.state = State::kPassed;
  const bool executes = transaction_.open() && request.command->full_name == "exec";
  // It will be refused, or answers nil: nobody has to pay for that.
  if (executes && (transaction_.refused() || client_.watches.dirty())) return;
  if (!executes && IsUnjudged(request, router())) return;
  Judge& judge = worker_.judge();
  const int64_t now_ns = MonotonicNanos();
  judge.Begin({.client = guards.client,
               .user = guards.user,
               .now_ns = now_ns,
               .unix_ms = now_ms,
               .hot = worker_.observer() != nullptr ? &worker_.key_observer().recorder() : nullptr,
               .big_keys = worker_.big_keys() != nullptr ? &worker_.big_keys()->table() : nullptr,
               .in_transaction = executes,
               .watches = !client_.watches.keys().empty() ||
                          (private_ != nullptr && private_->watched() != nullptr)});
  if (executes) {
    for (size_t i = 0; i < transaction_.size(); ++i) {
      if (!AskRoutes(judge, router(), transaction_.at(i).view(), client_.db)) break;
    }
  } else {
    AskRoutes(judge, router(), request, client_.db);
  }
  guards.verdict = judge.End();
  if (guards.verdict.absence != nullptr) {
    auto hook = std::make_unique<AbsenceHook>(std::move(guards.verdict.absence));
    guards.absence = hook.get();
    guards.hook = std::move(hook);
  }
  if (guards.verdict.kind == Verdict::Kind::kAnswer) {
    guards.state = State::kAnswer;
  } else if (guards.verdict.wait_ns > 0) {
    guards.parked_until_ns = now_ns + guards.verdict.wait_ns;
    guards.state = State::kParked;
  }
}

Session::Step Session::AnswerForPolicy(const Request& request, const SessionGuards& guards,
                                       Progress& progress) {
  if (WaitsForUpstream(0)) return Step::kStay;
  const Verdict& verdict = guards.verdict;
  if (!verdict.copy.empty() && reply_mode_ == ReplyMode::kOn)
    return AnswerFromCache(request, verdict.copy, router().RouteOf(request), progress);
  if (verdict.answer != PolicyAnswer::kError &&
      WriteNothing(request, verdict.answer, reply_, verdict.blank)) {
    worker_.mutable_command_stats().Reject(request.command->id);
    last_command_ = request.command;
    AfterReply();
    return Step::kNext;
  }
  if (private_ != nullptr && request.command->full_name == "exec") private_->EndWatch();
  RefuseWith(request, verdict.error);
  return Step::kNext;
}

void Session::Park(int64_t until_ns) {
  StopFor(kStopParked);
  worker_.mutable_counters().sessions_suspended.Add(1);
  worker_.WakeAfter(id_, MillisUntil(until_ns));
}

// Also when somebody wakes it for another reason: AdvanceGuarded looks at the clock.
void Session::EndPark() {
  if (kill_ || stream_.closing()) return;
  EndWait(kStopParked);
  RunKept();
}

// What has begun goes on, and what policies have let in goes: they have seen to it that it waits.
std::optional<Session::Step> Session::Shed(const Request& request) {
  const PolicyMode mode = ModeOf(worker_.options().load_shedding, worker_.options().profile);
  if (mode == PolicyMode::kOff) return std::nullopt;
  if (resuming_ || (guards_ != nullptr && guards_->state != SessionGuards::State::kNone))
    return std::nullopt;
  const bool executes = transaction_.open() && request.command->full_name == "exec";
  DataAccess access = DataAccessOf(*request.command);
  if (executes) access = transaction_.writes() ? DataAccess::kWrite : DataAccess::kRead;
  if (access == DataAccess::kNone) return std::nullopt;
  const bool has_queue = executes && transaction_.size() > 0;
  RoutePolicies* const policies =
      router().RouteOf(has_queue ? transaction_.at(0).view() : request).policies.get();
  const LoadClass load_class{
      .priority = policies != nullptr ? policies->priority() : RoutePriority::kNormal,
      .access = access};
  const int64_t waited_ns = TicksToNanos(worker_.loop().read_waited_ticks());
  const int64_t backlog_ns = BacklogNanosFor(*request.command, worker_.judge().backlog());
  const int64_t base_ns = std::chrono::nanoseconds(worker_.options().load_shedding_wait).count();
  const bool late = waited_ns + backlog_ns > ShedWaitNanos(load_class, base_ns);
  const bool needs_memory =
      executes ? transaction_.denies_oom() : (request.command->spec->flags & kDenyOom) != 0;
  const bool full = IsTooMuch(worker_, load_class.priority, needs_memory);
  if (!late && !full) return std::nullopt;
  if (mode == PolicyMode::kEnforce && WaitsForUpstream(0)) return Step::kStay;
  if (policies != nullptr)
    policies->counters().Count(PolicyKind::kLoadShedding, PolicyAct::kRefused, mode);
  if (mode != PolicyMode::kEnforce) return std::nullopt;
  if (private_ != nullptr && executes) private_->EndWatch();
  RefuseWith(request, late ? Overloaded(waited_ns, backlog_ns)
                           : "OVERLOADED the process is short of memory and the command may need "
                             "more (load shedding): try again later");
  if (!late || closing()) return Step::kNext;
  const int64_t now_ns = MonotonicNanos();
  const int64_t pause_ns = worker_.judge().refusals().Refused(now_ns);
  if (pause_ns == 0) return Step::kNext;
  Park(now_ns + pause_ns);
  return Step::kLast;
}

}  // namespace tidegate
