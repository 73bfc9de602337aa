// SlotExtras: what few slots have, and only at times: watched keys and blocked requests.
// Beside the slots, not in their lines: Slot::flags says whether there is anything to look for.
// Needs the slot's lock, or the gate.
#pragma once

#include "storage/blocking.h"
#include "storage/watch.h"

namespace tidegate {

struct SlotExtras {
  WatchList watches;
  BlockedQueues blocked;
};

}  // namespace tidegate
