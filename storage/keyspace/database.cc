#include "storage/keyspace/database.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "config/notify.h"
#include "storage/cut/cut.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/memory/memory.h"
#include "storage/value/chunked_string.h"
#include "storage/value/field_table.h"
#include "storage/value/packed_block.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

// Entries of one allocation class can be written over in place.
bool SameAllocation(size_t a, size_t b) {
  return a <= kSlabObjectBytesMax && b <= kSlabObjectBytesMax &&
         MemoryRoundUp(a) == MemoryRoundUp(b);
}

bool FitsEntry(std::string_view key, size_t value_bytes, bool has_expire) {
  return Entry::BytesFor(key.size(), value_bytes, has_expire, false) <=
         Entry::kEmbeddedEntryBytesMax;
}

// How a collection is held that is `packed` or embedded.
Encoding PackedEncoding(bool intset, bool embed) {
  if (embed) return intset ? Encoding::kEmbeddedIntset : Encoding::kEmbedded;
  return intset ? Encoding::kPackedIntset : Encoding::kPacked;
}

// Whether freeing a value on another thread may be worth telling it so. As Redis, which frees what
// is one allocation at once whoever asks.
bool IsManyAllocations(Encoding encoding) {
  return encoding != Encoding::kChunked && !IsPacked(encoding);
}

// Fields that a look-up of a hash goes through at most, to see whether any of them is left.
constexpr uint64_t kFieldsJudgedMax = 256;

uint32_t ToSecondsRoundedDown(int64_t at_ms) {
  const int64_t seconds = at_ms / 1000;
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, UINT32_MAX));
}

}  // namespace

Entry* Database::Find(const KeyRef& key, Change change) {
  const Table* table = keyspace_->FindTable(key.slot, index_);
  TG_DCHECK(keyspace_->slot(key.slot).held() || thread_->exclusive);
  if (table == nullptr) return nullptr;
  Entry* entry = table->Find(key.hash, key.name);
  if (entry != nullptr && __builtin_expect(IsExpired(*entry), 0)) {
    if (!use_.read_only || !keyspace_->settings().IsFrozen(now_ms_)) RemoveExpired(key);
    return nullptr;
  }
  if (entry != nullptr) thread_->sizes.Meet(*entry);
  // Who may change it has looked it up.
  if (__builtin_expect(thread_->guards_entries, 0) && entry != nullptr && !use_.read_only)
    BeforeChange(key, *entry, change);
  return entry;
}

void Database::MarkAccess(Entry& entry) {
  if (use_.no_touch) return;
  if (__builtin_expect(thread_->lfu, 0)) {
    const EngineSettings& settings = keyspace_->settings();
    entry.set_access(access::LfuTouched(entry.access(), thread_->wall_ms,
                                        settings.lfu_decay_minutes.load(std::memory_order_relaxed),
                                        settings.lfu_log_factor.load(std::memory_order_relaxed),
                                        thread_->Random()));
    return;
  }
  // Written only when the second changed, so that reads of one hot key do not pull its line from
  // core to core.
  const uint32_t clock = access::LruClock(thread_->wall_ms);
  if (entry.access() != clock) entry.set_access(clock);
}

Entry* Database::FindForRead(const KeyRef& key) {
  Entry* entry = Find(key);
  if (entry == nullptr) {
    thread_->counters.keyspace_misses.Add();
    Notify(notify::kKeyMiss, "keymiss", key);
    return nullptr;
  }
  thread_->counters.keyspace_hits.Add();
  MarkAccess(*entry);
  return entry;
}

Entry* Database::FindForWrite(const KeyRef& key) {
  Entry* entry = Find(key);
  if (entry != nullptr) MarkAccess(*entry);
  return entry;
}

Entry* Database::FindForRecord(const KeyRef& key) {
  Entry* entry = Find(key, Change::kRecord);
  if (entry != nullptr) MarkAccess(*entry);
  return entry;
}

