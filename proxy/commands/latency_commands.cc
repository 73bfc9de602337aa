// LATENCY: spikes by event (proxy/observe/latency_monitor.h) and histograms by command.
#include <algorithm>

#include "proxy/commands/families.h"
#include "proxy/commands/latency_doctor.h"
#include "proxy/commands/latency_graph.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kLatencyHelp[] = {
    "DOCTOR",
    "    What the spikes may come from.",
    "GRAPH <event>",
    "    The spikes of an event as a drawing.",
    "HISTOGRAM [<command-name> ...]",
    "    How long calls of the commands took, cumulative counts by microseconds.",
    "HISTORY <event>",
    "    The spikes of an event: Unix time and milliseconds.",
    "LATEST",
    "    The last spike of every event.",
    "RESET [<event> ...]",
    "    Forget the spikes of the events, or of all.",
};

ExecStatus CmdLatencyHelp(SessionCommand& c) { return ReplyHelp(c, kLatencyHelp); }

ExecStatus CmdLatencyLatest(SessionCommand& c) {
  const std::vector<LatencyEvent> events = c.server().latency_monitor().Latest();
  ReplyWriter& reply = c.reply();
  reply.Array(events.size());
  for (const LatencyEvent& event : events) {
    reply.Array(4);
    reply.Bulk(event.name);
    reply.Integer(event.latest.unix_seconds);
    reply.Integer(event.latest.latency_ms);
    reply.Integer(event.max_ms);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdLatencyHistory(SessionCommand& c) {
  const std::vector<LatencySample> samples = c.server().latency_monitor().History(c.arg(2));
  c.reply().Array(samples.size());
  for (const LatencySample& sample : samples) {
    c.reply().Array(2);
    c.reply().Integer(sample.unix_seconds);
    c.reply().Integer(sample.latency_ms);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdLatencyReset(SessionCommand& c) {
  LatencyMonitor& monitor = c.server().latency_monitor();
  int64_t count = 0;
  if (c.argc() == 2) {
    count = monitor.ResetAll();
  } else {
    for (size_t i = 2; i < c.argc(); ++i) count += monitor.Reset(c.arg(i)) ? 1 : 0;
  }
  c.reply().Integer(count);
  return ExecStatus::kDone;
}

ExecStatus CmdLatencyGraph(SessionCommand& c) {
  const LatencyMonitor& monitor = c.server().latency_monitor();
  for (const LatencyEvent& event : monitor.Latest()) {
    if (event.name != c.arg(2)) continue;
    const std::vector<LatencySample> samples = monitor.History(event.name);
    if (samples.empty()) break;
    return ReplyText(c, DrawLatencyGraph(event.name, samples, event.max_ms, c.now_ms() / 1000));
  }
  return c.Fail("ERR No samples available for event '" + std::string(c.arg(2)) + "'");
}

ExecStatus CmdLatencyDoctor(SessionCommand& c) {
  const LatencyMonitor& monitor = c.server().latency_monitor();
  std::vector<LatencyHistory> histories;
  for (const LatencyEvent& event : monitor.Latest()) {
    histories.push_back({event, monitor.History(event.name)});
  }
  return ReplyText(c, LatencyReport(histories, c.options(), c.now_ms() / 1000));
}

struct HistogramStep {
  int64_t micros;
  int64_t calls;  // that took at most so long
};

// Cumulative counts at 1, 2, 4 … times 1.024 us, where they change.
std::vector<HistogramStep> CumulativeSteps(const std::vector<uint64_t>& buckets) {
  std::vector<HistogramStep> steps;
  uint64_t calls = 0;
  uint64_t shown = 0;
  uint64_t bound_nanos = 1024;
  const auto close_step = [&] {
    if (calls > shown) {
      const uint64_t micros = (bound_nanos + 500) / 1000;
      steps.push_back({static_cast<int64_t>(micros), static_cast<int64_t>(calls)});
      shown = calls;
    }
  };
  for (size_t i = 0; i < buckets.size(); ++i) {
    while (LatencyHistogram::UpperBoundNanos(static_cast<int>(i)) > bound_nanos) {
      close_step();
      bound_nanos *= 2;
    }
    calls += buckets[i];
  }
  close_step();
  return steps;
}

// The commands to show that have been timed: all, or those named with their sub-commands.
std::vector<const Command*> TimedCommands(SessionCommand& c) {
  std::vector<const Command*> asked;
  const CommandTable& table = c.server().commands();
  if (c.argc() == 2) asked.assign(table.all().begin(), table.all().end());
  for (size_t i = 2; i < c.argc(); ++i) {
    const std::string name = ToLowerAscii(c.arg(i));
    for (const Command* command : table.all()) {
      const bool is_sub = command->container != nullptr && command->container->full_name == name;
      if (is_sub || command->full_name == name) asked.push_back(command);
    }
  }
  return asked;
}

ExecStatus CmdLatencyHistogram(SessionCommand& c) {
  struct Timed {
    const Command* command;
    std::vector<HistogramStep> steps;
  };
  std::vector<Timed> timed;
  for (const Command* command : TimedCommands(c)) {
    const CommandTotals totals = c.server().TotalsOfCommand(command->id, true);
    std::vector<HistogramStep> steps = CumulativeSteps(totals.latency);
    if (!steps.empty()) timed.push_back({command, std::move(steps)});
  }
  ReplyWriter& reply = c.reply();
  reply.Map(timed.size());
  for (const Timed& entry : timed) {
    reply.Bulk(entry.command->full_name);
    reply.Map(2);
    reply.Bulk("calls");
    reply.Integer(entry.steps.back().calls);
    reply.Bulk("histogram_usec");
    reply.Map(entry.steps.size());
    for (const HistogramStep& step : entry.steps) {
      reply.Integer(step.micros);
      reply.Integer(step.calls);
    }
  }
  return ExecStatus::kDone;
}

constexpr uint32_t kLatencyFlags = kAdmin | kNoScript | kLoading | kStale;
constexpr std::string_view kLatencyTips =
    "nondeterministic_output request_policy:all_nodes response_policy:special";

constexpr CommandSpec kLatencySubcommands[] = {
    {.name = "DOCTOR",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLatencyFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "What latency spikes may come from.",
     .session_handler = CmdLatencyDoctor,
     .tips = kLatencyTips},
    {.name = "GRAPH",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLatencyFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "The latency spikes of an event as a drawing.",
     .session_handler = CmdLatencyGraph,
     .tips = kLatencyTips},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "The sub-commands of LATENCY.",
     .session_handler = CmdLatencyHelp},
    {.name = "HISTOGRAM",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLatencyFlags,
     .group = Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) in the number of commands",
     .summary = "How long calls of commands took.",
     .session_handler = CmdLatencyHistogram,
     .tips = kLatencyTips},
    {.name = "HISTORY",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLatencyFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "The latency spikes of an event.",
     .session_handler = CmdLatencyHistory,
     .tips = kLatencyTips},
    {.name = "LATEST",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLatencyFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "The last latency spike of every event.",
     .session_handler = CmdLatencyLatest,
     .tips = kLatencyTips},
    {.name = "RESET",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLatencyFlags,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Forgets latency spikes.",
     .session_handler = CmdLatencyReset,
     .tips = "request_policy:all_nodes response_policy:all_succeeded"},
};

constexpr CommandSpec kLatencyCommands[] = {
    {.name = "LATENCY",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "2.8.13",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about latency.",
     .subcommands = kLatencySubcommands},
};

}  // namespace

static_assert(IsValidFamily(kLatencyCommands));
const std::span<const CommandSpec> kLatencyFamily = kLatencyCommands;

}  // namespace tidegate
