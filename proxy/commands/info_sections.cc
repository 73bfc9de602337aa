#include "proxy/commands/info_sections.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/version.h"
#include "proxy/background_backup.h"
#include "proxy/background_save.h"
#include "proxy/commands/info_stats.h"
#include "proxy/commands/info_writer.h"
#include "proxy/commands/memory_report.h"
#include "proxy/commands/version.h"
#include "proxy/observe/process_stats.h"
#include "proxy/script/scripting.h"
#include "proxy/upstream/script_texts.h"
#include "storage/cold_metrics.h"
#include "storage/engine.h"
#include "storage/persistence.h"

namespace tidegate {
namespace {

std::string OperatingSystem() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

void WriteServer(InfoWriter& out, Server& server) {
  const auto options = server.config().Snapshot();
  const int64_t now_us = UnixMicros();
  const int64_t uptime_s = (now_us / 1000 - server.start_unix_ms()) / 1000;
  constexpr int64_t kLruClockMask = 0xffffff;
  out.Section("Server");
  out.Text("redis_version", kRedisVersion)
      .Text("tidegate_version", kTidegateVersion)
      .Text("redis_git_sha1", "00000000")
      .Text("redis_git_dirty", "0")
      .Text("redis_build_id", kTidegateVersion)
      .Text("redis_mode", out.serves_as_cluster() ? "cluster" : "standalone")
      .Text("os", OperatingSystem())
      .Number("arch_bits", sizeof(void*) * 8)
      .Text("monotonic_clock", "POSIX clock_gettime")
      .Text("multiplexing_api", "epoll")
      .Text("atomicvar_api", "c11-builtin")
      .Text("gcc_version", __VERSION__)
      .Signed("process_id", getpid())
      .Text("process_supervised", "no")
      .Text("run_id", server.run_id())
      .Number("tcp_port", server.tcp_port())
      .Signed("server_time_usec", now_us)
      .Signed("uptime_in_seconds", uptime_s)
      .Signed("uptime_in_days", uptime_s / 86400)
      .Signed("hz", options->hz)
      .Signed("configured_hz", options->hz)
      .Signed("lru_clock", (now_us / 1'000'000) & kLruClockMask)
      .Text("executable", server.executable())
      .Text("config_file", server.config().config_file())
      .Number("workers", server.workers().size())
      .Number("io_threads_active", server.workers().size() > 1 ? 1 : 0);
}

void WriteClients(InfoWriter& out, Server& server) {
  const ServerTotals totals = server.Totals();
  out.Section("Clients");
  out.Number("connected_clients", totals.sessions)
      .Number("cluster_connections", 0)
      .Signed("maxclients", server.config().Snapshot()->maxclients)
      .Number("client_recent_max_input_buffer", totals.session_input_bytes_max)
      .Number("client_recent_max_output_buffer", totals.session_output_bytes_max)
      .Number("blocked_clients", totals.sessions_suspended)
      .Number("tracking_clients", 0)
      .Number("clients_in_timeout_table", 0)
      .Number("monitor_clients", totals.monitors);
}

void WriteMemory(InfoWriter& out, Server& server) {
  const Persistence* persistence = server.persistence();
  const MemoryReport report = ReadMemoryReport(server);
  const AllocatorStats allocator = report.allocator();
  const EngineStats engine = server.engine().Stats();
  const auto options = server.config().Snapshot();
  const ScriptingFigures scripts = server.script_texts().scripting().Figures();
  const uint64_t resident = report.process.resident_bytes;
  const uint64_t machine = SystemMemoryBytes();
  out.Section("Memory");
  out.Number("used_memory", report.used_bytes)
      .Text("used_memory_human", HumanBytes(report.used_bytes))
      .Number("used_memory_rss", resident)
      .Text("used_memory_rss_human", HumanBytes(resident))
      .Number("used_memory_peak", report.peak_bytes)
      .Text("used_memory_peak_human", HumanBytes(report.peak_bytes))
      .Fixed("used_memory_peak_perc", report.peak_percent(), 2, "%")
      .Number("used_memory_overhead", report.overhead_bytes())
      .Number("used_memory_startup", 0)
      .Number("used_memory_dataset", report.dataset_bytes())
      .Fixed("used_memory_dataset_perc", report.dataset_percent(), 2, "%")
      .Number("allocator_allocated", allocator.allocated)
      .Number("allocator_active", allocator.active)
      .Number("allocator_resident", allocator.resident)
      .Number("total_system_memory", machine)
      .Text("total_system_memory_human", HumanBytes(machine))
      .Number("used_memory_lua", scripts.lua_bytes)
      .Number("used_memory_vm_eval", scripts.lua_bytes)
      .Text("used_memory_lua_human", HumanBytes(scripts.lua_bytes))
      .Number("used_memory_scripts_eval", scripts.text_bytes)
      .Number("number_of_cached_scripts", scripts.scripts)
      .Number("number_of_functions", 0)
      .Number("number_of_libraries", 0)
      .Number("used_memory_vm_functions", 0)
      .Number("used_memory_vm_total", scripts.lua_bytes)
      .Text("used_memory_vm_total_human", HumanBytes(scripts.lua_bytes))
      .Number("used_memory_functions", 0)
      .Number("used_memory_scripts", scripts.text_bytes)
      .Text("used_memory_scripts_human", HumanBytes(scripts.text_bytes))
      .Number("maxmemory", options->maxmemory.count)
      .Text("maxmemory_human", HumanBytes(options->maxmemory.count))
      .Text("maxmemory_policy", ConfigValue(server, "maxmemory-policy"))
      .Fixed("allocator_frag_ratio", Ratio(allocator.active, allocator.allocated), 2)
      .Number("allocator_frag_bytes", allocator.active - allocator.allocated)
      .Fixed("allocator_rss_ratio", Ratio(allocator.resident, allocator.active), 2)
      .Number("allocator_rss_bytes", allocator.resident - allocator.active)
      .Fixed("rss_overhead_ratio", Ratio(resident, allocator.resident), 2)
      .Signed("rss_overhead_bytes", static_cast<int64_t>(resident - allocator.resident))
      .Fixed("mem_fragmentation_ratio", report.fragmentation(), 2)
      .Signed("mem_fragmentation_bytes", report.fragmentation_bytes())
      .Number("mem_not_counted_for_evict", report.pending_free_bytes)
      .Number("mem_replication_backlog", 0)
      .Number("mem_total_replication_buffers", 0)
      .Number("mem_clients_slaves", 0)
      .Number("mem_clients_normal", report.client_bytes)
      .Number("mem_cluster_links", 0)
      .Number("mem_aof_buffer", persistence != nullptr ? persistence->Stats().waiting_bytes : 0)
      .Text("mem_allocator", AllocatorName())
      .Number("active_defrag_running", server.engine().IsCompacting() ? 10 : 0)
      .Number("lazyfree_pending_objects", engine.lazyfree_pending_objects)
      .Number("lazyfreed_objects", engine.lazyfreed_objects);
}

// As Redis, these come only with appendonly; those of the journal are Tidegate's own.
void WriteJournal(InfoWriter& out, const PersistenceStats& stats) {
  const uint64_t pending_sync = stats.written_sequence != stats.synced_sequence ? 1 : 0;
  out.Number("aof_current_size", stats.store_data_bytes + stats.journal_bytes)
      .Number("aof_base_size", stats.store_data_bytes)
      .Number("aof_pending_rewrite", 0)
      .Number("aof_buffer_length", stats.waiting_bytes)
      .Number("aof_pending_bio_fsync", pending_sync)
      .Number("aof_delayed_fsync", 0)
      .Number("journal_sequence", stats.sequence)
      .Number("journal_written_sequence", stats.written_sequence)
      .Number("journal_synced_sequence", stats.synced_sequence)
      .Number("journal_lag_us", stats.lag_us)
      .Number("journal_lag_p99_us", stats.lag_p99_us)
      .Number("journal_lag_max_us", stats.lag_max_us)
      .Number("journal_waiting_bytes", stats.waiting_bytes)
      .Number("journal_tail_bytes", stats.tail_bytes)
      .Number("journal_groups", stats.groups)
      .Number("journal_written_bytes", stats.written_bytes)
      .Number("journal_syncs", stats.syncs)
      .Number("journal_failures", stats.failures)
      .Number("journal_waits", stats.waits)
      .Fixed("journal_pressure", stats.pressure, 2)
      .Number("journal_refusals", stats.refusals)
      .Number("journal_replayed_records", stats.replayed_records)
      .Fixed("journal_replay_seconds", stats.replay_seconds, 3)
      .Number("journal_records", stats.journal_records)
      .Number("journal_bytes", stats.journal_bytes)
      .Number("checkpoint_sequence", stats.checkpoint_sequence)
      .Signed("checkpoint_time", stats.checkpoint_unix_ms / 1000)
      .Number("checkpoints", stats.checkpoints)
      .Number("checkpoint_failures", stats.checkpoint_failures)
      .Number("checkpoint_entries", stats.checkpoint_entries)
      .Number("checkpoint_written_bytes", stats.checkpoint_bytes)
      .Number("checkpoint_start_keys", stats.checkpoint_keys)
      .Number("store_disk_bytes", stats.store_disk_bytes)
      .Number("store_data_bytes", stats.store_data_bytes)
      .Number("store_memory_bytes", stats.store_memory_bytes);
}

void WriteBackups(InfoWriter& out, const BackupFacts& facts) {
  const int64_t current = (MonotonicNanos() - facts.current_begin_nanos) / 1'000'000'000;
  out.Number("backup_in_progress", facts.in_progress ? 1 : 0)
      .Signed("backup_current_time_sec", facts.in_progress ? current : -1)
      .Number("backups", facts.made)
      .Number("backup_failures", facts.failures)
      .Text("backup_last_status", facts.failed ? "err" : "ok")
      .Signed("backup_last_time", facts.last_unix_ms / 1000)
      .Fixed("backup_last_duration_sec", facts.last_seconds, 3)
      .Number("backup_last_sequence", facts.last_sequence)
      .Number("backup_last_bytes", facts.last_bytes);
}

// How much of what was on disk at the start is in memory.
void WriteWarmUp(InfoWriter& out, const ColdStats& stats) {
  out.Number("warmup_in_progress", stats.warming)
      .Number("warmup_paused", stats.paused)
      .Number("warmup_slots", stats.slots)
      .Number("warmup_slots_left", stats.slots_left)
      .Number("warmup_loaded_keys", stats.loaded_keys)
      .Number("warmup_loaded_bytes", stats.loaded_bytes)
      .Number("warmup_keys_on_demand", stats.keys_on_demand)
      .Number("warmup_slots_on_demand", stats.slots_on_demand)
      .Number("warmup_failures", stats.failures)
      .Number("warmup_elapsed_ms", stats.elapsed_ms);
}

// Where data may be larger than memory.
void WriteTier(InfoWriter& out, const ColdStats& stats, const EngineStats& engine) {
  out.Number("tiered", stats.tiered);
  if (stats.tiered == 0) return;
  out.Number("tiered_keys_in_memory", stats.keys_in_memory)
      .Number("tiered_evicted_keys", engine.tier_evicted_keys)
      .Number("tiered_evicted_bytes", engine.tier_evicted_bytes)
      .Number("tiered_loaded_keys", stats.loaded_keys)
      .Number("tiered_loaded_bytes", stats.loaded_bytes)
      .Number("tiered_keys_on_demand", stats.keys_on_demand)
      .Number("tiered_absent_keys", stats.absent_keys)
      .Number("tiered_expired_on_disk", stats.expired_on_disk)
      .Number("tiered_holds", stats.holds)
      .Number("tiered_checkpoints_asked", stats.checkpoints_asked)
      .Number("tiered_checkpoint_waits", stats.checkpoint_waits);
}

void WritePersistence(InfoWriter& out, Server& server) {
  const Persistence* persistence = server.persistence();
  const PersistenceStats stats = persistence != nullptr ? persistence->Stats() : PersistenceStats();
  const SaveStatus& saves = server.save_status();
  const BackgroundSave& background = server.background_save();
  const bool saving = background.in_progress();
  const int64_t saving_seconds = (MonotonicNanos() - background.begin_nanos()) / 1'000'000'000;
  const bool rewriting = stats.checkpoint_in_progress != 0;
  const int64_t rewriting_seconds =
      (MonotonicNanos() - stats.checkpoint_begin_nanos) / 1'000'000'000;
  out.Section("Persistence");
  out.Number("loading", 0)
      .Number("async_loading", 0)
      .Number("current_cow_peak", 0)
      .Number("current_cow_size", 0)
      .Number("current_cow_size_age", 0)
      .Text("current_fork_perc", "0.00")
      .Number("current_save_keys_processed", 0)
      .Number("current_save_keys_total", 0)
      .Number("rdb_changes_since_last_save",
              saves.ChangesSince(server.engine().StatsSinceStart().changes))
      .Number("rdb_bgsave_in_progress", saving ? 1 : 0)
      .Signed("rdb_last_save_time", saves.last_save_unix_s())
      .Text("rdb_last_bgsave_status", saves.background_failed() ? "err" : "ok")
      .Signed("rdb_last_bgsave_time_sec", saves.background_seconds())
      .Signed("rdb_current_bgsave_time_sec", saving ? saving_seconds : -1)
      .Number("rdb_saves", saves.saves())
      .Number("rdb_last_cow_size", 0)
      .Number("rdb_last_load_keys_expired", saves.keys_expired())
      .Number("rdb_last_load_keys_loaded", saves.keys_loaded())
      .Number("aof_enabled", stats.enabled)
      .Number("aof_rewrite_in_progress", rewriting ? 1 : 0)
      .Number("aof_rewrite_scheduled", 0)
      .Signed("aof_last_rewrite_time_sec", static_cast<int64_t>(stats.checkpoint_seconds))
      .Signed("aof_current_rewrite_time_sec", rewriting ? rewriting_seconds : -1)
      .Text("aof_last_bgrewrite_status", stats.checkpoint_failed != 0 ? "err" : "ok")
      .Number("aof_rewrites", stats.checkpoints + stats.checkpoint_failures)
      .Number("aof_rewrites_consecutive_failures", stats.checkpoint_failed)
      .Text("aof_last_write_status", stats.failing != 0 ? "err" : "ok")
      .Number("aof_last_cow_size", 0)
      .Number("module_fork_in_progress", 0)
      .Number("module_fork_last_cow_size", 0);
  if (persistence == nullptr) return;
  WriteJournal(out, stats);
  WriteBackups(out, server.background_backup().Facts());
  const ColdStats cold = server.engine().StatsOfCold();
  WriteWarmUp(out, cold);
  WriteTier(out, cold, server.engine().Stats());
}

void WriteReplication(InfoWriter& out, Server& server) {
  out.Section("Replication");
  out.Text("role", "master")
      .Number("connected_slaves", 0)
      .Text("master_failover_state", "no-failover")
      .Text("master_replid", server.run_id())
      .Text("master_replid2", std::string(40, '0'))
      .Number("master_repl_offset", 0)
      .Signed("second_repl_offset", -1)
      .Number("repl_backlog_active", 0)
      .Number("repl_backlog_size", 0)
      .Number("repl_backlog_first_byte_offset", 0)
      .Number("repl_backlog_histlen", 0);
}

void WriteCpu(InfoWriter& out, Server&) {
  const ProcessStats process = ReadProcessStats();
  out.Section("CPU");
  out.Fixed("used_cpu_sys", process.cpu_system_seconds, 6)
      .Fixed("used_cpu_user", process.cpu_user_seconds, 6)
      .Fixed("used_cpu_sys_children", 0, 6)
      .Fixed("used_cpu_user_children", 0, 6)
      // Redis's main thread is the one that executes commands: here the worker that answers.
      .Fixed("used_cpu_sys_main_thread", process.thread_cpu_system_seconds, 6)
      .Fixed("used_cpu_user_main_thread", process.thread_cpu_user_seconds, 6);
}

void WriteModules(InfoWriter& out, Server&) { out.Section("Modules"); }

void WriteCluster(InfoWriter& out, Server&) {
  out.Section("Cluster");
  out.Number("cluster_enabled", out.serves_as_cluster() ? 1 : 0);
}

int64_t MeanTtlMillis(const DbStats& stats) {
  if (stats.mean_expire_at_s == 0) return 0;
  return std::max<int64_t>(stats.mean_expire_at_s - UnixMillis() / 1000, 0) * 1000;
}

void WriteKeyspace(InfoWriter& out, Server& server) {
  out.Section("Keyspace");
  for (int db = 0; db < server.engine().databases(); ++db) {
    const DbStats stats = server.engine().StatsOfDb(db);
    if (stats.keys == 0) continue;
    out.Text("db" + ToText(db), "keys=" + std::to_string(stats.keys) +
                                    ",expires=" + std::to_string(stats.expires) +
                                    ",avg_ttl=" + ToText(MeanTtlMillis(stats)));
  }
}

struct InfoSection {
  std::string_view name;
  bool by_default;
  void (*write)(InfoWriter&, Server&);
};

// In the order of the reply.
constexpr InfoSection kSections[] = {
    {"server", true, WriteServer},
    {"clients", true, WriteClients},
    {"memory", true, WriteMemory},
    {"persistence", true, WritePersistence},
    {"stats", true, WriteStatsSection},
    {"replication", true, WriteReplication},
    {"cpu", true, WriteCpu},
    {"modules", true, WriteModules},
    {"commandstats", false, WriteCommandStatsSection},
    {"errorstats", true, WriteErrorStatsSection},
    {"latencystats", false, WriteLatencyStatsSection},
    {"cluster", true, WriteCluster},
    {"keyspace", true, WriteKeyspace},
};

bool Wanted(const InfoSection& section, std::span<const std::string_view> names) {
  if (names.empty()) return section.by_default;
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    if (EqualsIgnoreCase(name, "all") || EqualsIgnoreCase(name, "everything")) return true;
    if (EqualsIgnoreCase(name, "default") && section.by_default) return true;
    return EqualsIgnoreCase(name, section.name);
  });
}

}  // namespace

std::string InfoText(Server& server, std::span<const std::string_view> names,
                     bool serves_as_cluster) {
  InfoWriter out(serves_as_cluster);
  for (const InfoSection& section : kSections) {
    if (Wanted(section, names)) section.write(out, server);
  }
  return out.Take();
}

std::string InfoText(Server& server, std::span<const std::string_view> names) {
  return InfoText(server, names, ServesAsCluster(*server.config().Snapshot()));
}

}  // namespace tidegate
