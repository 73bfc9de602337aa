// SlotMapBuilder: puts a SlotMap together from what a reply says, and refuses what contradicts
// itself: a slot that two shards claim, a node that is primary and replica, two primaries of one
// shard, ranges that are none, more nodes than there can be. Slots that nobody claims stay
// uncovered; that is a cluster's state, not an error.
// Owner: one call of a parser; nothing of it lives on. Cost: a hash lookup for each mention of a
// node, a store for each slot.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "proxy/topology/slot_map.h"

namespace tidegate::topology {

class SlotMapBuilder final {
 public:
  SlotMapBuilder() = default;
  // Goes on from a map.
  explicit SlotMapBuilder(const SlotMap& map);

  // A node may be mentioned again, by id or address: its number then is the same.
  Result<NodeIndex> AddNode(ClusterNode node);
  // kNoNode when no such node was added.
  NodeIndex Find(const std::string& key) const;

  // A shard that has nobody yet; or the one of this primary.
  Result<uint16_t> AddShard();
  Result<uint16_t> ShardOfPrimary(NodeIndex primary);
  // A node belongs to one shard only; a mention again changes nothing.
  Status AddReplica(uint16_t shard, NodeIndex replica);
  // What servers send, hence not yet slot numbers.
  Status Assign(uint16_t shard, int64_t first_slot, int64_t last_slot);
  void AddMove(SlotMove move) { map_.moves_.push_back(move); }

  // The slot is that node's from now on, whatever it was before: what MOVED says. A replica of the
  // slot's shard that is named has become its primary, for all of its slots.
  Status Redirect(uint16_t slot, const NodeAddress& address);

  SlotMap Build() &&;

 private:
  void Promote(uint16_t shard, NodeIndex node);
  std::string NameOf(NodeIndex node) const;
  std::string NameOfShard(uint16_t shard) const;

  SlotMap map_;
  std::unordered_map<std::string, NodeIndex> node_of_key_;
  std::vector<uint16_t> shard_of_node_;  // 0: none yet
};

// `map` with one slot elsewhere; see Redirect.
Result<SlotMap> WithRedirect(const SlotMap& map, uint16_t slot, const NodeAddress& address);

}  // namespace tidegate::topology
