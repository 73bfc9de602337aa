// Route: pattern of keys -> cluster and policies. What a line under `routes:` in the configuration
// means, on one worker: its cluster, its upstream when it is one, how keys are named there, who has
// a part in it, what may act on its requests. Owner: one worker (its Router); built at start, with
// policies that all workers share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "policy/filter_chain.h"

namespace tidegate {

class RoutePolicies;
class RouteMirror;      // proxy/upstream
class RouteMove;        // proxy/session
class UpstreamCluster;  // proxy/upstream

// Those of all routes, in the order of the configuration.
using PolicyList = std::vector<std::shared_ptr<RoutePolicies>>;

// What a key loses and gets in front on its way to an upstream. Every key of the route begins with
// `strip`, so that no two keys become one.
struct KeyPrefixes {
  std::string strip = {};
  std::string add = {};

  bool any() const { return !strip.empty() || !add.empty(); }
};

struct Route {
  std::string match;  // glob; of those that match a key the longest wins
  std::string cluster;
  UpstreamCluster* upstream = nullptr;  // null: the engine. Outlives the route
  FilterChain filters{{}};
  KeyPrefixes prefixes = {};
  RouteMirror* mirror = nullptr;  // null: none. Outlives the route
  RouteMove* move = nullptr;      // null: no other cluster has its keys. Outlives the route
  uint16_t figures = 0;           // number of its counters, on this worker
  std::shared_ptr<RoutePolicies> policies = {};  // that all workers share; null: none
};

}  // namespace tidegate
