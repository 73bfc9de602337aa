#include "proxy/upstream/worker_upstreams.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace tidegate {

void WorkerUpstreams::Take(const UpstreamPlan& plan, const UpstreamEnvironment& environment) {
  std::vector<std::unique_ptr<UpstreamCluster>> before = std::exchange(clusters_, {});
  for (const PlannedCluster& planned : plan.clusters) {
    const auto same = std::find_if(before.begin(), before.end(), [&planned](const auto& cluster) {
      return cluster != nullptr && cluster->number() == planned.number;
    });
    if (same != before.end()) {
      clusters_.push_back(std::move(*same));
      continue;
    }
    UpstreamCluster& cluster = *clusters_.emplace_back(
        std::make_unique<UpstreamCluster>(environment, planned.options, planned.number));
    cluster.set_observer(planned.observer);
    // What is found out later is posted behind this plan.
    const std::shared_ptr<const UpstreamTopology> known = planned.latest_topology();
    if (known->version > 0) cluster.SetTopology(known);
  }
  for (std::unique_ptr<UpstreamCluster>& cluster : before) {
    if (cluster == nullptr) continue;
    cluster->Leave();
    leaving_.push_back({std::move(cluster), MonotonicNanos() + kClusterLeavesNanosMax});
  }
  ++placement_epoch;
  PublishFigures();
}

UpstreamCluster* WorkerUpstreams::Find(std::string_view name) const {
  for (const auto& cluster : clusters_) {
    if (cluster->name() == name) return cluster.get();
  }
  return nullptr;
}

UpstreamCluster* WorkerUpstreams::FindNumber(size_t number) const {
  for (const auto& cluster : clusters_) {
    if (cluster->number() == number) return cluster.get();
  }
  return nullptr;
}

bool WorkerUpstreams::Flush() {
  bool sent = false;
  for (const auto& cluster : clusters_) sent = cluster->Flush() || sent;
  if (__builtin_expect(leaving_.empty(), 1)) return sent;
  for (const Leaving& one : leaving_) sent = one.cluster->Flush() || sent;
  return sent;
}

void WorkerUpstreams::PublishFigures() {
  ClusterList figures;
  for (const auto& cluster : clusters_) figures.push_back(cluster->figures());
  for (const Leaving& one : leaving_) figures.push_back(one.cluster->figures());
  const MutexLock lock(figures_mutex_);
  figures_.swap(figures);
}

WorkerUpstreams::ClusterList WorkerUpstreams::Figures() const {
  const MutexLock lock(figures_mutex_);
  return figures_;
}

}  // namespace tidegate
