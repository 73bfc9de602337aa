// `tidegate --check-config --ping`: finds out the nodes of every upstream cluster as a server would
// (discovery), and asks each of them, and each sentinel, whether it answers: what is right in a
// file and wrong in the network is seen before anything depends on it. Waits a few seconds at most.
// Thread: main; opens connections, changes nothing.
#pragma once

#include <span>
#include <string>

#include "config/upstream_options.h"

namespace tidegate {

struct PingReport {
  bool is_good = true;  // every node answers, and nothing is wrong with any cluster
  std::string text;     // a line for each node, and for each cluster with a problem
};

PingReport PingClusters(std::span<const ClusterOptions> clusters);

}  // namespace tidegate
