// HyperLogLog: how many different elements were seen, from 16384 registers of 6 bits.
//
//   | HYLL | encoding | 3 zeros | cardinality, 8 bytes | registers                     |
//            0 dense                bit 63: out of date   12288 bytes, 6 bits each
//            1 sparse                                     opcodes, see below
//
//   00xxxxxx            ZERO:  x+1 registers are 0          (1..64)
//   01xxxxxx yyyyyyyy   XZERO: xy+1 registers are 0         (1..16384)
//   1vvvvvxx            VAL:   x+1 registers are v+1        (1..4, values 1..32)
//
// The 14 low bits of an element's hash choose a register, which keeps the longest run of zeros that
// the other 50 began with, plus one. Why a string with Redis's bytes and not a type of its own:
// clients GET and SET these values, and dumps carry them; so a value may be anything, and
// everything here checks what it reads. Error: 0.81% standard. Cost: an element O(1) dense, one
// pass over the opcodes sparse; a count one pass, and none while the cached one holds.
//
// Owner: the string entry that holds the bytes; classes here borrow them. Editing is in
// hyperloglog_buffer.h. Sources: Heule, Nunkesser, Hall, "HyperLogLog in Practice", EDBT 2013
// (64-bit hash); O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017
// (estimator); A. Appleby's MurmurHash2, 64-bit variant A.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "storage/value/little_endian.h"

namespace tidegate {

struct HyperLogLogLayout {
  static constexpr uint32_t kIndexBits = 14;
  static constexpr uint32_t kRegisters = 1u << kIndexBits;
  static constexpr uint32_t kRunBits = 64 - kIndexBits;
  static constexpr uint32_t kRegisterBits = 6;
  static constexpr uint32_t kRegisterMax = (1u << kRegisterBits) - 1;
  static constexpr size_t kHeaderBytes = 16;
  static constexpr size_t kEncodingAt = 4;
  static constexpr size_t kCardinalityAt = 8;
  static constexpr size_t kStaleFlagAt = 15;
  static constexpr uint8_t kStaleFlag = 0x80;
  static constexpr size_t kDenseBytes = kHeaderBytes + kRegisters * kRegisterBits / 8;
  // No valid sparse form is longer: two bytes for each register.
  static constexpr size_t kSparseBytesMax = kHeaderBytes + size_t{2} * kRegisters;

  static constexpr uint32_t kZeroMax = 64;
  static constexpr uint32_t kValueMax = 32;
  static constexpr uint32_t kValueRunMax = 4;
};

// What an element does: register `index` becomes at least `run`, 1..51.
struct HyperLogLogUpdate {
  uint32_t index = 0;
  uint8_t run = 0;
};
HyperLogLogUpdate HyperLogLogUpdateOf(std::string_view element);

// One opcode of the sparse form: so many registers of that value.
struct SparseRun {
  uint32_t registers = 0;
  uint8_t value = 0;
  uint8_t opcode_bytes = 0;  // 0: what is there ends inside an opcode

  // The opcode at the front of so many bytes, at least one.
  static SparseRun Read(const uint8_t* p, size_t left) {
    if ((*p & 0x80) != 0) {
      return {(*p & 0x3u) + 1, static_cast<uint8_t>(((*p >> 2) & 0x1fu) + 1), 1};
    }
    if ((*p & 0x40) == 0) return {(*p & 0x3fu) + 1, 0, 1};
    if (left < 2) return {};
    return {((*p & 0x3fu) << 8 | p[1]) + 1, 0, 2};
  }
};

// A register of the dense form; `registers` has all of them.
inline uint8_t DenseRegister(const uint8_t* registers, uint32_t index) {
  constexpr uint32_t kLast = HyperLogLogLayout::kRegisters - 1;
  const uint32_t bit = index * HyperLogLogLayout::kRegisterBits;
  const uint8_t* p = registers + bit / 8;
  // The last one ends with the last byte.
  const uint32_t pair = index == kLast ? *p : LoadLittle<uint16_t>(p);
  return static_cast<uint8_t>(pair >> (bit & 7) & HyperLogLogLayout::kRegisterMax);
}
void SetDenseRegister(uint8_t* registers, uint32_t index, uint8_t value);

// Reads the bytes of a value that IsValid.
class HyperLogLogView final {
 public:
  // Whether the header is one, and the size of a dense one is right. The opcodes of a sparse one
  // are checked by whoever reads them.
  static bool IsValid(std::string_view bytes);

  explicit HyperLogLogView(std::string_view bytes) : bytes_(bytes) {}

  bool dense() const { return At(HyperLogLogLayout::kEncodingAt) == 0; }
  bool has_cached_cardinality() const {
    return (At(HyperLogLogLayout::kStaleFlagAt) & HyperLogLogLayout::kStaleFlag) == 0;
  }
  uint64_t cached_cardinality() const {
    return LoadLittle<uint64_t>(data() + HyperLogLogLayout::kCardinalityAt);
  }
  const uint8_t* registers() const { return data() + HyperLogLogLayout::kHeaderBytes; }

  // Calls fn(uint32_t first, uint32_t count, uint8_t value) for runs of registers, in order; false
  // when they are not 16384. Then fn was called for those before the mistake.
  template <typename Fn>
  bool ForEachRun(Fn&& fn) const {
    if (dense()) {
      VisitDense(fn);
      return true;
    }
    const uint8_t* p = registers();
    const uint8_t* end = data() + bytes_.size();
    uint32_t first = 0;
    while (p < end) {
      const SparseRun run = SparseRun::Read(p, static_cast<size_t>(end - p));
      if (run.opcode_bytes == 0 || run.registers > HyperLogLogLayout::kRegisters - first)
        return false;
      fn(first, run.registers, run.value);
      first += run.registers;
      p += run.opcode_bytes;
    }
    return first == HyperLogLogLayout::kRegisters;
  }

  // Estimates from the registers; false when they are corrupted.
  bool Count(uint64_t* cardinality) const;

 private:
  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(bytes_.data()); }
  uint8_t At(size_t i) const { return data()[i]; }

  // Eight registers are six bytes.
  template <typename Fn>
  void VisitDense(Fn&& fn) const {
    constexpr uint32_t kGroup = 8;
    constexpr size_t kGroupBytes = 6;
    const uint8_t* p = registers();
    for (uint32_t first = 0; first < HyperLogLogLayout::kRegisters; first += kGroup) {
      uint64_t group = 0;
      std::memcpy(&group, p, kGroupBytes);
      p += kGroupBytes;
      for (uint32_t i = 0; i < kGroup; ++i) {
        fn(first + i, 1u, static_cast<uint8_t>(group & HyperLogLogLayout::kRegisterMax));
        group >>= HyperLogLogLayout::kRegisterBits;
      }
    }
  }

  std::string_view bytes_;
};

// The registers one byte each: what a union of several is made in. 16 KiB; lives on the stack.
class HyperLogLogUnion final {
 public:
  // Takes the greater of each register; false when they are corrupted.
  bool Merge(HyperLogLogView from);
  uint64_t Count() const;
  uint8_t operator[](uint32_t index) const { return registers_[index]; }

 private:
  uint8_t registers_[HyperLogLogLayout::kRegisters] = {};
};

}  // namespace tidegate
