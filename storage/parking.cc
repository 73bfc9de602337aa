#include "storage/parking.h"

#include <algorithm>

#include "storage/engine_thread.h"

namespace tidegate {

bool SlotParking::Park(Slot& slot, uint16_t id, Waiter waiter) {
  Queue& queue = queues_[id % kQueues];
  MutexLock lock(queue.mutex);
  uint32_t word = slot.lock.load(std::memory_order_relaxed);
  do {
    if ((word & Slot::kLocked) == 0) return false;
  } while (
      !slot.lock.compare_exchange_weak(word, word | Slot::kWaiters, std::memory_order_relaxed));
  queue.parked.push_back({waiter, id});
  return true;
}

void SlotParking::WakeAll(uint16_t id) {
  std::vector<Waiter> woken;
  Queue& queue = queues_[id % kQueues];
  {
    MutexLock lock(queue.mutex);
    std::erase_if(queue.parked, [&](const Parked& parked) {
      if (parked.slot != id) return false;
      woken.push_back(parked.waiter);
      return true;
    });
  }
  for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
}

void SlotParking::Remove(Waiter waiter) {
  for (Queue& queue : queues_) {
    MutexLock lock(queue.mutex);
    std::erase_if(queue.parked, [&](const Parked& parked) { return parked.waiter == waiter; });
  }
}

}  // namespace tidegate