Entry* Database::Peek(const KeyRef& key) { return Find(key); }

bool Database::HoldsExpired(const KeyRef& key) {
  const Table* table = keyspace_->FindTable(key.slot, index_);
  const Entry* entry = table == nullptr ? nullptr : table->Find(key.hash, key.name);
  return entry != nullptr && IsExpired(*entry);
}

// Only when every field expires is there anything to look through.
bool Database::AllFieldsExpired(const Entry& entry) const {
  const auto* fields = entry.object<FieldTable>();
  if (__builtin_expect(fields->expires() != fields->size(), 1)) return false;
  if (fields->earliest_expiry_ms() > now_ms_ || fields->size() > kFieldsJudgedMax) return false;
  FieldTable::Iterator it(*fields);
  while (const FieldView field = it.Next()) {
    if (*field.expiry_ms() > now_ms_) return false;
  }
  return true;
}

Entry* Database::NewEntry(std::string_view key, ValueType type, Encoding encoding,
                          size_t value_bytes, int64_t expire_at_ms) {
  const bool has_expire = expire_at_ms != kNoExpire;
  const size_t embedded_bytes = IsEmbedded(encoding) ? value_bytes : 0;
  const size_t bytes =
      Entry::BytesFor(key.size(), embedded_bytes, has_expire, !IsEmbedded(encoding));
  Entry* entry =
      Entry::Format(MemoryAllocate(bytes), key, type, encoding, embedded_bytes, has_expire);
  if (has_expire) entry->overwrite_expire_at_ms(expire_at_ms);
  thread_->sizes.Made(encoding);
  entry->set_cut_mark(thread_->cut_mark);
  entry->set_change_mark(thread_->change_mark);
  entry->set_dirty(thread_->tracks_changes);
  entry->set_access(thread_->lfu ? access::LfuFresh(thread_->wall_ms)
                                 : access::LruClock(thread_->wall_ms));
  return entry;
}

// Puts `fresh` into the table, in the place of `existing` when there is one (which is left to the
// caller), and keeps the counts of keys and expiries.
Entry* Database::Replace(const KeyRef& key, Entry* existing, Entry* fresh) {
  thread_->effects.NoteChange();
  Table& table = keyspace_->TableForInsert(key.slot, index_);
  DbCounters& counters = thread_->dbs[static_cast<size_t>(index_)];
  if (existing == nullptr) {
    table.Insert(key.hash, fresh);
    if (__builtin_expect(thread_->tracks_changes, 0)) thread_->changed.Add(key.slot, key.hash);
    if (__builtin_expect((keyspace_->slot(key.slot).flags & Slot::kRemoved) != 0, 0))
      TakeTombstone(key, *fresh);
    counters.keys.Add();
    Notify(notify::kNew, "new", key);
  } else {
    table.Replace(key.hash, existing, fresh);
    CarryStored(key, *existing, *fresh);
  }
  const int change =
      (fresh->has_expire() ? 1 : 0) - (existing != nullptr && existing->has_expire() ? 1 : 0);
  // Who waits for a group of a stream must hear that it is gone.
  const bool was_stream = existing != nullptr && existing->type() == ValueType::kStream;
  if (fresh->type() != ValueType::kString || was_stream) SignalReady(key);
  if (existing != nullptr && existing->has_expire())
    counters.RemoveExpiry(existing->expire_at_ms());
  if (fresh->has_expire()) {
    NoteExpiry(table, fresh->expire_at_ms());
    counters.AddExpiry(fresh->expire_at_ms());
  }
  if (change != 0) table.set_expires(table.expires() + static_cast<uint32_t>(change));
  if (__builtin_expect(thread_->recording, 0) && (existing == nullptr || change != 0))
    thread_->effects.Count(index_, existing == nullptr ? 1 : 0, change);
  if (fresh->type() == ValueType::kHash && fresh->encoding() == Encoding::kFieldTable) {
    const auto* fields = fresh->object<FieldTable>();
    if (fields->expires() > 0) NoteFieldExpiry(key, fields->earliest_expiry_ms());
  }
  return fresh;
}

