#include "proxy/admin/upstream_figures.h"

#include <algorithm>

#include "proxy/upstream/upstream_cluster.h"

namespace tidegate {

uint64_t NodeOfWorkers::Sum(WorkerCounter UpstreamCounters::*value) const {
  uint64_t sum = 0;
  for (const auto& one : figures) sum += (one->counters.*value).Get();
  return sum;
}

size_t ClustersOf(const AdminSources& sources) {
  return sources.workers.empty() ? 0 : sources.workers[0].upstreams.size();
}

std::vector<NodeOfWorkers> NodesOfCluster(const AdminSources& sources, size_t cluster) {
  std::vector<NodeOfWorkers> nodes;
  for (const WorkerSource& worker : sources.workers) {
    for (auto& figures : worker.upstreams[cluster]->Figures()) {
      auto node = std::find_if(nodes.begin(), nodes.end(), [&figures](const NodeOfWorkers& known) {
        return known.address == figures->address;
      });
      if (node == nodes.end()) node = nodes.insert(nodes.end(), {figures->address, {}});
      node->figures.push_back(std::move(figures));
    }
  }
  return nodes;
}

}  // namespace tidegate
