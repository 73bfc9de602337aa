#include "storage/value/paged_list.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "storage/breathe.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Neighbours that fill less than this part of a page together are merged. Half of it, so that a
// page that was just merged is not split by the next insertion.
constexpr size_t kMergedPart = 2;

}  // namespace

PagedList* PagedList::Create(ListpackView elements, const Limits& limits, uint32_t epoch) {
  auto* list = new (MemoryAllocate(sizeof(PagedList))) PagedList(epoch);
  const size_t count = elements.count();
  if (count == 0) return list;
  if (elements.bytes().size() <= limits.page_bytes_max && count <= limits.page_entries_max) {
    list->tree_.Append({list->NewPage(elements.bytes()), count, {}});
    return list;
  }
  for (size_t at = elements.First(); at != elements.End(); at = elements.Next(at))
    list->Push(ListEnd::kTail, elements.Get(at), limits);
  return list;
}

bool PagedList::FreeSome(PagedList* list, size_t pages) {
  const bool gone = list->tree_.FreeSome(
      pages, [](void* page) { PackedBlock::Destroy(static_cast<PackedBlock*>(page)); });
  if (!gone) return false;
  list->~PagedList();
  MemoryFree(list, sizeof(PagedList));
  return true;
}

PagedList* PagedList::Clone() const {
  auto* copy = new (MemoryAllocate(sizeof(PagedList))) PagedList(epoch_);
  copy->tree_ = tree_.Clone([&](const void* page) -> void* {
    PackedBlock* clone = static_cast<const PackedBlock*>(page)->Clone();
    copy->page_bytes_ += clone->allocated_bytes();
    return clone;
  });
  return copy;
}

PackedBlock* PagedList::NewPage(std::string_view listpack) {
  PackedBlock* page = PackedBlock::Create(listpack, epoch_);
  page_bytes_ += page->allocated_bytes();
  return page;
}

bool PagedList::HasRoom(const PageTree::Path& path, size_t bytes, const Limits& limits) const {
  return PageOf(path)->size() + bytes <= limits.page_bytes_max &&
         tree_.CountOf(path) < limits.page_entries_max;
}

bool PagedList::IsTooLarge(const PageTree::Path& path, const Limits& limits) const {
  const uint64_t count = tree_.CountOf(path);
  return count > 1 &&
         (PageOf(path)->size() > limits.page_bytes_max || count > limits.page_entries_max);
}

// Changes one page. The counts are the caller's to follow.
template <typename Fn>
void PagedList::Edit(PageTree::Path& path, Fn&& fn) {
  PackedBlock* page = PageOf(path);
  const size_t before = page->allocated_bytes();
  PackedBlockBuffer buffer(page, epoch_);
  Listpack listpack(buffer);
  fn(listpack);
  page_bytes_ += page->allocated_bytes() - before;
  if (page != path.page()) tree_.SetPage(path, page);
}

void PagedList::RemovePage(const PageTree::Path& path) {
  PackedBlock* page = PageOf(path);
  page_bytes_ -= page->allocated_bytes();
  tree_.Remove(path);
  PackedBlock::Destroy(page);
}

void PagedList::Push(ListEnd end, const ListpackValue& value, const Limits& limits) {
  PageTree::Path path = end == ListEnd::kTail ? tree_.Last() : tree_.First();
  if (path.valid() && HasRoom(path, Listpack::EncodedSize(value), limits)) {
    Edit(path,
         [&](Listpack& page) { end == ListEnd::kTail ? page.Append(value) : page.Prepend(value); });
    tree_.AddCount(path, 1);
    return;
  }
  PackedBlock* page = nullptr;
  PackedBlockBuffer buffer(page, epoch_);
  Listpack(buffer).Create({&value, 1});
  page_bytes_ += page->allocated_bytes();
  if (end == ListEnd::kTail) {
    tree_.InsertAfter(path, {page, 1, {}});
  } else {
    tree_.InsertBefore(path, {page, 1, {}});
  }
}

void PagedList::Set(uint64_t index, const ListpackValue& value, const Limits& limits) {
  PageTree::Place place = tree_.FindByRank(index);
  const size_t at = ViewOf(place.path).Seek(static_cast<int64_t>(place.offset));
  Edit(place.path, [&](Listpack& page) { page.Replace(at, value); });
  SplitUntilItFits(place.path, limits);
}

void PagedList::InsertBefore(uint64_t index, const ListpackValue& value, const Limits& limits) {
  PageTree::Place place = tree_.FindByRank(index);
  const size_t at = ViewOf(place.path).Seek(static_cast<int64_t>(place.offset));
  Edit(place.path, [&](Listpack& page) { page.Insert(at, value); });
  tree_.AddCount(place.path, 1);
  SplitUntilItFits(place.path, limits);
}

