// ListpackView: reading a listpack (listpack.h has its picture) without copying anything.
//
// Positions are offsets of an entry's first byte. End() is the position of the final 0xff; it is
// what every search answers for "none", and where a walk ends in either direction. What decides the
// cost is the chain from one entry to the next: the size of an entry comes from a table by its
// first byte, because branches on its kind are mispredicted as often as the kinds change. Bounds
// are not checked: bytes from outside pass Validate first. Borrows the bytes, as long as they stay
// as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "storage/value/listpack_format.h"
#include "storage/value/listpack_value.h"
#include "storage/value/little_endian.h"

namespace tidegate {

class ListpackView final {
 public:
  static constexpr size_t kHeaderBytes = kListpackHeaderBytes;

  // A whole, valid listpack.
  explicit ListpackView(std::string_view bytes)
      : data_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(bytes.size() - 1) {
    TG_DCHECK(Validate(bytes, /*deep=*/false));
  }

  // Whether bytes from outside are a listpack. Deep: every entry and the count, which makes all
  // that this class does safe; else the header and the last byte only. Reads nothing beyond
  // `bytes`.
  static bool Validate(std::string_view bytes, bool deep);

  // As on the wire and on disk.
  std::string_view bytes() const { return {reinterpret_cast<const char*>(data_), end_ + 1}; }
  // Entries. Walks them when there are 65535 or more.
  size_t count() const {
    const uint16_t known = stored_count();
    return __builtin_expect(known != kListpackCountUnknown, 1) ? known : Walk();
  }
  bool empty() const { return end_ == kHeaderBytes; }

  // for (size_t at = view.First(); at != view.End(); at = view.Next(at)) ...
  size_t End() const { return end_; }
  size_t First() const { return kHeaderBytes; }
  size_t Last() const { return Prev(end_); }
  // `at` is not End().
  size_t Next(size_t at) const {
    TG_DCHECK(at >= kHeaderBytes && at < end_);
    return static_cast<size_t>(Skip(data_ + at) - data_);
  }
  // End() when `at` is First(); the last entry when `at` is End().
  size_t Prev(size_t at) const {
    TG_DCHECK(at >= kHeaderBytes && at <= end_);
    if (at == kHeaderBytes) return end_;
    const uint8_t backlen = data_[at - 1];
    return backlen < 0x80 ? at - 1 - backlen : PrevOfLong(at);
  }
  // The entry at an index, the last one being -1, from the nearer end; End() when there is none.
  size_t Seek(int64_t index) const;

  // The text of the value borrows from the listpack. `at` is not End().
  ListpackValue Get(size_t at) const {
    TG_DCHECK(at >= kHeaderBytes && at < end_);
    return Decode(data_ + at);
  }

  // The first entry from `from` on whose text is this, looking at one and skipping the next `skip`:
  // 1 finds fields of a hash and members of a sorted set. End() when there is none.
  size_t Find(std::string_view text, size_t skip = 0, size_t from = kHeaderBytes) const;

  // The entries of [from, to) as they are encoded, for Listpack::InsertEncoded.
  std::string_view Encoded(size_t from, size_t to) const {
    TG_DCHECK(from >= kHeaderBytes && from <= to && to <= end_);
    return bytes().substr(from, to - from);
  }

 private:
  static const uint8_t* Skip(const uint8_t* entry) {
    const size_t bytes = kListpackEntryBytes[*entry];
    return __builtin_expect(bytes != 0, 1) ? entry + bytes : SkipLong(entry);
  }
  static const uint8_t* SkipLong(const uint8_t* entry);
  static ListpackValue Decode(const uint8_t* entry) {
    const uint8_t first = *entry;
    if (first < 0x80) return ListpackValue(int64_t{first});
    if (first < 0xc0) {
      return ListpackValue::AsText({reinterpret_cast<const char*>(entry + 1), first & 0x3fu});
    }
    return DecodeWide(entry);
  }
  static ListpackValue DecodeWide(const uint8_t* entry);

  uint16_t stored_count() const { return LoadLittle<uint16_t>(data_ + 4); }
  size_t PrevOfLong(size_t at) const;
  size_t Walk() const;

  const uint8_t* data_;
  size_t end_;
};

}  // namespace tidegate
