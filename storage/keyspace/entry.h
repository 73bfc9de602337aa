// Entry: one key with its value, in one allocation.
//
//   0        8            16          24
//   +--------+------------+-----------+----------+-----------+-----------------+
//   | header | expire ms  | object    | key size | key bytes | value bytes     |
//   |        | if kExpire | if not in | if long  |           | if embedded     |
//   |        |            | place     | key (4B) |           | (value_bytes)   |
//   +--------+------------+-----------+----------+-----------+-----------------+
//
// Why one allocation and optional parts: most keys of a cache are small strings without much else,
// and every pointer or fixed field costs more than the data. A 12-byte key with a 32-byte value
// takes 8 + 12 + 32 = 52 bytes, which the allocator's 8-byte classes round to 56. There is no next
// pointer (tables are bucketed) and no sequence number (cuts need a bit). An integer value has
// no encoding of its own: its digits are smaller than 8 bytes for most counters, and OBJECT
// ENCODING tells "int" from the text. Adding or dropping a part, or growing the value, makes a new
// entry: Database does it and puts the new pointer in place, so an Entry* is valid only until the
// next change of its key. Owner: the slot of its key; every access needs that slot's lock.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/check.h"

namespace tidegate {

enum class ValueType : uint8_t { kString = 0, kList, kSet, kSortedSet, kHash, kStream, kBloom };

// Where and how the value is held: behind the key, or as object().
enum class Encoding : uint8_t {
  kEmbedded = 0,    // the bytes of a string, or the listpack of any collection
  kEmbeddedIntset,  // the intset of a set
  kChunked,         // strings: a ChunkedString
  kPacked,          // a PackedBlock with a listpack
  kPackedIntset,    // sets: a PackedBlock with an intset
  kFieldTable,      // hashes and sets: a FieldTable
  kSortedSet,       // sorted sets: a SortedSetObject
  kPagedList,       // lists: a PagedList
  kStream,          // streams: a StreamValue
  kBloom,           // Bloom filters: a BloomFilter
};

constexpr bool IsEmbedded(Encoding encoding) { return encoding <= Encoding::kEmbeddedIntset; }
constexpr bool IsPacked(Encoding encoding) {
  return encoding == Encoding::kPacked || encoding == Encoding::kPackedIntset;
}
constexpr bool IsIntset(Encoding encoding) {
  return encoding == Encoding::kEmbeddedIntset || encoding == Encoding::kPackedIntset;
}

// No expiry. Also what "remove the expiry" is called with.
inline constexpr int64_t kNoExpire = -1;

class Entry final {
 public:
  enum Flag : uint8_t {
    kHasExpire = 1u << 0,
    kLongKey = 1u << 1,  // key size in 4 bytes
    kRaw =
        1u << 2,  // a string that was changed in place: OBJECT ENCODING says raw whatever its size
    kPlainText =
        1u << 3,         // a string of digits that OBJECT ENCODING does not call int: INCRBYFLOAT's
    kDirty = 1u << 4,    // changed since the cut of the last checkpoint
    kStored = 1u << 5,   // there may be a record of the key on disk
    kCutMark = 1u << 6,  // the mark of the last full cut that has it, see cut.h
    kInFlight = 1u << 7,  // written by the last checkpoint: as good as dirty when that failed
  };

  // Largest entry whose value is embedded; above it the value gets an object of its own. The
  // largest class of the entry allocator, so that a small value never costs a second allocation.
  static constexpr size_t kEmbeddedEntryBytesMax = 1024;
  static constexpr size_t kShortKeyBytesMax = 254;

  // What an entry of these parts takes.
  static constexpr size_t BytesFor(size_t key_bytes, size_t embedded_value_bytes, bool has_expire,
                                   bool has_object) {
    return kHeaderBytes + (has_expire ? 8 : 0) + (has_object ? 8 : 0) +
           (key_bytes > kShortKeyBytesMax ? 4 : 0) + key_bytes + embedded_value_bytes;
  }

  // Formats memory of BytesFor(...) bytes. The value's bytes and the object are left for the caller
  // to fill.
  static Entry* Format(void* memory, std::string_view key, ValueType type, Encoding encoding,
                       size_t embedded_value_bytes, bool has_expire);

  ValueType type() const { return static_cast<ValueType>((packed_ >> kTypeShift) & kTypeMask); }
  Encoding encoding() const { return static_cast<Encoding>(packed_ >> kEncodingShift); }
  bool embedded() const { return IsEmbedded(encoding()); }

  std::string_view key() const {
    const char* p = base() + kHeaderBytes + (has_expire() ? 8 : 0) + (embedded() ? 0 : 8);
    if (__builtin_expect((flags_ & kLongKey) != 0, 0)) {
      uint32_t size = 0;
      std::memcpy(&size, p, 4);
      return {p + 4, size};
    }
    return {p, key_bytes_};
  }

  bool has_expire() const { return (flags_ & kHasExpire) != 0; }
  int64_t expire_at_ms() const {
    if (!has_expire()) return kNoExpire;
    int64_t at = 0;
    std::memcpy(&at, base() + kHeaderBytes, 8);
    return at;
  }
  // Only when has_expire(); adding one needs Database::SetExpire.
  void overwrite_expire_at_ms(int64_t at) {
    TG_DCHECK(has_expire());
    std::memcpy(base() + kHeaderBytes, &at, 8);
  }

