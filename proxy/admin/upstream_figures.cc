#include "proxy/admin/upstream_figures.h"

#include <algorithm>
#include <utility>

#include "proxy/upstream/worker_upstreams.h"

namespace tidegate {
namespace {

void AddNode(std::vector<NodeOfWorkers>& nodes, std::shared_ptr<const NodeFigures> figures) {
  auto node = std::find_if(nodes.begin(), nodes.end(), [&figures](const NodeOfWorkers& known) {
    return known.address == figures->address;
  });
  if (node == nodes.end()) node = nodes.insert(nodes.end(), {figures->address, {}});
  node->figures.push_back(std::move(figures));
}

}  // namespace

uint64_t NodeOfWorkers::Sum(WorkerCounter UpstreamCounters::*value) const {
  uint64_t sum = 0;
  for (const auto& one : figures) sum += (one->counters.*value).Get();
  return sum;
}

uint64_t ClusterOfWorkers::Sum(WorkerCounter FanoutFigures::*value) const {
  uint64_t sum = 0;
  for (const auto& one : figures) sum += (one->fanout.*value).Get();
  return sum;
}

double NodeOfWorkers::LatencySeconds(double share) const {
  constexpr double kNanosPerSecond = 1e9;
  uint64_t counts[LatencyHistogram::kBuckets] = {};
  uint64_t total = 0;
  for (const auto& one : figures) {
    for (int bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
      counts[bucket] += one->latency.CountOf(bucket);
      total += one->latency.CountOf(bucket);
    }
  }
  uint64_t below = 0;
  for (int bucket = 0; bucket < LatencyHistogram::kBuckets && total > 0; ++bucket) {
    below += counts[bucket];
    if (static_cast<double>(below) < share * static_cast<double>(total)) continue;
    return static_cast<double>(LatencyHistogram::UpperBoundNanos(bucket)) / kNanosPerSecond;
  }
  return 0;
}

std::vector<ClusterOfWorkers> ClustersOf(const AdminSources& sources) {
  std::vector<ClusterOfWorkers> clusters;
  for (const WorkerSource& worker : sources.workers) {
    if (worker.upstreams == nullptr) continue;
    for (const auto& figures : worker.upstreams->Figures()) {
      auto same = std::find_if(
          clusters.begin(), clusters.end(),
          [&figures](const ClusterOfWorkers& known) { return known.number == figures->number; });
      if (same == clusters.end()) {
        same = clusters.insert(
            same, {.number = figures->number, .name = figures->name, .kind = figures->kind});
      }
      same->leaving = same->leaving || figures->leaving();
      same->figures.push_back(figures);
      for (auto& node : figures->nodes()) AddNode(same->nodes, node);
    }
  }
  std::sort(
      clusters.begin(), clusters.end(),
      [](const ClusterOfWorkers& a, const ClusterOfWorkers& b) { return a.number < b.number; });
  return clusters;
}

std::vector<ClusterOfWorkers> ClustersByName(const AdminSources& sources) {
  std::vector<ClusterOfWorkers> clusters;
  for (ClusterOfWorkers& cluster : ClustersOf(sources)) {
    const auto same = std::find_if(
        clusters.begin(), clusters.end(),
        [&cluster](const ClusterOfWorkers& known) { return known.name == cluster.name; });
    if (same == clusters.end()) {
      clusters.push_back(std::move(cluster));
      continue;
    }
    same->figures.insert(same->figures.end(), cluster.figures.begin(), cluster.figures.end());
    for (const NodeOfWorkers& node : cluster.nodes) {
      for (const auto& figures : node.figures) AddNode(same->nodes, figures);
    }
  }
  return clusters;
}

}  // namespace tidegate
