// OutputBuffer: bytes on their way to one client, as a chain of blocks.
//
// Why blocks and not one growing array: a reply of 500 MB must not be copied when it grows, and an
// idle connection must hold nothing. Blocks of 16 KiB come from a pool of the worker, last in first
// out, so that the block a busy loop writes to is the one still in the cache; after a flush that
// went out whole the block goes straight back. Bigger pieces get a block of their own size. Owner:
// one worker. Cost: Reserve and Commit are a compare and an add when the block has room.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"

namespace tidegate {

inline constexpr Bytes kOutputBlockBytes = 16_KiB;

// First block of a buffer while the pool is crowded: then many clients are being written to at
// once, as by PUBLISH, each with little.
inline constexpr Bytes kSmallOutputBlockBytes = 1_KiB;

// Blocks a pool keeps when they are free; more than a loop turn of a busy worker needs.
inline constexpr size_t kPooledOutputBlocksMax = 64;

class OutputBlockPool final {
 public:
  OutputBlockPool() { free_.reserve(kPooledOutputBlocksMax); }

  std::unique_ptr<char[]> Take() {
    if (free_.empty()) return TakeLarge(kOutputBlockBytes.count);
    auto block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  void Return(std::unique_ptr<char[]> block) {
    if (free_.size() < kPooledOutputBlocksMax) {
      free_.push_back(std::move(block));
    } else {
      held_bytes_ -= kOutputBlockBytes.count;
    }
  }

  // Whether more blocks are in use than it would keep.
  bool crowded() const {
    return free_.empty() && held_bytes_ >= kPooledOutputBlocksMax * kOutputBlockBytes.count;
  }

  // A block of another size, which the pool counts and does not keep.
  std::unique_ptr<char[]> TakeLarge(size_t bytes) {
    held_bytes_ += bytes;
    return std::unique_ptr<char[]>(new char[bytes]);
  }
  void ReturnLarge(std::unique_ptr<char[]> block, size_t bytes) {
    held_bytes_ -= bytes;
    block.reset();
  }

  // Bytes of all blocks there are, in buffers and free.
  size_t held_bytes() const { return held_bytes_; }

 private:
  std::vector<std::unique_ptr<char[]>> free_;
  size_t held_bytes_ = 0;
};

class OutputBuffer final {
 public:
  // The pool must outlive the buffer, and both belong to one thread.
  explicit OutputBuffer(OutputBlockPool& pool) : pool_(&pool) {}
  ~OutputBuffer() { Clear(); }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;

  // Room for `n` contiguous bytes, to be filled and then committed. Valid until the next call.
  char* Reserve(size_t n) {
    if (__builtin_expect(static_cast<size_t>(limit_ - cursor_) < n, 0)) Grow(n);
    return cursor_;
  }
  void Commit(size_t n) {
    TG_DCHECK(n <= static_cast<size_t>(limit_ - cursor_));
    cursor_ += n;
  }
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;  // an empty view may have no address, and an empty buffer has none
    std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
    Commit(bytes.size());
  }
  // For data that may be large: fills what the current block has left first, then takes one block
  // for the rest.
  void AppendLarge(std::string_view bytes);

  // Moves all bytes of `other` behind ours; large ones without copying. Both use the same pool.
  void TakeAll(OutputBuffer& other);

  OutputBlockPool& pool() const { return *pool_; }
  bool empty() const { return blocks_.empty() || size() == 0; }
  // Bytes not yet consumed.
  size_t size() const;
  // Bytes of memory held, for the client's output limit.
  size_t memory_bytes() const;

  // How many blocks hold them.
  size_t blocks() const { return blocks_.size(); }

  struct Piece {
    char* data;
    size_t size;
  };
  // Fills up to `pieces_max` pieces from the front and returns how many.
  size_t Peek(Piece* pieces, size_t pieces_max) const;
  // Drops `n` bytes from the front and frees what is empty.
  void Consume(size_t n);
  void Clear();

  // A mark to come back to with Truncate: what was written since is taken back.
  size_t Mark() const { return size(); }
  void Truncate(size_t mark);
  // A copy of what was written since the mark.
  std::string CopyFrom(size_t mark) const;

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    size_t capacity = 0;
    size_t begin = 0;  // first byte not yet consumed
    size_t end = 0;    // one past the last byte; of the last block cursor_ holds it
  };

  void Grow(size_t n);
  void SealLast() {
    if (!blocks_.empty())
      blocks_.back().end = static_cast<size_t>(cursor_ - blocks_.back().memory.get());
  }
  void Release(Block& block);

  OutputBlockPool* pool_;
  std::vector<Block> blocks_;
  char* cursor_ = nullptr;
  char* limit_ = nullptr;
};

}  // namespace tidegate
