#include "proxy/commands/info_stats.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "proxy/session/command_stats.h"
#include "storage/engine.h"

namespace tidegate {
namespace {

// Names that INFO's format has no place for: it is split at ':' and ','.
std::string SafeName(std::string_view name) {
  std::string safe(name);
  std::replace_if(
      safe.begin(), safe.end(),
      [](char c) { return std::string_view("#:\n\r").find(c) != std::string_view::npos; }, '_');
  return safe;
}

// 99.9 as "99.9", 50 as "50".
std::string PercentName(double percent) {
  std::string name = FormatFixed(percent, 6);
  name.erase(name.find_last_not_of('0') + 1);
  if (name.back() == '.') name.pop_back();
  return name;
}

// The time within which `percent` of the calls ended.
double PercentileMicros(const std::vector<uint64_t>& buckets, uint64_t calls, double percent) {
  const double wanted = static_cast<double>(calls) * percent / 100;
  double seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += static_cast<double>(buckets[i]);
    if (seen > 0 && seen >= wanted) {
      return static_cast<double>(LatencyHistogram::UpperBoundNanos(static_cast<int>(i))) / 1000;
    }
  }
  return 0;
}

}  // namespace

std::string ConfigValue(Server& server, std::string_view name) {
  const auto found = server.config().Get({&name, 1});
  return found.empty() ? "" : found[0].second;
}

void WriteStatsSection(InfoWriter& out, Server& server) {
  const ServerTotals totals = server.Totals();
  const EngineStats engine = server.engine().Stats();
  const ActivityRates rates = server.activity().Rates();
  const PubSubHub& pubsub = server.pubsub();
  constexpr double kKilobyte = 1024;
  out.Section("Stats");
  out.Number("total_connections_received", totals.connections_received)
      .Number("total_commands_processed", totals.commands_processed)
      .Number("instantaneous_ops_per_sec", static_cast<uint64_t>(rates.commands_per_second))
      .Number("total_net_input_bytes", totals.net_input_bytes)
      .Number("total_net_output_bytes", totals.net_output_bytes)
      .Number("total_net_repl_input_bytes", 0)
      .Number("total_net_repl_output_bytes", 0)
      .Fixed("instantaneous_input_kbps", rates.input_bytes_per_second / kKilobyte, 2)
      .Fixed("instantaneous_output_kbps", rates.output_bytes_per_second / kKilobyte, 2)
      .Text("instantaneous_input_repl_kbps", "0.00")
      .Text("instantaneous_output_repl_kbps", "0.00")
      .Number("rejected_connections", totals.connections_rejected)
      .Number("sync_full", 0)
      .Number("sync_partial_ok", 0)
      .Number("sync_partial_err", 0)
      .Number("expired_subkeys", engine.expired_fields)
      .Number("expired_keys", engine.expired_keys)
      .Text("expired_stale_perc", "0.00")
      .Number("expired_time_cap_reached_count", 0)
      .Number("expire_cycle_cpu_milliseconds", engine.expire_nanos / 1'000'000)
      .Number("evicted_keys", engine.evicted_keys)
      .Number("evicted_clients", 0)
      .Number("total_eviction_exceeded_time", engine.eviction_exceeded_ms)
      .Number("current_eviction_exceeded_time", engine.eviction_exceeded_current_ms)
      .Number("keyspace_hits", engine.keyspace_hits)
      .Number("keyspace_misses", engine.keyspace_misses)
      .Number("pubsub_channels", pubsub.ChannelCount(SubscriptionKind::kChannel))
      .Number("pubsub_patterns", pubsub.PatternCount())
      .Number("pubsubshard_channels", pubsub.ChannelCount(SubscriptionKind::kShardChannel))
      .Number("latest_fork_usec", 0)
      .Number("total_forks", 0)
      .Number("migrate_cached_sockets", 0)
      .Number("slave_expires_tracked_keys", 0)
      .Number("active_defrag_hits", engine.compaction_moves)
      .Number("active_defrag_misses", 0)
      .Number("active_defrag_key_hits", 0)
      .Number("active_defrag_key_misses", 0)
      .Number("total_active_defrag_time", 0)
      .Number("current_active_defrag_time", 0)
      .Number("tracking_total_keys", 0)
      .Number("tracking_total_items", 0)
      .Number("tracking_total_prefixes", 0)
      .Number("unexpected_error_replies", 0)
      .Number("total_error_replies", server.error_stats().total())
      .Number("dump_payload_sanitizations", 0)
      .Number("total_reads_processed", totals.reads_processed)
      .Number("total_writes_processed", totals.writes_processed)
      .Number("io_threaded_reads_processed", 0)
      .Number("io_threaded_writes_processed", 0)
      .Number("reply_buffer_shrinks", 0)
      .Number("reply_buffer_expands", 0)
      .Number("client_query_buffer_limit_disconnections", totals.input_buffer_closings)
      .Number("client_output_buffer_limit_disconnections", totals.output_limit_closings)
      .Number("client_idle_disconnections", totals.idle_closings)
      .Number("client_age_disconnections", totals.age_closings)
      .Number("protocol_errors", totals.protocol_errors)
      .Number("acl_access_denied_auth", totals.auth_failures)
      .Number("requests_parked_at_slots", engine.lock_parks)
      .Number("exclusive_sections", engine.gate_closings)
      .Signed("loop_turn_usec_max", totals.loop_turn_nanos_max / 1000);
}

void WriteCommandStatsSection(InfoWriter& out, Server& server) {
  out.Section("Commandstats");
  for (const Command* command : server.commands().all()) {
    const CommandTotals totals = server.TotalsOfCommand(command->id);
    if (totals.calls == 0 && totals.failed == 0 && totals.rejected == 0) continue;
    const uint64_t micros = totals.nanos / 1000;
    const double per_call = totals.calls == 0 ? 0
                                              : static_cast<double>(totals.nanos) / 1000 /
                                                    static_cast<double>(totals.calls);
    out.Text("cmdstat_" + SafeName(command->full_name),
             "calls=" + std::to_string(totals.calls) + ",usec=" + std::to_string(micros) +
                 ",usec_per_call=" + FormatFixed(per_call, 2) +
                 ",rejected_calls=" + std::to_string(totals.rejected) +
                 ",failed_calls=" + std::to_string(totals.failed));
  }
}

void WriteErrorStatsSection(InfoWriter& out, Server& server) {
  out.Section("Errorstats");
  for (const auto& [code, count] : server.error_stats().Get()) {
    out.Text("errorstat_" + SafeName(code), "count=" + std::to_string(count));
  }
}

void WriteLatencyStatsSection(InfoWriter& out, Server& server) {
  out.Section("Latencystats");
  const auto options = server.config().Snapshot();
  if (!options->latency_tracking) return;
  for (const Command* command : server.commands().all()) {
    const CommandTotals totals = server.TotalsOfCommand(command->id, true);
    uint64_t calls = 0;
    for (const uint64_t count : totals.latency) calls += count;
    if (calls == 0) continue;
    std::string percentiles;
    for (const double percent : options->latency_tracking_info_percentiles) {
      if (!percentiles.empty()) percentiles += ',';
      percentiles += "p" + PercentName(percent) + "=" +
                     FormatFixed(PercentileMicros(totals.latency, calls, percent), 3);
    }
    out.Text("latency_percentiles_usec_" + SafeName(command->full_name), percentiles);
  }
}

}  // namespace tidegate
