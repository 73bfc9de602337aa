#include "storage/value/packed_block.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "base/check.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

constexpr size_t kSizeMax = std::numeric_limits<uint32_t>::max();

// Slack of a block that grew, and the slack at which a block that shrinks is made smaller, as parts
// of its bytes.
constexpr size_t kGrowthPart = 8;
constexpr size_t kShrinkPart = 4;
// Slack from rounding up that is enough for a block that grew.
constexpr size_t kRoundingPart = 12;

}  // namespace

PackedBlock* PackedBlock::Create(size_t size, uint32_t epoch) {
  return Allocate(size, size, epoch);
}

PackedBlock* PackedBlock::Create(std::string_view bytes, uint32_t epoch) {
  PackedBlock* block = Allocate(bytes.size(), bytes.size(), epoch);
  if (!bytes.empty()) std::memcpy(block->data(), bytes.data(), bytes.size());
  return block;
}

PackedBlock* PackedBlock::Compact(PackedBlock* block) {
  const size_t bytes = block->allocated_bytes();
  return MemoryIsSparse(block, bytes) ? static_cast<PackedBlock*>(MemoryMove(block, bytes)) : block;
}

void PackedBlock::Destroy(PackedBlock* block) {
  const size_t bytes = block->allocated_bytes();
  block->~PackedBlock();
  MemoryFree(block, bytes);
}

PackedBlock* PackedBlock::Allocate(size_t size, size_t capacity, uint32_t epoch) {
  TG_CHECK(size <= kSizeMax);
  const size_t rounded = MemoryRoundUp(kHeaderBytes + std::min(capacity, kSizeMax));
  auto* block = new (MemoryAllocate(rounded)) PackedBlock;
  block->size_ = static_cast<uint32_t>(size);
  // The rounding can go past what 32 bits hold, and is then not used; it frees as the same class.
  block->capacity_ = static_cast<uint32_t>(std::min(rounded - kHeaderBytes, kSizeMax));
  block->epoch_ = epoch;
  return block;
}

bool PackedBlock::Fits(size_t need) const {
  if (need > capacity_) return false;
  if (need >= size_) return true;
  return capacity_ - need <= capacity_ / kShrinkPart ||
         MemoryRoundUp(kHeaderBytes + CapacityFor(size_, need)) >= allocated_bytes();
}

size_t PackedBlock::CapacityFor(size_t old_size, size_t need) {
  // Bytes that at least double the block are no small append: the copy is already paid for.
  if (need / 2 >= old_size) return need;
  // The allocator's sizes are an eighth or more apart where that is what most blocks have. More
  // slack than its rounding gives would put a full page of a list into the next size.
  const size_t rounded = MemoryRoundUp(kHeaderBytes + need) - kHeaderBytes;
  return rounded - need >= need / kRoundingPart ? rounded : need + need / kGrowthPart;
}

// In a block that has room for the result.
uint8_t* PackedBlock::SpliceInPlace(size_t offset, size_t removed, size_t added) {
  const size_t need = size_ - removed + added;
  const size_t behind = size_ - offset - removed;
  const bool move_front = offset < behind;
  if (added > removed) {
    const size_t growth = added - removed;
    if (growth > (move_front ? front_ : slack_behind())) {
      const size_t front = (capacity_ - need) / 2 + (move_front ? growth : 0);
      std::memmove(room() + front, data(), size_);
      front_ = static_cast<uint32_t>(front);
    }
  }
  uint8_t* bytes = data();
  if (added == removed) return bytes + offset;
  if (!move_front) {
    std::memmove(bytes + offset + added, bytes + offset + removed, behind);
  } else {
    front_ = static_cast<uint32_t>(front_ + removed - added);
    std::memmove(data(), bytes, offset);
  }
  size_ = static_cast<uint32_t>(need);
  return data() + offset;
}

uint8_t* PackedBlock::Splice(PackedBlock*& block, size_t offset, size_t removed, size_t added) {
  if (block == nullptr) {
    TG_DCHECK(offset == 0 && removed == 0);
    block = Allocate(added, added, 0);
    return block->data();
  }
  PackedBlock* old = block;
  TG_DCHECK(offset <= old->size_ && removed <= old->size_ - offset);
  const size_t need = old->size_ - removed + added;
  if (old->Fits(need)) return old->SpliceInPlace(offset, removed, added);
  const size_t behind = old->size_ - offset - removed;
  block = Allocate(need, CapacityFor(old->size_, need), old->epoch_);
  if (offset < behind) block->front_ = static_cast<uint32_t>(block->capacity_ - need);
  const uint8_t* from = old->data();
  uint8_t* to = block->data();
  std::memcpy(to, from, offset);
  std::memcpy(to + offset + added, from + offset + removed, behind);
  Destroy(old);
  return to + offset;
}

uint8_t* PackedBlockBuffer::Splice(size_t offset, size_t removed, size_t added) {
  uint8_t* place = PackedBlock::Splice(block_, offset, removed, added);
  block_->set_epoch(epoch_);
  return place;
}

}  // namespace tidegate
