#include "storage/value/hyperloglog_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace tidegate {
namespace {

constexpr size_t kReplacementBytesMax = 5;

// "So many registers of that value" as an opcode; returns its bytes.
size_t PutRun(uint8_t* out, uint32_t registers, uint8_t value) {
  const uint32_t length = registers - 1;
  if (value != 0) {
    TG_DCHECK(registers <= HyperLogLogLayout::kValueRunMax);
    out[0] = static_cast<uint8_t>(0x80u | static_cast<uint32_t>(value - 1) << 2 | length);
    return 1;
  }
  if (registers <= HyperLogLogLayout::kZeroMax) {
    out[0] = static_cast<uint8_t>(length);
    return 1;
  }
  out[0] = static_cast<uint8_t>(0x40u | length >> 8);
  out[1] = static_cast<uint8_t>(length);
  return 2;
}

}  // namespace

void HyperLogLogBuffer::LoadEmpty() {
  std::memcpy(bytes_, "HYLL\x01\0\0\0\0\0\0\0\0\0\0", HyperLogLogLayout::kHeaderBytes);
  size_ = HyperLogLogLayout::kHeaderBytes + PutRun(registers(), HyperLogLogLayout::kRegisters, 0);
  hint_ = {};
  hint_index_ = 0;
}

char* HyperLogLogBuffer::Load(size_t size) {
  TG_CHECK(size <= kBytesMax);
  size_ = size;
  hint_ = {};
  hint_index_ = 0;
  return reinterpret_cast<char*>(bytes_);
}

HyperLogLogBuffer::Change HyperLogLogBuffer::Raise(HyperLogLogUpdate update) {
  const Change change = view().dense() ? RaiseDense(update) : RaiseSparse(update);
  if (change == Change::kChanged) MarkStale();
  return change;
}

HyperLogLogBuffer::Change HyperLogLogBuffer::RaiseDense(HyperLogLogUpdate update) {
  if (DenseRegister(registers(), update.index) >= update.run) return Change::kNone;
  SetDenseRegister(registers(), update.index, update.run);
  return Change::kChanged;
}

bool HyperLogLogBuffer::Find(uint32_t index, Found* found) const {
  // Registers that come in ascending order need no new pass from the beginning. Two opcodes in
  // front of the last change is far enough: merging began one in front of it, and must find the
  // one in front of what it made.
  Position at = index >= hint_index_ ? hint_ : Position{};
  Position before = at;
  Position two_before;
  for (int passed = 0; at.at < size_; ++passed) {
    const SparseRun run = SparseRun::Read(bytes_ + at.at, size_ - at.at);
    if (run.opcode_bytes == 0) return false;
    if (index < at.first + run.registers) {
      *found = {at, before, passed >= 2 ? two_before : Position{}, run};
      return true;
    }
    two_before = before;
    before = at;
    at = {at.at + run.opcode_bytes, at.first + run.registers};
  }
  return false;
}

// The opcodes that take the place of the one found.
size_t HyperLogLogBuffer::ReplacementFor(const Found& found, HyperLogLogUpdate update,
                                         uint8_t* out) const {
  const uint32_t in_front = update.index - found.here.first;
  const uint32_t behind = found.run.registers - in_front - 1;
  size_t size = 0;
  if (in_front > 0) size += PutRun(out + size, in_front, found.run.value);
  size += PutRun(out + size, 1, update.run);
  if (behind > 0) size += PutRun(out + size, behind, found.run.value);
  return size;
}

HyperLogLogBuffer::Change HyperLogLogBuffer::RaiseSparse(HyperLogLogUpdate update) {
  if (update.run > HyperLogLogLayout::kValueMax)
    return ToDense() ? RaiseDense(update) : Change::kCorrupted;
  Found found;
  if (!Find(update.index, &found)) return Change::kCorrupted;
  if (found.run.value >= update.run) return Change::kNone;

  uint8_t replacement[kReplacementBytesMax];
  // A run of one is written over, whatever opcode that would be; an XZERO of one, which is never
  // made here, gets shorter.
  const size_t added = ReplacementFor(found, update, replacement);
  const size_t removed = found.run.opcode_bytes;
  if (added > removed && size_ + added - removed > std::min<uint64_t>(sparse_bytes_max_, kBytesMax))
    return ToDense() ? RaiseDense(update) : Change::kCorrupted;
  uint8_t* p = bytes_ + found.here.at;
  if (added != removed) std::memmove(p + added, p + removed, size_ - found.here.at - removed);
  std::memcpy(p, replacement, added);
  size_ = size_ + added - removed;

  hint_ = found.hint;
  hint_index_ = update.index;
  MergeNeighbours(found.before.at);
  return Change::kChanged;
}

// Joins runs of one value among the next five opcodes.
void HyperLogLogBuffer::MergeNeighbours(size_t at) {
  constexpr int kOpcodes = 5;
  for (int i = 0; i < kOpcodes && at < size_; ++i) {
    const SparseRun run = SparseRun::Read(bytes_ + at, size_ - at);
    if (run.opcode_bytes == 0) return;
    if (run.value != 0 && at + 1 < size_) {
      const SparseRun next = SparseRun::Read(bytes_ + at + 1, size_ - at - 1);
      if (next.value == run.value &&
          run.registers + next.registers <= HyperLogLogLayout::kValueRunMax) {
        std::memmove(bytes_ + at, bytes_ + at + 1, size_ - at - 1);
        --size_;
        PutRun(bytes_ + at, run.registers + next.registers, run.value);
        continue;
      }
    }
    at += run.opcode_bytes;
  }
}

bool HyperLogLogBuffer::ToDense() {
  if (view().dense()) return true;
  uint8_t dense[HyperLogLogLayout::kDenseBytes];
  std::memcpy(dense, bytes_, HyperLogLogLayout::kHeaderBytes);
  std::memset(dense + HyperLogLogLayout::kHeaderBytes, 0,
              sizeof dense - HyperLogLogLayout::kHeaderBytes);
  dense[HyperLogLogLayout::kEncodingAt] = 0;
  uint8_t* to = dense + HyperLogLogLayout::kHeaderBytes;
  const bool valid = view().ForEachRun([to](uint32_t first, uint32_t count, uint8_t value) {
    if (value == 0) return;
    for (uint32_t i = first; i < first + count; ++i) SetDenseRegister(to, i, value);
  });
  if (!valid) return false;
  std::memcpy(bytes_, dense, sizeof dense);
  size_ = sizeof dense;
  return true;
}

}  // namespace tidegate
