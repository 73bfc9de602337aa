#include "base/output_buffer.h"

#include <algorithm>

namespace tidegate {

void OutputBuffer::Grow(size_t n) {
  SealLast();
  Block block;
  if (n <= kSmallOutputBlockBytes.count && blocks_.empty() && pool_->crowded()) {
    block.capacity = kSmallOutputBlockBytes.count;
    block.memory = pool_->TakeLarge(block.capacity);
  } else if (n <= kOutputBlockBytes.count) {
    block.memory = pool_->Take();
    block.capacity = kOutputBlockBytes.count;
  } else {
    block.memory = pool_->TakeLarge(n);
    block.capacity = n;
  }
  cursor_ = block.memory.get();
  limit_ = cursor_ + block.capacity;
  blocks_.push_back(std::move(block));
}

void OutputBuffer::AppendLarge(std::string_view bytes) {
  const size_t here = std::min(bytes.size(), static_cast<size_t>(limit_ - cursor_));
  if (here > 0) {
    std::memcpy(cursor_, bytes.data(), here);
    cursor_ += here;
  }
  if (here < bytes.size()) Append(bytes.substr(here));
}

void OutputBuffer::TakeAll(OutputBuffer& other) {
  TG_DCHECK(pool_ == other.pool_);
  other.SealLast();
  SealLast();
  if (other.size() <= static_cast<size_t>(limit_ - cursor_)) {
    for (const Block& block : other.blocks_) {
      Append({block.memory.get() + block.begin, block.end - block.begin});
    }
    other.Clear();
    return;
  }
  for (Block& block : other.blocks_) blocks_.push_back(std::move(block));
  other.blocks_.clear();
  cursor_ = std::exchange(other.cursor_, nullptr);
  limit_ = std::exchange(other.limit_, nullptr);
}

size_t OutputBuffer::size() const {
  if (blocks_.empty()) return 0;
  size_t total = 0;
  for (const Block& block : blocks_) total += block.end - block.begin;
  const Block& last = blocks_.back();
  return total - last.end + static_cast<size_t>(cursor_ - last.memory.get());
}

size_t OutputBuffer::memory_bytes() const {
  size_t total = 0;
  for (const Block& block : blocks_) total += block.capacity;
  return total;
}

size_t OutputBuffer::Peek(Piece* pieces, size_t pieces_max) const {
  size_t count = 0;
  for (size_t i = 0; i < blocks_.size() && count < pieces_max; ++i) {
    const Block& block = blocks_[i];
    const bool last = i + 1 == blocks_.size();
    const size_t end = last ? static_cast<size_t>(cursor_ - block.memory.get()) : block.end;
    if (end > block.begin) pieces[count++] = {block.memory.get() + block.begin, end - block.begin};
  }
  return count;
}

void OutputBuffer::Consume(size_t n) {
  SealLast();
  size_t gone = 0;
  while (gone < blocks_.size() && n >= blocks_[gone].end - blocks_[gone].begin) {
    n -= blocks_[gone].end - blocks_[gone].begin;
    Release(blocks_[gone]);
    ++gone;
  }
  blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<ptrdiff_t>(gone));
  if (blocks_.empty()) {
    TG_CHECK(n == 0);
    cursor_ = limit_ = nullptr;
  } else {
    blocks_.front().begin += n;
  }
}

void OutputBuffer::Clear() {
  for (Block& block : blocks_) Release(block);
  blocks_.clear();
  cursor_ = limit_ = nullptr;
}

void OutputBuffer::Truncate(size_t mark) {
  SealLast();
  size_t kept = 0;
  size_t i = 0;
  for (; i < blocks_.size(); ++i) {
    Block& block = blocks_[i];
    const size_t bytes = block.end - block.begin;
    if (kept + bytes >= mark) {
      block.end = block.begin + (mark - kept);
      ++i;
      break;
    }
    kept += bytes;
  }
  for (size_t drop = i; drop < blocks_.size(); ++drop) Release(blocks_[drop]);
  blocks_.resize(i);
  if (blocks_.empty()) {
    cursor_ = limit_ = nullptr;
  } else {
    Block& last = blocks_.back();
    cursor_ = last.memory.get() + last.end;
    limit_ = last.memory.get() + last.capacity;
  }
}

std::string OutputBuffer::CopyFrom(size_t mark) const {
  std::string copy;
  size_t before = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const bool last = i + 1 == blocks_.size();
    const size_t end = last ? static_cast<size_t>(cursor_ - block.memory.get()) : block.end;
    const size_t bytes = end - block.begin;
    const size_t skip = mark > before ? std::min(mark - before, bytes) : 0;
    copy.append(block.memory.get() + block.begin + skip, bytes - skip);
    before += bytes;
  }
  return copy;
}

void OutputBuffer::Release(Block& block) {
  if (block.capacity == kOutputBlockBytes.count) {
    pool_->Return(std::move(block.memory));
  } else {
    pool_->ReturnLarge(std::move(block.memory), block.capacity);
  }
}

}  // namespace tidegate