// Keeps the table's earliest expiry: the sweep passes over a slot whose earliest has not come.
void Database::NoteExpiry(Table& table, int64_t at_ms) {
  const uint32_t at_s = ToSecondsRoundedDown(at_ms);
  if (table.may_expire()) {
    table.LowerExpiryHint(at_s);
  } else {
    table.set_expiry_hint_s(at_s);
  }
}

void Database::NoteFieldExpiry(const KeyRef& key, int64_t at_ms) {
  Table& table = *keyspace_->FindTable(key.slot, index_);
  NoteExpiry(table, at_ms);
  table.set_fields_expire(true);
}

// Another time for an entry that has one.
void Database::OverwriteExpire(const KeyRef& key, Entry& entry, int64_t at_ms) {
  thread_->dbs[static_cast<size_t>(index_)].MoveExpiry(entry.expire_at_ms(), at_ms);
  entry.overwrite_expire_at_ms(at_ms);
  NoteExpiry(*keyspace_->FindTable(key.slot, index_), at_ms);
}

void Database::FreeEntry(Entry* entry, bool lazy) {
  if (!entry->embedded()) {
    const ValueObject value = ValueObject::Of(*entry);
    const size_t bytes = ValueBytes(value);
    if (bytes > kFreeInPlaceBytesMax ||
        (lazy && bytes > kFreeLazilyBytesMin && IsManyAllocations(value.encoding))) {
      keyspace_->lazy_freer().AddValue(value, bytes);
    } else {
      thread_->frees.push_back(value);
    }
  }
  MemoryFree(entry, entry->allocated_bytes());
}

// What another value took the place of.
void Database::FreeReplaced(Entry* entry) {
  FreeEntry(entry, keyspace_->settings().lazyfree_server_del.load(std::memory_order_relaxed));
}

Entry* Database::SetString(const KeyRef& key, Entry* existing, std::string_view value,
                           int64_t expire_at_ms) {
  Modified(key);
  const bool has_expire = expire_at_ms != kNoExpire;
  const bool embed = FitsEntry(key.name, value.size(), has_expire);
  if (existing != nullptr && existing->type() == ValueType::kString &&
      existing->has_expire() == has_expire && existing->embedded() == embed) {
    const size_t bytes =
        Entry::BytesFor(key.name.size(), embed ? value.size() : 0, has_expire, !embed);
    if (!embed || SameAllocation(existing->allocated_bytes(), bytes)) {
      if (embed) {
        std::memcpy(existing->value_data(), value.data(), value.size());
        existing->set_value_bytes(value.size());
      } else {
        NoteOverwritten(key, *existing);
        existing->object<ChunkedString>()->Assign(value);
      }
      if (has_expire) OverwriteExpire(key, *existing, expire_at_ms);
      existing->ClearTextFlags();
      return existing;
    }
  }
  Entry* fresh =
      NewEntry(key.name, ValueType::kString, embed ? Encoding::kEmbedded : Encoding::kChunked,
               value.size(), expire_at_ms);
  if (embed) {
    std::memcpy(fresh->value_data(), value.data(), value.size());
  } else {
    fresh->set_object(ChunkedString::Create(value));
  }
  if (existing != nullptr && thread_->lfu) fresh->set_access(existing->access());
  Replace(key, existing, fresh);
  if (existing != nullptr) FreeReplaced(existing);
  return fresh;
}

