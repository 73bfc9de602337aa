// SlotMap: which node of a Redis Cluster serves which of the 16384 slots, at one moment and as one
// or several of its nodes saw it.
//
//   shard_of_slot[16384]      shards                     nodes
//   [ 1 1 1 2 2 0 3 … ] --->  0  nobody's        +---->  0  id, address, health, …
//                             1  primary --------+       1
//                                replicas ------------>  2
//
// Immutable: whoever refreshes the topology builds a new one (slot_map_builder.h) and publishes it
// as a shared_ptr<const SlotMap>; workers read it without a lock. Why indexes: a worker keeps its
// connections in an array beside, and the 32 KiB of the slots stay in the cache. Shard 0 is
// nobody's, so that a slot that is not covered needs no test of its own. Cost of OfSlot: one array
// access for the number, one for the shard.
// Source: the Redis Cluster specification.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/hash.h"
#include "proxy/topology/node_address.h"

namespace tidegate::topology {

// Far above what gossip carries (some 2,000); an index has to fit into NodeIndex.
inline constexpr size_t kClusterNodesMax = 16384;

using NodeIndex = uint16_t;
inline constexpr NodeIndex kNoNode = UINT16_MAX;

enum class NodeHealth : uint8_t {
  kOnline,
  kLoading,    // reads its data in, or has not copied any yet
  kSuspected,  // the node asked does not reach it: CLUSTER NODES' "fail?"
  kFailed,     // the cluster agrees that it is down
};

struct ClusterNode {
  std::string id;       // 40 hexadecimal digits; empty where the reply had none
  NodeAddress address;  // where clients are to connect
  // As announced, for people and for TLS; empty when not told.
  std::string ip;
  std::string hostname;
  bool is_primary = false;
  NodeHealth health = NodeHealth::kOnline;
  uint64_t config_epoch = 0;        // 0: not told (only CLUSTER NODES does)
  int64_t replication_offset = -1;  // -1: not told (only CLUSTER SHARDS does)

  // What makes two mentions the same node: the id, else the address.
  std::string Key() const { return id.empty() ? address.ToText() : id; }
};

struct Shard {
  NodeIndex primary = kNoNode;  // none: nobody accepts writes now
  std::vector<NodeIndex> replicas;
};

// A slot on its way: the source answers ASK for keys that are gone, the target serves them only
// behind ASKING. Only the two nodes concerned tell, and only by CLUSTER NODES.
struct SlotMove {
  uint16_t slot = 0;
  NodeIndex from = kNoNode;
  NodeIndex to = kNoNode;

  friend bool operator==(const SlotMove&, const SlotMove&) = default;
};

struct SlotRange {
  uint16_t first = 0;
  uint16_t last = 0;

  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

class SlotMap final {
 public:
  // Without nodes; no slot is covered.
  SlotMap();

  const Shard& OfSlot(uint16_t slot) const { return shards_[ShardOfSlot(slot)]; }
  // Index into shards(); 0 for a slot that is not covered.
  uint16_t ShardOfSlot(uint16_t slot) const {
    TG_DCHECK(slot < kSlotCount);
    return shard_of_slot_[slot];
  }
  // Null when nobody is the slot's primary. Lives as long as the map.
  const ClusterNode* PrimaryOf(uint16_t slot) const;

  const std::vector<ClusterNode>& nodes() const { return nodes_; }
  // The first is nobody's; others may have no slots.
  const std::vector<Shard>& shards() const { return shards_; }
  const std::vector<SlotMove>& moves() const { return moves_; }
  // Slots that have a primary.
  uint32_t covered_slots() const { return covered_slots_; }
  bool is_complete() const { return covered_slots_ == kSlotCount; }

  NodeIndex FindNode(const NodeAddress& address) const;
  // The slots of a shard in ascending ranges; of shard 0, the holes.
  std::vector<SlotRange> RangesOf(uint16_t shard) const;

 private:
  friend class SlotMapBuilder;

  std::array<uint16_t, kSlotCount> shard_of_slot_;
  std::vector<Shard> shards_;
  std::vector<ClusterNode> nodes_;
  std::vector<SlotMove> moves_;
  uint32_t covered_slots_ = 0;
};

}  // namespace tidegate::topology
