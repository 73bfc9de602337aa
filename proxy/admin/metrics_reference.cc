#include "proxy/admin/metrics_reference.h"

#include "policy/absent_metrics.h"
#include "policy/flight_metrics.h"
#include "policy/local_cache_metrics.h"
#include "policy/policy_metrics.h"
#include "policy/stale_metrics.h"
#include "proxy/discovery/discovery_metrics.h"
#include "proxy/observe/big_key_metrics.h"
#include "proxy/observe/hot_key_metrics.h"
#include "proxy/observe/route_metrics.h"
#include "proxy/server_metrics.h"
#include "proxy/session/move_metrics.h"
#include "proxy/upstream/mirror_metrics.h"
#include "proxy/upstream/upstream_metrics.h"
#include "storage/cold_metrics.h"
#include "storage/engine_metrics.h"
#include "storage/persistence_metrics.h"

namespace tidegate {

namespace {

template <typename Entry, size_t kSize>
void AppendRows(std::vector<MetricRow>& out, const Entry (&list)[kSize]) {
  for (const Entry& entry : list) out.push_back(entry.row);
}

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kUnset:
      break;
  }
  return "";
}

constexpr std::string_view kIntro = R"(# Metrics

Generated from the metric rows (`tidegate --print-metrics-doc`); do not edit by hand.

Prometheus reads them at `/metrics` of the admin address. Counters are kept by each worker for
itself and added up when somebody reads them, so they cost the request path nothing. `CONFIG
RESETSTAT` does not touch them: a counter only rises until the process ends. Series of a command
appear with its first call. Keys, client addresses and user names are never labels. The buckets of histograms reach from 0.5 microseconds
to 10 seconds, and from 64 bytes to 256 MiB in powers of 4; a value up to 6.25% under a bound may be counted above it, never below.
What each is good for: [observability](../observability.md).

)";

}  // namespace

std::vector<MetricGroup> MetricGroups() {
  std::vector<MetricGroup> groups(8);
  groups[0].title = "Process";
  groups[0].rows = {kBuildInfoMetric};
  AppendRows(groups[0].rows, kServerMetrics);
  AppendRows(groups[0].rows, kAllocatorMetrics);
  groups[0].rows.push_back(kAdminRequestsMetric);
  groups[1].title = "Connections and workers";
  AppendRows(groups[1].rows, kWorkerMetrics);
  groups[1].rows.push_back(kMailboxMessagesMetric);
  groups[1].rows.push_back(kConnectionsClosedMetric);
  groups[1].rows.push_back(kLoopTurnMetric);
  groups[1].rows.push_back(kLoopLagMetric);
  groups[2].title = "Requests, routes and commands";
  groups[2].rows.push_back(kClassDurationMetric);
  AppendRows(groups[2].rows, kSizeMetrics);
  for (const MetricRow& row : kRouteMetrics) groups[2].rows.push_back(row);
  AppendRows(groups[2].rows, kCommandMetrics);
  groups[2].rows.push_back(kCommandDurationMetric);
  groups[2].rows.push_back(kBigKeysMetric);
  AppendRows(groups[2].rows, kBigKeyMetrics);
  groups[3].title = "Upstream clusters";
  AppendRows(groups[3].rows, kUpstreamMetrics);
  groups[3].rows.push_back(kUpstreamRequestDurationMetric);
  AppendRows(groups[3].rows, kMirrorMetrics);
  AppendRows(groups[3].rows, kMoveMetrics);
  AppendRows(groups[3].rows, discovery::kDiscoveryMetrics);
  groups[4].title = "The engine";
  AppendRows(groups[4].rows, kEngineMetrics);
  AppendRows(groups[4].rows, kDbMetrics);
  groups[5].title = "Persistence";
  AppendRows(groups[5].rows, kPersistenceMetrics);
  AppendRows(groups[5].rows, kColdMetrics);
  groups[6].title = "Hot keys";
  groups[6].rows = {kHotKeysMetric, kTrafficShareMetric};
  AppendRows(groups[6].rows, kHotKeyMetrics);
  groups[7].title = "Policies";
  AppendRows(groups[7].rows, kPolicyMetrics);
  AppendRows(groups[7].rows, kLocalCacheMetrics);
  AppendRows(groups[7].rows, kFanoutMetrics);
  AppendRows(groups[7].rows, kFlightMetrics);
  AppendRows(groups[7].rows, kStaleMetrics);
  groups[7].rows.push_back(kStaleKeysMetric);
  groups[7].rows.push_back(kStaleBytesMetric);
  AppendRows(groups[7].rows, kAbsentMetrics);
  return groups;
}

std::string MetricsReference() {
  std::string page(kIntro);
  for (const MetricGroup& group : MetricGroups()) {
    page += "## " + std::string(group.title) +
            "\n\n| name | type | label | what |\n|---|---|---|---|\n";
    for (const MetricRow& row : group.rows) {
      std::string label = row.label.empty() ? "" : "`" + std::string(row.label) + "`";
      if (!row.second_label.empty()) label += ", `" + std::string(row.second_label) + "`";
      page += "| `" + std::string(row.name) + "` | " + std::string(TypeName(row.type)) + " | " +
              label + (label.empty() ? "| " : " | ") + std::string(row.help) + " |\n";
    }
    page += '\n';
  }
  page.pop_back();
  return page;
}

}  // namespace tidegate
