#include "proxy/topology/slot_map_builder.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace tidegate::topology {

SlotMapBuilder::SlotMapBuilder(const SlotMap& map)
    : map_(map), shard_of_node_(map.nodes().size(), 0) {
  for (size_t i = 0; i < map.nodes().size(); ++i) {
    node_of_key_.emplace(map.nodes()[i].Key(), static_cast<NodeIndex>(i));
  }
  for (size_t shard = 1; shard < map.shards().size(); ++shard) {
    const Shard& members = map.shards()[shard];
    if (members.primary != kNoNode) shard_of_node_[members.primary] = static_cast<uint16_t>(shard);
    for (const NodeIndex replica : members.replicas) {
      shard_of_node_[replica] = static_cast<uint16_t>(shard);
    }
  }
}

Result<NodeIndex> SlotMapBuilder::AddNode(ClusterNode node) {
  std::string key = node.Key();
  const NodeIndex known = Find(key);
  if (known != kNoNode) {
    if (map_.nodes_[known].is_primary != node.is_primary) {
      return Error{"node " + NameOf(known) + " is a primary and a replica"};
    }
    return known;
  }
  if (node.id.empty() && node.address.port == 0) {
    return Error{"a node without id and address"};
  }
  if (map_.nodes_.size() == kClusterNodesMax) {
    return Error{"more than " + ToText(static_cast<int64_t>(kClusterNodesMax)) + " nodes"};
  }
  const auto index = static_cast<NodeIndex>(map_.nodes_.size());
  node_of_key_.emplace(std::move(key), index);
  map_.nodes_.push_back(std::move(node));
  shard_of_node_.push_back(0);
  return index;
}

NodeIndex SlotMapBuilder::Find(const std::string& key) const {
  const auto found = node_of_key_.find(key);
  return found == node_of_key_.end() ? kNoNode : found->second;
}

Result<uint16_t> SlotMapBuilder::AddShard() {
  if (map_.shards_.size() > kClusterNodesMax) return Error{"more shards than nodes"};
  map_.shards_.emplace_back();
  return static_cast<uint16_t>(map_.shards_.size() - 1);
}

Result<uint16_t> SlotMapBuilder::ShardOfPrimary(NodeIndex primary) {
  const uint16_t known = shard_of_node_[primary];
  if (known != 0) {
    if (map_.shards_[known].primary == primary) return known;
    return Error{"node " + NameOf(primary) + " is a primary and a replica"};
  }
  Result<uint16_t> shard = AddShard();
  if (!shard.ok()) return shard;
  map_.shards_[*shard].primary = primary;
  shard_of_node_[primary] = *shard;
  return shard;
}

Status SlotMapBuilder::AddReplica(uint16_t shard, NodeIndex replica) {
  const uint16_t known = shard_of_node_[replica];
  if (known == shard && map_.shards_[shard].primary != replica) return {};
  if (known != 0) return Error{"node " + NameOf(replica) + " belongs to two shards"};
  map_.shards_[shard].replicas.push_back(replica);
  shard_of_node_[replica] = shard;
  return {};
}

Status SlotMapBuilder::Assign(uint16_t shard, int64_t first_slot, int64_t last_slot) {
  if (first_slot < 0 || last_slot >= kSlotCount || first_slot > last_slot) {
    return Error{"slots " + ToText(first_slot) + "-" + ToText(last_slot) + " are no range of 0-" +
                 ToText(kSlotCount - 1)};
  }
  for (int64_t slot = first_slot; slot <= last_slot; ++slot) {
    uint16_t& owner = map_.shard_of_slot_[static_cast<size_t>(slot)];
    if (owner != 0 && owner != shard) {
      return Error{"slot " + ToText(slot) + " is claimed by " + NameOfShard(owner) + " and " +
                   NameOfShard(shard)};
    }
    owner = shard;
  }
  return {};
}

Status SlotMapBuilder::Redirect(uint16_t slot, const NodeAddress& address) {
  NodeIndex node = map_.FindNode(address);
  if (node == kNoNode) {
    ClusterNode unknown;
    unknown.address = address;
    unknown.is_primary = true;
    Result<NodeIndex> added = AddNode(std::move(unknown));
    if (!added.ok()) return std::move(added).error();
    node = *added;
  }
  const uint16_t shard = map_.shard_of_slot_[slot];
  if (shard != 0 && shard_of_node_[node] == shard) {
    Promote(shard, node);
    return {};
  }
  if (!map_.nodes_[node].is_primary) {
    // A replica elsewhere that has slots is none any more.
    std::erase(map_.shards_[shard_of_node_[node]].replicas, node);
    shard_of_node_[node] = 0;
    map_.nodes_[node].is_primary = true;
  }
  Result<uint16_t> target = ShardOfPrimary(node);
  if (!target.ok()) return std::move(target).error();
  map_.shard_of_slot_[slot] = *target;
  return {};
}

void SlotMapBuilder::Promote(uint16_t shard, NodeIndex node) {
  Shard& members = map_.shards_[shard];
  if (members.primary == node) return;
  std::erase(members.replicas, node);
  if (members.primary != kNoNode) {
    map_.nodes_[members.primary].is_primary = false;
    members.replicas.push_back(members.primary);
  }
  members.primary = node;
  map_.nodes_[node].is_primary = true;
}

SlotMap SlotMapBuilder::Build() && {
  map_.covered_slots_ = static_cast<uint32_t>(
      std::count_if(map_.shard_of_slot_.begin(), map_.shard_of_slot_.end(),
                    [this](uint16_t shard) { return map_.shards_[shard].primary != kNoNode; }));
  return std::move(map_);
}

std::string SlotMapBuilder::NameOf(NodeIndex node) const {
  const ClusterNode& named = map_.nodes_[node];
  if (named.id.empty()) return named.address.ToText();
  return named.address.ToText() + " (" + named.id + ")";
}

std::string SlotMapBuilder::NameOfShard(uint16_t shard) const {
  const Shard& members = map_.shards_[shard];
  if (members.primary != kNoNode) return NameOf(members.primary);
  return "a shard without a primary";
}

Result<SlotMap> WithRedirect(const SlotMap& map, uint16_t slot, const NodeAddress& address) {
  SlotMapBuilder builder(map);
  TG_RETURN_IF_ERROR(builder.Redirect(slot, address));
  return std::move(builder).Build();
}

}  // namespace tidegate::topology
