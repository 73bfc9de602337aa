// The part of Database about what is on disk: which entries differ from their records there, and
// which records have no entry any more.
#include "storage/cut/cut.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/value/field_table.h"
#include "storage/value/value_object.h"

namespace tidegate {

void Database::BeforeChange(const KeyRef& key, Entry& entry, Change change) {
  if (thread_->cut != nullptr && thread_->cut->Wants(key.slot, entry))
    thread_->cut->Preserve(*thread_, key.slot, index_, entry);
  if (!thread_->tracks_changes) return;
  if (!entry.dirty()) NoteDirty(key, entry);
  if (change == Change::kValue && entry.object_is_current()) entry.NoteValueChange();
}

// It was not: the next checkpoint writes it, the one whose cut is under way does not.
void Database::NoteDirty(const KeyRef& key, Entry& entry) {
  entry.set_dirty(true);
  entry.set_change_mark(thread_->change_mark);
  thread_->changed.Add(key.slot, key.hash);
}

// The entry leaves its table, and its record stays.
void Database::NoteRemoved(const KeyRef& key, Entry& entry) {
  NoteOverwritten(key, entry);
  if (const StoredObject object = TakeObject(key, entry))
    thread_->dead_objects.push_back(object.id);
  AssumeRemoved(key);
}

void Database::AssumeRemoved(const KeyRef& key) {
  Entry* tombstone = keyspace_->stored(key.slot, index_).AddRemoved(key.hash, key.name);
  tombstone->set_dirty(true);
  tombstone->set_stored(true);
  tombstone->set_change_mark(thread_->change_mark);
  keyspace_->slot(key.slot).flags |= Slot::kRemoved;
}

// The key is there again: under its name the disk has, or may have, a record.
void Database::TakeTombstone(const KeyRef& key, Entry& fresh) {
  StoredState* stored = keyspace_->FindStored(key.slot, index_);
  Entry* tombstone = stored == nullptr ? nullptr : stored->FindRemoved(key.hash, key.name);
  if (tombstone == nullptr) return;
  if (thread_->cut != nullptr && thread_->cut->Wants(key.slot, *tombstone))
    thread_->cut->Preserve(*thread_, key.slot, index_, *tombstone);
  fresh.set_stored(tombstone->dirty() || tombstone->in_flight());
  stored->EraseRemoved(key.hash, tombstone);
  if (stored->removed().count() == 0) keyspace_->UpdateFlags(key.slot);
}

// `fresh` takes the place of `old`, and of its record when it is written.
void Database::CarryStored(const KeyRef& key, const Entry& old, Entry& fresh) {
  fresh.set_stored(old.stored());
  if (__builtin_expect(!old.has_stored_object(), 1)) return;
  // Another expiry: the value is the same, and so is what is stored of it.
  if (!fresh.embedded() && fresh.object<void>() == old.object<void>())
    return fresh.set_stored_object(true, old.object_is_current());
  NoteOverwritten(key, old);
  if (!fresh.embedded()) return fresh.set_stored_object(true, /*current=*/false);
  StoredState* stored = keyspace_->FindStored(key.slot, index_);
  if (const StoredObject object = stored->TakeObject(key.name))
    thread_->dead_objects.push_back(object.id);
}

// Whoever applies the record may not know what the key held.
void Database::NoteOverwritten(const KeyRef& key, const Entry& entry) {
  if (!thread_->recording || !entry.has_stored_object()) return;
  thread_->effects.NoteObject(keyspace_->stored(key.slot, index_).ObjectOf(key.name).id);
}

// As what the value is stored, which the key then has no more; may be none.
StoredObject Database::TakeObject(const KeyRef& key, Entry& entry) {
  if (!entry.has_stored_object()) return {};
  entry.set_stored_object(false, false);
  return keyspace_->stored(key.slot, index_).TakeObject(key.name);
}

void Database::NoteStored(const KeyRef& key, Entry* entry, const StoredObject& object) {
  entry->set_dirty(false);
  entry->set_in_flight(false);
  entry->set_stored(true);
  if (!object) return;
  if (entry->embedded()) {
    // By this server's limits it needs no object any more.
    NoteDirty(key, *entry);
    thread_->dead_objects.push_back(object.id);
    return;
  }
  keyspace_->stored(key.slot, index_).SetObject(key.name, object);
  entry->set_stored_object(true, /*current=*/true);
  FieldTable* fields = object.by_hash ? FieldTableOf(*entry) : nullptr;
  if (fields == nullptr) return;
  fields->BeginObject(object.id);
  fields->NoteWritten();
  fields->NoteSaved();
}

void Database::Place(const KeyRef& key, Entry* entry, const StoredObject& object) {
  Table& table = keyspace_->TableForInsert(key.slot, index_);
  table.Insert(key.hash, entry);
  if (entry->has_expire()) {
    NoteExpiry(table, entry->expire_at_ms());
    table.set_expires(table.expires() + 1);
  }
  if (entry->type() == ValueType::kHash && entry->encoding() == Encoding::kFieldTable) {
    const auto* fields = entry->object<FieldTable>();
    if (fields->expires() > 0) NoteFieldExpiry(key, fields->earliest_expiry_ms());
  }
  NoteStored(key, entry, object);
}

size_t Database::Unload(const KeyRef& key, Entry* entry) {
  Table& table = *keyspace_->FindTable(key.slot, index_);
  table.Remove(key.hash, entry);
  if (entry->has_expire()) table.set_expires(table.count() == 0 ? 0 : table.expires() - 1);
  TakeObject(key, *entry);
  size_t bytes = entry->allocated_bytes();
  if (!entry->embedded()) bytes += ValueBytes(ValueObject::Of(*entry));
  FreeEntry(entry, keyspace_->settings().lazyfree_eviction.load(std::memory_order_relaxed));
  return bytes;
}

}  // namespace tidegate
