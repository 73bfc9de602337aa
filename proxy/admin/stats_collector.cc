#include "proxy/admin/stats_collector.h"

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/version.h"
#include "policy/absent_metrics.h"
#include "policy/flight_metrics.h"
#include "policy/flights.h"
#include "policy/local_cache_metrics.h"
#include "policy/policy_metrics.h"
#include "policy/policy_registry.h"
#include "policy/stale_metrics.h"
#include "proxy/admin/histogram_fold.h"
#include "proxy/admin/hot_keys_page.h"
#include "proxy/admin/request_figures.h"
#include "proxy/admin/upstream_figures.h"
#include "proxy/discovery/discovery_metrics.h"
#include "proxy/observe/big_key_metrics.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/hot_key_metrics.h"
#include "proxy/observe/route_metrics.h"
#include "proxy/session/move_metrics.h"
#include "proxy/session/route_acts.h"
#include "proxy/upstream/mirror_metrics.h"
#include "proxy/upstream/upstream_metrics.h"
#include "storage/cold_metrics.h"
#include "storage/engine_metrics.h"
#include "storage/persistence_metrics.h"

namespace tidegate {

namespace {

using Families = std::vector<prometheus::MetricFamily>;

constexpr double kNanosPerSecond = 1e9;

prometheus::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
    case MetricType::kUnset:
      break;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::MetricFamily& AddFamily(Families& out, const MetricRow& row) {
  prometheus::MetricFamily& family = out.emplace_back();
  family.name = row.name;
  family.help = row.help;
  family.type = TypeOf(row.type);
  return family;
}

prometheus::ClientMetric& AddSeries(prometheus::MetricFamily& family, const MetricRow& row,
                                    std::string label_value) {
  prometheus::ClientMetric& series = family.metric.emplace_back();
  if (!row.label.empty()) series.label = {{std::string(row.label), std::move(label_value)}};
  return series;
}

void AddValue(prometheus::MetricFamily& family, const MetricRow& row, double value,
              std::string label_value = {}) {
  prometheus::ClientMetric& series = AddSeries(family, row, std::move(label_value));
  if (row.type == MetricType::kCounter) {
    series.counter.value = value;
  } else {
    series.gauge.value = value;
  }
}

double Scaled(uint64_t count, CounterScale scale) {
  if (scale == CounterScale::kPlain) return static_cast<double>(count);
  if (scale == CounterScale::kNanos) return static_cast<double>(count) / 1e9;
  return static_cast<double>(TicksToNanos(count)) / kNanosPerSecond;
}

void Fill(prometheus::ClientMetric::Histogram& out, const HistogramFold& fold,
          std::span<const int64_t> bounds, double unit, double sum) {
  uint64_t cumulative = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    cumulative += fold.counts()[i];
    out.bucket.push_back(
        {.cumulative_count = cumulative, .upper_bound = static_cast<double>(bounds[i]) / unit});
  }
  out.sample_count = cumulative + fold.counts().back();
  out.sample_sum = sum;
}

// Of times, with the sum that the buckets give.
void FillSeconds(prometheus::ClientMetric::Histogram& out, const FineCounts& fine) {
  const HistogramFold fold(kLatencyBounds, fine);
  Fill(out, fold, kLatencyBounds, kNanosPerSecond, fold.sum() / kNanosPerSecond);
}

}  // namespace

ServerFacts GatherFacts(const AdminSources& sources) {
  ServerFacts facts;
  facts.start_unix_ms = sources.start_unix_ms;
  facts.uptime_ms =
      static_cast<uint64_t>(std::max<int64_t>(UnixMillis() - sources.start_unix_ms, 0));
  facts.ready = sources.readiness() == Readiness::kReady;
  facts.connections_rejected = sources.connections_rejected();
  facts.error_replies = sources.error_replies();
  const auto options = sources.config->Snapshot();
  facts.connections_max = static_cast<uint64_t>(options->maxclients);
  facts.memory_limit_bytes = options->maxmemory.count;
  facts.memory = ReadMemoryStats();
  facts.process = ReadProcessStats();
  if (sources.saves) facts.saves = sources.saves();
  if (sources.backups) facts.backups = sources.backups();
  return facts;
}

uint64_t SumOfCommand(const AdminSources& sources, uint32_t command_id,
                      WorkerCounter CommandCounters::*value) {
  uint64_t sum = 0;
  for (const WorkerSource& worker : sources.workers) {
    sum += (worker.commands->of(command_id).*value).Get();
  }
  return sum;
}

