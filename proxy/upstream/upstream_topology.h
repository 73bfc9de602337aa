// UpstreamTopology: what is known of the nodes of one cluster at one moment: where they are, who is
// the primary, which slots are whose.
//
//   discovery (control thread) --publishes--> shared_ptr<const UpstreamTopology> --> each worker
//
// Immutable. Whoever finds out more publishes a new one with a higher version; a worker takes it in
// at the end of a turn, and keeps its connections to nodes whose address stays. Addresses are what
// tells nodes apart: a connection is to an address.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/topology/node_address.h"
#include "proxy/topology/slot_map.h"

namespace tidegate {

// Until when a replica is known to have everything that its primary had executed, on the monotonic
// clock; 0: not known. The one thing here that goes on: written by who asks the nodes, read by all
// workers. A replica that follows another primary than before has a new one, so that who still has
// the former topology does not read it from there.
using CaughtUp = std::atomic<int64_t>;

struct KnownNode {
  topology::NodeAddress address;
  bool is_primary = true;
  // Answers its health checks, and may be read from (a replica: its link is up, it is not too far
  // behind). Where nobody checks: true.
  bool is_usable = true;
  std::string why_not = {};  // when it is not usable, for people
  // False: its health checks have failed, whatever else may be wrong with it.
  bool is_answering = true;
  bool is_drained = false;  // an operator wants it to get no requests; it is not usable then
  std::shared_ptr<const CaughtUp> caught_up = {};  // of a replica; null: nobody finds out
};

struct UpstreamTopology {
  uint64_t version = 0;
  std::vector<KnownNode> nodes;
  // Of kRedis, kReplicas and kSentinel: index of who takes writes; none: nobody known.
  std::optional<size_t> primary;
  // Of kRedisCluster: what every slot's shard is. Its nodes are found in `nodes` by address.
  std::shared_ptr<const topology::SlotMap> slots;
  // Of the nodes of `slots` by their index, where they are in `nodes`.
  std::vector<size_t> node_of_slot_map;
  // Why nothing, or not all, is known: an error text for clients and for people. Empty: all well.
  std::string problem;
};

}  // namespace tidegate
