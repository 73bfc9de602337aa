// UpstreamPlan: the upstream clusters that there shall be, and which keys go to them: what a worker
// is given at the start and by every reload. Clusters are told apart by their numbers, so one whose
// settings have changed is another cluster. A value; made by UpstreamControl.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/options.h"
#include "policy/route.h"
#include "proxy/upstream/upstream_observer.h"
#include "proxy/upstream/upstream_topology.h"

namespace tidegate {

class KeyMoves;

struct PlannedCluster {
  size_t number = 0;
  ClusterOptions options;
  std::shared_ptr<UpstreamObserver> observer;
  // What is known of its nodes by now; version 0: nothing. Any thread.
  std::function<std::shared_ptr<const UpstreamTopology>()> latest_topology;
};

// Where clients of one listener go with what no other route has.
struct PlannedListener {
  std::string name;
  std::string cluster;  // empty: where the route "*" says
  // It is gone, and so is its cluster: its clients are closed.
  bool is_lost = false;

  friend bool operator==(const PlannedListener&, const PlannedListener&) = default;
};

// A route with move-from: whose keys go where. Another source, target or route is another move,
// which remembers keys of its own.
struct PlannedMove {
  static constexpr size_t kToEngine = SIZE_MAX;

  std::string route;  // its pattern
  size_t from = 0;    // clusters' numbers
  size_t to = kToEngine;
  std::shared_ptr<KeyMoves> keys;

  bool IsOf(const PlannedMove& other) const {
    return route == other.route && from == other.from && to == other.to;
  }
};

// Where keys are moved a change of the routes has two steps: each worker takes the plan, and holds
// requests back until what it had under way by the former routes is answered and what it was moving
// has arrived; when all workers have come so far the routes open. Else one worker could move a key,
// or remove it where it was, while a write to it by another one's former routes is on its way.
struct RouteHold {
  explicit RouteHold(size_t workers) : workers_left(workers) {}

  std::atomic<size_t> workers_left;  // that still have something under way
};

struct UpstreamPlan {
  std::vector<PlannedCluster> clusters;  // in the order of the configuration
  std::vector<RouteOptions> routes;
  PolicyList policies = {};  // one for each of these
  // By their numbers, which begin at 1. One that is gone keeps its place, for its clients.
  std::vector<PlannedListener> listeners = {};
  std::vector<PlannedMove> moves = {};
  std::shared_ptr<RouteHold> hold = {};  // null: the routes are open at once
};

}  // namespace tidegate
