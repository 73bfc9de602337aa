// SlotParking: where requests wait for a busy slot, outside of everybody's way.
//
// A slot has no room for a queue; this is one hash of queues for all of them, as futexes are kept.
// Parking sets a bit in the slot's lock word while the slot is held; whoever unlocks and sees the
// bit comes here and wakes all that are parked at that slot. They try again from the start. Woken
// is not served: a request that loses the race parks again, and after a few rounds takes the
// exclusive gate. Thread: any. Cost: nothing for a slot that nobody waits for.
#pragma once

#include <cstdint>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/keyspace/keyspace.h"
#include "storage/waiter.h"

namespace tidegate {

class SlotParking final {
 public:
  // False when the slot is free by now: try again instead.
  bool Park(Slot& slot, uint16_t id, Waiter waiter);
  // Called after an unlock that found the waiters' bit.
  void WakeAll(uint16_t id);
  void Remove(Waiter waiter);

 private:
  static constexpr size_t kQueues = 64;
  struct Parked {
    Waiter waiter;
    uint16_t slot;
  };
  struct alignas(64) Queue {
    Mutex mutex;
    std::vector<Parked> parked TG_GUARDED_BY(mutex);
  };
  Queue queues_[kQueues];
};

}  // namespace tidegate
