// The part of Database about what is on disk: which entries differ from their records there, and
// which records have no entry any more.
#include "storage/cut/cut.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {

void Database::BeforeChange(const KeyRef& key, Entry& entry) {
  if (thread_->cut != nullptr && thread_->cut->Wants(key.slot, entry))
    thread_->cut->Preserve(*thread_, key.slot, index_, entry);
  if (thread_->tracks_changes) entry.set_dirty(true);
}

// The entry leaves its table, and its record stays.
void Database::NoteRemoved(const KeyRef& key, Entry& entry) {
  if (const uint64_t object = TakeObject(key, entry)) thread_->dead_objects.push_back(object);
  Entry* tombstone = keyspace_->stored(key.slot, index_).AddRemoved(key.hash, key.name);
  tombstone->set_dirty(true);
  tombstone->set_stored(true);
  tombstone->set_cut_mark(thread_->cut_mark);
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
  if (!fresh.embedded()) return fresh.set_has_stored_object(true);
  StoredState* stored = keyspace_->FindStored(key.slot, index_);
  if (const uint64_t object = stored->TakeObject(key.name)) thread_->dead_objects.push_back(object);
}

// The id under which the value is stored, which the key then has no more; 0: none.
uint64_t Database::TakeObject(const KeyRef& key, Entry& entry) {
  if (!entry.has_stored_object()) return 0;
  entry.set_has_stored_object(false);
  return keyspace_->stored(key.slot, index_).TakeObject(key.name);
}

void Database::NoteStored(const KeyRef& key, Entry* entry, uint64_t object) {
  entry->set_dirty(false);
  entry->set_in_flight(false);
  entry->set_stored(true);
  if (object == 0) return;
  TG_DCHECK(!entry->embedded());
  keyspace_->stored(key.slot, index_).SetObject(key.name, object);
  entry->set_has_stored_object(true);
}

}  // namespace tidegate
