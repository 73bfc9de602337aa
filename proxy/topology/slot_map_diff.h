// What changed from one SlotMap to the next: for the log, for metrics, and for who has connections
// to open and to close. Nodes are compared by where they are reached, because that is what a
// connection is to; a node that came back under a new id at the same place has not moved anything.
// Pure; cost: one pass over the slots and a sort of the nodes.
#pragma once

#include <string>
#include <vector>

#include "proxy/topology/slot_map.h"

namespace tidegate::topology {

// A run of slots whose primary is another now. An address that is not known: nobody's.
struct MovedRange {
  SlotRange slots;
  NodeAddress from;
  NodeAddress to;

  friend bool operator==(const MovedRange&, const MovedRange&) = default;
};

struct SlotMapDiff {
  std::vector<MovedRange> moved;
  // In the order of addresses.
  std::vector<NodeAddress> added;
  std::vector<NodeAddress> removed;
  std::vector<NodeAddress> promoted;  // replica before, primary now
  std::vector<NodeAddress> demoted;

  bool is_empty() const {
    return moved.empty() && added.empty() && removed.empty() && promoted.empty() && demoted.empty();
  }
  uint32_t moved_slots() const;
  // One line for the log: "5461 slots moved, 1 node added, …".
  std::string ToText() const;
};

SlotMapDiff Compare(const SlotMap& before, const SlotMap& after);

}  // namespace tidegate::topology