uint64_t SumOfWorkers(const AdminSources& sources, WorkerCounter WorkerCounters::*value) {
  uint64_t sum = 0;
  for (const WorkerSource& worker : sources.workers) sum += (worker.counters->*value).Get();
  return sum;
}

Families StatsCollector::Collect() const {
  Families out;
  CollectServer(out);
  CollectWorkers(out);
  CollectRequests(out);
  CollectCommands(out);
  CollectUpstreams(out);
  CollectRoutes(out);
  CollectDiscovery(out);
  CollectEngine(out);
  CollectPersistence(out);
  CollectHotKeys(out);
  CollectPolicies(out);
  CollectLocalCache(out);
  CollectFlights(out);
  CollectBigKeys(out);
  return out;
}

void StatsCollector::CollectServer(Families& out) const {
  const ServerFacts facts = GatherFacts(sources_);
  AddValue(AddFamily(out, kBuildInfoMetric), kBuildInfoMetric, 1, std::string(kTidegateVersion));
  for (const ServerMetric& metric : kServerMetrics) {
    AddValue(AddFamily(out, metric.row), metric.row, metric.value(facts));
  }
  if (!facts.memory.allocator) return;
  for (const AllocatorMetric& metric : kAllocatorMetrics) {
    AddValue(AddFamily(out, metric.row), metric.row,
             static_cast<double>((*facts.memory.allocator).*metric.value));
  }
}

void StatsCollector::CollectWorkers(Families& out) const {
  for (const WorkerMetric& metric : kWorkerMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (size_t i = 0; i < sources_.workers.size(); ++i) {
      const uint64_t value = (sources_.workers[i].counters->*metric.value).Get();
      AddValue(family, metric.row, Scaled(value, metric.scale), std::to_string(i));
    }
  }

  prometheus::MetricFamily& closed = AddFamily(out, kConnectionsClosedMetric);
  for (const ClosingReason& reason : kClosingReasons) {
    AddValue(closed, kConnectionsClosedMetric,
             static_cast<double>(SumOfWorkers(sources_, reason.value)), std::string(reason.reason));
  }

  CollectLoops(out);
}

void StatsCollector::CollectLoops(Families& out) const {
  prometheus::MetricFamily& turns = AddFamily(out, kLoopTurnMetric);
  for (size_t i = 0; i < sources_.workers.size(); ++i) {
    const WorkerCounters& counters = *sources_.workers[i].counters;
    FineCounts fine;
    fine.Add(counters.loop_turns_nanos);
    Fill(AddSeries(turns, kLoopTurnMetric, std::to_string(i)).histogram,
         HistogramFold(kLatencyBounds, fine), kLatencyBounds, kNanosPerSecond,
         Scaled(counters.loop_busy_ticks.Get(), CounterScale::kTicks));
  }
  prometheus::MetricFamily& lags = AddFamily(out, kLoopLagMetric);
  for (size_t i = 0; i < sources_.workers.size(); ++i) {
    FineCounts fine;
    fine.Add(sources_.workers[i].counters->loop_lags_nanos);
    FillSeconds(AddSeries(lags, kLoopLagMetric, std::to_string(i)).histogram, fine);
  }
  prometheus::MetricFamily& mailboxes = AddFamily(out, kMailboxMessagesMetric);
  for (size_t i = 0; i < sources_.workers.size(); ++i) {
    const auto& messages = sources_.workers[i].mailbox_messages;
    AddValue(mailboxes, kMailboxMessagesMetric, messages ? static_cast<double>(messages()) : 0.0,
             std::to_string(i));
  }
}

void StatsCollector::CollectRequests(Families& out) const {
  const auto latency = LatencyByClass(sources_);
  prometheus::MetricFamily& classes = AddFamily(out, kClassDurationMetric);
  for (size_t i = 0; i < latency.size(); ++i) {
    FillSeconds(
        AddSeries(classes, kClassDurationMetric, std::string(kRequestClassNames[i])).histogram,
        latency[i]);
  }
  for (const SizeMetric& metric : kSizeMetrics) {
    FineCounts fine;
    for (const WorkerSource& worker : sources_.workers) fine.Add(worker.counters->*metric.value);
    const HistogramFold fold(kSizeBounds, fine);
    Fill(AddSeries(AddFamily(out, metric.row), metric.row, "").histogram, fold, kSizeBounds, 1,
         fold.sum());
  }
}

