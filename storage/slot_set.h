// SlotSet: the slots that a command, a transaction or a script needs, sorted and without repeats.
// Small sets stay on the stack. Owner: the call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "storage/request.h"

namespace tidegate {

class SlotSet final {
 public:
  explicit SlotSet(std::span<const KeyRef> keys) {
    uint16_t* slots = Reserve(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) slots[i] = keys[i].slot;
    Finish(slots, keys.size());
  }
  explicit SlotSet(std::span<const uint16_t> from) {
    uint16_t* slots = Reserve(from.size());
    std::copy(from.begin(), from.end(), slots);
    Finish(slots, from.size());
  }
  SlotSet(const SlotSet&) = delete;
  SlotSet& operator=(const SlotSet&) = delete;

  std::span<const uint16_t> slots() const { return slots_; }
  bool Holds(uint16_t slot) const { return std::binary_search(slots_.begin(), slots_.end(), slot); }

 private:
  static constexpr size_t kInPlace = 64;

  uint16_t* Reserve(size_t count) {
    if (count <= kInPlace) return in_place_;
    heap_ = std::make_unique<uint16_t[]>(count);
    return heap_.get();
  }
  void Finish(uint16_t* slots, size_t count) {
    std::sort(slots, slots + count);
    slots_ = {slots, static_cast<size_t>(std::unique(slots, slots + count) - slots)};
  }

  uint16_t in_place_[kInPlace];
  std::unique_ptr<uint16_t[]> heap_;
  std::span<const uint16_t> slots_;
};

}  // namespace tidegate
