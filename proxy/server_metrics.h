// The metrics of workers, connections, commands and the process: a row for each, beside the way to
// its value where that is one counter.
//
// Counters are those each worker keeps for itself (WorkerCounters, CommandStats), added up or shown
// by worker at scrape. They are read without CONFIG RESETSTAT's base: a Prometheus counter only
// rises. Commands appear once they were called, so that a scrape shows the commands in use and not
// all that exist. Histograms have few, fixed buckets (kLatencyBounds); the finer ones stay inside.
// To add a metric: one row here; tests hold the exported families and these lists equal.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/metric.h"
#include "proxy/observe/backup_facts.h"
#include "proxy/observe/memory_stats.h"
#include "proxy/observe/process_stats.h"
#include "proxy/observe/save_status.h"
#include "proxy/worker.h"

namespace tidegate {

// Upper bounds of exported histogram buckets, in nanoseconds. From what a hit in memory takes to
// what somebody complains about, and 5 ms, the longest a turn of a loop may take.
inline constexpr int64_t kLatencyBounds[] = {
    500,        1'000,      2'500,       5'000,       10'000,        25'000,        50'000,
    100'000,    250'000,    500'000,     1'000'000,   2'500'000,     5'000'000,     10'000'000,
    25'000'000, 50'000'000, 100'000'000, 250'000'000, 1'000'000'000, 10'000'000'000};

// The same for sizes of requests and replies, in bytes: powers of 4, from what is smallest to where
// a value is better cut into several.
inline constexpr int64_t kSizeBounds[] = {64,        256,        1'024,      4'096,
                                          16'384,    65'536,     262'144,    1'048'576,
                                          4'194'304, 16'777'216, 67'108'864, 268'435'456};

// Ticks are shown as seconds.
enum class CounterScale : uint8_t { kPlain, kTicks, kNanos };

// One series for each worker.
struct WorkerMetric {
  MetricRow row;
  WorkerCounter WorkerCounters::*value;
  CounterScale scale = CounterScale::kPlain;
};

inline constexpr WorkerMetric kWorkerMetrics[] = {
    {{.name = "tidegate_connections",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Clients connected now.",
      .label = "worker"},
     &WorkerCounters::sessions},
    {{.name = "tidegate_connections_suspended",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Clients whose command waits: a busy slot, the gate, a pause, a blocking command.",
      .label = "worker"},
     &WorkerCounters::sessions_suspended},
    {{.name = "tidegate_connections_accepted_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Connections accepted and given to a worker.",
      .label = "worker"},
     &WorkerCounters::connections_received},
    {{.name = "tidegate_requests_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests executed; those refused before are in tidegate_command_rejections_total.",
      .label = "worker"},
     &WorkerCounters::commands_processed},
    {{.name = "tidegate_network_receive_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes read from clients.",
      .label = "worker"},
     &WorkerCounters::net_input_bytes},
    {{.name = "tidegate_network_transmit_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes written to clients.",
      .label = "worker"},
     &WorkerCounters::net_output_bytes},
    {{.name = "tidegate_network_reads_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Reads from client sockets that gave data.",
      .label = "worker"},
     &WorkerCounters::reads_processed},
    {{.name = "tidegate_network_writes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Writes to client sockets.",
      .label = "worker"},
     &WorkerCounters::writes_processed},
    {{.name = "tidegate_auth_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "AUTH and HELLO with a wrong name or password.",
      .label = "worker"},
     &WorkerCounters::auth_failures},
    {{.name = "tidegate_monitors",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Clients in MONITOR mode.",
      .label = "worker"},
     &WorkerCounters::monitors},
    {{.name = "tidegate_mailbox_overflows_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Messages between workers that were dropped because too many bytes waited.",
      .label = "worker"},
     &WorkerCounters::mailbox_overflows},
    {{.name = "tidegate_loop_turn_max_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "Longest turn of a worker's event loop, waiting for events not counted, since the "
              "start or CONFIG RESETSTAT.",
      .label = "worker"},
     &WorkerCounters::loop_turn_ticks_max,
     CounterScale::kTicks},
    {{.name = "tidegate_loop_turn_work_max_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "The same without the time in which other threads or processes had the processor.",
      .label = "worker"},
     &WorkerCounters::loop_turn_work_nanos_max,
     CounterScale::kNanos},
    {{.name = "tidegate_loop_lag_max_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "Longest of tidegate_loop_lag_seconds since the start or CONFIG RESETSTAT.",
      .label = "worker"},
     &WorkerCounters::loop_lag_nanos_max,
     CounterScale::kNanos},
};
static_assert(AreValidMetrics(kWorkerMetrics));

inline constexpr MetricRow kLoopTurnMetric = {
    .name = "tidegate_loop_turn_duration_seconds",
    .type = MetricType::kHistogram,
    .unit = MetricUnit::kSeconds,
    .help = "Busy time of each turn of a worker's event loop.",
    .label = "worker"};

inline constexpr MetricRow kLoopLagMetric = {
    .name = "tidegate_loop_lag_seconds",
    .type = MetricType::kHistogram,
    .unit = MetricUnit::kSeconds,
    .help =
        "How late a worker's timer came, which fires hz times a second: what a request waits "
        "before it is looked at. To about a millisecond.",
    .label = "worker"};

// Of all workers together.
struct SizeMetric {
  MetricRow row;
  SizeHistogram WorkerCounters::*value;
};

inline constexpr SizeMetric kSizeMetrics[] = {
    {{.name = "tidegate_request_size_bytes",
      .type = MetricType::kHistogram,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of each request, as its client sent it. The sum is made from the buckets."},
     &WorkerCounters::request_bytes},
    {{.name = "tidegate_reply_size_bytes",
      .type = MetricType::kHistogram,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of each reply of the engine and of upstreams. The sum is made from the "
              "buckets."},
     &WorkerCounters::reply_bytes},
};
static_assert(AreValidMetrics(kSizeMetrics));

inline constexpr MetricRow kMailboxMessagesMetric = {
    .name = "tidegate_mailbox_messages",
    .type = MetricType::kGauge,
    .unit = MetricUnit::kCount,
    .help =
        "Messages of other threads that wait for a worker: new connections, wake-ups, messages "
        "of channels.",
    .label = "worker"};

// Why the server closed connections, as values of the label `reason`.
struct ClosingReason {
  std::string_view reason;
  WorkerCounter WorkerCounters::*value;
};
inline constexpr ClosingReason kClosingReasons[] = {
    {"age", &WorkerCounters::age_closings},
    {"idle", &WorkerCounters::idle_closings},
    {"output_limit", &WorkerCounters::output_limit_closings},
    {"protocol_error", &WorkerCounters::protocol_errors},
    {"query_buffer_limit", &WorkerCounters::input_buffer_closings},
};

inline constexpr MetricRow kConnectionsClosedMetric = {
    .name = "tidegate_connections_closed_total",
    .type = MetricType::kCounter,
    .unit = MetricUnit::kCount,
    .help =
        "Connections that Tidegate closed, by reason: age (max-connection-age), idle (timeout), "
        "output_limit (client-output-buffer-limit), protocol_error, query_buffer_limit.",
    .label = "reason"};

// By command, sub-commands as "config|get".
struct CommandMetric {
  MetricRow row;
  WorkerCounter CommandCounters::*value;
  CounterScale scale = CounterScale::kPlain;
};

inline constexpr CommandMetric kCommandMetrics[] = {
    {{.name = "tidegate_command_calls_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Calls of a command, those that answered with an error included.",
      .label = "command"},
     &CommandCounters::calls},
    {{.name = "tidegate_command_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Calls of a command that answered with an error.",
      .label = "command"},
     &CommandCounters::failed},
    {{.name = "tidegate_command_rejections_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests refused before the command was called: wrong number of arguments, not "
              "authenticated, out of memory.",
      .label = "command"},
     &CommandCounters::rejected},
    {{.name = "tidegate_command_seconds_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kSeconds,
      .help = "Time spent in calls of a command.",
      .label = "command"},
     &CommandCounters::ticks,
     CounterScale::kTicks},
};
static_assert(AreValidMetrics(kCommandMetrics));

inline constexpr MetricRow kCommandDurationMetric = {
    .name = "tidegate_command_duration_seconds",
    .type = MetricType::kHistogram,
    .unit = MetricUnit::kSeconds,
    .help =
        "Time of each call of a command, while latency-tracking is on. The sum is made from the "
        "buckets; tidegate_command_seconds_total is exact.",
    .label = "command"};

// Single figures of the whole server, gathered once for each scrape.
struct ServerFacts {
  uint64_t uptime_ms = 0;
  int64_t start_unix_ms = 0;
  bool ready = false;
  uint64_t connections_rejected = 0;
  uint64_t connections_max = 0;
  uint64_t error_replies = 0;
  uint64_t memory_limit_bytes = 0;
  MemoryStats memory;
  ProcessStats process;
  SaveFacts saves;
  BackupFacts backups;
};

struct ServerMetric {
  MetricRow row;
  double (*value)(const ServerFacts&);
};

// The three forms of a figure; kept short, so that a row reads as a row.
constexpr MetricRow ServerCounter(std::string_view name, std::string_view help,
                                  MetricUnit unit = MetricUnit::kCount) {
  return {.name = name, .type = MetricType::kCounter, .unit = unit, .help = help};
}
constexpr MetricRow ServerGauge(std::string_view name, std::string_view help,
                                MetricUnit unit = MetricUnit::kCount) {
  return {.name = name, .type = MetricType::kGauge, .unit = unit, .help = help};
}

inline constexpr ServerMetric kServerMetrics[] = {
    {ServerGauge("tidegate_ready", "1 while clients are accepted, 0 during start and draining."),
     [](const ServerFacts& f) { return f.ready ? 1.0 : 0.0; }},
    {ServerGauge("tidegate_uptime_seconds", "Time since the start.", MetricUnit::kSeconds),
     [](const ServerFacts& f) { return static_cast<double>(f.uptime_ms) / 1000; }},
    {ServerCounter("tidegate_connections_rejected_total",
                   "Connections refused because of maxclients."),
     [](const ServerFacts& f) { return static_cast<double>(f.connections_rejected); }},
    {ServerGauge("tidegate_connections_limit", "Connections allowed at the same time: maxclients."),
     [](const ServerFacts& f) { return static_cast<double>(f.connections_max); }},
    {ServerCounter("tidegate_error_replies_total",
                   "Error replies, also to requests that were no command."),
     [](const ServerFacts& f) { return static_cast<double>(f.error_replies); }},
    {ServerGauge("tidegate_memory_limit_bytes", "maxmemory; 0 when there is no limit.",
                 MetricUnit::kBytes),
     [](const ServerFacts& f) { return static_cast<double>(f.memory_limit_bytes); }},
    {ServerGauge("process_resident_memory_bytes", "Memory of the process that is in RAM.",
                 MetricUnit::kBytes),
     [](const ServerFacts& f) { return static_cast<double>(f.memory.resident_bytes); }},
    {ServerGauge("process_virtual_memory_bytes", "Address space of the process.",
                 MetricUnit::kBytes),
     [](const ServerFacts& f) { return static_cast<double>(f.memory.virtual_bytes); }},
    {ServerCounter("process_cpu_seconds_total",
                   "Processor time of all threads, in the program and in the system.",
                   MetricUnit::kSeconds),
     [](const ServerFacts& f) {
       return f.process.cpu_user_seconds + f.process.cpu_system_seconds;
     }},
    {ServerGauge("process_open_fds", "Open file descriptors: connections, mostly."),
     [](const ServerFacts& f) { return static_cast<double>(f.process.open_fds); }},
    {ServerGauge("process_max_fds", "File descriptors the process may open."),
     [](const ServerFacts& f) { return static_cast<double>(f.process.max_fds); }},
    {ServerGauge("process_start_time_seconds", "When the process started, as Unix time.",
                 MetricUnit::kSeconds),
     [](const ServerFacts& f) { return static_cast<double>(f.start_unix_ms) / 1000; }},
    {ServerGauge("tidegate_snapshot_in_progress", "1 while a snapshot is made in the background."),
     [](const ServerFacts& f) { return f.saves.in_progress ? 1.0 : 0.0; }},
    {ServerCounter("tidegate_snapshots_total", "Snapshots begun: SAVE, BGSAVE and save points."),
     [](const ServerFacts& f) { return static_cast<double>(f.saves.begun); }},
    {ServerGauge("tidegate_snapshot_failed", "1 when the last one in the background failed."),
     [](const ServerFacts& f) { return f.saves.failed ? 1.0 : 0.0; }},
    {ServerGauge("tidegate_snapshot_duration_seconds",
                 "How long the last one in the background took, in whole seconds; -1 before the "
                 "first.",
                 MetricUnit::kSeconds),
     [](const ServerFacts& f) { return static_cast<double>(f.saves.background_seconds); }},
    {ServerGauge("tidegate_snapshot_time_seconds",
                 "Unix time of the last snapshot that succeeded, or of the start.",
                 MetricUnit::kSeconds),
     [](const ServerFacts& f) { return static_cast<double>(f.saves.last_save_unix_s); }},
    {ServerGauge("tidegate_backup_in_progress", "1 while a backup is made."),
     [](const ServerFacts& f) { return f.backups.in_progress ? 1.0 : 0.0; }},
    {ServerCounter("tidegate_backups_total", "Backups made."),
     [](const ServerFacts& f) { return static_cast<double>(f.backups.made); }},
    {ServerCounter("tidegate_backup_failures_total", "Backups that failed and left nothing."),
     [](const ServerFacts& f) { return static_cast<double>(f.backups.failures); }},
    {ServerGauge("tidegate_backup_failed", "1 when the last backup failed."),
     [](const ServerFacts& f) { return f.backups.failed ? 1.0 : 0.0; }},
    {ServerGauge("tidegate_backup_time_seconds",
                 "Unix time at which the last backup was complete; 0 before the first.",
                 MetricUnit::kSeconds),
     [](const ServerFacts& f) { return static_cast<double>(f.backups.last_unix_ms) / 1000; }},
    {ServerGauge("tidegate_backup_duration_seconds",
                 "How long the last backup took; -1 before the first.", MetricUnit::kSeconds),
     [](const ServerFacts& f) { return f.backups.last_seconds; }},
    {ServerGauge("tidegate_backup_bytes",
                 "Files of the last backup, most of which it shares with the store at first.",
                 MetricUnit::kBytes),
     [](const ServerFacts& f) { return static_cast<double>(f.backups.last_bytes); }},
};
static_assert(AreValidMetrics(kServerMetrics));

// Only where the process runs with jemalloc.
struct AllocatorMetric {
  MetricRow row;
  uint64_t AllocatorStats::*value;
};

inline constexpr AllocatorMetric kAllocatorMetrics[] = {
    {ServerGauge("tidegate_allocator_allocated_bytes",
                 "What the program has asked jemalloc for: everything but the engine's small "
                 "entries, which have slabs of their own.",
                 MetricUnit::kBytes),
     &AllocatorStats::allocated},
    {ServerGauge("tidegate_allocator_active_bytes",
                 "Pages of jemalloc that hold allocated memory; beyond allocated it is "
                 "fragmentation.",
                 MetricUnit::kBytes),
     &AllocatorStats::active},
    {ServerGauge("tidegate_allocator_resident_bytes",
                 "Pages of jemalloc in RAM, unused ones that it keeps included.",
                 MetricUnit::kBytes),
     &AllocatorStats::resident},
    {ServerGauge("tidegate_allocator_retained_bytes",
                 "Address space that jemalloc keeps without memory behind it.", MetricUnit::kBytes),
     &AllocatorStats::retained},
};
static_assert(AreValidMetrics(kAllocatorMetrics));

inline constexpr MetricRow kBuildInfoMetric = {.name = "tidegate_build_info",
                                               .type = MetricType::kGauge,
                                               .unit = MetricUnit::kInfo,
                                               .help = "1, with the version as a label.",
                                               .label = "version"};

// The admin pages' own.
inline constexpr MetricRow kAdminRequestsMetric = {
    .name = "tidegate_admin_requests_total",
    .type = MetricType::kCounter,
    .unit = MetricUnit::kCount,
    .help = "Requests to the admin pages, by HTTP status.",
    .label = "status"};

// Rows whose values need more than one counter; listed for the reference and for the checks.
inline constexpr MetricRow kComposedMetrics[] = {
    kLoopTurnMetric,        kLoopLagMetric,   kMailboxMessagesMetric, kConnectionsClosedMetric,
    kCommandDurationMetric, kBuildInfoMetric, kAdminRequestsMetric};
static_assert(AreValidMetrics(kComposedMetrics));

}  // namespace tidegate
