// FieldTable: what checkpoints see of it.
#include "storage/value/field_table.h"

namespace tidegate {
namespace {

// The last hash of a page around `hash`.
uint64_t LastOf(uint64_t hash, uint32_t depth) { return NextPrefix(hash, depth) - 1; }

bool IsOf(const FieldPage* page, uint32_t epoch_min) {
  for (; page != nullptr; page = page->next) {
    if (page->epoch >= epoch_min) return true;
  }
  return false;
}

}  // namespace

void FieldTable::ForEachUnsaved(const StretchVisitor& visit) const {
  uint64_t hash = 0;
  do {
    const FieldPage* page = FindPage(root_, hash).ref.page();
    const uint64_t last = LastOf(hash, page->depth);
    if (IsOf(page, saved_below_)) visit(hash, last);
    hash = last + 1;
  } while (hash != 0);
}

void FieldTable::VisitStretch(uint64_t first, uint64_t last, const Visitor& visit) const {
  const auto is_within = [&](const FieldView& field) {
    const uint64_t hash = field.large() != nullptr ? field.large()->hash : hash_(field.field());
    return first <= hash && hash <= last;
  };
  uint64_t hash = first;
  uint64_t page_last = 0;
  do {
    const FieldPage* page = FindPage(root_, hash).ref.page();
    page_last = LastOf(hash, page->depth);
    // Pages begin at multiples of their width.
    const bool whole = hash << page->depth == 0 && page_last <= last;
    for (; page != nullptr; page = page->next) {
      for (uint32_t i = 0; i < page->count; ++i) {
        const FieldView field = page->view(i);
        if (whole || is_within(field)) visit(field);
      }
    }
    hash = page_last + 1;
  } while (hash != 0 && page_last < last);
}

}  // namespace tidegate