void StatsCollector::CollectCommands(Families& out) const {
  std::vector<const Command*> used;
  for (const Command* command : sources_.commands().all()) {
    if (SumOfCommand(sources_, command->id, &CommandCounters::calls) != 0 ||
        SumOfCommand(sources_, command->id, &CommandCounters::rejected) != 0) {
      used.push_back(command);
    }
  }
  for (const CommandMetric& metric : kCommandMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const Command* command : used) {
      const uint64_t value = SumOfCommand(sources_, command->id, metric.value);
      AddValue(family, metric.row, Scaled(value, metric.scale), command->full_name);
    }
  }
  prometheus::MetricFamily& durations = AddFamily(out, kCommandDurationMetric);
  for (const Command* command : used) {
    FineCounts fine;
    bool measured = false;
    for (const WorkerSource& worker : sources_.workers) {
      const LatencyHistogram* latency =
          worker.commands->of(command->id).latency.load(std::memory_order_acquire);
      if (latency == nullptr) continue;
      fine.Add(*latency);
      measured = true;
    }
    if (!measured) continue;
    FillSeconds(AddSeries(durations, kCommandDurationMetric, command->full_name).histogram, fine);
  }
}

void StatsCollector::CollectUpstreams(Families& out) const {
  const std::vector<ClusterOfWorkers> clusters = ClustersByName(sources_);
  const auto add_node = [](prometheus::MetricFamily& family, const MetricRow& row,
                           const NodeOfWorkers& node) {
    family.metric.back().label.push_back({std::string(row.second_label), node.address});
  };
  for (const UpstreamMetric& metric : kUpstreamMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const ClusterOfWorkers& cluster : clusters) {
      for (const NodeOfWorkers& node : cluster.nodes) {
        AddValue(family, metric.row, static_cast<double>(node.Sum(metric.value)), cluster.name);
        add_node(family, metric.row, node);
      }
    }
  }
  for (const FanoutMetric& metric : kFanoutMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const ClusterOfWorkers& cluster : clusters)
      AddValue(family, metric.row, static_cast<double>(cluster.Sum(metric.value)), cluster.name);
  }
  prometheus::MetricFamily& durations = AddFamily(out, kUpstreamRequestDurationMetric);
  for (const ClusterOfWorkers& cluster : clusters) {
    for (const NodeOfWorkers& node : cluster.nodes) {
      FineCounts fine;
      for (const auto& figures : node.figures) fine.Add(figures->latency);
      FillSeconds(AddSeries(durations, kUpstreamRequestDurationMetric, cluster.name).histogram,
                  fine);
      add_node(durations, kUpstreamRequestDurationMetric, node);
    }
  }
}

void StatsCollector::CollectRoutes(Families& out) const {
  const std::vector<RouteOfWorkers> routes = RoutesOf(sources_);
  for (const MetricRow& row : kRouteMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, row);
    for (const RouteOfWorkers& route : routes) {
      prometheus::ClientMetric& series = AddSeries(family, row, route.route);
      series.label.push_back({std::string(row.second_label), route.cluster});
      if (row.name == kRouteDurationMetric.name) {
        FillSeconds(series.histogram, route.latency);
      } else {
        series.counter.value =
            static_cast<double>(row.name == kRouteRequestsMetric.name ? route.requests
                                : row.name == kRouteHitsMetric.name   ? route.hits
                                                                      : route.misses);
      }
    }
  }
  CollectMirrorsAndMoves(out);
}

namespace {

// What the workers have counted, by route and cluster. While a reload is taken in they may differ.
using ActSums = std::map<std::pair<std::string, std::string>, uint64_t>;

template <typename Figures, typename Metric>
void AddSums(const std::vector<std::shared_ptr<const Figures>>& acts, const Metric& metric,
             ActSums& sums) {
  for (const auto& act : acts)
    sums[{act->route, act->cluster}] += (act->counters.*metric.value).Get();
}

void AddActSeries(prometheus::MetricFamily& family, const MetricRow& row, const ActSums& sums) {
  for (const auto& [names, sum] : sums) {
    AddValue(family, row, static_cast<double>(sum), names.first);
    family.metric.back().label.push_back({std::string(row.second_label), names.second});
  }
}

}  // namespace

