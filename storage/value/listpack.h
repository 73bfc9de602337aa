// Listpack: a list of strings and integers in one run of bytes, in Redis's format byte for byte.
//
//   0            4        6
//   +------------+--------+---------+---------+-----+---------+------+
//   | bytes (4B) | count  | entry   | entry   | ... | entry   | 0xff |
//   |            | (2B)   |         |         |     |         |      |
//   +------------+--------+---------+---------+-----+---------+------+
//                        |         |
//        +---------------+         +--------------+
//        | encoding, size | payload | backlen     |    first byte   payload
//        +----------------+---------+-------------+    0xxxxxxx     0..127 in the byte itself
//                                                      10xxxxxx     text up to 63 bytes
//                                                      110xxxxx +1  13-bit integer
//   backlen: bytes of the entry before it, in          1110xxxx +1  text up to 4095 bytes
//   7-bit groups that are read backwards, so           11110000 +4  text up to 2^32-1 bytes
//   that a list can be walked from its end.            11110001..4  16, 24, 32, 64-bit integer
//   count: 65535 means "walk to know".                 everything little-endian, two's complement
//
// Why Redis's format and not a better one: DUMP, RESTORE, RDB files and replication carry these
// bytes verbatim, so that a value goes in and out without being taken apart; and at a few hundred
// entries a scan through one or two cache lines per entry beats any index that has to be kept up to
// date. Small hashes, sets, sorted sets, nodes of lists and of streams all stand on it.
//
// Three classes: ListpackValue is one value, taken out or about to be put in; ListpackView reads;
// Listpack edits a PackedBuffer, one Splice per edit. Positions are offsets of an entry's first
// byte; End() is the position of the final 0xff, is what all searches answer for "none", and is
// where appending happens. Positions survive an edit only in front of it.
//
// Invariants: text that reads as an int64 in canonical decimal is put in as an integer (a payload
// from elsewhere may hold it otherwise: readers accept all encodings). The bytes are valid: whoever
// takes them from outside calls Validate first, nothing here checks bounds afterwards. Owner: the
// slot of the key. Cost: Find and Seek about 2-3 ns per entry passed. Source: antirez's listpack
// specification and Redis 7's listpack.c, whose quirks (where backlen grows) are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "storage/value/listpack_value.h"
#include "storage/value/listpack_view.h"
#include "storage/value/packed_buffer.h"

namespace tidegate {

// Beyond this a caller refuses to add to a listpack. The format ends at 4 GiB, which edits check.
// As Redis's LISTPACK_MAX_SAFETY_SIZE.
inline constexpr Bytes kListpackBytesMax = 1_GiB;

// Edits the listpack that a buffer holds. Values must not borrow from that buffer: it moves. Every
// edit checks that the listpack stays below 4 GiB; callers keep it below kListpackBytesMax.
class Listpack final {
 public:
  explicit Listpack(PackedBuffer& buffer) : buffer_(buffer) {}

  ListpackView view() { return ListpackView(buffer_.bytes()); }

  // Replaces whatever the buffer holds by a listpack of these values.
  void Create(std::span<const ListpackValue> values = {});

  // Inserts in front of the entry at `at`, or appends when it is End(). The new entries begin at
  // `at`. Several values take one Splice.
  void Insert(size_t at, const ListpackValue& value) { Insert(at, {&value, 1}); }
  void Insert(size_t at, std::span<const ListpackValue> values);
  void Insert(size_t at, std::string_view text) { Insert(at, ListpackValue::Of(text)); }
  void Insert(size_t at, int64_t integer) { Insert(at, ListpackValue(integer)); }
  // Texts as a client sent them.
  void InsertTexts(size_t at, std::span<const std::string_view> texts);
  // Field and value, member and score.
  void InsertPair(size_t at, const ListpackValue& first, const ListpackValue& second) {
    const ListpackValue pair[] = {first, second};
    Insert(at, pair);
  }
  // `count` entries as ListpackView::Encoded gave them, of another listpack.
  void InsertEncoded(size_t at, std::string_view entries, size_t count);

  void Append(const ListpackValue& value) { Insert(End(), value); }
  void Append(std::span<const ListpackValue> values) { Insert(End(), values); }
  void Append(std::string_view text) { Insert(End(), text); }
  void Append(int64_t integer) { Insert(End(), integer); }
  void AppendTexts(std::span<const std::string_view> texts) { InsertTexts(End(), texts); }
  void AppendPair(const ListpackValue& first, const ListpackValue& second) {
    InsertPair(End(), first, second);
  }
  void Prepend(const ListpackValue& value) { Insert(ListpackView::kHeaderBytes, value); }
  void Prepend(std::string_view text) { Insert(ListpackView::kHeaderBytes, text); }
  void Prepend(int64_t integer) { Insert(ListpackView::kHeaderBytes, integer); }

  // Another value for the entry at `at`, in place when it takes as many bytes. `at` is not End().
  void Replace(size_t at, const ListpackValue& value);
  void Replace(size_t at, std::string_view text) { Replace(at, ListpackValue::Of(text)); }
  void Replace(size_t at, int64_t integer) { Replace(at, ListpackValue(integer)); }

  // Erases up to `n` entries, as many as there are from `at` on, and answers how many that were.
  // What was behind them is then at `at`.
  size_t Erase(size_t at, size_t n = 1);

  // What a listpack grows by with this value: its whole entry.
  static size_t EncodedSize(const ListpackValue& value);
  static size_t EncodedSize(std::string_view text) { return EncodedSize(ListpackValue::Of(text)); }
  static size_t EncodedSize(int64_t integer) { return EncodedSize(ListpackValue(integer)); }

 private:
  size_t End() const { return buffer_.size() - 1; }
  // Whether a value borrows from the buffer. For checks.
  template <typename ValueAt>
  bool BorrowsAny(size_t count, const ValueAt& value_at);
  template <typename ValueAt>
  void InsertEach(size_t at, size_t count, const ValueAt& value_at);
  // Replaces `removed` bytes with `removed_count` entries by `added` bytes for `added_count`
  // entries, brings the header up to date, and returns where to write them.
  uint8_t* Change(size_t at, size_t removed, size_t removed_count, size_t added,
                  size_t added_count);

  PackedBuffer& buffer_;
};

}  // namespace tidegate
