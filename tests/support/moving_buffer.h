// MovingBuffer: a PackedBuffer that moves on every Splice and is never larger than its bytes.
//
// So a test under the address sanitizer sees any pointer that was kept across an edit, and any read
// or write one byte beyond the end; a real holder has slack, in which both would go unnoticed. New
// bytes are filled with a pattern, so that those an editor forgets to write are seen too.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "storage/value/packed_buffer.h"

namespace tidegate {

class MovingBuffer final : public PackedBuffer {
 public:
  MovingBuffer() = default;
  explicit MovingBuffer(std::string_view bytes) : MovingBuffer() {
    uint8_t* to = Splice(0, 0, bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    splices_ = 0;
  }

  uint8_t* data() override { return bytes_.get(); }
  size_t size() const override { return size_; }

  uint8_t* Splice(size_t offset, size_t removed, size_t added) override {
    TG_CHECK(offset <= size_ && removed <= size_ - offset);
    const size_t size = size_ - removed + added;
    const size_t behind = size_ - offset - removed;
    // Not by make_unique, which would zero them.
    std::unique_ptr<uint8_t[]> to(new uint8_t[size]);
    if (offset > 0) std::memcpy(to.get(), bytes_.get(), offset);
    if (added > 0) std::memset(to.get() + offset, 0xee, added);
    if (behind > 0) {
      std::memcpy(to.get() + offset + added, bytes_.get() + offset + removed, behind);
    }
    bytes_ = std::move(to);
    size_ = size;
    ++splices_;
    return bytes_.get() + offset;
  }

  // Since it was made.
  size_t splices() const { return splices_; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
  size_t splices_ = 0;
};

}  // namespace tidegate