void StatsCollector::CollectMirrorsAndMoves(Families& out) const {
  std::vector<RouteActFigures> acts;
  for (const WorkerSource& worker : sources_.workers) {
    acts.push_back(worker.acts());
  }
  for (const MirrorMetric& metric : kMirrorMetrics) {
    ActSums sums;
    for (const RouteActFigures& of_worker : acts) AddSums(of_worker.mirrors, metric, sums);
    AddActSeries(AddFamily(out, metric.row), metric.row, sums);
  }
  for (const MoveMetric& metric : kMoveMetrics) {
    ActSums sums;
    for (const RouteActFigures& of_worker : acts) AddSums(of_worker.moves, metric, sums);
    AddActSeries(AddFamily(out, metric.row), metric.row, sums);
  }
}

void StatsCollector::CollectDiscovery(Families& out) const {
  // While a reload puts a cluster in another's place, both have its name.
  std::vector<std::shared_ptr<discovery::WatchedCluster>> watched;
  if (sources_.discovery != nullptr) watched = sources_.discovery->Watched();
  const auto is_second = [&watched](const auto& cluster) {
    return std::any_of(watched.begin(), watched.end(), [&cluster](const auto& other) {
      return other->number < cluster->number && other->options.name == cluster->options.name;
    });
  };
  for (const discovery::DiscoveryMetric& metric : discovery::kDiscoveryMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const auto& cluster : watched) {
      if (is_second(cluster)) continue;
      const discovery::DiscoveryCounters& counters = cluster->publisher.counters();
      AddValue(family, metric.row, static_cast<double>((counters.*metric.value).Get()),
               cluster->options.name);
    }
  }
}

void StatsCollector::CollectEngine(Families& out) const {
  const EngineStats stats = sources_.engine->StatsSinceStart();
  for (const EngineMetric& metric : kEngineMetrics) {
    AddValue(AddFamily(out, metric.row), metric.row, static_cast<double>(stats.*metric.value));
  }
  std::vector<std::pair<int, DbStats>> databases;
  for (int db = 0; db < sources_.engine->databases(); ++db) {
    const DbStats db_stats = sources_.engine->StatsOfDb(db);
    if (db == 0 || db_stats.keys != 0) databases.emplace_back(db, db_stats);
  }
  for (const DbMetric& metric : kDbMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const auto& [db, db_stats] : databases) {
      AddValue(family, metric.row, static_cast<double>(db_stats.*metric.value), std::to_string(db));
    }
  }
}

void StatsCollector::CollectPersistence(Families& out) const {
  const PersistenceStats stats =
      sources_.persistence != nullptr ? sources_.persistence->Stats() : PersistenceStats();
  for (const PersistenceMetric& metric : kPersistenceMetrics)
    AddValue(AddFamily(out, metric.row), metric.row, metric.value(stats));
  const ColdStats cold = sources_.engine->StatsOfCold();
  for (const ColdMetric& metric : kColdMetrics)
    AddValue(AddFamily(out, metric.row), metric.row, static_cast<double>(cold.*metric.value));
}

void StatsCollector::CollectBigKeys(Families& out) const {
  hotkey::BigKeyCounts counts;
  if (sources_.big_keys != nullptr) counts = sources_.big_keys->table().Counts(UnixMillis());
  prometheus::MetricFamily& listed = AddFamily(out, kBigKeysMetric);
  AddValue(listed, kBigKeysMetric, static_cast<double>(counts.listed - counts.big), "warn");
  AddValue(listed, kBigKeysMetric, static_cast<double>(counts.big), "big");
  for (const BigKeyMetric& metric : kBigKeyMetrics)
    AddValue(AddFamily(out, metric.row), metric.row, static_cast<double>(counts.*metric.value));
}

void StatsCollector::CollectPolicies(Families& out) const {
  std::vector<PolicyRegistry::Counted> routes;
  if (sources_.policies != nullptr) routes = sources_.policies->Counters();
  for (const PolicyMetric& metric : kPolicyMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const PolicyRegistry::Counted& route : routes) {
      for (size_t i = 0; i < kPolicyKindNames.size(); ++i) {
        const PolicyFigures& figures = route.counters->figures[i];
        const uint64_t value = (figures.*metric.value).load(std::memory_order_relaxed);
        if (value == 0) continue;
        AddValue(family, metric.row, static_cast<double>(value), std::string(kPolicyKindNames[i]));
        family.metric.back().label.push_back({std::string(metric.row.second_label), route.route});
      }
    }
  }
  CollectStale(out);
  CollectAbsentKeys(out);
}

