// PackedScratch: packed bytes on the stack, for values that are made before they have a key, or
// only to be sent. Larger ones go to the heap.
#pragma once

#include <cstring>
#include <memory>

#include "base/check.h"
#include "storage/value/packed_buffer.h"

namespace tidegate {

class PackedScratch final : public PackedBuffer {
 public:
  PackedScratch() = default;

  uint8_t* data() override { return data_; }
  size_t size() const override { return size_; }
  uint8_t* Splice(size_t offset, size_t removed, size_t added) override {
    TG_DCHECK(offset + removed <= size_);
    const size_t tail = size_ - offset - removed;
    const size_t size = size_ - removed + added;
    if (size > capacity_) {
      const size_t capacity = size * 2;
      std::unique_ptr<uint8_t[]> larger(new uint8_t[capacity]);
      std::memcpy(larger.get(), data_, offset);
      std::memcpy(larger.get() + offset + added, data_ + offset + removed, tail);
      heap_ = std::move(larger);
      data_ = heap_.get();
      capacity_ = capacity;
    } else if (removed != added) {
      std::memmove(data_ + offset + added, data_ + offset + removed, tail);
    }
    size_ = size;
    return data_ + offset;
  }

 private:
  static constexpr size_t kInlineBytes = 512;

  uint8_t inline_[kInlineBytes];
  std::unique_ptr<uint8_t[]> heap_;
  uint8_t* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = kInlineBytes;
};

}  // namespace tidegate
