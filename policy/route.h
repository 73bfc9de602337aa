// Route: pattern of keys -> cluster and policies. What a line under `routes:` in the configuration
// means, on one worker: the name of the cluster, its upstream when it is one, and the chain of
// filters of this worker. Owner: one worker (its Router); built at start.
#pragma once

#include <memory>
#include <string>

#include "policy/filter_chain.h"

namespace tidegate {

class UpstreamCluster;  // proxy/upstream

struct Route {
  std::string match;  // glob; of those that match a key the longest wins
  std::string cluster;
  UpstreamCluster* upstream = nullptr;  // null: the engine. Outlives the route
  FilterChain filters{{}};
};

}  // namespace tidegate
