// The upstream clusters, and their nodes with what all workers count about each, for /clusters and
// /metrics. Workers take a new topology in one after the other, and a reload too, so one may know a
// cluster or a node that another does not: clusters are put together by their numbers, nodes by
// address. Any thread; cost: nodes x workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/admin_sources.h"
#include "proxy/upstream/upstream_counters.h"

namespace tidegate {

struct NodeOfWorkers {
  std::string address;
  std::vector<std::shared_ptr<const NodeFigures>> figures;

  uint64_t Sum(WorkerCounter UpstreamCounters::*value) const;
  // What that share of its replies took at most; 0 when there was none.
  double LatencySeconds(double share) const;
};

struct ClusterOfWorkers {
  size_t number = 0;
  std::string name;
  ClusterKind kind = ClusterKind::kRedis;
  bool leaving = false;
  std::vector<NodeOfWorkers> nodes = {};
  std::vector<std::shared_ptr<const ClusterFigures>> figures = {};  // one for each worker

  uint64_t Sum(WorkerCounter FanoutFigures::*value) const;
};

// By their numbers. A cluster that leaves may have the name of one that came instead.
std::vector<ClusterOfWorkers> ClustersOf(const AdminSources& sources);
// The same by name, each once: for metrics, which tell clusters apart by name.
std::vector<ClusterOfWorkers> ClustersByName(const AdminSources& sources);

}  // namespace tidegate