void StatsCollector::CollectAbsentKeys(Families& out) const {
  PolicyList routes;
  if (sources_.policies != nullptr) routes = sources_.policies->Now();
  const int64_t now_ns = MonotonicNanos();
  for (const AbsentMetric& metric : kAbsentMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const std::shared_ptr<RoutePolicies>& route : routes) {
      if (route->absent_keys() == nullptr) continue;
      const std::optional<double> value = metric.value(*route->absent_keys(), now_ns);
      if (value) AddValue(family, metric.row, *value, route->route());
    }
  }
}

void StatsCollector::CollectLocalCache(Families& out) const {
  for (const LocalCacheMetric& metric : kLocalCacheMetrics) {
    uint64_t sum = 0;
    for (const WorkerSource& worker : sources_.workers) {
      if (worker.cache != nullptr) sum += (worker.cache->*metric.value).Get();
    }
    AddValue(AddFamily(out, metric.row), metric.row, static_cast<double>(sum));
  }
}

void StatsCollector::CollectFlights(Families& out) const {
  std::vector<PolicyRegistry::Counted> routes;
  if (sources_.policies != nullptr) routes = sources_.policies->Counters();
  for (const FlightMetric& metric : kFlightMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const PolicyRegistry::Counted& route : routes) {
      const FlightFigures& figures = route.counters->flight;
      if (figures.leases.load(std::memory_order_relaxed) == 0) continue;
      const uint64_t value = (figures.*metric.value).load(std::memory_order_relaxed);
      AddValue(family, metric.row, static_cast<double>(value), route.route);
    }
  }
}

void StatsCollector::CollectStale(Families& out) const {
  std::vector<PolicyRegistry::Counted> counted;
  PolicyList routes;
  if (sources_.policies != nullptr) {
    counted = sources_.policies->Counters();
    routes = sources_.policies->Now();
  }
  std::erase_if(routes, [](const auto& route) { return route->stale() == nullptr; });
  for (const StaleMetric& metric : kStaleMetrics) {
    prometheus::MetricFamily& family = AddFamily(out, metric.row);
    for (const PolicyRegistry::Counted& route : counted) {
      const double value = metric.value(route.counters->stale);
      if (value > 0) AddValue(family, metric.row, value, route.route);
    }
  }
  prometheus::MetricFamily& keys = AddFamily(out, kStaleKeysMetric);
  for (const std::shared_ptr<RoutePolicies>& route : routes)
    AddValue(keys, kStaleKeysMetric, static_cast<double>(route->stale()->keys()), route->route());
  prometheus::MetricFamily& bytes = AddFamily(out, kStaleBytesMetric);
  for (const std::shared_ptr<RoutePolicies>& route : routes)
    AddValue(bytes, kStaleBytesMetric, static_cast<double>(route->stale()->bytes()),
             route->route());
}

void StatsCollector::CollectHotKeys(Families& out) const {
  const HotKeyFacts facts = sources_.hot_keys ? sources_.hot_keys() : HotKeyFacts();
  const hotkey::HotKeyReport& report = *facts.report;
  prometheus::MetricFamily& classes = AddFamily(out, kHotKeysMetric);
  for (size_t i = 0; i < hotkey::kHotClasses; ++i) {
    const auto one = static_cast<hotkey::HotClass>(i);
    const auto count =
        std::count_if(report.keys.begin(), report.keys.end(),
                      [one](const hotkey::HotKey& key) { return key.classes.Has(one); });
    AddValue(classes, kHotKeysMetric, static_cast<double>(count), std::string(PublicNameOf(one)));
  }
  prometheus::MetricFamily& shares = AddFamily(out, kTrafficShareMetric);
  AddValue(shares, kTrafficShareMetric, report.top1_share, "1");
  AddValue(shares, kTrafficShareMetric, report.top10_share, "10");
  AddValue(shares, kTrafficShareMetric, report.top100_share, "100");
  for (const HotKeyMetric& metric : kHotKeyMetrics)
    AddValue(AddFamily(out, metric.row), metric.row, metric.value(report));
}

}  // namespace tidegate
