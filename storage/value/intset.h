// Intset: a sorted set of integers in one run of bytes, in Redis's format byte for byte.
//
//   0              4           8
//   +--------------+-----------+---------+---------+-----+---------+
//   | bytes of one | count     | value   | value   | ... | value   |   all little-endian,
//   | value (4B)   | (4B)      |         |         |     |         |   ascending, no two alike
//   +--------------+-----------+---------+---------+-----+---------+
//
// All values are as wide (2, 4 or 8 bytes) as the widest one ever put in: a wider one rewrites the
// set, an erased one does not make it narrower. So a set of small numbers takes two bytes a member,
// and a look-up is a binary search without branches that depend on data. Why Redis's format: DUMP,
// RESTORE and RDB files carry it verbatim.
//
// IntsetView reads, Intset edits a PackedBuffer with one Splice per edit. Bounds are not checked:
// bytes from outside pass Validate first. Owner: the slot of the key. Cost: Find O(log n), about 14
// ns at 512 members; Insert and Erase move what is behind. Source: Redis's intset.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "storage/value/little_endian.h"
#include "storage/value/packed_buffer.h"

namespace tidegate {

// Borrows the bytes; no longer valid once they are edited.
class IntsetView final {
 public:
  static constexpr size_t kHeaderBytes = 8;

  // A whole, valid intset.
  explicit IntsetView(std::string_view bytes)
      : data_(reinterpret_cast<const uint8_t*>(bytes.data())) {
    TG_DCHECK(bytes.size() == BytesFor(width(), count()));
  }

  // Whether bytes from outside are an intset, order included. As in Redis an empty one is not: no
  // key holds it. Reads nothing beyond `bytes`.
  static bool Validate(std::string_view bytes);

  // What a set of `count` values of `width` bytes takes.
  static constexpr size_t BytesFor(size_t width, size_t count) {
    return kHeaderBytes + width * count;
  }
  // Bytes that a value needs: 2, 4 or 8.
  static size_t WidthFor(int64_t value) {
    if (value == static_cast<int16_t>(value)) return 2;
    return value == static_cast<int32_t>(value) ? 4 : 8;
  }

  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(data_), BytesFor(width(), count())};
  }
  size_t width() const { return LoadLittle<uint32_t>(data_); }
  size_t count() const { return LoadLittle<uint32_t>(data_ + 4); }

  // The i-th smallest; i < count().
  int64_t At(size_t i) const {
    TG_DCHECK(i < count());
    const uint8_t* values = data_ + kHeaderBytes;
    switch (width()) {
      case 2:
        return LoadLittle<int16_t>(values + 2 * i);
      case 4:
        return LoadLittle<int32_t>(values + 4 * i);
      default:
        return LoadLittle<int64_t>(values + 8 * i);
    }
  }
  // Only when not empty.
  int64_t Min() const { return At(0); }
  int64_t Max() const { return At(count() - 1); }

  bool Contains(int64_t value) const { return Find(value).has_value(); }
  // Where the value is.
  std::optional<size_t> Find(int64_t value) const;
  // How many values are smaller: where the value is or would be.
  size_t LowerBound(int64_t value) const;

 private:
  const uint8_t* data_;
};

class Intset final {
 public:
  explicit Intset(PackedBuffer& buffer) : buffer_(buffer) {}

  IntsetView view() { return IntsetView(buffer_.bytes()); }

  // Replaces whatever the buffer holds by an empty set.
  void Create();

  // False, and nothing changed, when it is in the set already.
  bool Insert(int64_t value);
  // False, and nothing changed, when it is not in the set.
  bool Erase(int64_t value);
  // Erases the values of `n` places from `i` on, which must exist.
  void EraseAt(size_t i, size_t n = 1);

  // What Insert makes it grow by when the value is not in the set yet.
  size_t GrowthFor(int64_t value);

 private:
  // Makes all values as wide as this new one needs, and puts it at the end where it belongs.
  void Widen(int64_t value);

  PackedBuffer& buffer_;
};

}  // namespace tidegate
