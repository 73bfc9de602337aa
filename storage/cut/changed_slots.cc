#include "storage/cut/changed_slots.h"

#include <algorithm>
#include <utility>

namespace tidegate {

void ChangedSlots::Sort() {
  size_t count = written_.size() + landed_.size();
  for (const ChangedKeys& keys : taken_) {
    count += keys.count();
    writes_everything_ = writes_everything_ || keys.overflowed();
  }
  writes_everything_ = writes_everything_ || count > kNotesMax;
  everything_ = std::exchange(everything_landed_, false) || writes_everything_;
  both_ = {};
  if (writes_everything_) {
    written_ = {};
  } else {
    for (const ChangedKeys& keys : taken_)
      keys.ForEach([this](uint64_t note) { written_.push_back(note); });
    std::sort(written_.begin(), written_.end());
    if (!landed_.empty()) {
      both_.resize(written_.size() + landed_.size());
      std::merge(written_.begin(), written_.end(), landed_.begin(), landed_.end(), both_.begin());
    }
  }
  landed_ = {};
  taken_.clear();
}

void ChangedSlots::Landed() {
  if (keeps_landed_) {
    everything_landed_ = writes_everything_;
    landed_ = std::move(written_);
  }
  written_ = {};
  both_ = {};
  writes_everything_ = false;
  everything_ = false;
}

std::span<const uint64_t> ChangedSlots::Of(uint16_t slot) const {
  const std::vector<uint64_t>& notes = both_.empty() ? written_ : both_;
  const auto begin = std::lower_bound(notes.begin(), notes.end(), uint64_t{slot} << 32);
  const auto end = std::lower_bound(begin, notes.end(), (uint64_t{slot} + 1) << 32);
  return {begin, end};
}

}  // namespace tidegate
