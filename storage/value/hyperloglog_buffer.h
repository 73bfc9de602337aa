// HyperLogLogBuffer: a copy of a HyperLogLog to add to: sparse at first, dense once it must be.
//
// Why a copy: an addition to the sparse form may move bytes, split an opcode and merge neighbours,
// several times in one command; the string is then written once. A sparse value is small (3000
// bytes by default), so the copy costs less than the pass over its opcodes. Dense values that are
// in the store are changed where they are, without this.
//
// Which bytes come out for which additions is Redis's, step for step: an opcode is split in the
// same way, and the same five opcodes are looked at for neighbours to merge. Lives on the stack (32
// KiB, touched only as far as needed); nothing in it is initialized before one of the Load
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storage/value/hyperloglog.h"

namespace tidegate {

class HyperLogLogBuffer final {
 public:
  enum class Change : uint8_t { kNone, kChanged, kCorrupted };

  static constexpr size_t kBytesMax = HyperLogLogLayout::kSparseBytesMax;

  // sparse_bytes_max: above this a sparse form becomes a dense one.
  explicit HyperLogLogBuffer(uint64_t sparse_bytes_max) : sparse_bytes_max_(sparse_bytes_max) {}
  HyperLogLogBuffer(const HyperLogLogBuffer&) = delete;
  HyperLogLogBuffer& operator=(const HyperLogLogBuffer&) = delete;

  // An empty one.
  void LoadEmpty();
  // Room for a value of so many bytes (at most kBytesMax), which the caller writes. It must be
  // valid.
  char* Load(size_t size);

  std::string_view bytes() const { return {reinterpret_cast<const char*>(bytes_), size_}; }
  HyperLogLogView view() const { return HyperLogLogView(bytes()); }

  // Makes the register at least `run`.
  Change Raise(HyperLogLogUpdate update);

  // False when the sparse form is corrupted.
  bool ToDense();

  // Says that the cached cardinality is out of date.
  void MarkStale() { bytes_[HyperLogLogLayout::kStaleFlagAt] |= HyperLogLogLayout::kStaleFlag; }

 private:
  // Where the search for a register begins, and what for: a later register is not before it.
  struct Position {
    size_t at = HyperLogLogLayout::kHeaderBytes;
    uint32_t first = 0;  // register that the opcode there begins with
  };
  // The opcode that covers a register.
  struct Found {
    Position here;
    Position before;  // the opcode in front of it, or itself
    Position hint;    // the one in front of that, or the beginning
    SparseRun run;
  };

  bool Find(uint32_t index, Found* found) const;
  Change RaiseSparse(HyperLogLogUpdate update);
  Change RaiseDense(HyperLogLogUpdate update);
  void MergeNeighbours(size_t at);
  size_t ReplacementFor(const Found& found, HyperLogLogUpdate update, uint8_t* out) const;

  uint8_t* registers() { return bytes_ + HyperLogLogLayout::kHeaderBytes; }

  uint64_t sparse_bytes_max_;
  size_t size_ = 0;
  Position hint_;
  uint32_t hint_index_ = 0;  // the hint holds for registers from here on
  // What an opcode can grow by stands at the end.
  uint8_t bytes_[kBytesMax + 8];
};

}  // namespace tidegate
