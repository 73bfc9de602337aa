// FieldTable: pages that grow, split, merge, shrink and go.
#include <algorithm>

#include "storage/breathe.h"
#include "storage/memory/memory.h"
#include "storage/value/field_table.h"

namespace tidegate {
namespace {

// A page of which less than 5/8 is used is made smaller; two that hold no more than 5/8 of the
// smallest split size together become one. Between that and a split lies enough to erase or insert,
// so that nobody goes to and fro.
constexpr size_t kSplitBytesMin = 3072;
constexpr size_t kMergedBytesMax = kSplitBytesMin / 8 * 5;
constexpr size_t kMergeBelow = kMergedBytesMax / 2 + sizeof(FieldPage);
// Garbage that is worth a compaction: else the page grows. Less, and full pages would be copied at
// every change.
bool WorthCompacting(const FieldPage& page) { return page.garbage_bytes >= page.capacity / 16; }
bool IsLoose(const FieldPage& page) {
  return page.capacity > kFieldPageBytesMin && page.live_bytes() < page.capacity / 8u * 5;
}

// At which size a page splits: different ones, because pages are filled evenly and would otherwise
// all split at the same time.
size_t SplitBytes(uint64_t hash, uint32_t depth) {
  constexpr size_t kSplitBytes[] = {kSplitBytesMin, 4096};
  const uint64_t prefix = depth == 0 ? 0 : hash >> (64 - depth);
  const uint64_t mixed = ((prefix << 6) + depth + 1) * 0x9e3779b97f4a7c15u;
  return kSplitBytes[(mixed >> 32) * std::size(kSplitBytes) >> 32];
}

size_t RoundedBytes(const FieldPage& page) { return MemoryRoundUp(page.capacity); }

}  // namespace

FieldPage* FieldTable::Adopted(FieldPage* page) {
  allocated_bytes_ += RoundedBytes(*page);
  page->epoch = epoch_;
  return page;
}

void FieldTable::Discard(FieldPage* page) {
  allocated_bytes_ -= RoundedBytes(*page);
  FieldPage::Free(page);
}

FieldPage* FieldTable::Resized(FieldPage* page, size_t capacity) {
  FieldPage* fresh = Adopted(page->Rewrite(capacity));
  Discard(page);
  return fresh;
}

// Counts a new field in and returns where its item has to be written.
char* FieldTable::MakeRoom(uint64_t hash, uint32_t flags, size_t bytes) {
  for (;;) {
    const PagePath path = FindPath(root_, hash);
    const bool deepest = path.depth == kPageDepthMax;
    FieldPage* page = deepest ? RoomInChain(path, bytes) : path.page();
    if (__builtin_expect(page->HasRoom(bytes), 1)) {
      char* item = page->Insert(FieldPage::TagOf(hash, path.depth), flags, bytes);
      page->epoch = epoch_;
      ++size_;
      path.Set(PageRef::Page(path.page(), path.ref().bits()));
      path.Gained();
      return item;
    }
    GrowOrSplit(path, hash, bytes);
  }
}

// One step towards room for an item: a compaction, the next size, or a split.
void FieldTable::GrowOrSplit(const PagePath& path, uint64_t hash, size_t bytes) {
  FieldPage* page = path.page();
  const size_t need = page->live_bytes() + FieldPage::kSlotBytes + bytes;
  size_t capacity = page->capacity;
  if (need > capacity || !WorthCompacting(*page)) {
    capacity = std::max(need, capacity + 1);
    if (capacity > SplitBytes(hash, path.depth)) return Split(hash);
  }
  FieldPage* fresh = Resized(page, FieldPage::SizeFor(capacity));
  path.Set(PageRef::Page(fresh, path.ref().bits()));
}

// Divides a page in two by the hash bit behind its prefix.
void FieldTable::Split(uint64_t hash) {
  PagePath path = FindPath(root_, hash);
  TG_DCHECK(path.depth < kPageDepthMax);
  if (path.span == 1) {
    allocated_bytes_ += static_cast<size_t>(MakeBit(path));
    path = FindPath(root_, hash);
  }
  FieldPage* old = path.page();
  const uint32_t bits = path.ref().bits() + 1;
  FieldPage* halves[2];
  old->Split(hash_, halves);
  const uint32_t span = path.span / 2;
  for (uint32_t half = 0; half < 2; ++half) {
    const PageRef ref = PageRef::Page(Adopted(halves[half]), bits);
    std::fill_n(path.first + half * span, span, ref);
    path.last_node()->node()->Raise(ref.density());
  }
  Discard(old);
  Breathe();
}

// Of the pages chained under the longest prefix one that has room for an item.
FieldPage* FieldTable::RoomInChain(const PagePath& path, size_t bytes) {
  FieldPage* const head = path.page();
  const uint32_t bits = path.ref().bits();
  FieldPage* previous = nullptr;
  for (FieldPage* page = head; page != nullptr; previous = page, page = page->next) {
    if (page->HasRoom(bytes)) return page;
    const size_t need = page->live_bytes() + FieldPage::kSlotBytes + bytes;
    if (need > kFieldPageBytesMax) continue;
    const size_t more = page->capacity < kFieldPageBytesMax && !WorthCompacting(*page) ? 1 : 0;
    FieldPage* fresh = Resized(page, FieldPage::SizeFor(std::max(need, page->capacity + more)));
    if (previous != nullptr) {
      previous->next = fresh;
    } else {
      path.Set(PageRef::Page(fresh, bits));
    }
    return fresh;
  }
  const size_t capacity = FieldPage::SizeFor(sizeof(FieldPage) + FieldPage::kSlotBytes + bytes);
  FieldPage* fresh = Adopted(FieldPage::Create(capacity, path.depth, values_, epoch_));
  fresh->next = head->next;
  head->next = fresh;
  path.Set(PageRef::Page(head, bits));
  return fresh;
}

// Takes the field out of the table, but does not free what it may have outside of its page.
void FieldTable::EraseSlot(const PagePath& path, Spot spot) {
  if ((spot.page->flags(spot.index) & field_item::kExpires) != 0) UncountExpiry();
  spot.page->Remove(spot.index);
  spot.page->epoch = epoch_;
  --size_;
  path.Set(PageRef::Page(path.page(), path.ref().bits()));
  path.Lost();
}

// After `page`, which holds or held that hash, has got emptier.
void FieldTable::Tidy(uint64_t hash, const FieldPage& page) {
  const bool small = page.live_bytes() <= kMergeBelow;
  if (!small && !IsLoose(page)) return;
  if (page.depth == kPageDepthMax) TidyChain(FindPath(root_, hash));
  size_t moved = 0;
  while (small && moved < kFieldPageBytesMax && TryMerge(hash, moved)) {
  }
  const PagePath path = FindPath(root_, hash);
  FieldPage* head = path.page();
  if (!IsLoose(*head)) return;
  const size_t live = head->live_bytes();
  const size_t capacity = FieldPage::SizeFor(live + live / 8);
  if (capacity >= head->capacity) return;
  path.Set(PageRef::Page(Resized(head, capacity), path.ref().bits()));
}

// Removes the empty pages of a chain.
void FieldTable::TidyChain(const PagePath& path) {
  FieldPage* head = path.page();
  while (head->count == 0 && head->next != nullptr) {
    FieldPage* empty = head;
    head = head->next;
    head->epoch = epoch_;
    Discard(empty);
  }
  for (FieldPage* page = head; page->next != nullptr;) {
    FieldPage* next = page->next;
    if (next->count != 0) {
      page = next;
      continue;
    }
    page->next = next->next;
    head->epoch = epoch_;
    Discard(next);
  }
  path.Set(PageRef::Page(head, path.ref().bits()));
}

// Makes one page of the page of this hash and the one that it was split from.
bool FieldTable::TryMerge(uint64_t hash, size_t& moved) {
  const PagePath path = FindPath(root_, hash);
  if (path.levels == 0 || path.ref().chained()) return false;
  PageRef* entries = path.last_node()->node()->entries();
  const auto index = static_cast<uint32_t>(path.first - entries);
  const uint32_t bits = path.ref().bits();
  const PageRef buddy = entries[index ^ path.span];
  if (buddy.is_node() || buddy.bits() != bits || buddy.chained()) return false;
  const size_t combined = path.page()->live_bytes() + buddy.page()->live_bytes();
  if (combined > kMergedBytesMax) return false;
  const uint32_t low = index & ~path.span;
  FieldPage* halves[] = {entries[low].page(), entries[low + path.span].page()};
  FieldPage* merged = Adopted(FieldPage::Merge(*halves[0], *halves[1]));
  std::fill_n(entries + low, 2 * path.span, PageRef::Page(merged, bits - 1));
  for (FieldPage* half : halves) Discard(half);
  allocated_bytes_ += static_cast<size_t>(DropBits(path));
  moved += combined;
  return true;
}

FieldTable* FieldTable::Clone() const {
  FieldTable* copy = Create(values_, hash_);
  copy->Discard(copy->root_.page());
  copy->allocated_bytes_ = allocated_bytes_;
  copy->size_ = size_;
  copy->expires_ = expires_;
  copy->earliest_expiry_ms_ = earliest_expiry_ms_;
  copy->epoch_ = epoch_;  // and no object
  copy->root_ = copy->CloneRef(root_);
  return copy;
}

PageRef FieldTable::CloneRef(PageRef ref) {
  const uint32_t bits = ref.bits();
  if (!ref.is_node()) return PageRef::Page(ClonePage(*ref.page()), bits);
  FieldNode* node = FieldNode::Create(bits);
  *node = *ref.node();
  for (uint32_t i = 0; i < 1u << bits;) {
    const PageRef child = ref.node()->entries()[i];
    const uint32_t span = child.is_node() ? 1 : 1u << (bits - child.bits());
    std::fill_n(node->entries() + i, span, CloneRef(child));
    i += span;
  }
  return PageRef::Node(node, bits);
}

// Copies a page with those chained to it. Their memory is accounted for already, but large fields
// may take less than the originals.
FieldPage* FieldTable::ClonePage(const FieldPage& page) {
  Breathe();
  auto* copy = static_cast<FieldPage*>(MemoryAllocate(page.capacity));
  std::memcpy(static_cast<void*>(copy), &page, page.capacity);
  for (uint32_t i = 0; i < copy->count; ++i) {
    if ((copy->flags(i) & field_item::kLarge) == 0) continue;
    const auto* original = field_item::Load<const LargeField*>(copy->item(i));
    LargeField* large = original->Clone();
    allocated_bytes_ += large->allocated_bytes() - original->allocated_bytes();
    field_item::Store(copy->item(i), large);
  }
  if (page.next != nullptr) copy->next = ClonePage(*page.next);
  return copy;
}

void FieldTable::Destroy(FieldTable* table) {
  if (table != nullptr) (void)FreeSome(table, std::numeric_limits<size_t>::max());
}

uint64_t FieldTable::CompactSome(uint64_t from_hash, size_t pages_max) {
  if (size_ == 0) return 0;
  uint64_t hash = from_hash;
  do {
    const PagePath path = FindPath(root_, hash);
    FieldPage* page = path.page();
    if (MemoryIsSparse(page, page->capacity)) {
      page = static_cast<FieldPage*>(MemoryMove(page, page->capacity));
      path.Set(PageRef::Page(page, path.ref().bits()));
    }
    for (; page->next != nullptr; page = page->next) {
      if (MemoryIsSparse(page->next, page->next->capacity))
        page->next = static_cast<FieldPage*>(MemoryMove(page->next, page->next->capacity));
    }
    hash = NextPrefix(hash, path.depth);
  } while (hash != 0 && --pages_max > 0);
  return hash;
}

bool FieldTable::FreeSome(FieldTable* table, size_t allocations) {
  table->freeing_ = true;
  for (size_t freed = 0; freed < allocations;) {
    Breathe();
    // In the order of the hash; what was freed is not looked at any more.
    const PagePath path = FindPath(table->root_, table->freed_to_);
    for (FieldPage* page = path.page(); page != nullptr;) {
      for (uint32_t i = 0; i < page->count; ++i) {
        if ((page->flags(i) & field_item::kLarge) == 0) continue;
        auto* large = field_item::Load<LargeField*>(page->item(i));
        freed += 1 + (large->value != nullptr ? large->value->chunk_count() : 0);
        LargeField::Destroy(large);
      }
      FieldPage* next = page->next;
      FieldPage::Free(page);
      page = next;
      ++freed;
    }
    table->freed_to_ = NextPrefix(table->freed_to_, path.depth);
    // Nodes of which this was the last page.
    for (uint32_t level = path.levels; level-- > 0;) {
      if ((table->freed_to_ << (level * kNodeBitsMax)) != 0) break;
      FieldNode::Free(path.nodes[level]->node(), path.nodes[level]->bits());
      ++freed;
    }
    if (table->freed_to_ == 0) {
      table->~FieldTable();
      MemoryFree(table, sizeof(FieldTable));
      return true;
    }
  }
  return false;
}

}  // namespace tidegate
