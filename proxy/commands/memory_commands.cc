// MEMORY: what data and process take. MEMORY USAGE looks at a key and is answered by the engine.
#include <cstdio>

#include "proxy/commands/families.h"
#include "proxy/commands/memory_report.h"
#include "proxy/commands/reply_help.h"
#include "storage/introspection.h"

extern "C" {
// jemalloc's; null where the process runs with another allocator.
__attribute__((weak)) void malloc_stats_print(void (*write)(void*, const char*), void* context,
                                              const char* options);
}

namespace tidegate {
namespace {

constexpr std::string_view kMemoryHelp[] = {
    "DOCTOR",
    "    Problems with memory.",
    "MALLOC-STATS",
    "    What the allocator tells about itself.",
    "PURGE",
    "    Let the allocator give back what it keeps unused.",
    "STATS",
    "    What the process takes.",
    "USAGE <key> [SAMPLES <count>]",
    "    The bytes that a key and its value take.",
};

ExecStatus CmdMemoryHelp(SessionCommand& c) { return ReplyHelp(c, kMemoryHelp); }

ExecStatus CmdMemoryDoctor(SessionCommand& c) {
  return ReplyText(c, MemoryDoctorText(ReadMemoryReport(c.server())));
}

ExecStatus CmdMemoryMallocStats(SessionCommand& c) {
  if (malloc_stats_print == nullptr) {
    c.reply().Bulk("Stats not supported for the current allocator");
    return ExecStatus::kDone;
  }
  std::string text;
  malloc_stats_print(
      [](void* context, const char* part) { *static_cast<std::string*>(context) += part; }, &text,
      nullptr);
  return ReplyText(c, text);
}

ExecStatus CmdMemoryPurge(SessionCommand& c) {
  PurgeAllocator();
  return c.Ok();
}

// Writes name and value pairs.
class StatsWriter final {
 public:
  explicit StatsWriter(ReplyWriter& reply) : reply_(reply) {}
  StatsWriter& Number(std::string_view name, uint64_t value) {
    reply_.Bulk(name);
    reply_.Integer(static_cast<int64_t>(value));
    return *this;
  }
  StatsWriter& Fraction(std::string_view name, double value) {
    reply_.Bulk(name);
    reply_.Double(value);
    return *this;
  }

 private:
  ReplyWriter& reply_;
};

// The databases with keys: one map of their own each.
std::vector<int> UsedDatabases(Engine& engine) {
  std::vector<int> used;
  for (int db = 0; db < engine.databases(); ++db) {
    if (engine.StatsOfDb(db).keys > 0) used.push_back(db);
  }
  return used;
}

ExecStatus CmdMemoryStats(SessionCommand& c) {
  const MemoryReport report = ReadMemoryReport(c.server());
  const AllocatorStats allocator = report.allocator();
  const std::vector<int> databases = UsedDatabases(c.engine());
  const uint64_t resident = report.process.resident_bytes;
  StatsWriter out(c.reply());
  c.reply().Map(27 + databases.size());
  out.Number("peak.allocated", report.peak_bytes)
      .Number("total.allocated", report.used_bytes)
      .Number("startup.allocated", 0)
      .Number("replication.backlog", 0)
      .Number("clients.slaves", 0)
      .Number("clients.normal", report.client_bytes)
      .Number("cluster.links", 0)
      .Number("aof.buffer", 0)
      .Number("lua.caches", 0)
      .Number("functions.caches", 0);
  for (const int db : databases) {
    // Tables are not counted by database: each gets its share by keys.
    const double share = Ratio(c.engine().StatsOfDb(db).keys, report.keys);
    c.reply().Bulk("db." + std::to_string(db));
    c.reply().Map(3);
    out.Number("overhead.hashtable.main",
               static_cast<uint64_t>(share * static_cast<double>(report.table_bytes)))
        .Number("overhead.hashtable.expires", 0)
        .Number("overhead.hashtable.slot-to-keys", 0);
  }
  out.Number("overhead.total", report.overhead_bytes())
      .Number("keys.count", report.keys)
      .Number("keys.bytes-per-key", report.keys == 0 ? 0 : report.used_bytes / report.keys)
      .Number("dataset.bytes", report.dataset_bytes())
      .Fraction("dataset.percentage", report.dataset_percent())
      .Fraction("peak.percentage", report.peak_percent())
      .Number("allocator.allocated", allocator.allocated)
      .Number("allocator.active", allocator.active)
      .Number("allocator.resident", allocator.resident)
      .Fraction("allocator-fragmentation.ratio", Ratio(allocator.active, allocator.allocated))
      .Number("allocator-fragmentation.bytes", allocator.active - allocator.allocated)
      .Fraction("allocator-rss.ratio", Ratio(allocator.resident, allocator.active))
      .Number("allocator-rss.bytes", allocator.resident - allocator.active)
      .Fraction("rss-overhead.ratio", Ratio(resident, allocator.resident))
      .Number("rss-overhead.bytes", resident - allocator.resident)
      .Fraction("fragmentation", report.fragmentation())
      .Number("fragmentation.bytes", static_cast<uint64_t>(report.fragmentation_bytes()));
  return ExecStatus::kDone;
}

constexpr std::string_view kMemoryTips =
    "nondeterministic_output request_policy:all_shards response_policy:special";

constexpr CommandSpec kMemorySubcommands[] = {
    {.name = "DOCTOR",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Problems with memory.",
     .session_handler = CmdMemoryDoctor,
     .tips = kMemoryTips},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of MEMORY.",
     .session_handler = CmdMemoryHelp},
    {.name = "MALLOC-STATS",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "Depends on how much is allocated",
     .summary = "What the allocator tells about itself.",
     .session_handler = CmdMemoryMallocStats,
     .tips = kMemoryTips},
    {.name = "PURGE",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "Depends on how much is allocated",
     .summary = "Gives back what the allocator keeps unused.",
     .session_handler = CmdMemoryPurge,
     .tips = "request_policy:all_shards response_policy:all_succeeded"},
    {.name = "STATS",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "O(N) in the number of workers",
     .summary = "What the process takes.",
     .session_handler = CmdMemoryStats,
     .tips = kMemoryTips},
    {.name = "USAGE",
     .arity = AtLeast(3),
     .keys = {2, 2, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "The bytes that a key and its value take.",
     .handler = CmdMemoryUsage,
     .key_flags = "RO"},
};

constexpr CommandSpec kMemoryCommands[] = {
    {.name = "MEMORY",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about memory.",
     .subcommands = kMemorySubcommands},
};

}  // namespace

static_assert(IsValidFamily(kMemoryCommands));
const std::span<const CommandSpec> kMemoryFamily = kMemoryCommands;

}  // namespace tidegate