Entry* Database::ResizeString(const KeyRef& key, Entry* existing, size_t value_bytes) {
  thread_->effects.NoteChange();
  if (existing == nullptr) {
    const bool embed = FitsEntry(key.name, value_bytes, false);
    Entry* fresh =
        NewEntry(key.name, ValueType::kString, embed ? Encoding::kEmbedded : Encoding::kChunked,
                 value_bytes, kNoExpire);
    if (embed) {
      std::memset(fresh->value_data(), 0, value_bytes);
    } else {
      auto* string = ChunkedString::Create();
      string->Resize(value_bytes);
      fresh->set_object(string);
    }
    return Replace(key, nullptr, fresh);
  }
  if (!existing->embedded()) {
    existing->object<ChunkedString>()->Resize(value_bytes);
    return existing;
  }
  const std::string_view old = existing->value();
  const bool has_expire = existing->has_expire();
  const size_t kept = std::min(old.size(), value_bytes);
  const bool embed = FitsEntry(key.name, value_bytes, has_expire);
  if (embed && SameAllocation(existing->allocated_bytes(),
                              Entry::BytesFor(key.name.size(), value_bytes, has_expire, false))) {
    std::memset(existing->value_data() + kept, 0, value_bytes - kept);
    existing->set_value_bytes(value_bytes);
    return existing;
  }
  Entry* fresh =
      NewEntry(key.name, ValueType::kString, embed ? Encoding::kEmbedded : Encoding::kChunked,
               value_bytes, existing->expire_at_ms());
  if (embed) {
    std::memcpy(fresh->value_data(), old.data(), kept);
    std::memset(fresh->value_data() + kept, 0, value_bytes - kept);
  } else {
    auto* string = ChunkedString::Create(old.substr(0, kept));
    string->Resize(value_bytes);
    fresh->set_object(string);
  }
  fresh->set_access(existing->access());
  fresh->CopyTextFlags(*existing);
  Replace(key, existing, fresh);
  FreeEntry(existing, false);
  return fresh;
}

Entry* Database::CreatePacked(const KeyRef& key, Entry* existing, ValueType type, bool intset,
                              std::string_view bytes, int64_t expire_at_ms) {
  const bool embed = FitsEntry(key.name, bytes.size(), expire_at_ms != kNoExpire);
  if (!embed) {
    return PutObject(key, existing, type, PackedEncoding(intset, false),
                     PackedBlock::Create(bytes, epoch()), expire_at_ms);
  }
  Entry* fresh = NewEntry(key.name, type, PackedEncoding(intset, true), bytes.size(), expire_at_ms);
  std::memcpy(fresh->value_data(), bytes.data(), bytes.size());
  return PutInPlaceOf(key, existing, fresh);
}

Entry* Database::PutObject(const KeyRef& key, Entry* existing, ValueType type, Encoding encoding,
                           void* object, int64_t expire_at_ms) {
  Entry* fresh = NewEntry(key.name, type, encoding, 0, expire_at_ms);
  fresh->set_object(object);
  return PutInPlaceOf(key, existing, fresh);
}

Entry* Database::PutInPlaceOf(const KeyRef& key, Entry* existing, Entry* fresh) {
  if (existing != nullptr) fresh->set_access(existing->access());
  Replace(key, existing, fresh);
  if (existing != nullptr) FreeReplaced(existing);
  return fresh;
}

