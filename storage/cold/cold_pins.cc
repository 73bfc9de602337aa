#include "storage/cold/cold_pins.h"

#include "base/hash.h"

namespace tidegate {

void ColdPins::Enable() {
  if (counts_ == nullptr) counts_ = std::make_unique<std::atomic<uint32_t>[]>(kSlotCount);
}

void ColdPins::Pin(const ColdTarget& target) {
  if (target.kind == ColdTarget::Kind::kEverything) {
    everything_.fetch_add(1);
    return;
  }
  {
    MutexLock lock(mutex_);
    target.kind == ColdTarget::Kind::kKey ? ++keys_[target.hash] : ++slots_[target.slot];
  }
  counts_[target.slot].fetch_add(1, std::memory_order_seq_cst);
}

void ColdPins::Unpin(const ColdTarget& target) {
  if (target.kind == ColdTarget::Kind::kEverything) {
    everything_.fetch_sub(1);
    return;
  }
  counts_[target.slot].fetch_sub(1, std::memory_order_seq_cst);
  MutexLock lock(mutex_);
  if (target.kind == ColdTarget::Kind::kKey) {
    const auto at = keys_.find(target.hash);
    if (--at->second == 0) keys_.erase(at);
  } else {
    const auto at = slots_.find(target.slot);
    if (--at->second == 0) slots_.erase(at);
  }
}

bool ColdPins::Holds(uint16_t slot, uint64_t hash) const {
  MutexLock lock(mutex_);
  return slots_.contains(slot) || keys_.contains(hash);
}

ColdHold::ColdHold(ColdPins& pins, bool counted)
    : pins_(pins.shared_from_this()), counted_(counted) {
  if (counted_) pins_->holds_.fetch_add(1, std::memory_order_relaxed);
}

ColdHold::~ColdHold() {
  for (const ColdTarget& target : targets_) pins_->Unpin(target);
  if (counted_) pins_->holds_.fetch_sub(1, std::memory_order_relaxed);
}

void ColdHold::Add(const ColdTarget& target) {
  pins_->Pin(target);
  targets_.push_back(target);
}

}  // namespace tidegate
