// Route: pattern of keys -> cluster and policies. What a line under `routes:` in the configuration
// means, on one worker: the name of the cluster and the chain of filters of this worker. Owner: one
// worker (its Router); built at start.
#pragma once

#include <memory>
#include <string>

#include "policy/filter_chain.h"

namespace tidegate {

struct Route {
  std::string match;  // glob; of those that match a key the longest wins
  std::string cluster;
  FilterChain filters{{}};
};

}  // namespace tidegate
