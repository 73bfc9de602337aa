// FieldPage: the fields of a FieldTable whose hashes share a prefix, in one allocation of at most
// 4 KiB.
//
//   +--------+------------------------------+--------------+------------------------+
//   | header | slots, sorted by tag ->      |     free     |  <- items, and garbage |
//   | 24 B   | 4 bytes each                 |              |                        |
//   +--------+------------------------------+--------------+------------------------+
//
//   slot      31       16   15       14       13       0
//            +-----------+-------+---------+------------+
//            |    tag    | large | expires |   offset   |  of the item, from the page's begin
//            +-----------+-------+---------+------------+
//
// The tag is the 16 hash bits behind the prefix. Why sorted: a field's place among n slots is then
// about n * tag / 65536, so that a search compares 32 tags around there at once (SSE2) instead of
// all of them, which costs two cache lines instead of ten, and does not read the header at all;
// splitting is cutting the array in two, merging is putting two behind each other, and SCAN can
// stop in the middle. The price is moving a few hundred bytes per insertion, some 10 ns.
//
// The page is what a cut copies before it changes, what is written when dirty (`epoch` is that of
// the last change), and what is freed at a time.
//
// Invariants: slots are sorted by tag; count * 4 + item_bytes + header <= capacity; item_bytes
// counts garbage, which are bytes between items that belong to none. Capacity is at least what a
// search reads (kSearchSlots). Pages whose prefix cannot grow any more are chained by `next`.
// Plain functions, no allocation accounting: that is the table's. Owner: the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "storage/value/field_item.h"

namespace tidegate {

// Hash of a field. KeyHash, but for tests of collisions.
using FieldHash = uint64_t (*)(std::string_view field);

inline constexpr size_t kFieldPageBytesMax = 4096;
inline constexpr size_t kFieldPageBytesMin = 192;
// Slots that one step of a search looks at.
inline constexpr uint32_t kSearchSlots = 32;
inline constexpr uint32_t kTagBits = 16;

struct FieldPage {
  uint32_t epoch;
  uint16_t count;
  uint16_t item_bytes;
  uint16_t garbage_bytes;
  uint16_t capacity;
  uint16_t expires;  // fields with an expiry
  uint8_t depth;     // bits of the prefix
  FieldValues values;
  FieldPage* next;  // overflow of a page at the greatest depth

  static constexpr uint32_t kOffsetMask = 0x3fff;
  static constexpr uint32_t kFlagMask = field_item::kLarge | field_item::kExpires;
  static constexpr size_t kSlotBytes = sizeof(uint32_t);

  static uint32_t TagOf(uint64_t hash, uint32_t depth) {
    return static_cast<uint32_t>((hash << depth) >> (64 - kTagBits));
  }
  // The smallest size of a page that holds so many bytes, which are at most kFieldPageBytesMax.
  static size_t SizeFor(size_t bytes);

  static FieldPage* Create(size_t capacity, uint32_t depth, FieldValues values, uint32_t epoch);
  // The memory only, not the large fields.
  static void Free(FieldPage* page);
  // The same fields in a new page of this capacity, without garbage. Frees nothing.
  FieldPage* Rewrite(size_t new_capacity) const;
  // Two new pages, by the hash bit behind the prefix. Frees nothing.
  void Split(FieldHash hash, FieldPage* (&halves)[2]) const;
  // A new page with the fields of both, of which `low` has the bit 0. Frees nothing.
  static FieldPage* Merge(const FieldPage& low, const FieldPage& high);

  // Index of the field among the `count` slots of the page, or -1. Does not read the header.
  static int Find(const FieldPage* page, uint32_t count, FieldValues values, uint32_t tag,
                  std::string_view field);
  // Brings near the slots that Find will look at; and, with these at hand, the items whose tags
  // match.
  static void PrefetchSlots(const FieldPage* page, uint32_t count, uint32_t tag);
  static void PrefetchItems(const FieldPage* page, uint32_t count, uint32_t tag);
  // First slot whose tag is not less.
  uint32_t LowerBound(uint32_t tag) const;

  // Adds a slot for an item of so many bytes, for which there must be room; returns where the item
  // has to be written.
  char* Insert(uint32_t tag, uint32_t flags, size_t bytes);
  void Remove(uint32_t index);
  // Makes the item at `index` shorter by so many bytes at its end.
  void Shorten(uint32_t index, uint32_t flags, size_t by);

  uint32_t* slots() { return reinterpret_cast<uint32_t*>(this + 1); }
  const uint32_t* slots() const { return reinterpret_cast<const uint32_t*>(this + 1); }
  uint32_t tag(uint32_t index) const { return slots()[index] >> 16; }
  uint32_t flags(uint32_t index) const { return slots()[index] & kFlagMask; }
  char* item(uint32_t index) {
    return reinterpret_cast<char*>(this) + (slots()[index] & kOffsetMask);
  }
  const char* item(uint32_t index) const {
    return reinterpret_cast<const char*>(this) + (slots()[index] & kOffsetMask);
  }
  FieldView view(uint32_t index) const {
    TG_DCHECK(index < count);
    return FieldView(item(index), flags(index), values);
  }

  size_t free_bytes() const {
    return capacity - sizeof(FieldPage) - count * kSlotBytes - item_bytes;
  }
  bool HasRoom(size_t bytes) const { return free_bytes() >= bytes + kSlotBytes; }
  // Bytes that the page would need without garbage.
  size_t live_bytes() const {
    return sizeof(FieldPage) + count * kSlotBytes + item_bytes - garbage_bytes;
  }

 private:
  // Adds a copy of an item behind the last slot.
  void Append(uint32_t tag, uint32_t flags, const char* bytes, size_t size);
  static bool IsField(const char* item, uint32_t flags, FieldValues values, std::string_view field);
  static int FindFar(const FieldPage* page, uint32_t count, FieldValues values, uint32_t tag,
                     std::string_view field);
};
static_assert(sizeof(FieldPage) == 24);
static_assert(sizeof(FieldPage) + kSearchSlots * FieldPage::kSlotBytes <= kFieldPageBytesMin);

}  // namespace tidegate
