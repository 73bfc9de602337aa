#include "storage/value/list_value.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "storage/engine.h"
#include "storage/keyspace/keyspace.h"
#include "storage/value/packed_scratch.h"

namespace tidegate {
namespace {

// Bytes of a packed list, by -1 … -5 of list-max-listpack-size; and when it counts entries. As
// Redis.
constexpr std::array<size_t, 5> kBytesMaxByLevel = {4096, 8192, 16384, 32768, 65536};
constexpr size_t kCountedBytesMax = 8192;

// What is left of the limits when a list is packed again.
constexpr size_t kRepackPart = 2;

size_t TextBytes(std::span<const std::string_view> texts) {
  size_t bytes = 0;
  for (const std::string_view text : texts) bytes += text.size();
  return bytes;
}

// The texts in reverse order, in one insertion for each handful of them.
void Prepend(Listpack& list, std::span<const std::string_view> texts) {
  constexpr size_t kAtOnce = 16;
  std::array<std::string_view, kAtOnce> reversed;
  while (!texts.empty()) {
    const size_t n = std::min(texts.size(), kAtOnce);
    std::reverse_copy(texts.begin(), texts.begin() + static_cast<ptrdiff_t>(n), reversed.begin());
    list.InsertTexts(ListpackView::kHeaderBytes, {reversed.data(), n});
    texts = texts.subspan(n);
  }
}

}  // namespace

ListValue::Shape ListValue::shape() const {
  const int setting = db_.keyspace().settings().list_listpack_size.load(std::memory_order_relaxed);
  Shape shape{kCountedBytesMax, UINT64_MAX, {}};
  if (setting < 0) {
    const auto level =
        std::min(static_cast<size_t>(-static_cast<int64_t>(setting)), kBytesMaxByLevel.size());
    shape.packed_bytes_max = kBytesMaxByLevel[level - 1];
  } else {
    shape.packed_entries_max = static_cast<uint64_t>(std::max(setting, 1));
  }
  // With its header a full page is of a size that the allocator has.
  shape.page = {
      std::min(shape.packed_bytes_max, PagedList::kPageBytesMax) - PackedBlock::kHeaderBytes,
      shape.packed_entries_max};
  return shape;
}

ListpackValue ListValue::Get(uint64_t index) const {
  ListpackValue found(0);
  Visit(index, [&found](const ListpackValue& value) {
    found = value;
    return false;
  });
  return found;
}

void ListValue::MakeRoom(const Shape& shape, size_t bytes, size_t entries) {
  if (entry_ == nullptr || paged()) return;
  const ListpackView list = packed();
  if (list.bytes().size() + bytes <= shape.packed_bytes_max &&
      (shape.packed_entries_max == UINT64_MAX ||
       list.count() + entries <= shape.packed_entries_max)) {
    return;
  }
  PagedList* pages = PagedList::Create(list, shape.page, db_.epoch());
  entry_ = db_.PutObject(key_, entry_, ValueType::kList, Encoding::kPagedList, pages,
                         entry_->expire_at_ms());
}

void ListValue::Push(ListEnd end, std::span<const std::string_view> texts) {
  const Shape limits = shape();
  if (entry_ == nullptr) return CreateWith(end, texts, limits);
  MakeRoom(limits, TextBytes(texts), texts.size());
  if (paged()) return PushPaged(end, texts, limits);
  EntryBuffer buffer(db_, key_, entry_);
  Listpack list(buffer);
  end == ListEnd::kTail ? list.AppendTexts(texts) : Prepend(list, texts);
}

void ListValue::CreateWith(ListEnd end, std::span<const std::string_view> texts,
                           const Shape& shape) {
  PackedScratch scratch;
  Listpack list(scratch);
  list.Create();
  if (ListpackView::kHeaderBytes + 1 + TextBytes(texts) > shape.packed_bytes_max ||
      texts.size() > shape.packed_entries_max) {
    entry_ = db_.PutObject(key_, replaced_, ValueType::kList, Encoding::kPagedList,
                           PagedList::Create(list.view(), shape.page, db_.epoch()), kNoExpire);
    return PushPaged(end, texts, shape);
  }
  end == ListEnd::kTail ? list.AppendTexts(texts) : Prepend(list, texts);
  entry_ = db_.CreatePacked(key_, replaced_, ValueType::kList, /*intset=*/false, scratch.bytes(),
                            kNoExpire);
}

void ListValue::PushPaged(ListEnd end, std::span<const std::string_view> texts,
                          const Shape& shape) {
  PagedList& list = pages();
  list.set_epoch(db_.epoch());
  for (const std::string_view text : texts) list.Push(end, ListpackValue::Of(text), shape.page);
}

void ListValue::Push(ListEnd end, const ListpackValue& value) {
  char digits[kListpackDigitsBytes];
  const std::string_view text = value.Render(digits);
  Push(end, {&text, 1});
}

void ListValue::Pop(ListEnd end, uint64_t n) {
  const uint64_t count = size();
  n = std::min(n, count);
  if (n > 0) Erase(end == ListEnd::kHead ? 0 : count - n, n);
}

void ListValue::Set(uint64_t index, std::string_view text) {
  const Shape limits = shape();
  MakeRoom(limits, text.size(), 0);
  if (paged()) {
    pages().set_epoch(db_.epoch());
    return pages().Set(index, ListpackValue::Of(text), limits.page);
  }
  const size_t at = packed().Seek(static_cast<int64_t>(index));
  EntryBuffer buffer(db_, key_, entry_);
  Listpack(buffer).Replace(at, text);
}

void ListValue::InsertBefore(uint64_t index, std::string_view text) {
  if (index == size()) return Push(ListEnd::kTail, {&text, 1});
  const Shape limits = shape();
  MakeRoom(limits, text.size(), 1);
  if (paged()) {
    pages().set_epoch(db_.epoch());
    return pages().InsertBefore(index, ListpackValue::Of(text), limits.page);
  }
  const size_t at = packed().Seek(static_cast<int64_t>(index));
  EntryBuffer buffer(db_, key_, entry_);
  Listpack(buffer).Insert(at, text);
}

void ListValue::Erase(uint64_t from, uint64_t n) {
  if (n == 0) return;
  if (paged()) {
    pages().set_epoch(db_.epoch());
    return pages().Erase(from, n, shape().page);
  }
  const size_t at = packed().Seek(static_cast<int64_t>(from));
  EntryBuffer buffer(db_, key_, entry_);
  Listpack(buffer).Erase(at, n);
}

uint64_t ListValue::EraseMatches(std::string_view text, ListEnd from, uint64_t max) {
  const ListMatcher match(text);
  if (paged()) {
    pages().set_epoch(db_.epoch());
    return pages().EraseMatches(match, from, max, shape().page);
  }
  const bool forward = from == ListEnd::kHead;
  EntryBuffer buffer(db_, key_, entry_);
  Listpack editor(buffer);
  uint64_t erased = 0;
  ListpackView list = packed();
  size_t at = forward ? list.First() : list.Last();
  while (at != list.End() && erased < max) {
    if (!match(list.Get(at))) {
      at = forward ? list.Next(at) : list.Prev(at);
      continue;
    }
    editor.Erase(at);
    list = packed();
    ++erased;
    // What was behind it is here now; what is in front of it comes next on the way to the head.
    if (!forward) at = list.Prev(at);
  }
  return erased;
}

void ListValue::PackIfSmall() {
  if (pages().page_count() != 1) return;
  const ListpackView list = pages().only_page();
  const Shape limits = shape();
  if (list.bytes().size() > limits.packed_bytes_max / kRepackPart) return;
  if (list.count() > limits.packed_entries_max / kRepackPart) return;
  entry_ = db_.CreatePacked(key_, entry_, ValueType::kList, /*intset=*/false, list.bytes(),
                            entry_->expire_at_ms());
}

bool ListValue::Commit() {
  if (size() == 0) {
    db_.Delete(key_);
    entry_ = nullptr;
    return true;
  }
  if (paged()) PackIfSmall();
  db_.Modified(key_);
  return false;
}

}  // namespace tidegate
