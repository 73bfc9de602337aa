// StatsCollector: turns counters into Prometheus families when somebody scrapes.
//
// Why a Collectable and not prometheus::Counter objects: the request path would then pay for an
// atomic addition per metric, shared between workers. Here it pays nothing; a scrape reads the
// workers' plain counters (about 100 microseconds for 50 commands in use). The lists of rows
// (storage/engine_metrics.h, proxy/server_metrics.h) say what exists; this file knows only the
// shapes: one figure, by worker, by command, by database, histogram.
// Counters are read one by one while their owners go on, so figures of one scrape may be some
// requests apart; a histogram is consistent in itself. Thread: any.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <span>
#include <vector>

#include "base/metric.h"
#include "proxy/admin/admin_sources.h"
#include "proxy/server_metrics.h"

namespace tidegate {

class StatsCollector final : public prometheus::Collectable {
 public:
  explicit StatsCollector(const AdminSources& sources) : sources_(sources) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  void CollectServer(std::vector<prometheus::MetricFamily>& out) const;
  void CollectWorkers(std::vector<prometheus::MetricFamily>& out) const;
  void CollectLoops(std::vector<prometheus::MetricFamily>& out) const;
  void CollectRequests(std::vector<prometheus::MetricFamily>& out) const;
  void CollectCommands(std::vector<prometheus::MetricFamily>& out) const;
  void CollectUpstreams(std::vector<prometheus::MetricFamily>& out) const;
  void CollectRoutes(std::vector<prometheus::MetricFamily>& out) const;
  void CollectMirrorsAndMoves(std::vector<prometheus::MetricFamily>& out) const;
  void CollectDiscovery(std::vector<prometheus::MetricFamily>& out) const;
  void CollectEngine(std::vector<prometheus::MetricFamily>& out) const;
  void CollectBigKeys(std::vector<prometheus::MetricFamily>& out) const;
  void CollectPersistence(std::vector<prometheus::MetricFamily>& out) const;
  void CollectHotKeys(std::vector<prometheus::MetricFamily>& out) const;
  void CollectPolicies(std::vector<prometheus::MetricFamily>& out) const;
  void CollectLocalCache(std::vector<prometheus::MetricFamily>& out) const;
  void CollectFlights(std::vector<prometheus::MetricFamily>& out) const;
  void CollectStale(std::vector<prometheus::MetricFamily>& out) const;
  void CollectAbsentKeys(std::vector<prometheus::MetricFamily>& out) const;

  const AdminSources& sources_;
};

// The single figures as they are now.
ServerFacts GatherFacts(const AdminSources& sources);

// A counter of one command, all workers together.
uint64_t SumOfCommand(const AdminSources& sources, uint32_t command_id,
                      WorkerCounter CommandCounters::*value);
uint64_t SumOfWorkers(const AdminSources& sources, WorkerCounter WorkerCounters::*value);

}  // namespace tidegate
