#include "storage/value/stream.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

#include "base/check.h"
#include "storage/memory/memory.h"
#include "storage/value/radix_nodes.h"

namespace tidegate {
namespace {

using Flags = StreamEntryFlags;

// Elements of an entry before its values: flags and the two differences.
constexpr int64_t kHeadPieces = 3;
// Entries of up to so many elements are put together without an allocation.
constexpr size_t kElementsInPlace = 48;
constexpr size_t kNodeBytes = 32;
// Pages that are looked at to tell the size of the tree that they would make: well below a
// millisecond.
constexpr uint64_t kPagesCountedMax = 16 * 1024;

ListpackValue Difference(uint64_t value, uint64_t base) {
  return ListpackValue(static_cast<int64_t>(value - base));
}

// Whether the fields are exactly those of the master entry.
bool HasFieldsOf(const StreamPage& page, std::span<const std::string_view> fields) {
  if (fields.size() != 2 * page.field_count()) return false;
  size_t at = page.fields_at();
  for (size_t i = 0; i < fields.size(); i += 2, at = page.view().Next(at)) {
    if (!page.view().Get(at).Equals(fields[i])) return false;
  }
  return true;
}

// Elements that are put together and then inserted at once; without an allocation for few.
class Elements final {
 public:
  explicit Elements(size_t count_max) {
    if (count_max <= kElementsInPlace) return;
    more_ = std::make_unique<std::byte[]>(count_max * sizeof(ListpackValue));
    data_ = more_.get();
  }
  void Add(const ListpackValue& value) {
    new (data_ + count_ * sizeof(ListpackValue)) ListpackValue(value);
    ++count_;
  }
  void Add(std::string_view text) { Add(ListpackValue::Of(text)); }
  void Add(int64_t number) { Add(ListpackValue(number)); }
  std::span<const ListpackValue> all() const {
    return {std::launder(reinterpret_cast<const ListpackValue*>(data_)), count_};
  }

 private:
  static_assert(std::is_trivially_destructible_v<ListpackValue>);

