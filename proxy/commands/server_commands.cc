// Commands about the process as a whole: TIME, ROLE, MONITOR, SHUTDOWN, and the answers to what
// clients and tools ask of any Redis although this one has no replication yet. What cannot be done
// is refused in clear words, never confirmed.
#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "base/version.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"
#include "proxy/snapshot.h"
#include "storage/persistence.h"

namespace tidegate {
namespace {

ExecStatus CmdLolwut(SessionCommand& c) {
  if (c.argc() >= 3 && EqualsIgnoreCase(c.arg(1), "version") && !c.IntegerArg(2)) {
    return ExecStatus::kDone;
  }
  return ReplyText(c, "Tidegate ver. " + std::string(kTidegateVersion) + "\n");
}

ExecStatus CmdMonitor(SessionCommand& c) {
  if (c.session().is_monitor()) return ExecStatus::kDone;  // as Redis: no reply
  c.session().set_monitor(true);
  return c.Ok();
}

ExecStatus CmdReplicaOf(SessionCommand& c) {
  if (EqualsIgnoreCase(c.arg(1), "no") && EqualsIgnoreCase(c.arg(2), "one")) return c.Ok();
  constexpr int64_t kPortMax = 65535;
  const std::optional<int64_t> port = ParseInt64(c.arg(2));
  if (!port || *port < 0 || *port > kPortMax) return c.Fail("ERR Invalid master port");
  return c.Fail("ERR this version of Tidegate has no replication: it cannot be a replica");
}

ExecStatus CmdRole(SessionCommand& c) {
  c.reply().Array(3);
  c.reply().Bulk("master");
  c.reply().Integer(0);  // replication offset
  c.reply().Array(0);    // replicas
  return ExecStatus::kDone;
}

struct ShutdownArguments {
  bool save = false;
  bool nosave = false;
  bool abort = false;
  ShutdownRequest request;
};

// Nothing after the error reply.
std::optional<ShutdownArguments> ParseShutdown(SessionCommand& c) {
  ShutdownArguments out;
  bool known = true;
  for (size_t i = 1; i < c.argc(); ++i) {
    const std::string_view word = c.arg(i);
    if (EqualsIgnoreCase(word, "nosave")) {
      out.nosave = true;
    } else if (EqualsIgnoreCase(word, "save")) {
      out.save = true;
    } else if (EqualsIgnoreCase(word, "now")) {
      out.request.now = true;
    } else if (EqualsIgnoreCase(word, "force")) {
      out.request.force = true;
    } else if (EqualsIgnoreCase(word, "abort")) {
      out.abort = true;
    } else {
      known = false;
    }
  }
  if (!known || (out.save && out.nosave) || (out.abort && c.argc() > 2)) {
    c.Fail(errors::kSyntax);
    return std::nullopt;
  }
  return out;
}

// Saves, and lets nobody change the data any more after that: what clients were told is in the
// file. kRefused: it did not work, and the error is written.
ExecStatus SaveForShutdown(SessionCommand& c, bool force) {
  EngineThread& thread = c.worker().engine_thread();
  const ExecStatus entered =
      c.engine().BeginAtomic(thread, {}, /*whole=*/true, c.session().client());
  if (entered == ExecStatus::kSuspended) return entered;
  if (entered == ExecStatus::kRefused) {
    c.Fail(errors::kCannotLoad);
    return entered;
  }
  if (SaveSnapshot(c.server(), thread, c.options()).ok() || force) {
    c.engine().SealAtomic(thread);
    return ExecStatus::kDone;
  }
  c.engine().EndAtomic(thread);
  c.Fail("ERR Errors trying to SHUTDOWN. Check logs.");
  return ExecStatus::kRefused;
}

ExecStatus CmdShutdown(SessionCommand& c) {
  std::optional<ShutdownArguments> arguments = ParseShutdown(c);
  if (!arguments) return ExecStatus::kDone;
  if (arguments->abort) {
    return c.server().AbortShutdown() ? c.Ok() : c.Fail("ERR No shutdown in progress.");
  }
  const bool has_save_points = !c.options().save_points.empty();
  if (arguments->save || (has_save_points && !arguments->nosave)) {
    const ExecStatus saved = SaveForShutdown(c, arguments->request.force);
    if (saved == ExecStatus::kSuspended) return saved;
    if (saved == ExecStatus::kRefused) return ExecStatus::kDone;
    // Nobody gets an answer from the data any more, so nobody is waited for.
    arguments->request.now = true;
  }
  c.server().RequestShutdown(arguments->request);
  // The end of the connection is the reply.
  c.session().CloseAfterReply();
  return ExecStatus::kDone;
}

ExecStatus CmdTime(SessionCommand& c) {
  const int64_t micros = UnixMicros();
  c.reply().Array(2);
  c.reply().BulkInteger(micros / 1'000'000);
  c.reply().BulkInteger(micros % 1'000'000);
  return ExecStatus::kDone;
}

// No replica will ever acknowledge, so there is nothing to wait for.
ExecStatus CmdWait(SessionCommand& c) {
  if (!c.IntegerArg(1)) return ExecStatus::kDone;
  const auto timeout_ms = c.IntegerArg(2, "ERR timeout is not an integer or out of range");
  if (!timeout_ms) return ExecStatus::kDone;
  if (*timeout_ms < 0) return c.Fail("ERR timeout is negative");
  c.reply().Integer(0);
  return ExecStatus::kDone;
}

// What WAITAOF waits for, and until when.
struct WaitAofState final : ClientState::Continuation {
  uint64_t sequence = 0;
  int64_t until_ms = 0;  // 0: without end
};

struct WaitAofArguments {
  bool local = false;
  int64_t timeout_ms = 0;
};

// Nothing after the error reply.
std::optional<WaitAofArguments> ParseWaitAof(SessionCommand& c) {
  constexpr std::string_view kReplicasError = "ERR value is out of range, must be positive";
  const auto local = c.IntegerArg(1);
  if (!local) return std::nullopt;
  if (*local < 0 || *local > 1) {
    c.Fail("ERR value is out of range, value must between 0 and 1");
    return std::nullopt;
  }
  const auto replicas = c.IntegerArg(2, kReplicasError);
  if (!replicas) return std::nullopt;
  if (*replicas < 0) {
    c.Fail(kReplicasError);
    return std::nullopt;
  }
  const auto timeout_ms = c.IntegerArg(3, "ERR timeout is not an integer or out of range");
  if (!timeout_ms) return std::nullopt;
  if (*timeout_ms < 0) {
    c.Fail("ERR timeout is negative");
    return std::nullopt;
  }
  if (*timeout_ms > std::numeric_limits<int64_t>::max() - UnixMillis()) {
    c.Fail("ERR timeout is out of range");
    return std::nullopt;
  }
  return WaitAofArguments{*local == 1, *timeout_ms};
}

ExecStatus ReplyWaitAof(SessionCommand& c, bool local) {
  c.reply().Array(2);
  c.reply().Integer(local ? 1 : 0);
  c.reply().Integer(0);  // replicas
  return ExecStatus::kDone;
}

// Waits until everything that was recorded when it came is synced; what the client wrote is among
// it. Of replicas there are none to wait for, see WAIT.
ExecStatus CmdWaitAof(SessionCommand& c) {
  const std::optional<WaitAofArguments> arguments = ParseWaitAof(c);
  if (!arguments) return ExecStatus::kDone;
  Persistence* persistence = c.server().persistence();
  if (persistence == nullptr) {
    if (!arguments->local) return ReplyWaitAof(c, false);
    return c.Fail("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  }
  auto* state = static_cast<WaitAofState*>(c.continuation());
  const uint64_t sequence = state != nullptr ? state->sequence : persistence->sequence();
  const bool synced = persistence->synced() >= sequence;
  const int64_t now_ms = UnixMillis();
  const bool over = state != nullptr && state->until_ms != 0 && now_ms >= state->until_ms;
  if (synced || !arguments->local || over || c.session().client().in_multi)
    return ReplyWaitAof(c, synced);
  if (state == nullptr) {
    auto fresh = std::make_unique<WaitAofState>();
    fresh->sequence = sequence;
    if (arguments->timeout_ms > 0) fresh->until_ms = now_ms + arguments->timeout_ms;
    state = fresh.get();
    c.set_continuation(std::move(fresh));
  }
  // Each time anew: the timer goes by another clock, and may wake it a little early.
  if (state->until_ms != 0) {
    constexpr int64_t kLongestWakeMillis = 86'400'000;
    c.worker().WakeAfter(c.session().id(), std::chrono::milliseconds(std::min(
                                               state->until_ms - now_ms, kLongestWakeMillis)));
  }
  persistence->AwaitSynced(
      sequence, {&c.worker().engine_thread(), static_cast<uint64_t>(c.session().ticket())});
  return c.Suspend();
}

constexpr CommandSpec kServerCommands[] = {
    {.name = "LOLWUT",
     .arity = AtLeast(1),
     .access = Access::kRead,
     .scope = Scope::kProcess,
     .flags = kFast,
     .group = Group::kServer,
     .since = "5.0.0",
     .summary = "The version.",
     .session_handler = CmdLolwut},
    {.name = "MONITOR",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kLoading | kStale,
     .group = Group::kServer,
     .since = "1.0.0",
     .summary = "Shows every command that the server executes.",
     .session_handler = CmdMonitor},
    {.name = "REPLICAOF",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kStale | kNoAsyncLoading,
     .group = Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Makes the server a replica, or a primary.",
     .session_handler = CmdReplicaOf},
    {.name = "ROLE",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kNoScript | kLoading | kStale | kFast | kAclAdmin,
     .group = Group::kServer,
     .since = "2.8.12",
     .complexity = "O(1)",
     .summary = "The role of the server in replication.",
     .session_handler = CmdRole},
    {.name = "SHUTDOWN",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kLoading | kStale | kNoMulti | kAllowBusy,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys when it saves",
     .summary = "Ends the server.",
     .session_handler = CmdShutdown},
    {.name = "SLAVEOF",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kStale | kNoAsyncLoading,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Makes the server a replica, or a primary.",
     .session_handler = CmdReplicaOf,
     .deprecated_since = "5.0.0",
     .replaced_by = "REPLICAOF"},
    {.name = "TIME",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kFast,
     .group = Group::kServer,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "The time of the server.",
     .session_handler = CmdTime,
     .tips = "nondeterministic_output"},
    {.name = "WAIT",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kNoScript | kAclConnection,
     .group = Group::kGeneric,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Waits until replicas have what was written.",
     .session_handler = CmdWait,
     .tips = "request_policy:all_shards response_policy:agg_min"},
    {.name = "WAITAOF",
     .arity = Exactly(4),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kNoScript | kBlocking,
     .group = Group::kGeneric,
     .since = "7.2.0",
     .complexity = "O(1)",
     .summary = "Waits until what was written is on disk, here and on replicas.",
     .session_handler = CmdWaitAof,
     .tips = "request_policy:all_shards response_policy:agg_min"},
};

}  // namespace

static_assert(IsValidFamily(kServerCommands));
const std::span<const CommandSpec> kServerFamily = kServerCommands;

}  // namespace tidegate
