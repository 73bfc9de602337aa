// JournalRing: the records of one thread on their way to the journal's writer.
//
//   producer: Push ->  [block][block][block]  -> consumer: Front, Take, EndPass
//                                    read ^
//
// A chain of blocks with one producer (the engine thread, under its slot locks) and one consumer
// (the writer): pushing is a copy and one store that publishes it, with no lock, no waiting and no
// failure. A chain and not a ring of fixed size, because what was changed must be recorded whatever
// its size; the bound is kept before, by who may start a change (Journal::Admit). Emptied blocks go
// back to the producer, a few at most; a record that is larger than a block has one of its own.
// Sequence numbers ascend within one ring. Of a number its low half is kept, which is enough to
// tell it from those that are on their way at the same time: every byte here goes from one
// processor's cache to another's, and that is what a record costs. About 10 ns and a copy for each.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace tidegate {

inline constexpr Bytes kJournalBlockBytes = 64_KiB;

// Emptied blocks that a thread keeps for what comes next.
inline constexpr int kJournalSpareBlocksMax = 16;

class alignas(64) JournalRing final {
 public:
  JournalRing() = default;
  ~JournalRing();
  JournalRing(const JournalRing&) = delete;
  JournalRing& operator=(const JournalRing&) = delete;

  // --- producer ---
  // True: the record began a new block, a time to look at how many there are.
  bool Push(uint64_t sequence, std::string_view record);

  // Any thread: bytes pushed and not popped, about.
  uint64_t waiting_bytes() const {
    const uint64_t popped = popped_bytes_.load(std::memory_order_acquire);  // the smaller one first
    return pushed_bytes_.load(std::memory_order_relaxed) - popped;
  }

  // --- consumer ---
  static constexpr uint64_t kNone = UINT64_MAX;
  // The low half of the next record's number; kNone when none is published.
  uint64_t Front();
  // That record, after Front() has told of it. The view is good until the next call.
  std::string_view Take();
  // What was taken makes room for the producer.
  void EndPass() { popped_bytes_.store(taken_bytes_, std::memory_order_release); }

 private:
  struct Head {
    uint32_t low_sequence;
    uint32_t size;
  };
  // In place of a size that needs more: eight bytes of it follow.
  static constexpr uint32_t kLongSize = UINT32_MAX;
  struct Block {
    explicit Block(size_t bytes) : capacity(bytes) {}
    std::atomic<Block*> next{nullptr};  // set when this one is full
    std::atomic<size_t> published{0};   // bytes that the consumer may read
    const size_t capacity;
    char* data() { return reinterpret_cast<char*>(this + 1); }
  };
  static constexpr size_t Aligned(size_t size) {
    return (size + sizeof(Head) - 1) & ~(sizeof(Head) - 1);
  }
  static Block* NewBlock(size_t bytes);
  static void FreeBlock(Block* block);
  static void FreeChain(Block* block);
  Block* TakeBlock(size_t bytes);
  void AddBlock(size_t bytes);
  void GiveBack(Block* block);
  // The producer's.
  Block* write_block_ = nullptr;
  size_t write_at_ = 0;
  Block* own_spare_ = nullptr;
  std::atomic<uint64_t> pushed_bytes_{0};

  // From producer to consumer, and back.
  alignas(64) std::atomic<Block*> first_{nullptr};
  std::atomic<Block*> spare_{nullptr};
  std::atomic<int> spare_count_{0};

  // The consumer's.
  alignas(64) std::atomic<uint64_t> popped_bytes_{0};
  uint64_t taken_bytes_ = 0;
  Block* read_block_ = nullptr;
  size_t read_at_ = 0;
};

inline uint64_t JournalRing::Front() {
  if (__builtin_expect(read_block_ == nullptr, 0)) {
    read_block_ = first_.load(std::memory_order_acquire);
    if (read_block_ == nullptr) return kNone;
  }
  for (;;) {
    // First: a block that has a follower is not written to any more.
    Block* next = read_block_->next.load(std::memory_order_acquire);
    if (read_at_ < read_block_->published.load(std::memory_order_acquire))
      return reinterpret_cast<const Head*>(read_block_->data() + read_at_)->low_sequence;
    if (next == nullptr) return kNone;
    GiveBack(read_block_);
    read_block_ = next;
    read_at_ = 0;
  }
}

inline std::string_view JournalRing::Take() {
  const char* at = read_block_->data() + read_at_;
  uint64_t size = reinterpret_cast<const Head*>(at)->size;
  at += sizeof(Head);
  if (__builtin_expect(size == kLongSize, 0)) {
    std::memcpy(&size, at, sizeof size);
    at += sizeof size;
  }
  const auto end = static_cast<size_t>(at - read_block_->data()) + Aligned(size);
  taken_bytes_ += end - read_at_;
  read_at_ = end;
  return {at, size};
}

}  // namespace tidegate
