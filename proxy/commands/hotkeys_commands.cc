// HOTKEYS: which keys cost the most, in the forms of two others.
//
//   START … STOP, GET   a session that adds up time and bytes by key, as Redis 8.6 has it
//   GET without one     the hot keys of now, as Valkey 9.2 has it: key, db, accesses a second
//
// Sources: the pages of HOTKEYS of Redis; Valkey's pull request 3708.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"
#include "proxy/observe/cost_tracking.h"
#include "proxy/observe/hot_key_service.h"

namespace tidegate {
namespace {

// As Redis.
constexpr int64_t kMetricsMax = 2;
constexpr int64_t kKeysMax = 64;
constexpr int64_t kDurationSecondsMax = 1'000'000;
constexpr int64_t kSampleMax = INT32_MAX;

constexpr std::string_view kHotkeysHelp[] = {
    "START METRICS <count> [CPU] [NET] [COUNT <keys>] [DURATION <seconds>]",
    "      [SAMPLE <ratio>] [SLOTS <count> <slot> [<slot> ...]]",
    "    Begin to add up what keys cost.",
    "STOP",
    "    End it. GET still has the result.",
    "GET",
    "    The result of that; without one, the hot keys of now.",
    "RESET",
    "    Forget both. Not while costs are added up.",
};

ExecStatus CmdHotkeysHelp(SessionCommand& c) { return ReplyHelp(c, kHotkeysHelp); }

// The words behind HOTKEYS START, one after the other.
class StartArguments {
 public:
  explicit StartArguments(SessionCommand& c) : c_(c) {}

  // Empty: the options are good.
  std::string Read(CostOptions& options) {
    if (c_.argc() < 4 || !EqualsIgnoreCase(c_.arg(2), "metrics"))
      return "ERR METRICS parameter is required";
    std::string error = ReadMetrics(options);
    while (error.empty() && at_ < c_.argc()) error = ReadOption(options);
    return error;
  }

 private:
  std::optional<int64_t> Number(size_t at, int64_t max) const {
    const std::optional<int64_t> number = ParseInt64(c_.arg(at));
    return number && *number >= 1 && *number <= max ? number : std::nullopt;
  }

  std::string ReadMetrics(CostOptions& options) {
    const std::optional<int64_t> count = Number(3, kMetricsMax);
    if (!count) return "ERR METRICS count must be > 0 and <= " + std::to_string(kMetricsMax);
    at_ = 4;
    int64_t read = 0;
    for (; at_ < c_.argc() && read < *count; ++at_, ++read) {
      // Metrics of later versions are passed over.
      if (EqualsIgnoreCase(c_.arg(at_), "cpu")) {
        if (std::exchange(options.by_time, true)) return "ERR METRICS CPU defined more than once!";
      } else if (EqualsIgnoreCase(c_.arg(at_), "net")) {
        if (std::exchange(options.by_bytes, true)) return "ERR METRICS NET defined more than once!";
      }
    }
    if (read != *count) return "ERR METRICS count does not match number of metric types provided";
    if (!options.by_time && !options.by_bytes)
      return "ERR METRICS no valid metrics passed. Supported: CPU|NET";
    return "";
  }

  std::string ReadOption(CostOptions& options) {
    const std::string_view word = c_.arg(at_);
    if (at_ + 1 == c_.argc()) return std::string(errors::kSyntax);
    if (EqualsIgnoreCase(word, "slots")) return ReadSlots(options);
    const bool is_count = EqualsIgnoreCase(word, "count");
    const bool is_duration = EqualsIgnoreCase(word, "duration");
    if (!is_count && !is_duration && !EqualsIgnoreCase(word, "sample"))
      return std::string(errors::kSyntax);
    const std::optional<int64_t> number = Number(at_ + 1, is_count      ? kKeysMax
                                                          : is_duration ? kDurationSecondsMax
                                                                        : kSampleMax);
    at_ += 2;
    if (is_count) {
      if (!number) return "ERR COUNT must be between 1 and 64";
      options.keys = static_cast<size_t>(*number);
    } else if (is_duration) {
      if (!number) return "ERR DURATION must be between 1 and 1000000";
      options.duration_ms = *number * 1000;
    } else {
      if (!number) return "ERR SAMPLE ratio must be positive";
      options.selection.sample = static_cast<uint32_t>(*number);
    }
    return "";
  }

