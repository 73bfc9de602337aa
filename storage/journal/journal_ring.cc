#include "storage/journal/journal_ring.h"

#include <cstring>
#include <new>

namespace tidegate {

JournalRing::~JournalRing() {
  FreeChain(read_block_ != nullptr ? read_block_ : first_.load());
  FreeChain(own_spare_);
  FreeChain(spare_.load());
}

JournalRing::Block* JournalRing::NewBlock(size_t bytes) {
  return new (::operator new(sizeof(Block) + bytes)) Block(bytes);
}

void JournalRing::FreeBlock(Block* block) {
  block->~Block();
  ::operator delete(block);
}

void JournalRing::FreeChain(Block* block) {
  while (block != nullptr) {
    Block* next = block->next.load();
    FreeBlock(block);
    block = next;
  }
}

JournalRing::Block* JournalRing::TakeBlock(size_t bytes) {
  if (bytes > kJournalBlockBytes.count) return NewBlock(bytes);
  if (own_spare_ == nullptr) {
    own_spare_ = spare_.exchange(nullptr, std::memory_order_acquire);
    spare_count_.store(0, std::memory_order_relaxed);
  }
  if (own_spare_ == nullptr) return NewBlock(kJournalBlockBytes.count);
  Block* block = own_spare_;
  own_spare_ = block->next.load(std::memory_order_relaxed);
  block->next.store(nullptr, std::memory_order_relaxed);
  block->published.store(0, std::memory_order_relaxed);
  return block;
}

void JournalRing::AddBlock(size_t bytes) {
  Block* block = TakeBlock(bytes);
  if (write_block_ == nullptr) {
    first_.store(block, std::memory_order_release);
  } else {
    write_block_->next.store(block, std::memory_order_release);
  }
  write_block_ = block;
  write_at_ = 0;
}

bool JournalRing::Push(uint64_t sequence, std::string_view record) {
  const bool is_long = record.size() >= kLongSize;
  const size_t bytes = sizeof(Head) + (is_long ? sizeof(uint64_t) : 0) + Aligned(record.size());
  const bool fresh = write_block_ == nullptr || write_at_ + bytes > write_block_->capacity;
  if (__builtin_expect(fresh, 0)) AddBlock(bytes);
  char* out = write_block_->data() + write_at_;
  const uint64_t size = record.size();
  new (out)
      Head{static_cast<uint32_t>(sequence), is_long ? kLongSize : static_cast<uint32_t>(size)};
  out += sizeof(Head);
  if (__builtin_expect(is_long, 0)) {
    std::memcpy(out, &size, sizeof size);
    out += sizeof size;
  }
  std::memcpy(out, record.data(), record.size());
  write_at_ += bytes;
  pushed_bytes_.store(pushed_bytes_.load(std::memory_order_relaxed) + bytes,
                      std::memory_order_relaxed);
  write_block_->published.store(write_at_, std::memory_order_release);
  return fresh;
}

// A few: the count is about, for the producer takes them all at once.
void JournalRing::GiveBack(Block* block) {
  if (block->capacity != kJournalBlockBytes.count ||
      spare_count_.load(std::memory_order_relaxed) >= kJournalSpareBlocksMax)
    return FreeBlock(block);
  spare_count_.fetch_add(1, std::memory_order_relaxed);
  Block* head = spare_.load(std::memory_order_relaxed);
  do {
    block->next.store(head, std::memory_order_relaxed);
  } while (!spare_.compare_exchange_weak(head, block, std::memory_order_release,
                                         std::memory_order_relaxed));
}

}  // namespace tidegate