  // Embedded bytes. Only when embedded().
  std::string_view value() const {
    const std::string_view k = key();
    return {k.data() + k.size(), value_bytes_};
  }
  char* value_data() {
    const std::string_view k = key();
    return const_cast<char*>(k.data() + k.size());
  }
  void set_value_bytes(size_t n) { value_bytes_ = static_cast<uint16_t>(n); }

  // Only when !embedded().
  template <typename T>
  T* object() const {
    T* p = nullptr;
    std::memcpy(&p, base() + kHeaderBytes + (has_expire() ? 8 : 0), sizeof p);
    return p;
  }
  void set_object(void* p) {
    std::memcpy(base() + kHeaderBytes + (has_expire() ? 8 : 0), &p, sizeof p);
  }

  bool raw() const { return (flags_ & kRaw) != 0; }
  void set_raw(bool raw) { flags_ = static_cast<uint8_t>(raw ? flags_ | kRaw : flags_ & ~kRaw); }

  bool plain_text() const { return (flags_ & kPlainText) != 0; }
  void set_plain_text(bool plain) {
    flags_ = static_cast<uint8_t>(plain ? flags_ | kPlainText : flags_ & ~kPlainText);
  }

  // The flags that only OBJECT ENCODING looks at: none after SET, carried along when the entry is
  // made anew.
  void ClearTextFlags() { flags_ &= static_cast<uint8_t>(~(kRaw | kPlainText)); }
  void CopyTextFlags(const Entry& from) { flags_ |= from.flags_ & (kRaw | kPlainText); }

  // 24 bits of LRU clock (seconds) or LFU state (16 bits of minutes, 8 bits of logarithmic count);
  // see access.h.
  uint32_t access() const { return packed_ & kAccessMask; }
  void set_access(uint32_t access) { packed_ = (packed_ & ~kAccessMask) | (access & kAccessMask); }

  bool cut_mark() const { return (flags_ & kCutMark) != 0; }
  void set_cut_mark(bool mark) {
    flags_ = static_cast<uint8_t>(mark ? flags_ | kCutMark : flags_ & ~kCutMark);
  }

  // The same for the cuts of checkpoints. Says something of dirty entries only: whether they were
  // already when the last one began.
  bool change_mark() const { return (packed_ & kChangeMark) != 0; }
  void set_change_mark(bool mark) {
    packed_ = mark ? packed_ | kChangeMark : packed_ & ~kChangeMark;
  }

  // A key without a value, of those that a slot remembers as gone: see stored_state.h. No key that
  // anybody can look up has this type.
  static constexpr auto kRemovedType = static_cast<ValueType>(7);
  bool removed() const { return type() == kRemovedType; }

  bool dirty() const { return (flags_ & kDirty) != 0; }
  void set_dirty(bool dirty) {
    flags_ = static_cast<uint8_t>(dirty ? flags_ | kDirty : flags_ & ~kDirty);
  }
  bool stored() const { return (flags_ & kStored) != 0; }
  void set_stored(bool stored) {
    flags_ = static_cast<uint8_t>(stored ? flags_ | kStored : flags_ & ~kStored);
  }
  bool in_flight() const { return (flags_ & kInFlight) != 0; }
  void set_in_flight(bool in_flight) {
    flags_ = static_cast<uint8_t>(in_flight ? flags_ | kInFlight : flags_ & ~kInFlight);
  }
  // Whether the slot knows an object as which the value is stored (stored_object.h), and whether
  // that holds the value as it is here; or will, when the checkpoint that wrote it succeeds. Of
  // values that are not embedded, whose place for a size is free.
  bool has_stored_object() const { return !embedded() && value_bytes_ != 0; }
  bool object_is_current() const { return !embedded() && (value_bytes_ & kObjectIsCurrent) != 0; }
  void set_stored_object(bool has, bool current) {
    TG_DCHECK(!embedded() && (has || !current));
    value_bytes_ = (has ? kHasObject : 0) | (current ? kObjectIsCurrent : 0);
  }
  void NoteValueChange() {
    if (!embedded()) value_bytes_ &= kHasObject;
  }

  // Bytes the entry takes, as allocated.
  size_t allocated_bytes() const {
    return BytesFor(key().size(), embedded() ? value_bytes_ : 0, has_expire(), !embedded());
  }

 private:
  static constexpr size_t kHeaderBytes = 8;
  static constexpr uint32_t kAccessMask = 0xffffff;
  static constexpr int kTypeShift = 24;
  static constexpr uint32_t kTypeMask = 0x7;
  static constexpr uint32_t kChangeMark = 1u << 27;
  static constexpr int kEncodingShift = 28;
  static constexpr uint16_t kHasObject = 1;
  static constexpr uint16_t kObjectIsCurrent = 2;

  char* base() { return reinterpret_cast<char*>(this); }
  const char* base() const { return reinterpret_cast<const char*>(this); }

  uint32_t packed_ = 0;  // access:24 type:3 change mark:1 encoding:4
  uint8_t flags_ = 0;
  uint8_t key_bytes_ = 0;
  uint16_t value_bytes_ = 0;
};
static_assert(sizeof(Entry) == 8);
static_assert(Entry::BytesFor(12, 32, false, false) == 52);

}  // namespace tidegate