// Halves the page until it fits, by bytes, so that a large element between small ones ends up in a
// page of its own.
void PagedList::SplitUntilItFits(PageTree::Path path, const Limits& limits) {
  while (IsTooLarge(path, limits)) {
    const ListpackView page = ViewOf(path);
    const size_t half = page.bytes().size() / 2;
    size_t middle = page.Next(page.First());
    uint64_t in_front = 1;
    for (const size_t last = page.Last(); middle < half && middle != last; ++in_front)
      middle = page.Next(middle);
    const uint64_t behind = tree_.CountOf(path) - in_front;

    PackedBlock* right = nullptr;
    PackedBlockBuffer buffer(right, epoch_);
    Listpack listpack(buffer);
    listpack.Create();
    listpack.InsertEncoded(ListpackView::kHeaderBytes, page.Encoded(middle, page.End()), behind);
    page_bytes_ += right->allocated_bytes();
    Edit(path, [&](Listpack& left) { left.Erase(middle, behind); });
    tree_.AddCount(path, -static_cast<int64_t>(behind));
    tree_.InsertAfter(path, {right, behind, {}});
    if (!IsTooLarge(path, limits)) tree_.Previous(path);
  }
}

void PagedList::Erase(uint64_t from, uint64_t n, const Limits& limits) {
  TG_DCHECK(from + n <= size());
  while (n > 0) {
    PageTree::Place place = tree_.FindByRank(from);
    const uint64_t count = tree_.CountOf(place.path);
    const uint64_t erased = std::min(n, count - place.offset);
    if (erased == count) {
      RemovePage(place.path);
    } else {
      const size_t at = ViewOf(place.path).Seek(static_cast<int64_t>(place.offset));
      Edit(place.path, [&](Listpack& page) { page.Erase(at, erased); });
      tree_.AddCount(place.path, -static_cast<int64_t>(erased));
    }
    n -= erased;
  }
  // At the ends a page shrinks away by itself.
  if (from > 0 && from < size()) MergeIfSmall(from - 1, limits);
}

uint64_t PagedList::EraseMatchesInPage(PageTree::Path& path, const ListMatcher& match, ListEnd from,
                                       uint64_t max) {
  uint64_t erased = 0;
  const bool forward = from == ListEnd::kHead;
  ListpackView page = ViewOf(path);
  size_t at = forward ? page.First() : page.Last();
  while (at != page.End() && erased < max) {
    if (!match(page.Get(at))) {
      at = forward ? page.Next(at) : page.Prev(at);
      continue;
    }
    Edit(path, [&](Listpack& listpack) { listpack.Erase(at); });
    page = ViewOf(path);
    ++erased;
    // What was behind it is here now; what is in front of it comes next on the way to the head.
    if (!forward) at = page.Prev(at);
  }
  if (erased > 0) tree_.AddCount(path, -static_cast<int64_t>(erased));
  return erased;
}

uint64_t PagedList::EraseMatches(const ListMatcher& match, ListEnd from, uint64_t max,
                                 const Limits& limits) {
  const bool forward = from == ListEnd::kHead;
  uint64_t erased = 0;
  // Elements that lie behind us, on the side we come from.
  uint64_t passed = 0;
  while (passed < size() && erased < max) {
    Breathe();
    PageTree::Place place = tree_.FindByRank(forward ? passed : size() - 1 - passed);
    const uint64_t found = EraseMatchesInPage(place.path, match, from, max - erased);
    erased += found;
    const uint64_t left = tree_.CountOf(place.path);
    passed += left;
    if (found == 0) continue;
    if (left == 0) {
      RemovePage(place.path);
    } else if (forward) {
      if (passed > left) MergeIfSmall(passed - left - 1, limits);
    } else {
      MergeIfSmall(size() - passed, limits);
    }
  }
  return erased;
}

// Puts the page behind that of this element to its end, when both are small.
void PagedList::MergeIfSmall(uint64_t rank, const Limits& limits) {
  PageTree::Path left = tree_.FindByRank(rank).path;
  PageTree::Path right = left;
  if (!tree_.Next(right)) return;
  const uint64_t moved = tree_.CountOf(right);
  if (PageOf(left)->size() + PageOf(right)->size() > limits.page_bytes_max / kMergedPart ||
      tree_.CountOf(left) + moved > limits.page_entries_max) {
    return;
  }
  Edit(left, [&](Listpack& page) {
    const ListpackView from = ViewOf(right);
    page.InsertEncoded(page.view().End(), from.Encoded(from.First(), from.End()), moved);
  });
  tree_.AddCount(left, static_cast<int64_t>(moved));
  tree_.AddCount(right, -static_cast<int64_t>(moved));
  RemovePage(right);
}

void PagedList::Check() const {
  size_t bytes = 0;
  tree_.Check([&](void* memory) -> PageTree::Leaf {
    const auto* page = static_cast<const PackedBlock*>(memory);
    TG_CHECK(ListpackView::Validate(page->bytes(), /*deep=*/true));
    const size_t count = ListpackView(page->bytes()).count();
    TG_CHECK(count > 0);
    bytes += page->allocated_bytes();
    return {memory, count, {}};
  });
  TG_CHECK(bytes == page_bytes_);
}

}  // namespace tidegate
