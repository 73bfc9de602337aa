// CutQueue: what threads of the engine hand to a cut, and the requests that wait for it.
//
// Pre-images come here in batches and are taken by the cut's thread. They are bounded: beyond
// kPreservedBytesMax requests that write are parked until the cut's thread has caught up. A request
// that would change a large value asks for its slot to be walked next, and waits for that: a value
// of a gigabyte is neither copied nor encoded on a loop. Belongs to the engine and outlives the
// cuts, so that a waiter can be forgotten at any time. Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/thread_annotations.h"
#include "storage/waiter.h"

namespace tidegate {

// Encoded entries that wait for the cut's thread. A disk that takes 200 MB/s is behind for a third
// of a second then.
inline constexpr Bytes kPreservedBytesMax = 64_MiB;
// Entries that a thread keeps together before it hands them over.
inline constexpr Bytes kPreservedBatchBytes = 64_KiB;

// Encoded entries of one database.
struct PreservedEntries {
  int db = 0;
  std::string bytes;
};

class CutQueue final {
 public:
  void Push(PreservedEntries entries);
  std::vector<PreservedEntries> Take();

  bool full() const {
    return waiting_bytes_.load(std::memory_order_relaxed) >= kPreservedBytesMax.count;
  }
  // The waiter is woken when there is room again; false when there is.
  bool ParkUntilRoom(Waiter waiter);

  // The waiter is woken when the slot has been walked; false when it has been: `walked` is read
  // under the queue's mutex, and set before SlotWalked is called.
  bool ParkUntilWalked(uint16_t slot, const std::atomic<bool>& walked, Waiter waiter);
  // A slot that somebody waits for.
  std::optional<uint16_t> NextWanted();
  void SlotWalked(uint16_t slot);

  // The cut is over: everybody goes on.
  void WakeAll();
  void Forget(Waiter waiter);

 private:
  struct SlotWaiter {
    uint16_t slot;
    Waiter waiter;
  };

  std::atomic<uint64_t> waiting_bytes_{0};
  std::atomic<bool> wanted_{false};  // wanted_slots_ may have some
  Mutex mutex_;
  std::vector<PreservedEntries> entries_ TG_GUARDED_BY(mutex_);
  std::vector<Waiter> for_room_ TG_GUARDED_BY(mutex_);
  std::vector<SlotWaiter> for_slots_ TG_GUARDED_BY(mutex_);
  std::vector<uint16_t> wanted_slots_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
