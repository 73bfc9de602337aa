// ScorePage: up to 4 KiB of a large sorted set, in order. The leaf of ScoreIndex.
//
//   +--------+-----------+-----------+---  ---+- - - - - - -+------------+------------+---  ---+
//   | header | score|off | score|off | slots  |    free     | len|member | len|member |  items |
//   +--------+-----------+-----------+---  ---+- - - - - - -+------------+------------+---  ---+
//     16 B       10 B                 sorted                  in the order in which they came
//
//   item: length (1 byte below 128, else 2, high bit first), then the member; a member of more than
//   kInlineMemberBytesMax has the marker 0xffff, an address and a length of 8 bytes each.
//
// Why the scores are in the slots and not with the members: at two million elements every page is a
// cache miss, and so is every item that a binary search looks at. This way the search of a score
// stays within the slots, whose lines can be fetched together beforehand, and a member is looked at
// only when scores are equal. Why offsets count from the end of the page: a page that grows is two
// copies. What is erased leaves its item behind until the page is next rebuilt.
//
// Members over 1 KiB live in an allocation of their own, which the page owns, so that no page is
// larger than kBytesMax and every page has room for three elements at least.
//
// Invariants: slots ascend by (score, member); scores are never NaN; header + slots + heap_bytes <=
// capacity. Owner: the ScoreIndex. Views of members are valid until the page changes. Cost: per
// element 11 bytes beyond the member; a search is about three cache misses. Source: slotted pages,
// as in Gray and Reuter, "Transaction Processing", 1992, 14.2.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/value/page_tree.h"

namespace tidegate {

// A place in the order of a sorted set: at a member of a score, or before or behind all of them.
struct ScoreTarget {
  enum class Side : int8_t { kBeforeAll, kAtMember, kAfterAll };
  double score = 0;
  std::string_view member;
  Side side = Side::kAtMember;
};

class ScorePage final {
 public:
  static constexpr size_t kBytesMax = (4_KiB).count;
  static constexpr size_t kInlineMemberBytesMax = (1_KiB).count;

  // An empty page that takes so many bytes; at most kBytesMax.
  static ScorePage* Create(size_t capacity_bytes);
  // With the long members it owns, or without because they have moved to another page.
  static void Destroy(ScorePage* page);
  static void DestroyEmptied(ScorePage* page);
  // A deep copy, with its epoch.
  ScorePage* Clone() const;

  ScorePage(const ScorePage&) = delete;
  ScorePage& operator=(const ScorePage&) = delete;

  uint32_t epoch() const { return epoch_; }
  void set_epoch(uint32_t epoch) { epoch_ = epoch; }
  uint32_t count() const { return count_; }
  size_t capacity_bytes() const { return capacity_; }
  // What a page without any gap would take.
  size_t live_bytes() const { return used_bytes() - dead_bytes_; }
  size_t dead_bytes() const { return dead_bytes_; }
  bool HasRoom(size_t bytes) const { return used_bytes() + bytes <= capacity_; }

  // Bytes that an element takes in a page, and outside of it.
  static size_t BytesFor(std::string_view member);
  static size_t OutsideBytesFor(std::string_view member);
  // The bytes that a page ought to have to hold so many: a size that the allocator has, the next
  // one being about 1.25 times as large. More than kBytesMax when it does not fit into a page.
  static size_t CapacityFor(size_t bytes);
  // Long members' memory.
  size_t outside_bytes() const;

  double score(uint32_t i) const {
    double score;
    std::memcpy(&score, Slot(i), sizeof(score));
    return score;
  }
  std::string_view member(uint32_t i) const;
  // Of the first element.
  PageKey key() const { return KeyFor(score(0), member(0)); }
  // Ascends with (score, member); equal for members of a score that begin alike.
  static PageKey KeyFor(double score, std::string_view member);

  // Less than 0 when element i is before the target, greater when it is behind; 0 if it is it.
  int Compare(uint32_t i, const ScoreTarget& target) const;
  // The first element that is not before the target, or count(). The search begins around `guess`.
  uint32_t LowerBound(const ScoreTarget& target, uint32_t guess) const;
  // The same for a pair that is known to be here: does not look at its member when no other has
  // that score.
  uint32_t IndexOf(const ScoreTarget& pair, uint32_t guess) const;

  // Puts an element at its place; there must be room.
  void Insert(uint32_t at, double score, std::string_view member);
  // Takes `n` elements out.
  void Erase(uint32_t at, uint32_t n);
  // Gives an element another score and index; those in between move by one.
  void Move(uint32_t from, uint32_t to, double score);
  // Adds elements [begin, end) of another page behind the last one; long members are then owned by
  // this page.
  void Append(const ScorePage& from, uint32_t begin, uint32_t end);

  // Asks for the header and for a range of slots of a page that may be in no cache.
  static void Prefetch(const void* page, uint64_t begin_index, uint64_t end_index);

  // For tests: ends the process when the page is not in order.
  void Check() const;

 private:
  static constexpr size_t kSlotBytes = sizeof(double) + sizeof(uint16_t);

  struct Item {
    std::string_view member;
    uint32_t bytes;  // of the item
    bool outside;
  };

  explicit ScorePage(size_t capacity_bytes) : capacity_(static_cast<uint16_t>(capacity_bytes)) {}
  ~ScorePage() = default;

  size_t used_bytes() const { return sizeof(ScorePage) + count_ * kSlotBytes + heap_bytes_; }
  const char* begin() const { return reinterpret_cast<const char*>(this); }
  char* begin() { return reinterpret_cast<char*>(this); }
  const char* Slot(uint32_t i) const { return begin() + sizeof(ScorePage) + i * kSlotBytes; }
  char* Slot(uint32_t i) { return begin() + sizeof(ScorePage) + i * kSlotBytes; }
  // Address of the item, as its distance from the end of the page.
  uint16_t Offset(uint32_t i) const {
    uint16_t offset;
    std::memcpy(&offset, Slot(i) + sizeof(double), sizeof(offset));
    return offset;
  }
  void SetSlot(uint32_t i, double score, uint16_t offset) {
    std::memcpy(Slot(i), &score, sizeof(score));
    std::memcpy(Slot(i) + sizeof(score), &offset, sizeof(offset));
  }
  const char* ItemAddress(uint32_t i) const { return begin() + capacity_ - Offset(i); }
  Item Decode(uint32_t i) const;
  char* NewItem(size_t bytes);
  // The first element whose score is not less, found from a guess.
  uint32_t FirstNotLess(double score, uint32_t guess) const;
  // Elements [first, last) whose score is this.
  struct Range {
    uint32_t first;
    uint32_t last;
  };
  Range EqualScores(double score, uint32_t guess) const;
  uint32_t LowerBoundByMember(Range range, std::string_view member) const;

  uint32_t epoch_ = 0;
  uint16_t count_ = 0;
  uint16_t heap_bytes_ = 0;  // of items at the end, gaps included
  uint16_t dead_bytes_ = 0;  // gaps
  uint16_t outside_ = 0;     // long members
  uint16_t capacity_;
  [[maybe_unused]] uint16_t reserved_ = 0;
};
static_assert(sizeof(ScorePage) == 16);

}  // namespace tidegate
