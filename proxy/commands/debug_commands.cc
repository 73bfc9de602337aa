// DEBUG: the switches and views that test suites use. Refused unless enable-debug-command allows
// it: some parts end the process or let a client wait at will. Parts that look at data are executed
// by the engine (storage/introspection.h).
#include <cmath>
#include <csignal>

#include "base/clock.h"
#include "base/log.h"
#include "config/option_value.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"
#include "proxy/snapshot.h"
#include "storage/engine_thread.h"
#include "storage/introspection.h"

namespace tidegate {
namespace {

constexpr std::string_view kDebugHelp[] = {
    "AOF-FLUSH-SLEEP <microseconds>",
    "    Accepted; there is no append-only file.",
    "ASSERT",
    "    End the process by a failed check.",
    "CHANGE-REPL-ID",
    "    Accepted; there is no replication.",
    "DIGEST",
    "    A signature of all data.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Signatures of the values of keys.",
    "ERROR <text>",
    "    Answer with an error of that text.",
    "HTSTATS <db>",
    "    Sizes of a database.",
    "HTSTATS-KEY <key>",
    "    Sizes of a value that is a hash table.",
    "LOADAOF",
    "    Drop all data and load the append-only file that a Redis left in dir.",
    "LOG <text>",
    "    Write a line to the log.",
    "OBJECT <key>",
    "    How a key is held.",
    "PANIC",
    "    End the process by a failed check.",
    "PAUSE-CRON <0|1>",
    "    Accepted; background work goes on.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Make strings <prefix>:0 and on.",
    "PROTOCOL <type>",
    "    Answer with a value of that type: string, integer, double, bignum, null,",
    "    array, set, map, attrib, push, verbatim, true, false.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Accepted; it changes nothing here.",
    "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
    "    Save, drop all data and load it again; MERGE: keys of the file take the place of",
    "    others, NOFLUSH: nothing is dropped, NOSAVE: what was saved before is loaded.",
    "REPLICATE <argument> [<argument> ...]",
    "    Accepted; there are no replicas to tell.",
    "REPLYBUFFER (PEAK-RESET-TIME (NEVER|RESET|<milliseconds>)|RESIZING <0|1>)",
    "    Accepted; reply buffers are of a fixed size.",
    "SEGFAULT",
    "    End the process by a bad memory access.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Whether keys expire that nobody looks at.",
    "SET-DISABLE-DENY-SCRIPTS <0|1>",
    "    Accepted; there are no scripts.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Accepted; checksums are looked at.",
    "SLEEP <seconds>",
    "    Answer after a time; other clients are served meanwhile.",
    "STRINGMATCH-TEST",
    "    Match random patterns.",
};

bool Allowed(SessionCommand& c) {
  switch (c.options().enable_debug_command) {
    case ProtectedAction::kYes:
      return true;
    case ProtectedAction::kLocal:
      return c.session().is_local();
    case ProtectedAction::kNo:
      return false;
  }
  return false;
}

// Executes a command of the engine's on behalf of the client; `keys_from`: its arguments from there
// on are keys. What is said of a key that an upstream has would be about another one.
ExecStatus InEngine(SessionCommand& c, const Command& command, size_t keys_from) {
  std::vector<KeyRef> keys;
  for (size_t i = keys_from; i < c.argc(); ++i) {
    if (c.session().router().RouteOfKey(c.arg(i)).upstream != nullptr)
      return c.Fail(
          "ERR DEBUG is about keys of the engine, and this one belongs to an upstream cluster");
    keys.push_back(KeyRef::Of(c.arg(i)));
  }
  const Request request{.command = &command, .args = c.args(), .keys = keys};
  return c.engine().Execute(c.worker().engine_thread(), request, c.session().client(), c.reply());
}

ExecStatus DebugAssert(SessionCommand&) {
  TG_CHECK(false && "DEBUG ASSERT");
  return ExecStatus::kDone;
}

ExecStatus DebugPanic(SessionCommand&) {
  TG_CHECK(false && "DEBUG PANIC");
  return ExecStatus::kDone;
}

ExecStatus DebugSegfault(SessionCommand& c) {
  std::raise(SIGSEGV);
  return c.Ok();
}

ExecStatus DebugAccepted(SessionCommand& c) { return c.Ok(); }

ExecStatus DebugDigest(SessionCommand& c) { return InEngine(c, DebugDigestCommand(), c.argc()); }
ExecStatus DebugDigestValue(SessionCommand& c) { return InEngine(c, DebugDigestValueCommand(), 2); }
ExecStatus DebugObject(SessionCommand& c) { return InEngine(c, DebugObjectCommand(), 2); }
ExecStatus DebugHtStatsKey(SessionCommand& c) { return InEngine(c, DebugHtStatsKeyCommand(), 2); }
ExecStatus DebugPopulate(SessionCommand& c) {
  return InEngine(c, DebugPopulateCommand(), c.argc());
}

ExecStatus DebugError(SessionCommand& c) { return c.Fail(c.arg(2)); }

ExecStatus DebugHelp(SessionCommand& c) { return ReplyHelp(c, kDebugHelp); }

ExecStatus DebugHtStats(SessionCommand& c) {
  const std::optional<int64_t> db = c.IntegerArg(2);
  if (!db) return ExecStatus::kDone;
  if (*db < 0 || *db >= c.engine().databases()) return c.Fail("ERR Out of range database");
  const DbStats stats = c.engine().StatsOfDb(static_cast<int>(*db));
  const auto table = [](uint64_t elements) {
    return elements == 0 ? std::string("No stats available for empty dictionaries\n")
                         : " number of elements: " + std::to_string(elements) + "\n";
  };
  return ReplyText(
      c, "[Dictionary HT]\n" + table(stats.keys) + "[Expires HT]\n" + table(stats.expires));
}

ExecStatus DebugLog(SessionCommand& c) {
  log::Warning("DEBUG LOG: " + std::string(c.arg(2)));
  return c.Ok();
}

// Behind the gate.
ExecStatus LoadAof(SessionCommand& c, const std::string& path) {
  EngineThread& thread = c.worker().engine_thread();
  c.engine().ClearDatabase(thread, -1);
  const Status loaded = LoadAppendOnlyFile(c.server(), thread, c.options(), path);
  if (loaded.ok()) return c.Ok();
  log::Warning("DEBUG LOADAOF failed: " + loaded.error().message);
  return c.Fail("ERR Error trying to load the AOF files, check server logs.");
}

constexpr std::string_view kNotInJournal =
    "ERR with appendonly yes only DEBUG RELOAD without options: the journal would not know of it";

ExecStatus DebugLoadAof(SessionCommand& c) {
  if (c.options().appendonly) return c.Fail(kNotInJournal);
  const std::optional<std::string> path = AppendOnlyFilePath(c.options());
  if (!path) return c.Fail("ERR there is no append-only file in dir: nothing is loaded");
  EngineThread& thread = c.worker().engine_thread();
  const ExecStatus entered = c.engine().BeginAtomic(
      thread, {}, /*whole=*/true, c.session().client(), {.keys = {}, .everything = true});
  if (entered == ExecStatus::kSuspended) return entered;
  if (entered == ExecStatus::kRefused) return c.Fail(errors::kCannotLoad);
  const ExecStatus status = LoadAof(c, *path);
  c.engine().EndAtomic(thread);
  return status;
}

struct ReloadOptions {
  bool merge = false;
  bool flush = true;
  bool save = true;

