// ChunkedString: a string value that is too big for its entry, held in chunks of at most 16 KiB.
//
//   +------+-------+-----------+        +------------------+
//   | size | epoch | slots = 4 | -----> | chunk 0: 16 KiB  |  full
//   +------+-------+-----------+        | chunk 1: null    |  a hole: 16 KiB of zeros
//                                       | chunk 2: 16 KiB  |  full
//                                       | chunk 3: 300 B   |  the last one: as big as it needs
//                                       +------------------+
//
// Why chunks and not one block: a chunk is what a cut copies before it changes, what is written to
// disk, and what is freed at a time, so that changing one bit of 512 MiB costs 16 KiB and not
// everything. Each chunk carries the epoch of its last change, which is how a cut tells what it has
// already seen. Why holes: SETBIT at 2^32-1 costs a table of pointers instead of 512 MiB of zeros.
// A string of one chunk holds it without a table.
//
// Invariants: a chunk before the last one is a hole or holds kChunkBytes; the last one is a hole or
// holds at least the bytes that the size gives it; bytes of a chunk beyond the size are undefined.
// Owner: the slot of its key. Cost: one copy per byte in and out; nothing is zeroed that is then
// overwritten. Appending grows the last chunk by half, so that n small appends copy O(n) bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/breathe.h"

namespace tidegate {

class ChunkedString final {
 public:
  static constexpr size_t kChunkBytes = (16_KiB).count;

  // A new string of these bytes, or an empty one. Given back to Destroy by its owner.
  static ChunkedString* Create(std::string_view bytes = {});
  static void Destroy(ChunkedString* string);
  // Moves what of it lies where memory is sparse (memory.h); where the string is then.
  static ChunkedString* Compact(ChunkedString* string);
  // A deep copy; holes stay holes.
  ChunkedString* Clone() const;

  ChunkedString(const ChunkedString&) = delete;
  ChunkedString& operator=(const ChunkedString&) = delete;

  size_t size() const { return size_; }

  // Makes the string `bytes` long. What is gained reads as zeros; whole chunks of it are holes.
  void Resize(size_t bytes);
  // Replaces the whole content; a string of about that size is written over in place.
  void Assign(std::string_view bytes);
  // Writes at an offset; a string that is too short grows, with zeros in between.
  void Write(size_t offset, std::string_view bytes);

  // Calls fn(size_t offset, std::string_view piece) for the pieces of [offset, offset+n) in order;
  // a hole is a piece of zeros. The range must lie within the string.
  template <typename Fn>
  void Visit(size_t offset, size_t n, Fn&& fn) const {
    TG_DCHECK(offset <= size_ && n <= size_ - offset);
    while (n > 0) {
      const Chunk& chunk = chunks()[offset / kChunkBytes];
      const size_t begin = offset % kChunkBytes;
      const size_t piece = std::min(n, kChunkBytes - begin);
      Breathe();
      fn(offset, std::string_view((chunk.bytes != nullptr ? chunk.bytes : kZeros) + begin, piece));
      offset += piece;
      n -= piece;
    }
  }
  // Copies [offset, offset+n), which must lie within the string.
  void Read(size_t offset, size_t n, char* out) const;

  // Memory that the string takes, holes not counted.
  size_t allocated_bytes() const;

  // For cuts. Changes from now on are of this epoch.
  void set_epoch(uint32_t epoch) { epoch_ = epoch; }
  size_t chunk_count() const { return ChunksFor(size_); }
  uint32_t chunk_epoch(size_t i) const { return chunks()[i].epoch; }
  bool is_hole(size_t i) const { return chunks()[i].bytes == nullptr; }

 private:
  struct Chunk {
    char* bytes;  // null: a hole
    uint32_t epoch;
    uint32_t capacity_bytes;
  };

  static const char kZeros[kChunkBytes];

  ChunkedString() = default;
  ~ChunkedString() = default;

  static size_t ChunksFor(size_t bytes) { return (bytes + kChunkBytes - 1) / kChunkBytes; }
  // Bytes of chunk i in a string of that size.
  static size_t BytesOfChunk(size_t i, size_t size) {
    const size_t begin = i * kChunkBytes;
    return size <= begin ? 0 : std::min(size - begin, kChunkBytes);
  }

  const Chunk* chunks() const { return slots_ == 1 ? &only_ : table_; }
  Chunk* chunks() { return slots_ == 1 ? &only_ : table_; }

  // Room for `count` chunks; new ones are holes.
  void ReserveSlots(size_t count);
  // Gives a chunk room for `need` bytes, keeping the first `used`.
  static void ReserveChunk(Chunk& chunk, size_t need, size_t used);
  static void FreeChunk(Chunk& chunk);
  // Frees the chunks from `count` on.
  void DropChunks(size_t count);
  // Back to room for one chunk, which is a hole. Chunks must have been dropped or taken over.
  void DropTable();

  size_t size_ = 0;
  uint32_t epoch_ = 0;
  uint32_t slots_ = 1;
  union {
    Chunk only_ = {nullptr, 0, 0};
    Chunk* table_;
  };
};

}  // namespace tidegate
