// ColdPins: keys and slots that stay in memory for a while, whatever eviction to disk would like:
// those that a request waits for until it has been executed, and those that are being read.
//
// Why a request's: it runs when all it needs is in memory at once (residency.h). Without a hold the
// first of many keys would leave while the last is read, and a request that needs more than
// eviction lets stand would go round for ever. A hold grows by what is missing in each round, and
// nothing of it leaves, so the rounds end.
// Why a load's: between its read of the disk and the moment at which the entry is put in place
// somebody else may have brought the key, changed it, and seen it written and evicted. The load
// would then put the older value there. What is pinned since before the read can have come, but not
// gone.
//
// By hash, in whatever database: two keys that share one share a pin, which costs nothing. Threads:
// any; IsPinned with the slot's lock for an answer that lasts. Cost: 64 KiB where anything was ever
// cold, one load for a slot in which nothing is pinned, a mutex for the few others.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/cold/cold_target.h"

namespace tidegate {

class ColdPins final : public std::enable_shared_from_this<ColdPins> {
 public:
  // Before anything is pinned.
  void Enable();

  void Pin(const ColdTarget& target);
  void Unpin(const ColdTarget& target);

  bool HasAny(uint16_t slot) const {
    return everything_.load(std::memory_order_relaxed) != 0 ||
           (counts_ != nullptr && counts_[slot].load(std::memory_order_seq_cst) != 0);
  }
  bool IsPinned(uint16_t slot, uint64_t hash) const {
    return HasAny(slot) && (everything_.load(std::memory_order_relaxed) != 0 || Holds(slot, hash));
  }

  // Requests that hold something now.
  uint64_t holds() const { return holds_.load(std::memory_order_relaxed); }

 private:
  friend class ColdHold;
  bool Holds(uint16_t slot, uint64_t hash) const;

  std::atomic<uint32_t> everything_{0};
  std::atomic<uint64_t> holds_{0};
  std::unique_ptr<std::atomic<uint32_t>[]> counts_;  // by slot: keys, and the slot itself
  mutable Mutex mutex_;
  std::unordered_map<uint64_t, uint32_t> keys_ TG_GUARDED_BY(mutex_);  // by hash
  std::unordered_map<uint16_t, uint32_t> slots_ TG_GUARDED_BY(mutex_);
};

// What one request, or one load, has pinned; let go of when this is destroyed. Keeps the pins
// alive, since clients may be there for longer than the engine. Owner: one thread.
class ColdHold final {
 public:
  // `counted`: as one of ColdPins::holds().
  explicit ColdHold(ColdPins& pins, bool counted = false);
  ~ColdHold();
  ColdHold(const ColdHold&) = delete;
  ColdHold& operator=(const ColdHold&) = delete;

  void Add(const ColdTarget& target);
  size_t size() const { return targets_.size(); }

 private:
  const std::shared_ptr<ColdPins> pins_;
  const bool counted_;
  std::vector<ColdTarget> targets_;
};

}  // namespace tidegate
