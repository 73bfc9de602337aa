#include "proxy/topology/slot_map.h"

namespace tidegate::topology {

SlotMap::SlotMap() : shard_of_slot_{}, shards_(1) {}

const ClusterNode* SlotMap::PrimaryOf(uint16_t slot) const {
  const NodeIndex primary = OfSlot(slot).primary;
  return primary == kNoNode ? nullptr : &nodes_[primary];
}

NodeIndex SlotMap::FindNode(const NodeAddress& address) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].address == address) return static_cast<NodeIndex>(i);
  }
  return kNoNode;
}

std::vector<SlotRange> SlotMap::RangesOf(uint16_t shard) const {
  std::vector<SlotRange> ranges;
  for (uint16_t slot = 0; slot < kSlotCount; ++slot) {
    if (shard_of_slot_[slot] != shard) continue;
    if (!ranges.empty() && ranges.back().last + 1 == slot) {
      ranges.back().last = slot;
    } else {
      ranges.push_back({.first = slot, .last = slot});
    }
  }
  return ranges;
}

}  // namespace tidegate::topology
