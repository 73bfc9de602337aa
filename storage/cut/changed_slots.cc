#include "storage/cut/changed_slots.h"

#include <algorithm>
#include <utility>

namespace tidegate {

void ChangedSlots::Sort() {
  size_t count = notes_.size();
  for (const ChangedKeys& keys : taken_) {
    count += keys.count();
    everything_ = everything_ || keys.overflowed();
  }
  everything_ = everything_ || count > kNotesMax;
  if (everything_) {
    notes_ = {};
  } else {
    notes_.reserve(count);
    for (const ChangedKeys& keys : taken_)
      keys.ForEach([this](uint64_t note) { notes_.push_back(note); });
    std::sort(notes_.begin(), notes_.end());
  }
  taken_.clear();
}

void ChangedSlots::Clear() {
  notes_ = {};
  everything_ = false;
}

std::span<const uint64_t> ChangedSlots::Of(uint16_t slot) const {
  const auto begin = std::lower_bound(notes_.begin(), notes_.end(), uint64_t{slot} << 32);
  const auto end = std::lower_bound(begin, notes_.end(), (uint64_t{slot} + 1) << 32);
  return {begin, end};
}

}  // namespace tidegate