uint8_t* Database::SplicePacked(const KeyRef& key, Entry*& entry, size_t offset, size_t removed,
                                size_t added) {
  if (!entry->embedded()) {
    auto* block = entry->object<PackedBlock>();
    uint8_t* at = PackedBlock::Splice(block, offset, removed, added);
    block->set_epoch(epoch());
    entry->set_object(block);
    return at;
  }
  const std::string_view old = entry->value();
  TG_DCHECK(offset + removed <= old.size());
  const size_t tail = old.size() - offset - removed;
  const size_t size = old.size() - removed + added;
  const bool has_expire = entry->has_expire();
  const bool embed = FitsEntry(key.name, size, has_expire);
  if (embed && SameAllocation(entry->allocated_bytes(),
                              Entry::BytesFor(key.name.size(), size, has_expire, false))) {
    char* at = entry->value_data() + offset;
    if (removed != added) std::memmove(at + added, at + removed, tail);
    entry->set_value_bytes(size);
    return reinterpret_cast<uint8_t*>(at);
  }
  Entry* fresh =
      NewEntry(key.name, entry->type(), PackedEncoding(IsIntset(entry->encoding()), embed), size,
               entry->expire_at_ms());
  char* to = nullptr;
  if (embed) {
    to = fresh->value_data();
  } else {
    auto* block = PackedBlock::Create(size, epoch());
    to = reinterpret_cast<char*>(block->data());
    fresh->set_object(block);
  }
  std::memcpy(to, old.data(), offset);
  std::memcpy(to + offset + added, old.data() + offset + removed, tail);
  fresh->set_access(entry->access());
  entry = PutInPlaceOf(key, entry, fresh);
  return reinterpret_cast<uint8_t*>(to + offset);
}

// Takes the entry out of its table and keeps the counts. The entry is the caller's.
void Database::Detach(const KeyRef& key, Entry* entry) {
  Table& table = *keyspace_->FindTable(key.slot, index_);
  DbCounters& counters = thread_->dbs[static_cast<size_t>(index_)];
  if (__builtin_expect(entry->stored(), 0)) NoteRemoved(key, *entry);
  thread_->sizes.Removed(index_, key, *entry);
  table.Remove(key.hash, entry);
  counters.keys.Add(-1);
  if (__builtin_expect(thread_->recording, 0))
    thread_->effects.Count(index_, -1, entry->has_expire() ? -1 : 0);
  if (entry->has_expire()) {
    table.set_expires(table.count() == 0 ? 0 : table.expires() - 1);
    counters.RemoveExpiry(entry->expire_at_ms());
  }
}

void Database::RemoveExpired(const KeyRef& key) {
  Entry* entry = keyspace_->FindTable(key.slot, index_)->Find(key.hash, key.name);
  if (thread_->guards_entries) BeforeChange(key, *entry);
  const bool by_fields = !entry->has_expire() || entry->expire_at_ms() > now_ms_;
  if (by_fields) {
    const auto fields = static_cast<int64_t>(entry->object<FieldTable>()->size());
    thread_->counters.expired_fields.Add(fields);
    Notify(notify::kHash, "hexpired", key);
    Notify(notify::kGeneric, "del", key);
  } else {
    thread_->counters.expired_keys.Add();
    Notify(notify::kExpired, "expired", key);
  }
  if (thread_->recording) thread_->effects.Add(index_, {"DEL", key.name});
  if (entry->type() == ValueType::kStream) SignalReady(key);  // as in Delete
  Detach(key, entry);
  FreeEntry(entry, keyspace_->settings().lazyfree_expire.load(std::memory_order_relaxed));
  TouchWatches(key, true);
}

bool Database::Delete(const KeyRef& key, bool lazy) {
  Entry* entry = Find(key);
  if (entry == nullptr) return false;
  // Who waits for a group of a stream must hear that it is gone.
  if (entry->type() == ValueType::kStream) SignalReady(key);
  Detach(key, entry);
  FreeEntry(entry, lazy);
  Modified(key);
  return true;
}

Entry* Database::SetExpire(const KeyRef& key, Entry* entry, int64_t at_ms) {
  Modified(key);
  const bool has_expire = at_ms != kNoExpire;
  if (entry->has_expire() == has_expire) {
    if (has_expire) OverwriteExpire(key, *entry, at_ms);
    return entry;
  }
  // A value at the edge may embed with one expiry field less, not with one more; then it moves to
  // chunks.
  Entry* fresh = Rebuild(*entry, key.name, at_ms);
  Replace(key, entry, fresh);
  MemoryFree(entry, entry->allocated_bytes());
  return fresh;
}

