// JournalRing: the records of one thread on their way to the journal's writer.
//
//   producer: Push ->  [block][block][block]  -> consumer: ForEach, PopThrough
//                                    read ^
//
// A chain of blocks with one producer (the engine thread, under its slot locks) and one consumer
// (the writer): pushing is a copy and one store that publishes it, with no lock, no waiting and no
// failure. A chain and not a ring of fixed size, because what was changed must be recorded whatever
// its size; the bound is kept before, by who may start a change (Journal::Admit). Emptied blocks go
// back to the producer, a few at most; a record that is larger than a block has one of its own.
// Sequence numbers ascend within one ring. Cost: about 10 ns and a copy for each record.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace tidegate {

inline constexpr Bytes kJournalBlockBytes = 256_KiB;

// Emptied blocks that a thread keeps for what comes next.
inline constexpr int kJournalSpareBlocksMax = 4;

class alignas(64) JournalRing final {
 public:
  JournalRing() = default;
  ~JournalRing();
  JournalRing(const JournalRing&) = delete;
  JournalRing& operator=(const JournalRing&) = delete;

  // --- producer ---
  void Push(uint64_t sequence, std::string_view record);

  // Any thread: bytes pushed and not popped, about.
  uint64_t waiting_bytes() const {
    const uint64_t popped = popped_bytes_.load(std::memory_order_acquire);  // the smaller one first
    return pushed_bytes_.load(std::memory_order_relaxed) - popped;
  }

  // --- consumer ---
  // Calls fn(sequence, record) for what is published, from the oldest, until fn returns false.
  template <typename Fn>
  void ForEach(Fn&& fn);
  // Takes out all records up to this sequence number.
  void PopThrough(uint64_t sequence);

 private:
  struct Head {
    uint64_t sequence;
    uint64_t size;
  };
  struct Block {
    explicit Block(size_t bytes) : capacity(bytes) {}
    std::atomic<Block*> next{nullptr};  // set when this one is full
    std::atomic<size_t> published{0};   // bytes that the consumer may read
    const size_t capacity;
    char* data() { return reinterpret_cast<char*>(this + 1); }
  };
  static constexpr size_t FramedBytes(size_t size) {
    return (sizeof(Head) + size + sizeof(Head) - 1) & ~(sizeof(Head) - 1);
  }
  static Block* NewBlock(size_t bytes);
  static void FreeBlock(Block* block);
  static void FreeChain(Block* block);
  Block* TakeBlock(size_t bytes);
  void AddBlock(size_t bytes);
  void GiveBack(Block* block);
  // Where the record after `at` in `block` begins, going to the next block when there is one; false
  // when nothing more is published.
  static bool Settle(Block*& block, size_t& at);

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
  Block* read_block_ = nullptr;
  size_t read_at_ = 0;
};

inline bool JournalRing::Settle(Block*& block, size_t& at) {
  for (;;) {
    // First: a block that has a follower is not written to any more.
    Block* next = block->next.load(std::memory_order_acquire);
    if (at < block->published.load(std::memory_order_acquire)) return true;
    if (next == nullptr) return false;
    block = next;
    at = 0;
  }
}

template <typename Fn>
void JournalRing::ForEach(Fn&& fn) {
  Block* block = read_block_ != nullptr ? read_block_ : first_.load(std::memory_order_acquire);
  if (block == nullptr) return;
  size_t at = read_at_;
  while (Settle(block, at)) {
    const Head* head = reinterpret_cast<const Head*>(block->data() + at);
    if (!fn(head->sequence, std::string_view(block->data() + at + sizeof(Head), head->size)))
      return;
    at += FramedBytes(head->size);
  }
}

}  // namespace tidegate
