#include "storage/value/field_table.h"

#include <algorithm>
#include <new>

#include "base/prefetch.h"
#include "storage/memory/memory.h"

namespace tidegate {

using field_item::kExpires;
using field_item::kLarge;

FieldTable::FieldTable(FieldValues values, FieldHash hash) : hash_(hash), values_(values) {
  root_ = PageRef::Page(Adopted(FieldPage::Create(kFieldPageBytesMin, 0, values, 0)), 0);
}

FieldTable* FieldTable::Create(FieldValues values, FieldHash hash) {
  return new (MemoryAllocate(sizeof(FieldTable))) FieldTable(values, hash);
}

FieldTable* FieldTable::TakeAll() {
  FieldTable* all = Create(values_, hash_);
  all->epoch_ = epoch_;
  std::swap(root_, all->root_);
  std::swap(size_, all->size_);
  std::swap(expires_, all->expires_);
  std::swap(earliest_expiry_ms_, all->earliest_expiry_ms_);
  std::swap(allocated_bytes_, all->allocated_bytes_);
  root_.page()->epoch = epoch_;
  return all;
}

FieldView FieldTable::Find(uint64_t hash, std::string_view field) const {
  const PagePlace place = FindPage(root_, hash);
  const FieldPage* page = place.ref.page();
  uint32_t count = place.ref.count();
  for (;;) {
    const int index = FieldPage::Find(page, count, values_, place.tag, field);
    if (index >= 0) {
      const auto i = static_cast<uint32_t>(index);
      return FieldView(page->item(i), page->flags(i), values_);
    }
    if (__builtin_expect(!place.ref.chained(), 1)) return {};
    page = page->next;
    if (page == nullptr) return {};
    count = page->count;
  }
}

// For changes.
FieldTable::Spot FieldTable::Locate(uint64_t hash, std::string_view field) const {
  const PagePlace place = FindPage(root_, hash);
  FieldPage* page = place.ref.page();
  tidegate::Prefetch(page);  // the header, which is about to change
  uint32_t count = place.ref.count();
  for (;;) {
    const int index = FieldPage::Find(page, count, values_, place.tag, field);
    if (index >= 0) return {page, static_cast<uint32_t>(index)};
    if (__builtin_expect(!place.ref.chained(), 1)) return {};
    page = page->next;
    if (page == nullptr) return {};
    count = page->count;
  }
}

void FieldTable::Prefetch(uint64_t hash) const {
  const PagePlace place = FindPage(root_, hash);
  FieldPage::PrefetchSlots(place.ref.page(), place.ref.count(), place.tag);
}

void FieldTable::PrefetchItem(uint64_t hash) const {
  const PagePlace place = FindPage(root_, hash);
  FieldPage::PrefetchItems(place.ref.page(), place.ref.count(), place.tag);
}

bool FieldTable::Set(uint64_t hash, std::string_view field, std::string_view value, OnSet on_set) {
  TG_DCHECK(values_ == FieldValues::kBytes);
  return Put(hash, field, value, on_set);
}

bool FieldTable::SetNumber(uint64_t hash, std::string_view field, double number) {
  TG_DCHECK(values_ == FieldValues::kDouble);
  char bytes[sizeof number];
  field_item::Store(bytes, number);
  return Put(hash, field, {bytes, sizeof bytes}, OnSet::kKeepExpiry);
}

bool FieldTable::Add(uint64_t hash, std::string_view field) {
  TG_DCHECK(values_ == FieldValues::kNone);
  return Put(hash, field, {}, OnSet::kKeepExpiry);
}

bool FieldTable::Put(uint64_t hash, std::string_view field, std::string_view value, OnSet on_set) {
  TG_DCHECK(!freeing_);
  const Spot spot = Locate(hash, field);
  if (spot.page == nullptr) {
    Insert(hash, field, value, std::nullopt);
    return true;
  }
  if (values_ == FieldValues::kNone) return false;
  const uint16_t garbage_bytes = spot.page->garbage_bytes;
  if (OverwriteInPlace(spot, field, value, on_set)) {
    if (spot.page->garbage_bytes != garbage_bytes) Tidy(hash, *spot.page);
    return false;
  }
  const FieldView old = spot.page->view(spot.index);
  const auto expiry_ms = on_set == OnSet::kKeepExpiry ? old.expiry_ms() : std::nullopt;
  LargeField* large = old.large();
  EraseSlot(FindPath(root_, hash), spot);
  if (large != nullptr) FreeLarge(large);
  Insert(hash, field, value, expiry_ms);
  Tidy(hash, *Locate(hash, field).page);
  return false;
}

// True when the field stays where it is: its item is not longer than before.
bool FieldTable::OverwriteInPlace(Spot spot, std::string_view field, std::string_view value,
                                  OnSet on_set) {
  FieldPage& page = *spot.page;
  FieldView old = page.view(spot.index);
  const bool large = field_item::IsLarge(field.size(), value.size());
  if (large != (old.large() != nullptr)) return false;
  if (old.chunks() != nullptr) {
    ChunkedString& chunks = *old.large()->value;
    allocated_bytes_ -= chunks.allocated_bytes();
    chunks.set_epoch(epoch_);
    chunks.Assign(value);
    allocated_bytes_ += chunks.allocated_bytes();
  } else if (value.size() == old.value_size()) {
    char* at = page.item(spot.index) + (old.value_.data() - old.begin_);
    if (!value.empty()) std::memcpy(at, value.data(), value.size());
  } else {
    const size_t bytes = field_item::InlineBytes(values_, field.size(), value.size());
    const bool keep = on_set == OnSet::kKeepExpiry && old.has_expiry();
    if (bytes + (keep ? 8 : 0) > old.item_bytes()) return false;
    const auto expiry_ms = old.expiry_ms();
    char* end = field_item::WriteInline(page.item(spot.index), values_, field, value);
    if (keep) field_item::Store(end, *expiry_ms);
    if (expiry_ms && !keep) UncountExpiry();
    page.Shorten(spot.index, keep ? kExpires : 0, old.item_bytes() - bytes - (keep ? 8 : 0));
    page.epoch = epoch_;
    return true;
  }
  page.epoch = epoch_;
  if (old.has_expiry() && on_set == OnSet::kDropExpiry) DropExpiry(spot);
  return true;
}

void FieldTable::Insert(uint64_t hash, std::string_view field, std::string_view value,
                        std::optional<int64_t> expiry_ms) {
  const size_t expiry_bytes = expiry_ms ? sizeof(int64_t) : 0;
  uint32_t flags = expiry_ms ? kExpires : 0;
  char* end = nullptr;
  if (__builtin_expect(field_item::IsLarge(field.size(), value.size()), 0)) {
    flags |= kLarge;
    LargeField* large = LargeField::Create(hash, field);
    if (values_ == FieldValues::kBytes) {
      large->value = ChunkedString::Create();
      large->value->set_epoch(epoch_);
      large->value->Write(0, value);
    }
    allocated_bytes_ += large->allocated_bytes();
    end = MakeRoom(hash, flags, field_item::LargeBytes(values_) + expiry_bytes);
    field_item::Store(end, large);
    if (values_ == FieldValues::kDouble) std::memcpy(end + 8, value.data(), 8);
    end += field_item::LargeBytes(values_);
  } else {
    const size_t bytes = field_item::InlineBytes(values_, field.size(), value.size());
    end = MakeRoom(hash, flags, bytes + expiry_bytes);
    end = field_item::WriteInline(end, values_, field, value);
  }
  if (expiry_ms) {
    field_item::Store(end, *expiry_ms);
    CountExpiry(*expiry_ms);
  }
}

bool FieldTable::Erase(uint64_t hash, std::string_view field) {
  TG_DCHECK(!freeing_);
  const Spot spot = Locate(hash, field);
  if (spot.page == nullptr) return false;
  LargeField* large = spot.page->view(spot.index).large();
  EraseSlot(FindPath(root_, hash), spot);
  if (large != nullptr) FreeLarge(large);
  Tidy(hash, *spot.page);
  return true;
}

bool FieldTable::SetExpiry(uint64_t hash, std::string_view field,
                           std::optional<int64_t> expiry_ms) {
  TG_DCHECK(!freeing_);
  const Spot spot = Locate(hash, field);
  if (spot.page == nullptr) return false;
  const FieldView old = spot.page->view(spot.index);
  if (!expiry_ms) {
    if (!old.has_expiry()) return true;
    DropExpiry(spot);
    Tidy(hash, *spot.page);
    return true;
  }
  if (old.has_expiry()) {
    spot.page->epoch = epoch_;
    field_item::Store(spot.page->item(spot.index) + (old.expiry_ - old.begin_), *expiry_ms);
    NoteExpiry(*expiry_ms);
    return true;
  }
  // The item moves to where it has eight bytes more.
  char item[kInlineFieldBytesMax + 2 * sizeof(uint16_t)];
  const size_t bytes = old.item_bytes();
  TG_DCHECK(bytes <= sizeof item);
  std::memcpy(item, old.begin_, bytes);
  const uint32_t flags = spot.page->flags(spot.index) | kExpires;
  EraseSlot(FindPath(root_, hash), spot);
  char* to = MakeRoom(hash, flags, bytes + sizeof(int64_t));
  std::memcpy(to, item, bytes);
  field_item::Store(to + bytes, *expiry_ms);
  CountExpiry(*expiry_ms);
  return true;
}

void FieldTable::DropExpiry(Spot spot) {
  UncountExpiry();
  spot.page->Shorten(spot.index, spot.page->flags(spot.index) & ~kExpires, sizeof(int64_t));
  spot.page->epoch = epoch_;
}

void FieldTable::CountExpiry(int64_t expiry_ms) {
  ++expires_;
  NoteExpiry(expiry_ms);
}

void FieldTable::UncountExpiry() {
  if (--expires_ == 0) earliest_expiry_ms_ = kNoExpiry;
}

void FieldTable::FreeLarge(LargeField* large) {
  allocated_bytes_ -= large->allocated_bytes();
  LargeField::Destroy(large);
}

}  // namespace tidegate