// A new entry with the same value (an object is taken over, not copied) under another key or
// expiry.
Entry* Database::Rebuild(const Entry& from, std::string_view key, int64_t expire_at_ms) {
  const bool embed =
      from.embedded() && FitsEntry(key, from.value().size(), expire_at_ms != kNoExpire);
  Encoding encoding = from.encoding();
  if (from.embedded() && !embed) {
    encoding = from.type() == ValueType::kString ? Encoding::kChunked
                                                 : PackedEncoding(IsIntset(encoding), false);
  }
  Entry* fresh =
      NewEntry(key, from.type(), encoding, embed ? from.value().size() : 0, expire_at_ms);
  if (embed) {
    std::memcpy(fresh->value_data(), from.value().data(), from.value().size());
  } else if (from.embedded()) {
    if (from.type() == ValueType::kString) {
      fresh->set_object(ChunkedString::Create(from.value()));
    } else {
      fresh->set_object(PackedBlock::Create(from.value(), epoch()));
    }
  } else {
    fresh->set_object(from.object<void>());
  }
  fresh->set_access(from.access());
  fresh->CopyTextFlags(from);
  return fresh;
}

void Database::MoveTo(const KeyRef& from, Database& to, const KeyRef& to_key) {
  Entry* entry = Find(from, Change::kRecord);
  TG_CHECK(entry != nullptr);
  Entry* target = to.Find(to_key);
  Entry* fresh = Rebuild(*entry, to_key.name, entry->expire_at_ms());
  if (entry->type() == ValueType::kStream) SignalReady(from);
  const bool current = entry->object_is_current();
  const StoredObject object = to.index_ == index_ ? TakeObject(from, *entry) : StoredObject{};
  Detach(from, entry);
  TouchWatches(from, false);
  MemoryFree(entry, entry->allocated_bytes());
  // As Redis, to which what was there is deleted first.
  if (target != nullptr) to.Notify(notify::kNew, "new", to_key);
  to.Replace(to_key, target, fresh);
  to.Modified(to_key);
  if (target != nullptr) to.FreeReplaced(target);
  if (!object) return;
  // What the target was stored as is dead, and what moved is stored as before.
  if (const StoredObject old = to.TakeObject(to_key, *fresh))
    thread_->dead_objects.push_back(old.id);
  keyspace_->stored(to_key.slot, index_).SetObject(to_key.name, object);
  fresh->set_stored_object(true, current);
}

void Database::CopyTo(const Entry& from, Database& to, const KeyRef& to_key) {
  Entry* target = to.Find(to_key);
  Entry* fresh = Rebuild(from, to_key.name, from.expire_at_ms());
  if (!from.embedded()) fresh->set_object(CloneValue(ValueObject::Of(from)));
  if (target != nullptr) to.Notify(notify::kNew, "new", to_key);  // as in MoveTo
  to.Replace(to_key, target, fresh);
  to.Modified(to_key);
  if (target != nullptr) to.FreeReplaced(target);
}

void Database::Modified(const KeyRef& key) {
  thread_->counters.changes.Add();
  thread_->effects.NoteChange();
  TouchWatches(key, false);
}

void Database::Notify(uint32_t event_class, std::string_view event, const KeyRef& key) {
  if (__builtin_expect((thread_->notify_classes & event_class) == 0, 1)) return;
  thread_->events.push_back({event_class, event, index_, std::string(key.name)});
}

void Database::TouchWatches(const KeyRef& key, bool gone) {
  if (__builtin_expect((keyspace_->slot(key.slot).flags & Slot::kWatched) == 0, 1)) return;
  keyspace_->extras(key.slot).watches.Touch(index_, key.name, gone);
  keyspace_->UpdateFlags(key.slot);
}

void Database::SignalReady(const KeyRef& key) {
  if (__builtin_expect((keyspace_->slot(key.slot).flags & Slot::kBlocked) == 0, 1)) return;
  thread_->ready.push_back({index_, key.slot, std::string(key.name)});
}

}  // namespace tidegate
