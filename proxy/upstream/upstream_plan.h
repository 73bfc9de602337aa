// UpstreamPlan: the upstream clusters that there shall be, and which keys go to them: what a worker
// is given at the start and by every reload. Clusters are told apart by their numbers, so one whose
// settings have changed is another cluster. A value; made by UpstreamControl.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/options.h"
#include "policy/route.h"
#include "proxy/upstream/upstream_observer.h"
#include "proxy/upstream/upstream_topology.h"

namespace tidegate {

struct PlannedCluster {
  size_t number = 0;
  ClusterOptions options;
  std::shared_ptr<UpstreamObserver> observer;
  // What is known of its nodes by now; version 0: nothing. Any thread.
  std::function<std::shared_ptr<const UpstreamTopology>()> latest_topology;
};

struct UpstreamPlan {
  std::vector<PlannedCluster> clusters;  // in the order of the configuration
  std::vector<RouteOptions> routes;
  PolicyList policies = {};  // one for each of these
  // In place of that of the route "*", for clients of a listener that says so. No reload changes
  // which those are.
  std::vector<std::string> listener_clusters = {};
};

}  // namespace tidegate