  bool keeps_data() const { return save && flush && !merge; }
};

// Nothing after the error reply.
std::optional<ReloadOptions> ParseReload(SessionCommand& c) {
  ReloadOptions options;
  for (size_t i = 2; i < c.argc(); ++i) {
    if (EqualsIgnoreCase(c.arg(i), "merge")) {
      options.merge = true;
    } else if (EqualsIgnoreCase(c.arg(i), "noflush")) {
      options.flush = false;
    } else if (EqualsIgnoreCase(c.arg(i), "nosave")) {
      options.save = false;
    } else {
      c.Fail("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
      return std::nullopt;
    }
  }
  return options;
}

// Behind the gate.
ExecStatus Reload(SessionCommand& c, const ReloadOptions& options) {
  EngineThread& thread = c.worker().engine_thread();
  if (options.save && !SaveSnapshot(c.server(), thread, c.options()).ok()) return c.Fail("ERR");
  if (options.flush) c.engine().ClearDatabase(thread, -1);
  const Status loaded = LoadSnapshot(c.server(), thread, c.options(), options.merge);
  if (loaded.ok()) return c.Ok();
  log::Warning("DEBUG RELOAD failed: " + loaded.error().message);
  return c.Fail("ERR Error trying to load the RDB dump, check server logs.");
}

ExecStatus DebugReload(SessionCommand& c) {
  const std::optional<ReloadOptions> options = ParseReload(c);
  if (!options) return ExecStatus::kDone;
  if (c.options().appendonly && !options->keeps_data()) return c.Fail(kNotInJournal);
  EngineThread& thread = c.worker().engine_thread();
  const ExecStatus entered = c.engine().BeginAtomic(
      thread, {}, /*whole=*/true, c.session().client(), {.keys = {}, .everything = true});
  if (entered == ExecStatus::kSuspended) return entered;
  if (entered == ExecStatus::kRefused) return c.Fail(errors::kCannotLoad);
  const ExecStatus status = Reload(c, *options);
  c.engine().EndAtomic(thread);
  return status;
}

ExecStatus DebugPackedThreshold(SessionCommand& c) {
  // A node of a quicklist may be 4 GiB; Redis leaves a MiB of that for what surrounds its elements.
  constexpr int64_t kMax = (int64_t{4} << 30) - (int64_t{1} << 20);
  const std::optional<int64_t> amount = ParseMemory(c.arg(2));
  if (!amount || *amount > kMax) {
    return c.Fail("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
  }
  return c.Ok();
}

void ReplyProtocolMap(ReplyWriter& reply) {
  reply.Map(3);
  for (int i = 0; i < 3; ++i) {
    reply.Integer(i);
    reply.Boolean(i == 1);
  }
}

void ReplyNumbers(ReplyWriter& reply) {
  for (int i = 0; i < 3; ++i) reply.Integer(i);
}

ExecStatus DebugProtocol(SessionCommand& c) {
  const std::string type = ToLowerAscii(c.arg(2));
  ReplyWriter& reply = c.reply();
  if (type == "string") {
    reply.Bulk("Hello World");
  } else if (type == "integer") {
    reply.Integer(12345);
  } else if (type == "double") {
    reply.Double(3.141);
  } else if (type == "null") {
    reply.Null();
  } else if (type == "array") {
    reply.Array(3);
    ReplyNumbers(reply);
  } else if (type == "set") {
    reply.Set(3);
    ReplyNumbers(reply);
  } else if (type == "map") {
    ReplyProtocolMap(reply);
  } else if (type == "attrib") {
    if (reply.resp3()) {
      reply.Attribute(1);
      reply.Bulk("key-popularity");
      reply.Array(2);
      reply.Bulk("key:123");
      reply.Integer(90);
    }
    reply.Bulk("Some real reply following the attribute");
  } else if (type == "push") {
    if (!reply.resp3()) return c.Fail("ERR RESP2 is not supported by this command");
    reply.Push(2);
    reply.Bulk("server-cpu-usage");
    reply.Integer(42);
    // A push is no reply: whoever waits for one would wait for ever.
    reply.Bulk("Some real reply following the push reply");
  } else if (type == "true" || type == "false") {
    reply.Boolean(type == "true");
  } else if (type == "verbatim") {
    reply.Verbatim("txt", "This is a verbatim\nstring");
  } else if (type == "bignum") {
    reply.BigNumber("1234567999999999999999999999999999999");
  } else {
    return c.Fail(
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
  }
  return ExecStatus::kDone;
}

ExecStatus DebugReplyBuffer(SessionCommand& c) {
  if (EqualsIgnoreCase(c.arg(2), "peak-reset-time")) {
    const bool word = EqualsIgnoreCase(c.arg(3), "never") || EqualsIgnoreCase(c.arg(3), "reset");
    if (!word && !c.IntegerArg(3)) return ExecStatus::kDone;
    return c.Ok();
  }
  return EqualsIgnoreCase(c.arg(2), "resizing") ? c.Ok() : FailSubcommand(c);
}

// Patterns and texts of a few letters with much meaning, so that all parts of the matcher meet.
ExecStatus DebugStringMatchTest(SessionCommand& c) {
  constexpr std::string_view kLetters = "*?[]^-\\ab";
  constexpr int kRounds = 5000;
  constexpr uint32_t kLengthMax = 16;
  EngineThread& thread = c.worker().engine_thread();
  const auto random_text = [&thread, &kLetters] {
    std::string text(thread.Random() % kLengthMax, '\0');
    for (char& letter : text) letter = kLetters[thread.Random() % kLetters.size()];
    return text;
  };
  for (int i = 0; i < kRounds; ++i) GlobMatch(random_text(), random_text(), i % 2 == 0);
  c.reply().SimpleString("Apparently Redis did not crash: test passed");
  return ExecStatus::kDone;
}

ExecStatus DebugSetActiveExpire(SessionCommand& c) {
  c.engine().settings().active_expire.store(c.arg(2) != "0", std::memory_order_relaxed);
  return c.Ok();
}

struct SleepUntil final : SessionCommand::Continuation {
  explicit SleepUntil(int64_t nanos) : monotonic_nanos(nanos) {}
  int64_t monotonic_nanos;
};

ExecStatus DebugSleep(SessionCommand& c) {
  constexpr double kSecondsMax = 86400.0 * 365;
  if (c.continuation() == nullptr) {
    const double seconds = ParseDouble(c.arg(2)).value_or(0);
    if (!(seconds > 0)) return c.Ok();
    const auto nanos = static_cast<int64_t>(std::min(seconds, kSecondsMax) * 1e9);
    c.set_continuation(std::make_unique<SleepUntil>(MonotonicNanos() + nanos));
  }
  const int64_t until = static_cast<SleepUntil*>(c.continuation())->monotonic_nanos;
  const int64_t left = until - MonotonicNanos();
  if (left <= 0) return c.Ok();
  return c.SuspendFor(std::chrono::milliseconds((left + 999'999) / 1'000'000));
}

struct DebugPart {
  std::string_view name;
  size_t argc_min;
  size_t argc_max;
  ExecStatus (*run)(SessionCommand&);
};

constexpr size_t kAnyNumber = SIZE_MAX;

constexpr DebugPart kParts[] = {
    {"aof-flush-sleep", 3, 3, DebugAccepted},
    {"assert", 2, kAnyNumber, DebugAssert},
    {"change-repl-id", 2, 2, DebugAccepted},
    {"digest", 2, 2, DebugDigest},
    {"digest-value", 2, kAnyNumber, DebugDigestValue},
    {"error", 3, 3, DebugError},
    {"help", 2, 2, DebugHelp},
    {"htstats", 3, 3, DebugHtStats},
    {"htstats-key", 3, 3, DebugHtStatsKey},
    {"loadaof", 2, kAnyNumber, DebugLoadAof},
    {"log", 3, 3, DebugLog},
    {"object", 3, 3, DebugObject},
    {"panic", 2, kAnyNumber, DebugPanic},
    {"pause-cron", 3, 3, DebugAccepted},
    {"populate", 3, 5, DebugPopulate},
    {"protocol", 3, 3, DebugProtocol},
    {"quicklist-packed-threshold", 3, 3, DebugPackedThreshold},
    {"reload", 2, kAnyNumber, DebugReload},
    {"replicate", 3, kAnyNumber, DebugAccepted},
    {"replybuffer", 4, 4, DebugReplyBuffer},
    {"segfault", 2, kAnyNumber, DebugSegfault},
    {"set-active-expire", 3, 3, DebugSetActiveExpire},
    {"set-disable-deny-scripts", 3, 3, DebugAccepted},
    {"set-skip-checksum-validation", 3, 3, DebugAccepted},
    {"sleep", 3, 3, DebugSleep},
    {"stringmatch-test", 2, 2, DebugStringMatchTest},
};

ExecStatus CmdDebug(SessionCommand& c) {
  if (!Allowed(c)) {
    return c.Fail(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.");
  }
  for (const DebugPart& part : kParts) {
    if (!EqualsIgnoreCase(c.arg(1), part.name)) continue;
    if (c.argc() < part.argc_min || c.argc() > part.argc_max) break;
    return part.run(c);
  }
  return FailSubcommand(c);
}

constexpr CommandSpec kDebugCommands[] = {
    {.name = "DEBUG",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript | kLoading | kStale | kProtected | kMaySuspend,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "Depends on the sub-command",
     .summary = "Switches and views for tests.",
     .session_handler = CmdDebug},
};

}  // namespace

static_assert(IsValidFamily(kDebugCommands));
const std::span<const CommandSpec> kDebugFamily = kDebugCommands;

}  // namespace tidegate
