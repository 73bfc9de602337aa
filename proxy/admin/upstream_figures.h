// The nodes of an upstream cluster with what all workers count about each, for /clusters and
// /metrics. Workers take a new topology in one after the other, so one may know a node that another
// does not: nodes are put together by address. Any thread; cost: nodes x workers.
#pragma once

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
};

// Every worker has the same clusters, in the same order; `cluster` is an index of these.
std::vector<NodeOfWorkers> NodesOfCluster(const AdminSources& sources, size_t cluster);
size_t ClustersOf(const AdminSources& sources);

}  // namespace tidegate
