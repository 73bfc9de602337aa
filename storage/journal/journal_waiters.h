// JournalWaiters: requests that wait for the journal: for room to append, or until what they saw is
// synced. Both are rare (a writer that cannot keep up; appendfsync always; WAITAOF), so one mutex
// does, and nobody takes it while there are none. A wake is a hint: who is woken looks again, and
// waits again if need be. Threads: any. Never called under a slot's lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/engine_thread.h"
#include "storage/waiter.h"

namespace tidegate {

class JournalWaiters final {
 public:
  void AddForRoom(Waiter waiter) {
    MutexLock lock(mutex_);
    for_room_.push_back(waiter);
    any_for_room_.store(true, std::memory_order_seq_cst);
  }
  bool any_for_room() const { return any_for_room_.load(std::memory_order_seq_cst); }
  void WakeForRoom() {
    std::vector<Waiter> woken;
    {
      MutexLock lock(mutex_);
      woken = std::exchange(for_room_, {});
      any_for_room_.store(false, std::memory_order_seq_cst);
    }
    for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
  }

  // Woken when this record is synced.
  void AddForSync(uint64_t sequence, Waiter waiter) {
    MutexLock lock(mutex_);
    for_sync_.push_back({sequence, waiter});
    any_for_sync_.store(true, std::memory_order_seq_cst);
  }
  bool any_for_sync() const { return any_for_sync_.load(std::memory_order_seq_cst); }
  // Those that wait for records up to this one.
  void WakeForSync(uint64_t synced) {
    std::vector<Waiter> woken;
    {
      MutexLock lock(mutex_);
      std::erase_if(for_sync_, [&](const SyncWaiter& entry) {
        if (entry.sequence > synced) return false;
        woken.push_back(entry.waiter);
        return true;
      });
      any_for_sync_.store(!for_sync_.empty(), std::memory_order_seq_cst);
    }
    for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
  }

  void Remove(Waiter waiter) {
    if (!any_for_room() && !any_for_sync()) return;
    MutexLock lock(mutex_);
    std::erase(for_room_, waiter);
    std::erase_if(for_sync_, [&](const SyncWaiter& entry) { return entry.waiter == waiter; });
  }

 private:
  struct SyncWaiter {
    uint64_t sequence;
    Waiter waiter;
  };
  Mutex mutex_;
  std::vector<Waiter> for_room_ TG_GUARDED_BY(mutex_);
  std::vector<SyncWaiter> for_sync_ TG_GUARDED_BY(mutex_);
  std::atomic<bool> any_for_room_{false};
  std::atomic<bool> any_for_sync_{false};
};

}  // namespace tidegate
