#include "storage/value/hash_value.h"

#include <algorithm>
#include <string>
#include <vector>

#include "config/notify.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/value/packed_reply.h"
#include "storage/value/packed_scratch.h"

namespace tidegate {
namespace {

// Draws that may hit fields which have expired, before the live ones are counted instead.
constexpr int kDrawsMax = 32;

// Sets one field of a listpack; true when it is new.
bool SetField(Listpack& list, std::string_view field, std::string_view value) {
  const ListpackView view = list.view();
  const size_t at = view.Find(field, 1);
  if (at == view.End()) {
    list.AppendPair(ListpackValue::Of(field), ListpackValue::Of(value));
    return true;
  }
  list.Replace(view.Next(at), value);
  return false;
}

}  // namespace

void ReplyHashValue(ReplyWriter& reply, const HashItem& item) {
  if (__builtin_expect(item.chunks == nullptr, 1)) return ReplyPackedValue(reply, item.value);
  reply.BeginBulk(item.chunks->size());
  item.chunks->Visit(0, item.chunks->size(),
                     [&](size_t, std::string_view piece) { reply.BulkPart(piece); });
  reply.EndBulk();
}

size_t HashValueBytes(const HashItem& item) {
  if (item.chunks != nullptr) return item.chunks->size();
  char digits[kListpackDigitsBytes];
  return item.value.Render(digits).size();
}

std::string_view HashValueText(const HashItem& item, std::string& scratch) {
  if (item.chunks != nullptr) {
    scratch.resize(item.chunks->size());
    item.chunks->Read(0, scratch.size(), scratch.data());
    return scratch;
  }
  if (!item.value.is_integer()) return item.value.text();
  scratch.resize(kListpackDigitsBytes);
  return item.value.Render(scratch.data());
}

HashItem HashView::ItemOf(const FieldView& field) {
  HashItem item;
  item.field = ListpackValue::AsText(field.field());
  item.chunks = field.chunks();
  if (item.chunks == nullptr) item.value = ListpackValue::AsText(field.value());
  if (field.has_expiry()) item.expire_at_ms = *field.expiry_ms();
  return item;
}

uint64_t HashView::size() const {
  if (table_ == nullptr) return ListpackView(bytes_).count() / 2;
  uint64_t live = table_->size();
  if (__builtin_expect(!MayHaveExpired(), 1)) return live;
  constexpr size_t kFieldsPerStep = 1024;
  uint64_t cursor = 0;
  do {
    cursor = table_->ScanExpiring(cursor, kFieldsPerStep, [&](const FieldView& field) {
      if (!IsLive(field)) --live;
    });
  } while (cursor != 0);
  return live;
}

std::optional<HashItem> HashView::Find(std::string_view field) const {
  if (table_ == nullptr) {
    const ListpackView list(bytes_);
    const size_t at = list.Find(field, 1);
    if (at == list.End()) return std::nullopt;
    HashItem item;
    item.field = list.Get(at);
    item.value = list.Get(list.Next(at));
    return item;
  }
  const FieldView found = table_->Find(field);
  if (!found || !IsLive(found)) return std::nullopt;
  return ItemOf(found);
}

std::optional<HashItem> HashView::Random(const std::function<uint64_t()>& random) const {
  if (table_ == nullptr) {
    const ListpackView list(bytes_);
    const size_t at = list.Seek(static_cast<int64_t>(random() % (list.count() / 2) * 2));
    HashItem item;
    item.field = list.Get(at);
    item.value = list.Get(list.Next(at));
    return item;
  }
  for (int draw = 0; draw < kDrawsMax; ++draw) {
    const FieldView field = table_->Random(random);
    if (!field) return std::nullopt;
    if (IsLive(field)) return ItemOf(field);
  }
  const uint64_t live = size();
  if (live == 0) return std::nullopt;
  uint64_t before = random() % live;
  FieldTable::Iterator it(*table_);
  for (;;) {
    const FieldView field = it.Next();
    TG_DCHECK(field);
    if (IsLive(field) && before-- == 0) return ItemOf(field);
  }
}

void HashValue::Finish(std::initializer_list<std::string_view> events) {
  bool changed = expired_ > 0;
  if (expired_ > 0) {
    db_.thread().counters.expired_fields.Add(static_cast<int64_t>(expired_));
    db_.Notify(notify::kHash, "hexpired", key_);
  }
  for (const std::string_view event : events) {
    if (event.empty()) continue;
    changed = true;
    db_.Notify(notify::kHash, event, key_);
  }
  if (!changed) return;
  if (empty()) {
    db_.Delete(key_);
    db_.Notify(notify::kGeneric, "del", key_);
  } else {
    db_.Modified(key_);
  }
}

// Whether there is no field at all, live or not.
bool HashValue::empty() const {
  return is_table() ? table()->size() == 0 : ListpackView(PackedBytes(*entry_)).empty();
}

// Whether these pairs do not fit into a listpack. As Redis, this looks at how many there are and
// not at how many are new.
bool HashValue::NeedsTable(std::span<const std::string_view> pairs) const {
  const EngineSettings& settings = db_.keyspace().settings();
  if (pairs.size() / 2 > settings.hash_listpack_entries_max.load(std::memory_order_relaxed)) {
    return true;
  }
  const uint64_t bytes_max = settings.hash_listpack_value_bytes_max.load(std::memory_order_relaxed);
  uint64_t total = entry_ == nullptr ? 0 : PackedBytes(*entry_).size();
  for (const std::string_view text : pairs) {
    if (text.size() > bytes_max) return true;
    total += text.size();
  }
  return total > kListpackBytesMax.count;
}

void HashValue::CreateTable() {
  FieldTable* table = FieldTable::Create(FieldValues::kBytes);
  entry_ = db_.PutObject(key_, nullptr, ValueType::kHash, Encoding::kFieldTable, table, kNoExpire);
}

void HashValue::ConvertToTable() {
  FieldTable* table = FieldTable::Create(FieldValues::kBytes);
  view().ForEach([table](const HashItem& item) {
    char field[kListpackDigitsBytes];
    char value[kListpackDigitsBytes];
    table->Set(item.field.Render(field), item.value.Render(value));
  });
  entry_ = db_.PutObject(key_, entry_, ValueType::kHash, Encoding::kFieldTable, table,
                         entry_->expire_at_ms());
}

size_t HashValue::Set(std::span<const std::string_view> pairs, OnSet on_set) {
  if (entry_ != nullptr && is_table()) return SetInTable(pairs, on_set);
  if (NeedsTable(pairs)) {
    entry_ == nullptr ? CreateTable() : ConvertToTable();
    return SetInTable(pairs, on_set);
  }
  const size_t added = SetPacked(pairs);
  const EngineSettings& settings = db_.keyspace().settings();
  if (added > 0 && ListpackView(PackedBytes(*entry_)).count() / 2 >
                       settings.hash_listpack_entries_max.load(std::memory_order_relaxed)) {
    ConvertToTable();
  }
  return added;
}

size_t HashValue::SetPacked(std::span<const std::string_view> pairs) {
  size_t added = 0;
  if (entry_ == nullptr) {
    PackedScratch scratch;
    Listpack list(scratch);
    const ListpackValue first[] = {ListpackValue::Of(pairs[0]), ListpackValue::Of(pairs[1])};
    list.Create(first);
    added = 1;
    for (size_t i = 2; i < pairs.size(); i += 2) {
      added += SetField(list, pairs[i], pairs[i + 1]) ? 1 : 0;
    }
    entry_ = db_.CreatePacked(key_, nullptr, ValueType::kHash, false, scratch.bytes(), kNoExpire);
    return added;
  }
  EntryBuffer buffer(db_, key_, entry_);
  Listpack list(buffer);
  for (size_t i = 0; i < pairs.size(); i += 2) {
    added += SetField(list, pairs[i], pairs[i + 1]) ? 1 : 0;
  }
  return added;
}

size_t HashValue::SetInTable(std::span<const std::string_view> pairs, OnSet on_set) {
  FieldTable& fields = *table();
  size_t added = 0;
  for (size_t i = 0; i < pairs.size(); i += 2) {
    const uint64_t hash = fields.Hash(pairs[i]);
    DropIfExpired(hash, pairs[i], Then::kSet);
    added += fields.Set(hash, pairs[i], pairs[i + 1], on_set) ? 1 : 0;
  }
  return added;
}

// HDEL of the last field would take the key along, with its own time to live, although another
// value is on its way: then the field is recorded as one that does not expire.
void HashValue::RecordDrop(std::string_view field, Then then) {
  EngineThread& thread = db_.thread();
  if (__builtin_expect(!thread.recording, 1)) return;
  if (then == Then::kSet && table()->size() == 1) {
    thread.effects.Add(db_.index(), {"HPERSIST", key_.name, "FIELDS", "1", field});
  } else {
    thread.effects.Add(db_.index(), {"HDEL", key_.name, field});
  }
}

// Removes a field whose time has come; true when there was one.
bool HashValue::DropIfExpired(uint64_t hash, std::string_view field, Then then) {
  FieldTable& fields = *table();
  if (__builtin_expect(fields.earliest_expiry_ms() > db_.now_ms(), 1)) return false;
  const FieldView found = fields.Find(hash, field);
  if (!found || !found.has_expiry() || *found.expiry_ms() > db_.now_ms()) return false;
  RecordDrop(field, then);
  fields.Erase(hash, field);
  ++expired_;
  return true;
}

bool HashValue::Erase(std::string_view field) {
  if (is_table()) {
    const uint64_t hash = table()->Hash(field);
    return !DropIfExpired(hash, field, Then::kErase) && table()->Erase(hash, field);
  }
  EntryBuffer buffer(db_, key_, entry_);
  Listpack list(buffer);
  const ListpackView view = list.view();
  const size_t at = view.Find(field, 1);
  if (at == view.End()) return false;
  list.Erase(at, 2);
  return true;
}

void HashValue::SetExpiry(std::string_view field, int64_t at_ms) {
  if (at_ms == kNoExpire) {
    if (is_table()) table()->SetExpiry(field, std::nullopt);
    return;
  }
  if (!is_table()) ConvertToTable();
  table()->SetExpiry(field, at_ms);
  db_.NoteFieldExpiry(key_, at_ms);
}

uint64_t HashValue::ExpireSome(uint64_t cursor, size_t count, int64_t& earliest_ms) {
  std::vector<std::string> due;
  const int64_t now_ms = db_.now_ms();
  cursor = table()->ScanExpiring(cursor, count, [&](const FieldView& field) {
    const int64_t at_ms = *field.expiry_ms();
    if (at_ms <= now_ms) {
      due.emplace_back(field.field());
    } else {
      earliest_ms = std::min(earliest_ms, at_ms);
    }
  });
  if (db_.thread().recording && !due.empty()) {
    const std::vector<std::string_view> fields(due.begin(), due.end());
    db_.thread().effects.Add(db_.index(), {"HDEL", key_.name}, fields);
  }
  for (const std::string& field : due) table()->Erase(field);
  expired_ += due.size();
  return cursor;
}

}  // namespace tidegate
