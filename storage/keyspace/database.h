// Database: what a handler sees of one of the numbered databases: find, create, change and remove
// keys.
//
// A light value made per command: it names the keyspace, the thread, the database and the time.
// Every call needs the lock of the key's slot (asserted in debug builds); handlers of one-key and
// many-key commands have those of their keys. An expired key is removed by whoever finds it and
// counts as absent. Pointers to entries are valid until the next change of the same key; functions
// that change a value return the entry's new place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/keyspace/entry.h"
#include "storage/keyspace/stored_object.h"
#include "storage/request.h"

namespace tidegate {

class EngineThread;
class Keyspace;
class Table;

// How somebody means to use a database.
struct DatabaseUse {
  bool no_touch = false;   // look-ups leave LRU and LFU alone
  bool read_only = false;  // nothing is set: then an expired key may stay, hidden, in a pause
};

class Database final {
 public:
  Database(Keyspace& keyspace, EngineThread& thread, int index, int64_t now_ms, DatabaseUse use)
      : keyspace_(&keyspace), thread_(&thread), now_ms_(now_ms), index_(index), use_(use) {}

  int index() const { return index_; }
  int64_t now_ms() const { return now_ms_; }

  // The live entry of the key, or null. FindForRead counts a hit or a miss and marks the access;
  // FindForWrite marks the access only; Peek does neither (OBJECT, TTL, TYPE, SCAN).
  Entry* FindForRead(const KeyRef& key);
  Entry* FindForWrite(const KeyRef& key);
  Entry* Peek(const KeyRef& key);
  // As FindForWrite, for who changes the expiry or the name, and leaves the value alone: then a
  // checkpoint needs not write that again.
  Entry* FindForRecord(const KeyRef& key);
  // What somebody is about to change of an entry.
  enum class Change : uint8_t { kValue, kRecord };
  // For a command that reads, and changes what it has found all the same: before that.
  void BeforeChange(const KeyRef& key, Entry& entry, Change change = Change::kValue);
  // Whether the key is still held although its time has passed.
  bool HoldsExpired(const KeyRef& key);
  // Whether an entry counts as absent, and goes when it is looked up: its time has passed, or it is
  // a hash and that of its last field has. (Of a large hash it is the sweep that finds out.)
  bool IsExpired(const Entry& entry) const {
    if (entry.has_expire() && entry.expire_at_ms() <= now_ms_) return true;
    if (__builtin_expect(entry.encoding() != Encoding::kFieldTable, 1)) return false;
    return entry.type() == ValueType::kHash && AllFieldsExpired(entry);
  }

  // Sets the key to a string: creates it, or replaces whatever it holds. `existing` is what Find
  // gave for it (null: none). expire_at_ms: kNoExpire drops an expiry; pass
  // existing->expire_at_ms() to keep it. The string counts as freshly set (not raw).
  Entry* SetString(const KeyRef& key, Entry* existing, std::string_view value,
                   int64_t expire_at_ms);

  // Gives a string entry `value_bytes` bytes, keeping the first min(old, new) and the expiry; bytes
  // beyond are zero. Creates the key when existing is null. Chooses embedded or chunked form. For
  // APPEND, SETRANGE, SETBIT; the caller sets raw.
  Entry* ResizeString(const KeyRef& key, Entry* existing, size_t value_bytes);

  // The value of a collection, in place of whatever the key holds; an existing key keeps its access
  // state. None of these says Modified: the handler does, once. CreatePacked: a copy of the bytes
  // of a listpack or of an intset. PutObject: takes the object over.
  Entry* CreatePacked(const KeyRef& key, Entry* existing, ValueType type, bool intset,
                      std::string_view bytes, int64_t expire_at_ms);
  Entry* PutObject(const KeyRef& key, Entry* existing, ValueType type, Encoding encoding,
                   void* object, int64_t expire_at_ms);
  // PackedBuffer's Splice for an embedded or packed collection: for EntryBuffer, which see.
  uint8_t* SplicePacked(const KeyRef& key, Entry*& entry, size_t offset, size_t removed,
                        size_t added);
  // What changes of chunks are stamped with.
  uint32_t epoch() const { return 0; }

