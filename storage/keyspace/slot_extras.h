// SlotExtras: what few slots have, and only at times: watched keys, blocked requests, and what is
// remembered of records on disk.
// Beside the slots, not in their lines: Slot::flags says whether there is anything to look for.
// Needs the slot's lock, or the gate.
#pragma once

#include <vector>

#include "storage/blocking.h"
#include "storage/keyspace/stored_state.h"
#include "storage/watch.h"

namespace tidegate {

struct SlotExtras {
  WatchList watches;
  BlockedQueues blocked;
  std::vector<StoredState> stored;  // by database, once there is something; see Keyspace::stored
};

}  // namespace tidegate
