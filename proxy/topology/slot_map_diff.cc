#include "proxy/topology/slot_map_diff.h"

#include <map>

#include "base/text.h"

namespace tidegate::topology {
namespace {

std::map<NodeAddress, bool> RolesOf(const SlotMap& map) {
  std::map<NodeAddress, bool> roles;
  for (const ClusterNode& node : map.nodes()) roles[node.address] |= node.is_primary;
  return roles;
}

// The address of a slot's primary, without a copy; an empty one when there is none.
const NodeAddress& AddressOf(const SlotMap& map, uint16_t slot, const NodeAddress& nobody) {
  const ClusterNode* primary = map.PrimaryOf(slot);
  return primary == nullptr ? nobody : primary->address;
}

void CompareSlots(const SlotMap& before, const SlotMap& after, SlotMapDiff& diff) {
  const NodeAddress nobody;
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    const NodeAddress& from = AddressOf(before, slot, nobody);
    const NodeAddress& to = AddressOf(after, slot, nobody);
    if (from == to) continue;
    if (!diff.moved.empty()) {
      MovedRange& last = diff.moved.back();
      if (last.slots.last + 1U == slot && last.from == from && last.to == to) {
        last.slots.last = slot;
        continue;
      }
    }
    diff.moved.push_back({.slots = {.first = slot, .last = slot}, .from = from, .to = to});
  }
}

void AppendCount(std::string& text, size_t count, std::string_view one, std::string_view what) {
  if (count == 0) return;
  if (!text.empty()) text += ", ";
  text += ToText(static_cast<int64_t>(count));
  text += ' ';
  text += one;
  if (count > 1) text += 's';
  text += ' ';
  text += what;
}

}  // namespace

uint32_t SlotMapDiff::moved_slots() const {
  uint32_t count = 0;
  for (const MovedRange& range : moved) count += range.slots.last - range.slots.first + 1U;
  return count;
}

std::string SlotMapDiff::ToText() const {
  std::string text;
  AppendCount(text, moved_slots(), "slot", "moved");
  AppendCount(text, added.size(), "node", "added");
  AppendCount(text, removed.size(), "node", "removed");
  AppendCount(text, promoted.size(), "node", "promoted");
  AppendCount(text, demoted.size(), "node", "demoted");
  return text.empty() ? "nothing changed" : text;
}

SlotMapDiff Compare(const SlotMap& before, const SlotMap& after) {
  SlotMapDiff diff;
  CompareSlots(before, after, diff);
  const std::map<NodeAddress, bool> old_roles = RolesOf(before);
  const std::map<NodeAddress, bool> new_roles = RolesOf(after);
  for (const auto& [address, is_primary] : new_roles) {
    const auto old = old_roles.find(address);
    if (old == old_roles.end()) {
      diff.added.push_back(address);
    } else if (old->second != is_primary) {
      (is_primary ? diff.promoted : diff.demoted).push_back(address);
    }
  }
  for (const auto& [address, is_primary] : old_roles) {
    if (!new_roles.contains(address)) diff.removed.push_back(address);
  }
  return diff;
}

}  // namespace tidegate::topology