  // For who has read the entry from disk: it is there as it stands here, and as this object when
  // there is one.
  void NoteStored(const KeyRef& key, Entry* entry, const StoredObject& object);
  void NoteDirty(const KeyRef& key, Entry& entry);

  // Puts an entry that was read from disk into its place. Nobody hears of it, and it was counted
  // before. The key must not be there.
  void Place(const KeyRef& key, Entry* entry, const StoredObject& object);

  // The entry leaves memory, and its record on disk stays as it is: nothing was removed, and nobody
  // hears of it. What it took, in bytes.
  size_t Unload(const KeyRef& key, Entry* entry);

  // As after a removal, of a key that is on disk, or may be, and not here.
  void AssumeRemoved(const KeyRef& key);

  // Removes the key; false when there is none. Big values are freed after unlock, by the lazy freer
  // when `lazy` (and the value is more than one allocation) or very big.
  bool Delete(const KeyRef& key, bool lazy = false);

  // Sets or (kNoExpire) drops the expiry. A time in the past does not delete: the caller decides
  // that.
  Entry* SetExpire(const KeyRef& key, Entry* entry, int64_t at_ms);

  // Says that a field of this hash expires then, so that the sweep looks at it in time.
  void NoteFieldExpiry(const KeyRef& key, int64_t at_ms);

  // Moves the value, its expiry and access state from a key of this database to a key of `to`,
  // replacing what is there. Large values are not copied. `from` must exist.
  void MoveTo(const KeyRef& from, Database& to, const KeyRef& to_key);
  // The same with a deep copy.
  void CopyTo(const Entry& from, Database& to, const KeyRef& to_key);

  // Says that the value of the key was changed in place, for everything that follows changes. The
  // functions here that set, delete, move or give a time to live say it themselves.
  void Modified(const KeyRef& key);

  // Tells subscribers of keyspace notifications, once the slots are unlocked. `event_class` is one
  // of notify::, `event` lives forever.
  void Notify(uint32_t event_class, std::string_view event, const KeyRef& key);

  // Says that the key may hold something a blocked request waits for. The functions here that
  // create keys say it themselves.
  void SignalReady(const KeyRef& key);

  Keyspace& keyspace() { return *keyspace_; }
  EngineThread& thread() { return *thread_; }

 private:
  Entry* Find(const KeyRef& key, Change change = Change::kValue);
  void NoteRemoved(const KeyRef& key, Entry& entry);
  void TakeTombstone(const KeyRef& key, Entry& fresh);
  void CarryStored(const KeyRef& key, const Entry& old, Entry& fresh);
  StoredObject TakeObject(const KeyRef& key, Entry& entry);
  void NoteOverwritten(const KeyRef& key, const Entry& entry);
  void MarkAccess(Entry& entry);
  bool AllFieldsExpired(const Entry& entry) const;
  void RemoveExpired(const KeyRef& key);
  void TouchWatches(const KeyRef& key, bool gone);
  Entry* Replace(const KeyRef& key, Entry* existing, Entry* fresh);
  Entry* NewEntry(std::string_view key, ValueType type, Encoding encoding, size_t value_bytes,
                  int64_t expire_at_ms);
  Entry* PutInPlaceOf(const KeyRef& key, Entry* existing, Entry* fresh);
  void FreeEntry(Entry* entry, bool lazy);
  void FreeReplaced(Entry* entry);
  void Detach(const KeyRef& key, Entry* entry);
  Entry* Rebuild(const Entry& from, std::string_view key, int64_t expire_at_ms);
  static void NoteExpiry(Table& table, int64_t at_ms);
  void OverwriteExpire(const KeyRef& key, Entry& entry, int64_t at_ms);

  Keyspace* keyspace_;
  EngineThread* thread_;
  int64_t now_ms_;
  int index_;
  DatabaseUse use_;
};

}  // namespace tidegate
