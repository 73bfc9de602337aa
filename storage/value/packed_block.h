// PackedBlock: packed bytes in an allocation of their own, with the epoch of their last change.
//
//   0      4          8       12      16
//   +------+----------+-------+-------+-------+--------------+-------+
//   | size | capacity | front | epoch | slack | bytes (size) | slack |
//   +------+----------+-------+-------+-------+--------------+-------+
//                                      (front)
//
// What a collection is made of once it does not fit into its entry: one block for a packed hash,
// set or zset, a list of blocks for a list, a tree of them for a stream. A block is the unit of
// copy-on-write for cuts, of lazy freeing and of the record on disk, hence the epoch in its header.
// Collections keep blocks to about 16 KiB; a single larger element makes a larger block, up to 4
// GiB.
//
// Slack on both sides, because lists change at both ends: an edit moves the shorter part of the
// bytes, what is in front of it or what is behind, so that a push or pop at the head moves the few
// bytes of a listpack's header and not a whole page. A new block's slack is where the edit was;
// when one side runs out, the other's is shared out evenly.
//
// Why not a vector: a 24-byte header and doubling cost more than a small collection holds. Here a
// new block is as large as it needs; one that grows gets an eighth more than it needs, so that n
// small appends copy O(n) bytes; one that shrinks is made smaller when a quarter of it is unused,
// so that pushing and popping in turn does not move it each time. Both are then rounded up to what
// the allocator hands out anyway. Owner: the slot of its key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storage/value/packed_buffer.h"

namespace tidegate {

class PackedBlock final {
 public:
  static constexpr size_t kHeaderBytes = 16;

  // A block of `size` bytes, which the caller has to write, or of a copy of these bytes. Given back
  // to Destroy.
  static PackedBlock* Create(size_t size, uint32_t epoch);
  static PackedBlock* Create(std::string_view bytes, uint32_t epoch);
  static void Destroy(PackedBlock* block);
  // Moves it where memory is denser, when it lies where it is sparse (memory.h); where it is then.
  static PackedBlock* Compact(PackedBlock* block);
  // A deep copy without slack, of the same epoch.
  PackedBlock* Clone() const { return Create(bytes(), epoch_); }

  PackedBlock(const PackedBlock&) = delete;
  PackedBlock& operator=(const PackedBlock&) = delete;

  size_t size() const { return size_; }
  uint32_t epoch() const { return epoch_; }
  uint8_t* data() { return room() + front_; }
  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(this) + kHeaderBytes + front_, size_};
  }
  // Memory that the block takes, header and slack included.
  size_t allocated_bytes() const { return kHeaderBytes + capacity_; }

  // PackedBuffer's Splice; puts the block's new place into `block`, which may be null for one that
  // is to be made. A block that loses all its bytes stays. Does not touch the epoch of an old
  // block.
  static uint8_t* Splice(PackedBlock*& block, size_t offset, size_t removed, size_t added);

  void set_epoch(uint32_t epoch) { epoch_ = epoch; }

 private:
  PackedBlock() = default;
  ~PackedBlock() = default;

  // Where slack and bytes begin.
  uint8_t* room() { return reinterpret_cast<uint8_t*>(this) + kHeaderBytes; }
  size_t slack_behind() const { return capacity_ - front_ - size_; }
  uint8_t* SpliceInPlace(size_t offset, size_t removed, size_t added);

  // Uninitialized, with room for at least `capacity` bytes.
  static PackedBlock* Allocate(size_t size, size_t capacity, uint32_t epoch);
  // Whether `need` bytes should stay in this block.
  bool Fits(size_t need) const;
  // Room for a block of `old_size` bytes that now needs `need`.
  static size_t CapacityFor(size_t old_size, size_t need);

  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
  uint32_t front_ = 0;
  uint32_t epoch_ = 0;
};
static_assert(sizeof(PackedBlock) == PackedBlock::kHeaderBytes);

// Edits the block whose address is kept in `block` (null: none yet) and stamps it with `epoch`.
// Borrows both for as long as it lives.
class PackedBlockBuffer final : public PackedBuffer {
 public:
  PackedBlockBuffer(PackedBlock*& block, uint32_t epoch) : block_(block), epoch_(epoch) {}

  uint8_t* data() override { return block_ == nullptr ? nullptr : block_->data(); }
  size_t size() const override { return block_ == nullptr ? 0 : block_->size(); }
  uint8_t* Splice(size_t offset, size_t removed, size_t added) override;

 private:
  PackedBlock*& block_;
  const uint32_t epoch_;
};

}  // namespace tidegate
