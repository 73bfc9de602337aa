// PagedList: a large list, held in pages of at most 16 KiB.
//
//             PageTree, by number of elements
//           .--------------+--------------.
//       [listpack]  …  [listpack]  …  [listpack]      each a PackedBlock with its own epoch
//
// Why pages under a counted tree and not a chain of nodes (Redis's quicklist): an index is found in
// logarithmic time from wherever, so LINDEX, LSET, LINSERT and LRANGE in the middle of a list of
// millions cost what they cost at its ends; and no page knows its neighbours, so that a page can be
// copied for a cut or replaced without touching another. Pushing and popping at an end edits the
// page there and the counts on the way to it.
//
// Pages fill up to the limits that the caller gives (list-max-listpack-size). One that an insertion
// makes too large is split in halves; neighbours that have become small are merged. An element that
// is larger than a page has a page of its own. Invariants: no page is empty; views of elements are
// valid until the next change. Owner: the slot of the key. Cost: about 45 bytes a page beyond its
// listpack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "storage/value/listpack.h"
#include "storage/value/packed_block.h"
#include "storage/value/page_tree.h"

namespace tidegate {

enum class ListEnd : uint8_t { kHead, kTail };

// Looks for an element as a client named it, whichever way it is encoded.
class ListMatcher final {
 public:
  explicit ListMatcher(std::string_view text) : value_(ListpackValue::Of(text)), text_(text) {}
  bool operator()(const ListpackValue& other) const {
    if (!other.is_integer()) return other.text() == text_;
    return value_.is_integer() && value_.integer() == other.integer();
  }

 private:
  const ListpackValue value_;
  const std::string_view text_;
};

class PagedList final {
 public:
  static constexpr size_t kPageBytesMax = (16_KiB).count;

  // How far a page is filled.
  struct Limits {
    size_t page_bytes_max = kPageBytesMax;
    uint64_t page_entries_max = UINT64_MAX;
  };

  // A list of a listpack's elements; it may be empty.
  static PagedList* Create(ListpackView elements, const Limits& limits, uint32_t epoch);
  static void Destroy(PagedList* list) { (void)FreeSome(list, SIZE_MAX); }
  // Frees about so many pages; true when the list is gone.
  static bool FreeSome(PagedList* list, size_t pages);
  PagedList* Clone() const;

  PagedList(const PagedList&) = delete;
  PagedList& operator=(const PagedList&) = delete;

  uint64_t size() const { return tree_.element_count(); }
  uint64_t page_count() const { return tree_.page_count(); }
  size_t allocated_bytes() const {
    return sizeof(PagedList) + page_bytes_ + tree_.allocated_bytes();
  }
  // The listpack of a list of one page.
  ListpackView only_page() const { return ViewOf(tree_.First()); }

  // For cuts. Changes from now on are of this epoch.
  void set_epoch(uint32_t epoch) { epoch_ = epoch; }

  // Calls fn(ListpackValue) for the elements from this index on, towards the tail or the head,
  // until it returns false.
  template <typename Fn>
  void Visit(uint64_t from, Fn&& fn) const;
  template <typename Fn>
  void VisitBackward(uint64_t from, Fn&& fn) const;

  // Values must not borrow from this list.
  void Push(ListEnd end, const ListpackValue& value, const Limits& limits);
  void Set(uint64_t index, const ListpackValue& value, const Limits& limits);
  void InsertBefore(uint64_t index, const ListpackValue& value, const Limits& limits);
  // Takes out `n` elements, which must be there.
  void Erase(uint64_t from, uint64_t n, const Limits& limits);
  // Takes out up to `max` elements that match, looking from one end; returns how many.
  uint64_t EraseMatches(const ListMatcher& match, ListEnd from, uint64_t max, const Limits& limits);

  // Calls fn(std::string_view listpack) for each page in order.
  template <typename Fn>
  void ForEachPage(Fn&& fn) const {
    for (PageTree::Path path = tree_.First(); path.valid();) {
      fn(PageOf(path)->bytes());
      if (!tree_.Next(path)) return;
    }
  }

  // For tests: ends the process when an invariant is broken.
  void Check() const;

 private:
  explicit PagedList(uint32_t epoch) : epoch_(epoch) {}
  ~PagedList() = default;

  static PackedBlock* PageOf(const PageTree::Path& path) {
    return static_cast<PackedBlock*>(path.page());
  }
  static ListpackView ViewOf(const PageTree::Path& path) {
    return ListpackView(PageOf(path)->bytes());
  }
  bool HasRoom(const PageTree::Path& path, size_t bytes, const Limits& limits) const;
  bool IsTooLarge(const PageTree::Path& path, const Limits& limits) const;
  PackedBlock* NewPage(std::string_view listpack);
  template <typename Fn>
  void Edit(PageTree::Path& path, Fn&& fn);
  void RemovePage(const PageTree::Path& path);
  void SplitUntilItFits(PageTree::Path path, const Limits& limits);
  uint64_t EraseMatchesInPage(PageTree::Path& path, const ListMatcher& match, ListEnd from,
                              uint64_t max);
  void MergeIfSmall(uint64_t rank, const Limits& limits);

  PageTree tree_;
  size_t page_bytes_ = 0;
  uint32_t epoch_;
};

template <typename Fn>
void PagedList::Visit(uint64_t from, Fn&& fn) const {
  if (from >= size()) return;
  PageTree::Place place = tree_.FindByRank(from);
  ListpackView page = ViewOf(place.path);
  size_t at = page.Seek(static_cast<int64_t>(place.offset));
  for (;;) {
    for (; at != page.End(); at = page.Next(at)) {
      if (!fn(page.Get(at))) return;
    }
    if (!tree_.Next(place.path)) return;
    page = ViewOf(place.path);
    at = page.First();
  }
}

template <typename Fn>
void PagedList::VisitBackward(uint64_t from, Fn&& fn) const {
  if (from >= size()) return;
  PageTree::Place place = tree_.FindByRank(from);
  ListpackView page = ViewOf(place.path);
  size_t at = page.Seek(static_cast<int64_t>(place.offset));
  for (;;) {
    for (; at != page.End(); at = page.Prev(at)) {
      if (!fn(page.Get(at))) return;
    }
    if (!tree_.Previous(place.path)) return;
    page = ViewOf(place.path);
    at = page.Last();
  }
}

}  // namespace tidegate
