// ChangedKeys: where a thread has made entries dirty since the last checkpoint's cut began, so that
// the next one looks there and nowhere else.
//
// A key is noted when its entry becomes dirty, by its slot and its position in the slot's tables
// (the high half of its hash), 8 bytes: the entry may move, be removed or made anew meanwhile, and
// who comes to look takes every dirty entry it finds in that place. So a key may be noted twice, or
// be gone. In chunks, so that no note costs more than an allocation of 8 KiB. Beyond
// kChangedKeysMax notes are dropped and it says so: then everything is looked at, which is cheaper
// by then. Owner: a thread of the engine; taken with the exclusive gate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "storage/memory/memory.h"

namespace tidegate {

// Of one thread: 16 MiB.
inline constexpr size_t kChangedKeysMax = size_t{2} << 20;

class ChangedKeys final {
 public:
  ChangedKeys() = default;
  ~ChangedKeys() { Clear(); }
  ChangedKeys(const ChangedKeys&) = delete;
  ChangedKeys& operator=(const ChangedKeys&) = delete;
  ChangedKeys(ChangedKeys&& other) noexcept { *this = std::move(other); }
  ChangedKeys& operator=(ChangedKeys&& other) noexcept {
    std::swap(chunks_, other.chunks_);
    std::swap(used_, other.used_);
    std::swap(overflowed_, other.overflowed_);
    return *this;
  }

  // What a note says.
  static uint16_t SlotOf(uint64_t note) { return static_cast<uint16_t>(note >> 32); }
  static uint32_t PositionOf(uint64_t note) { return static_cast<uint32_t>(note); }

  void Add(uint16_t slot, uint64_t hash) {
    if (__builtin_expect(used_ == kChunkNotes, 0) && !AddChunk()) return;
    chunks_.back()[used_++] = uint64_t{slot} << 32 | hash >> 32;
  }

  bool overflowed() const { return overflowed_; }
  size_t count() const { return chunks_.empty() ? 0 : (chunks_.size() - 1) * kChunkNotes + used_; }
  template <typename Fn>
  void ForEach(Fn&& fn) const {
    for (size_t i = 0; i < chunks_.size(); ++i) {
      const size_t notes = i + 1 == chunks_.size() ? used_ : kChunkNotes;
      for (size_t j = 0; j < notes; ++j) fn(chunks_[i][j]);
    }
  }

 private:
  static constexpr size_t kChunkNotes = 1024;

  bool AddChunk() {
    if (count() >= kChangedKeysMax) {
      overflowed_ = true;
      return false;
    }
    chunks_.push_back(static_cast<uint64_t*>(MemoryAllocate(kChunkNotes * sizeof(uint64_t))));
    used_ = 0;
    return true;
  }
  void Clear() {
    for (uint64_t* chunk : chunks_) MemoryFree(chunk, kChunkNotes * sizeof(uint64_t));
    chunks_.clear();
  }

  std::vector<uint64_t*> chunks_;
  size_t used_ = kChunkNotes;  // of the last chunk
  bool overflowed_ = false;
};

}  // namespace tidegate