  // Left as it is until it is written: there is one for each entry that is added.
  alignas(ListpackValue) std::byte few_[kElementsInPlace * sizeof(ListpackValue)];
  std::unique_ptr<std::byte[]> more_;
  std::byte* data_ = few_;
  size_t count_ = 0;
};

void AddEntry(Elements& elements, StreamId id, StreamId page_id, bool same_fields,
              std::span<const std::string_view> fields) {
  elements.Add(same_fields ? Flags::kSameFields : Flags::kNone);
  elements.Add(Difference(id.ms, page_id.ms));
  elements.Add(Difference(id.seq, page_id.seq));
  const auto count = static_cast<int64_t>(fields.size() / 2);
  if (!same_fields) elements.Add(count);
  for (size_t i = 0; i < fields.size(); i += 2) {
    if (!same_fields) elements.Add(fields[i]);
    elements.Add(fields[i + 1]);
  }
  elements.Add(same_fields ? count + kHeadPieces : 2 * count + kHeadPieces + 1);
}

}  // namespace

StreamValue* StreamValue::Create(uint32_t epoch) {
  return new (MemoryAllocate(sizeof(StreamValue))) StreamValue(epoch);
}

bool StreamValue::FreeSome(StreamValue* stream, size_t allocations) {
  const bool gone = stream->tree_.FreeSome(
      allocations, [](void* page) { PackedBlock::Destroy(static_cast<PackedBlock*>(page)); });
  if (!gone) return false;
  while (!stream->groups_.empty()) {
    const auto group = stream->groups_.begin();
    if (!group->second.DropSome(allocations)) return false;
    stream->groups_.erase(group);
  }
  stream->~StreamValue();
  MemoryFree(stream, sizeof(StreamValue));
  return true;
}

StreamValue* StreamValue::Clone() const {
  StreamValue* copy = Create(epoch_);
  copy->tree_ = tree_.Clone([&](const void* page) -> void* {
    PackedBlock* clone = static_cast<const PackedBlock*>(page)->Clone();
    copy->page_bytes_ += clone->allocated_bytes();
    return clone;
  });
  copy->first_id_ = first_id_;
  copy->last_id_ = last_id_;
  copy->max_deleted_id_ = max_deleted_id_;
  copy->entries_added_ = entries_added_;
  for (const auto& [name, group] : groups_) copy->groups_.emplace(name, group);
  return copy;
}

size_t StreamValue::allocated_bytes() const {
  size_t bytes = sizeof(StreamValue) + page_bytes_ + tree_.allocated_bytes();
  for (const auto& [name, group] : groups_)
    bytes += kNodeBytes + name.capacity() + group.allocated_bytes();
  return bytes;
}

StreamId StreamValue::LastLiveId() const {
  const auto entry =
      StreamCursor(*this, {}, StreamId::Max(), StreamCursor::Direction::kBackward).Next();
  return entry ? entry->id : StreamId{};
}

std::optional<StreamId> StreamValue::NextId(int64_t now_ms) const {
  const auto ms = static_cast<uint64_t>(now_ms);
  if (ms > last_id_.ms) return StreamId{ms, 0};
  return last_id_.Next();
}

// Changes one page. The counts are the caller's to follow.
template <typename Fn>
void StreamValue::Edit(PageTree::Path& path, Fn&& fn) {
  PackedBlock* block = BlockOf(path);
  const size_t before = block->allocated_bytes();
  PackedBlockBuffer buffer(block, epoch_);
  Listpack listpack(buffer);
  fn(listpack);
  page_bytes_ += block->allocated_bytes() - before;
  if (block != path.page()) tree_.SetPage(path, block);
}

void StreamValue::RemovePage(const PageTree::Path& path) {
  PackedBlock* block = BlockOf(path);
  page_bytes_ -= block->allocated_bytes();
  tree_.Remove(path);
  PackedBlock::Destroy(block);
}

void StreamValue::Append(StreamId id, std::span<const std::string_view> fields,
                         const Limits& limits) {
  TG_DCHECK(id > last_id_ && !fields.empty());
  PageTree::Path path = tree_.Last();
  size_t bytes = 0;
  for (const std::string_view text : fields) bytes += text.size();
  std::optional<StreamPage> page;
  if (path.valid()) page.emplace(PageAt(path));
  bool fits = page.has_value();
  if (fits) {
    const size_t page_bytes = page->view().bytes().size();
    const uint64_t entries = page->count() + page->deleted();
    fits = (limits.page_bytes_max == 0 || page_bytes + bytes < limits.page_bytes_max) &&
           page_bytes + bytes < kListpackBytesMax.count &&
           (limits.page_entries_max == 0 || entries < limits.page_entries_max);
  }
  if (fits) {
    AppendToPage(path, *page, id, fields);
  } else {
    NewPage(id, fields);
  }
  if (length() == 1) first_id_ = id;
  last_id_ = id;
  ++entries_added_;
}

void StreamValue::NewPage(StreamId id, std::span<const std::string_view> fields) {
  Elements elements(2 * fields.size() + 16);
  elements.Add(int64_t{1});
  elements.Add(int64_t{0});
  elements.Add(static_cast<int64_t>(fields.size() / 2));
  for (size_t i = 0; i < fields.size(); i += 2) elements.Add(fields[i]);
  elements.Add(int64_t{0});
  AddEntry(elements, id, id, /*same_fields=*/true, fields);
  PackedBlock* block = nullptr;
  PackedBlockBuffer buffer(block, epoch_);
  Listpack(buffer).Create(elements.all());
  page_bytes_ += block->allocated_bytes();
  tree_.Append({block, 1, id.key()});
}

void StreamValue::AppendToPage(PageTree::Path& path, const StreamPage& page, StreamId id,
                               std::span<const std::string_view> fields) {
  const auto count = static_cast<int64_t>(page.count());
  const size_t count_at = page.count_at();
  Elements elements(fields.size() + 16);
  AddEntry(elements, id, page.id(), HasFieldsOf(page, fields), fields);
  Edit(path, [&](Listpack& listpack) {
    listpack.Append(elements.all());
    listpack.Replace(count_at, count + 1);
  });
  tree_.AddCount(path, 1);
}

// Marks an entry of a page that has others.
void StreamValue::MarkDeleted(PageTree::Path& path, size_t at) {
  const StreamPage page = PageAt(path);
  const int64_t flags = page.Read(at).flags | Flags::kDeleted;
  const auto count = static_cast<int64_t>(page.count());
  const auto deleted = static_cast<int64_t>(page.deleted());
  const size_t count_at = page.count_at();
  const size_t deleted_at = page.deleted_at();
  // From the end, because an edit moves what is behind it.
  Edit(path, [&](Listpack& listpack) {
    listpack.Replace(at, flags);
    listpack.Replace(deleted_at, deleted + 1);
    listpack.Replace(count_at, count - 1);
  });
  tree_.AddCount(path, -1);
}

bool StreamValue::Erase(StreamId id) {
  PageTree::Path path = tree_.FindByKey(id.key());
  if (!path.valid()) return false;
  const StreamPage page = PageAt(path);
  size_t at = page.Begin();
  for (; at != page.End();) {
    const StreamEntry entry = page.Read(at);
    if (entry.id == id && !entry.deleted()) break;
    if (entry.id > id) return false;
    at = entry.next;
  }
  if (at == page.End()) return false;
  if (page.count() == 1) {
    RemovePage(path);
  } else {
    MarkDeleted(path, at);
  }
  max_deleted_id_ = std::max(max_deleted_id_, id);
  if (id == first_id_ || length() == 0) FindFirstId();
  return true;
}

void StreamValue::FindFirstId() {
  const auto entry = StreamCursor(*this, {}, StreamId::Max()).Next();
  first_id_ = entry ? entry->id : StreamId{};
}

uint64_t StreamValue::CountBetweenMax(StreamId first, StreamId last) const {
  if (length() == 0 || last < first) return 0;
  const PageTree::Path begin = tree_.FindByKey(first.key());
  const PageTree::Path end = tree_.FindByKey(last.key());
  return tree_.RankOf(end) + tree_.CountOf(end) - tree_.RankOf(begin);
}

bool StreamValue::PageGoesWhole(const PageTree::Path& path, const Trim& trim) const {
  const StreamPage page = PageAt(path);
  if (trim.by == Trim::By::kLength) return length() - page.count() >= trim.length_max;
  return page.Read(page.Before(page.End())).id < trim.id_min;
}

uint64_t StreamValue::TrimTo(const Trim& trim) {
  if (trim.by == Trim::By::kNothing) return 0;
  uint64_t gone = 0;
  while (length() > 0) {
    if (trim.by == Trim::By::kLength && length() <= trim.length_max) break;
    PageTree::Path path = tree_.First();
    const uint64_t count = tree_.CountOf(path);
    if (trim.limit != 0 && gone + count > trim.limit) break;
    if (!PageGoesWhole(path, trim)) {
      if (!trim.approximately) gone += TrimPage(path, trim);
      break;
    }
    RemovePage(path);
    gone += count;
  }
  if (gone > 0) FindFirstId();
  return gone;
}

// Takes the first entries of a page, which are not all.
uint64_t StreamValue::TrimPage(PageTree::Path& path, const Trim& trim) {
  uint64_t gone = 0;
  StreamPage page = PageAt(path);
  for (size_t at = page.Begin(); at != page.End();) {
    const StreamEntry entry = page.Read(at);
    const bool enough =
        trim.by == Trim::By::kLength ? length() <= trim.length_max : entry.id >= trim.id_min;
    if (enough) break;
    at = entry.next;
    if (entry.deleted()) continue;
    ++gone;
    if (page.count() == 1) {
      RemovePage(path);
      break;
    }
    // Counters in front of the entries may grow by a byte or two.
    const size_t from_end = page.End() - at;
    MarkDeleted(path, entry.at);
    page = PageAt(path);
    at = page.End() - from_end;
  }
  return gone;
}

bool StreamValue::Contains(StreamId id) const {
  return StreamCursor(*this, id, id).Next().has_value();
}

StreamGroup* StreamValue::FindGroup(std::string_view name) {
  const auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

bool StreamValue::HasGapsFrom(StreamId from) const {
  if (length() == 0 || max_deleted_id_.is_zero()) return false;
  if (first_id_ > max_deleted_id_) return false;  // the gaps are in front of all that is there
  return from <= max_deleted_id_;
}

int64_t StreamValue::CountUpTo(StreamId id) const {
  if (entries_added_ == 0) return 0;
  const auto added = static_cast<int64_t>(entries_added_);
  if (length() == 0 && id <= last_id_) return added;
  if (id == last_id_) return added;
  if (id > last_id_) return kEntriesReadUnknown;
  if (max_deleted_id_.is_zero() || max_deleted_id_ < first_id_) {
    const auto live = static_cast<int64_t>(length());
    if (id < first_id_) return added - live;
    if (id == first_id_) return added - live + 1;
  }
  return kEntriesReadUnknown;
}

std::optional<int64_t> StreamValue::LagOf(const StreamGroup& group) const {
  if (entries_added_ == 0) return 0;
  const auto added = static_cast<int64_t>(entries_added_);
  if (group.entries_read != kEntriesReadUnknown && !HasGapsFrom(group.last_id))
    return added - group.entries_read;
  const int64_t read = CountUpTo(group.last_id);
  if (read == kEntriesReadUnknown) return std::nullopt;
  return added - read;
}

void StreamValue::Check() const {
  size_t bytes = 0;
  uint64_t live = 0;
  PageTree::Path path = tree_.First();
  for (bool more = path.valid(); more; more = tree_.Next(path)) {
    const PackedBlock* block = BlockOf(path);
    TG_CHECK(ListpackView::Validate(block->bytes(), /*deep=*/true));
    bytes += block->allocated_bytes();
    const StreamPage page = PageAt(path);
    TG_CHECK(page.count() > 0 && page.count() == tree_.CountOf(path));
    uint64_t deleted = 0;
    for (size_t at = page.Begin(); at != page.End();) {
      const StreamEntry entry = page.Read(at);
      TG_CHECK(page.Before(entry.next) == at);
      (entry.deleted() ? deleted : live) += 1;
      at = entry.next;
    }
    TG_CHECK(deleted == page.deleted());
  }
  TG_CHECK(bytes == page_bytes_ && live == length());
}

uint64_t StreamValue::RadixNodeCount() const {
  RadixNodeCounter counter;
  uint64_t counted = 0;
  PageTree::Path path = tree_.First();
  for (bool more = path.valid(); more && counted < kPagesCountedMax; more = tree_.Next(path)) {
    const PageKey key = tree_.KeyOf(path);
    counter.Add({key.hi, key.lo});
    ++counted;
  }
  const uint64_t nodes = counter.Finish();
  return counted == page_count() ? nodes : nodes * page_count() / counted;
}

StreamCursor::StreamCursor(const StreamValue& stream, StreamId first, StreamId last,
                           Direction direction)
    : stream_(stream), first_(first), last_(last), direction_(direction) {
  path_ = stream.tree_.FindByKey(direction == Direction::kForward ? first.key() : last.key());
  Enter();
}

void StreamCursor::Enter() {
  if (!path_.valid()) return;
  page_.emplace(stream_.PageAt(path_));
  at_ = direction_ == Direction::kForward ? page_->Begin() : page_->End();
}

std::optional<StreamEntry> StreamCursor::NextForward() {
  while (path_.valid()) {
    if (at_ == page_->End()) {
      stream_.tree_.Next(path_);
      Enter();
      continue;
    }
    StreamEntry entry = page_->Read(at_);
    if (entry.id > last_) break;
    at_ = entry.next;
    if (entry.id >= first_ && !entry.deleted()) return entry;
  }
  return std::nullopt;
}

std::optional<StreamEntry> StreamCursor::NextBackward() {
  while (path_.valid()) {
    if (at_ == page_->Begin()) {
      stream_.tree_.Previous(path_);
      Enter();
      continue;
    }
    at_ = page_->Before(at_);
    StreamEntry entry = page_->Read(at_);
    if (entry.id < first_) break;
    if (entry.id <= last_ && !entry.deleted()) return entry;
  }
  return std::nullopt;
}

}  // namespace tidegate