  std::string ReadSlots(CostOptions& options) {
    std::vector<bool>& slots = options.selection.slots;
    if (!slots.empty()) return "ERR SLOTS parameter already specified";
    const std::optional<int64_t> count = Number(at_ + 1, kSlotCount);
    if (!count) return "ERR SLOTS count must be between 1 and " + std::to_string(kSlotCount);
    at_ += 2;
    if (static_cast<size_t>(*count) > c_.argc() - at_)
      return "ERR not enough slot numbers provided";
    slots.assign(kSlotCount, false);
    for (int64_t i = 0; i < *count; ++i, ++at_) {
      const std::optional<int64_t> slot = ParseInt64(c_.arg(at_));
      if (!slot || *slot < 0 || *slot >= int64_t{kSlotCount})
        return "ERR Invalid or out of range slot";
      if (slots[static_cast<size_t>(*slot)]) return "ERR duplicate slot number";
      slots[static_cast<size_t>(*slot)] = true;
    }
    return "";
  }

  SessionCommand& c_;
  size_t at_ = 0;
};

// Every worker has taken it in before the client is answered.
ExecStatus TrackEverywhere(SessionCommand& c, std::shared_ptr<const CostSession> session) {
  return c.Gather<bool>([session = std::move(session)](Worker& at) {
    TrackCosts(at, session.get());
    return true;
  });
}

ExecStatus CmdHotkeysStart(SessionCommand& c) {
  if (c.Gathered<bool>() != nullptr) return c.Ok();
  if (c.continuation() != nullptr) return c.Suspend();
  CostTracking& costs = c.server().hot_keys().costs();
  const int64_t now_ms = UnixMillis();
  if (const auto running = costs.Report(now_ms); running != nullptr && running->active)
    return c.Fail("ERR hotkey tracking session already in progress");
  CostOptions options;
  const std::string error = StartArguments(c).Read(options);
  if (!error.empty()) return c.Fail(error);
  std::shared_ptr<const CostSession> session =
      costs.Begin(std::move(options), c.server().workers().size(), now_ms);
  if (session == nullptr) return c.Fail("ERR hotkey tracking session already in progress");
  return TrackEverywhere(c, std::move(session));
}

ExecStatus CmdHotkeysStop(SessionCommand& c) {
  if (c.Gathered<bool>() != nullptr) return c.Ok();
  if (c.continuation() != nullptr) return c.Suspend();
  if (c.server().hot_keys().costs().End(UnixMillis())) return TrackEverywhere(c, nullptr);
  c.reply().Null();
  return ExecStatus::kDone;
}

ExecStatus CmdHotkeysReset(SessionCommand& c) {
  if (!c.server().hot_keys().costs().Reset(UnixMillis()))
    return c.Fail("ERR hotkey tracking session in progress, stop tracking first");
  c.server().hot_keys().Reset();
  return c.Ok();
}

// Slots as ranges: [from, to], or [slot].
void ReplySlots(ReplyWriter& reply, const std::vector<bool>& slots) {
  std::vector<std::pair<size_t, size_t>> ranges;
  for (size_t slot = 0; slot < kSlotCount; ++slot) {
    if (!slots.empty() && !slots[slot]) continue;
    if (!ranges.empty() && ranges.back().second + 1 == slot) {
      ranges.back().second = slot;
    } else {
      ranges.emplace_back(slot, slot);
    }
  }
  reply.Array(ranges.size());
  for (const auto& [from, to] : ranges) {
    reply.Array(from == to ? 1 : 2);
    reply.Integer(static_cast<int64_t>(from));
    if (from != to) reply.Integer(static_cast<int64_t>(to));
  }
}

void ReplyField(ReplyWriter& reply, std::string_view name, int64_t value) {
  reply.Bulk(name);
  reply.Integer(value);
}

// The dearest keys, each followed by what it cost; time in microseconds.
void ReplyKeys(ReplyWriter& reply, std::string_view name, const CostReport& report,
               uint64_t KeyCost::*what, uint64_t divisor) {
  std::vector<std::pair<uint64_t, std::string_view>> keys;
  for (const KeyCosts::Entry& entry : report.sums.keys) {
    const uint64_t cost = entry.cost.*what / divisor;
    if (cost > 0) keys.emplace_back(cost, entry.name);
  }
  std::sort(keys.begin(), keys.end(), std::greater<>());
  keys.resize(std::min(keys.size(), report.options.keys));
  reply.Bulk(name);
  reply.Array(keys.size() * 2);
  for (const auto& [cost, key] : keys) {
    reply.Bulk(key);
    reply.Integer(static_cast<int64_t>(cost));
  }
}

constexpr uint64_t kNanosPerMicro = 1000;

void ReplyCosts(ReplyWriter& reply, const CostReport& report) {
  const auto micros = [](const KeyCost& cost) {
    return static_cast<int64_t>(cost.nanos / kNanosPerMicro);
  };
  const auto bytes = [](const KeyCost& cost) { return static_cast<int64_t>(cost.bytes); };
  const CostOptions& options = report.options;
  const bool has_slots = !options.selection.slots.empty();
  const bool has_samples = has_slots && options.selection.sample > 1;
  const size_t fields = 7 + (has_slots ? 2 : 0) + (has_samples ? 2 : 0) +
                        (options.by_time ? 3 : 0) + (options.by_bytes ? 2 : 0);
  reply.Array(1);
  reply.Map(fields);
  ReplyField(reply, "tracking-active", report.active ? 1 : 0);
  ReplyField(reply, "sample-ratio", options.selection.sample);
  reply.Bulk("selected-slots");
  ReplySlots(reply, options.selection.slots);
  if (has_samples)
    ReplyField(reply, "sampled-commands-selected-slots-us", micros(report.sums.sampled));
  if (has_slots) ReplyField(reply, "all-commands-selected-slots-us", micros(report.sums.selected));
  ReplyField(reply, "all-commands-all-slots-us", micros(report.sums.all));
  if (has_samples)
    ReplyField(reply, "net-bytes-sampled-commands-selected-slots", bytes(report.sums.sampled));
  if (has_slots)
    ReplyField(reply, "net-bytes-all-commands-selected-slots", bytes(report.sums.selected));
  ReplyField(reply, "net-bytes-all-commands-all-slots", bytes(report.sums.all));
  ReplyField(reply, "collection-start-time-unix-ms", report.begin_unix_ms);
  ReplyField(reply, "collection-duration-ms", report.duration_ms);
  if (options.by_time) {
    ReplyField(reply, "total-cpu-time-user-ms", report.user_ms);
    ReplyField(reply, "total-cpu-time-sys-ms", report.system_ms);
  }
  if (options.by_bytes) ReplyField(reply, "total-net-bytes", bytes(report.sums.all));
  if (options.by_time) ReplyKeys(reply, "by-cpu-time-us", report, &KeyCost::nanos, kNanosPerMicro);
  if (options.by_bytes) ReplyKeys(reply, "by-net-bytes", report, &KeyCost::bytes, 1);
}

ExecStatus CmdHotkeysGet(SessionCommand& c) {
  ReplyWriter& reply = c.reply();
  if (const auto costs = c.server().hot_keys().costs().Report(UnixMillis()); costs != nullptr) {
    ReplyCosts(reply, *costs);
    return ExecStatus::kDone;
  }
  const HotKeyFacts facts = c.server().hot_keys().Facts();
  reply.Array(facts.report->keys.size());
  for (const hotkey::HotKey& key : facts.report->keys) {
    reply.Map(3);
    reply.Bulk("key");
    reply.Bulk(key.name);
    ReplyField(reply, "db", key.keyspace.database);
    ReplyField(reply, "qps", std::llround(key.reads + key.writes));
  }
  return ExecStatus::kDone;
}

constexpr uint32_t kHotkeysFlags = kAdmin | kNoScript;

constexpr CommandSpec kHotkeysSubcommands[] = {
    {.name = "GET",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kHotkeysFlags,
     .group = Group::kServer,
     .since = "8.6.0",
     .complexity = "O(N) in the number of keys that are shown",
     .summary = "The keys that cost the most, or the hot keys of now.",
     .session_handler = CmdHotkeysGet,
     .tips = "request_policy:special nondeterministic_output"},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "8.6.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of HOTKEYS.",
     .session_handler = CmdHotkeysHelp},
    {.name = "RESET",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kHotkeysFlags,
     .group = Group::kServer,
     .since = "8.6.0",
     .complexity = "O(1)",
     .summary = "Forgets hot keys and what keys cost.",
     .session_handler = CmdHotkeysReset},
    {.name = "START",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kHotkeysFlags | kMaySuspend,
     .group = Group::kServer,
     .since = "8.6.0",
     .complexity = "O(1)",
     .summary = "Begins to add up what keys cost.",
     .session_handler = CmdHotkeysStart},
    {.name = "STOP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kHotkeysFlags | kMaySuspend,
     .group = Group::kServer,
     .since = "8.6.0",
     .complexity = "O(1)",
     .summary = "Ends that; the result stays.",
     .session_handler = CmdHotkeysStop},
};

constexpr CommandSpec kHotkeysCommands[] = {
    {.name = "HOTKEYS",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "8.6.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about hot keys.",
     .subcommands = kHotkeysSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kHotkeysCommands));
const std::span<const CommandSpec> kHotkeysFamily = kHotkeysCommands;

}  // namespace tidegate
