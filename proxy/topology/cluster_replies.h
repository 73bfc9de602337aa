// The replies in which a node of a Redis Cluster describes the cluster, as SlotMaps. Three forms
// say nearly the same:
//
//   CLUSTER SLOTS   every version; the endpoints that the server prefers; failed replicas left out
//   CLUSTER SHARDS  since 7.0; also health and replication offsets
//   CLUSTER NODES   every version, one text; also config epochs and slots on the move
//
// An endpoint that is null or empty means the host that was asked (with the port told); "?" that
// the server prefers host names and this node has none: its IP address then, where told, else the
// node has no address and requests for its slots fail. What contradicts itself is an error; nothing
// of it is used. Unknown fields are skipped: newer servers have more.
// Sources: redis.io's pages of the three commands; Redis 6.2, 7.0 and Valkey 8 as tried.
#pragma once

#include <string_view>

#include "base/result.h"
#include "proxy/topology/node_address.h"
#include "proxy/topology/reply.h"
#include "proxy/topology/slot_map.h"

namespace tidegate::topology {

struct AskedNode {
  NodeAddress address;  // as we connected
  bool tls = false;     // which of two ports CLUSTER SHARDS is read for
  // CLUSTER NODES does not say what the server prefers.
  bool prefers_hostnames = false;
};

Result<SlotMap> ParseClusterSlots(const Reply& reply, const AskedNode& asked);
Result<SlotMap> ParseClusterShards(const Reply& reply, const AskedNode& asked);
Result<SlotMap> ParseClusterNodes(const Reply& reply, const AskedNode& asked);

// What of CLUSTER INFO says whose view to believe.
struct ClusterInfo {
  bool is_ok = false;  // cluster_state
  uint64_t current_epoch = 0;
  int64_t known_nodes = 0;
  int64_t assigned_slots = 0;
};
Result<ClusterInfo> ParseClusterInfo(const Reply& reply);

// An Error with the server's own words when the reply is an error, or is not of the kind wanted.
Status ExpectReply(const Reply& reply, Reply::Kind kind, std::string_view command);

}  // namespace tidegate::topology
