// PackedBuffer: contiguous bytes that can be edited in place, wherever they live.
//
// A small collection is one run of bytes (a listpack, an intset) that lives either in a block of
// its own (packed_block.h) or behind the key in its entry. The editors of both formats are written
// once, against this interface, because an edit may move the bytes, and only the holder knows how
// to get other memory and whom to tell the new address. Reading does not come through here: views
// are made over the bytes and know nothing of the holder.
//
// Invariant that cuts and accounting rely on: every change begins with exactly one Splice, also one
// that moves nothing. So a holder stamps epochs, keeps pre-images and counts
// memory in that one place. Owner: the slot of the key. Cost: a virtual call per edit, and at most
// one allocation or one move of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate {

class PackedBuffer {
 public:
  PackedBuffer(const PackedBuffer&) = delete;
  PackedBuffer& operator=(const PackedBuffer&) = delete;

  // Valid until the next Splice. May be null when size() is 0.
  virtual uint8_t* data() = 0;
  virtual size_t size() const = 0;

  // Replaces `removed` bytes at `offset` by `added` bytes that the caller has to write; moves what
  // is behind. Returns the address of the first new byte; data() may have moved. Until the next
  // Splice the caller may write any byte of the buffer, so Splice(0, 0, 0) announces a change in
  // place.
  virtual uint8_t* Splice(size_t offset, size_t removed, size_t added) = 0;

  // For views; as long-lived as data().
  std::string_view bytes() { return {reinterpret_cast<const char*>(data()), size()}; }

 protected:
  PackedBuffer() = default;
  ~PackedBuffer() = default;
};

}  // namespace tidegate
