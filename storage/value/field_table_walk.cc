// FieldTable: SCAN, iteration and random fields.
#include <algorithm>

#include "storage/breathe.h"
#include "storage/value/field_table.h"

namespace tidegate {
namespace {

// Pages without anything to visit that a call passes over, beyond one per field wanted.
constexpr size_t kIdlePagesMax = 16;
// The cursor is the upper 48 bits of a hash: prefix and tag of the deepest page.
constexpr uint32_t kCursorShift = 64 - kPageDepthMax - kTagBits;

// The first hash of the page around `hash` with that tag.
uint64_t PositionOf(uint64_t hash, uint32_t depth, uint32_t tag) {
  const uint64_t prefix = depth == 0 ? 0 : hash >> (64 - depth) << (64 - depth);
  return prefix | uint64_t{tag} << (64 - kTagBits) >> depth;
}

// A draw is accepted with the average density over the greatest one: after removals in the order of
// SCAN, that may be 1/512. Beyond so many draws the entries are summed up instead.
constexpr int kDrawsMax = 16;

// High half of the product: a number below `below`, each with the same probability.
uint64_t Below(uint64_t below, uint64_t random) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(random) * below >> 64);
}

// A child of the node, each with a probability in proportion to its fields.
PageRef RandomChild(PageRef ref, const std::function<uint64_t()>& random) {
  FieldNode* node = ref.node();
  for (int draw = 0; draw < kDrawsMax; ++draw) {
    const PageRef child = node->entries()[random() >> (64 - ref.bits())];
    if (Below(node->bound, random()) < child.density()) return child;
  }
  uint64_t index = Below(node->count, random());
  const PageRef* child = node->entries();
  while (index >= child->total()) {
    index -= child->total();
    child += child->is_node() ? 1 : 1u << (ref.bits() - child->bits());
  }
  return *child;
}

}  // namespace

uint64_t FieldTable::Scan(uint64_t cursor, size_t count, const Visitor& visit) const {
  uint64_t position = cursor << kCursorShift;
  size_t seen = 0;
  size_t pages = 0;
  do {
    const PagePlace place = FindPage(root_, position);
    const bool chained = place.ref.chained();
    const FieldPage* const head = place.ref.page();
    for (const FieldPage* page = head; page != nullptr; page = page->next) {
      const uint32_t begin = page->LowerBound(place.tag);
      uint32_t end = page->count;
      // Enough is found in the middle: up to there, but never between equal tags.
      if (!chained && end - begin > count - seen) {
        end = begin + std::max<uint32_t>(static_cast<uint32_t>(count - seen), 1);
        while (end < page->count && page->tag(end) == page->tag(end - 1)) ++end;
      }
      for (uint32_t i = begin; i < end; ++i) visit(page->view(i));
      seen += end - begin;
      if (end < page->count)
        return PositionOf(position, page->depth, page->tag(end)) >> kCursorShift;
    }
    position = NextPrefix(position, head->depth);
    Breathe();
  } while (position != 0 && seen < count && ++pages < count + kIdlePagesMax);
  return position >> kCursorShift;
}

uint64_t FieldTable::ScanExpiring(uint64_t cursor, size_t count, const Visitor& visit) const {
  uint64_t position = cursor << kCursorShift;
  size_t seen = 0;
  size_t pages = 0;
  do {
    const FieldPage* const head = FindPage(root_, position).ref.page();
    for (const FieldPage* page = head; page != nullptr; page = page->next) {
      if (page->expires == 0) continue;
      for (uint32_t i = 0; i < page->count; ++i) {
        if ((page->flags(i) & field_item::kExpires) == 0) continue;
        visit(page->view(i));
        ++seen;
      }
    }
    position = NextPrefix(position, head->depth);
  } while (position != 0 && seen < count && ++pages < count + kIdlePagesMax);
  return position >> kCursorShift;
}

void FieldTable::Iterator::Enter(uint64_t position) {
  const PagePlace place = FindPage(root_, position);
  page_ = place.ref.page();
  from_tag_ = place.tag;
  index_ = page_->LowerBound(from_tag_);
  behind_ = NextPrefix(position, page_->depth);
}

bool FieldTable::Iterator::NextPage() {
  if (page_->next != nullptr) {
    page_ = page_->next;
    index_ = page_->LowerBound(from_tag_);
    return true;
  }
  if (behind_ == 0) {
    index_ = page_->count;
    return false;
  }
  Breathe();
  Enter(behind_);
  return true;
}

FieldView FieldTable::Random(const std::function<uint64_t()>& random) const {
  if (size_ == 0) return {};
  PageRef ref = root_;
  while (ref.is_node()) ref = RandomChild(ref, random);
  uint64_t index = Below(ref.total(), random());
  const FieldPage* page = ref.page();
  while (index >= page->count) {
    index -= page->count;
    page = page->next;
  }
  return page->view(static_cast<uint32_t>(index));
}

}  // namespace tidegate
