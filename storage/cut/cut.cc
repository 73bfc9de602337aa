#include "storage/cut/cut.h"

#include <numeric>
#include <utility>

#include "storage/cold/residency.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {

Cut::Cut(CutSink& sink, CutQueue& queue, Keyspace& keyspace, bool mark, bool rewrites)
    : sink_(sink),
      queue_(queue),
      keyspace_(keyspace),
      mark_(mark),
      only_dirty_(sink.only_dirty()),
      rewrites_(rewrites),
      number_of_(static_cast<size_t>(keyspace.databases())),
      walked_(new std::atomic<bool>[kSlotCount]) {
  std::iota(number_of_.begin(), number_of_.end(), 0);
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) walked_[slot].store(false);
}

StoredObject Cut::ObjectOf(uint16_t slot, int db, const Entry& entry) const {
  if (!only_dirty_ || db == kNoDatabase || !entry.has_stored_object()) return {};
  return keyspace_.stored(slot, db).ObjectOf(entry.key());
}

void Cut::NoteWritten(uint16_t slot, int db, Entry& entry, const StoredObject& object) const {
  if (!only_dirty_) return;
  entry.set_dirty(false);
  entry.set_in_flight(true);
  entry.set_stored(!entry.removed());
  if (entry.embedded() || db == kNoDatabase) return;
  if (object) {
    keyspace_.stored(slot, db).SetObject(entry.key(), object);
  } else if (entry.has_stored_object()) {
    keyspace_.stored(slot, db).TakeObject(entry.key());
  }
  entry.set_stored_object(object.id != 0, object.id != 0);
}

bool Cut::Walk(uint16_t slot, int db, int number, Entry& entry) {
  SetMark(entry);
  if (IsWritten(entry)) {
    if (sink_.failed()) return true;  // it stays as it is, for the next one
    NoteWritten(slot, db, entry, sink_.OnEntry(number, entry, ObjectOf(slot, db, entry)));
    return true;
  }
  if (!only_dirty_) return true;
  entry.set_in_flight(false);
  return !entry.removed();
}

void Cut::Preserve(EngineThread& thread, uint16_t slot, int db, Entry& entry) {
  SetMark(entry);
  if (!IsWritten(entry)) return;
  const int number = NumberOf(db);
  PreservedEntries& kept = thread.preserved;
  if (kept.db != number) CollectFrom(thread);
  kept.db = number;
  const StoredObject object = sink_.Encode(number, entry, ObjectOf(slot, db, entry), kept.bytes);
  NoteWritten(slot, db, entry, object);
  if (kept.bytes.size() >= kPreservedBatchBytes.count) CollectFrom(thread);
}

void Cut::CollectFrom(EngineThread& thread) {
  if (!thread.preserved.bytes.empty()) queue_.Push(std::exchange(thread.preserved, {}));
}

bool Cut::TakeDropped(uint16_t slot, int db, const Table& table) {
  if (IsWalked(slot)) return false;
  dropped_[slot].push_back({NumberOf(db), keyspace_.database_map().IdOf(db), table});
  return true;
}

// The ids of what is on disk do not change for this cut: FLUSHDB gives a fresh one to what comes.
void Cut::TakeCold(int db, const Residency& residency) {
  if (only_dirty_ || !residency.IsCold(db)) return;
  std::vector<uint64_t> loaded_below(kSlotCount);
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    loaded_below[slot] = residency.LoadedBelow(db, static_cast<uint16_t>(slot));
  dropped_cold_.push_back({NumberOf(db), residency.IdOf(db), std::move(loaded_below)});
}

std::vector<Cut::Dropped> Cut::TakeDroppedOf(uint16_t slot) {
  const auto found = dropped_.find(slot);
  if (found == dropped_.end()) return {};
  std::vector<Dropped> taken = std::move(found->second);
  dropped_.erase(found);
  return taken;
}

}  // namespace tidegate
