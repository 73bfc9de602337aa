#include "storage/cold/cold_reader.h"

#include <bit>
#include <chrono>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/cold/residency.h"
#include "storage/cut/cut.h"
#include "storage/engine_thread.h"
#include "storage/gate.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {
namespace {

// Bytes of entries of a slot that are read at a time; a larger value comes alone.
constexpr Bytes kBatchBytesMax = 1_MiB;

// Between two tries at a slot that somebody holds for longer than a moment.
constexpr std::chrono::microseconds kBusySlotPause{50};

// Keys that a slot remembers as absent before it forgets them: about 3 KB.
constexpr uint32_t kAbsentMin = 64;

// The reader's only request.
constexpr uint64_t kTicket = 1;

}  // namespace

ColdReader::ColdReader(Engine& engine, const ColdStart& start, ColdCounters& counters)
    : engine_(engine),
      residency_(*engine.residency_),
      thread_(engine.AddThread(
          [](void* self, uint64_t) {
            auto& reader = *static_cast<ColdReader*>(self);
            MutexLock lock(reader.mutex_);
            reader.woken_ = true;
            reader.condition_.notify_one();
          },
          this)),
      source_(*start.source),
      counters_(counters),
      batch_entries_max_(start.batch_entries_max),
      now_ms_(start.now_ms) {}

void ColdReader::Stop() {
  stopping_.store(true);
  MutexLock lock(mutex_);
  condition_.notify_one();
}

bool ColdReader::WaitForWake() {
  MutexLock lock(mutex_);
  while (!woken_ && !stopping_.load()) condition_.wait(mutex_);
  woken_ = false;
  return !stopping_.load();
}

bool ColdReader::EnterAndLock(uint16_t slot) {
  for (;;) {
    while (!engine_.Enter(thread_)) {
      if (engine_.gate_->ParkUntilOpen({&thread_, kTicket}) && !WaitForWake()) {
        engine_.gate_->Remove({&thread_, kTicket});
        return false;
      }
    }
    engine_.FollowSettings(thread_, now_ms_());
    if (engine_.TryLock(slot)) return true;
    engine_.gate_->LeaveShared(thread_);
    if (stopping_.load()) return false;
    std::this_thread::sleep_for(kBusySlotPause);
  }
}

void ColdReader::UnlockAndLeave(uint16_t slot) {
  engine_.Unlock(slot);
  engine_.MakeRoomForLoads(thread_);
  engine_.gate_->LeaveShared(thread_);
}

bool ColdReader::MarkFor(const EngineThread& thread, uint16_t slot) {
  const Cut* cut = thread.cut;
  const bool before_it = cut != nullptr && !cut->only_dirty() && !cut->IsWalked(slot);
  return before_it ? !thread.cut_mark : thread.cut_mark;
}

Status ColdReader::Build(const StoredEntry& stored, std::vector<Built>& out) {
  if (builder_ == nullptr) {
    builder_ = std::make_unique<EntryBuilder>(engine_.settings(), engine_.keyspace().lazy_freer());
  }
  Result<Entry*> entry = builder_->Build(stored);
  if (!entry.ok()) return std::move(entry).error();
  out.push_back({std::string(stored.key), stored.hash, stored.object,
                 stored.key.size() + stored.value.size(), *entry});
  return {};
}

void ColdReader::Discard(std::vector<Built>& entries) {
  for (Built& built : entries) {
    if (built.entry != nullptr) DestroyEntry(built.entry);
  }
  entries.clear();
}

Status ColdReader::LoadKey(const ColdTarget& target, bool asked) {
  ColdHold hold(residency_.pins());
  hold.Add(target);
  for (;;) {
    const uint32_t generation = residency_.Generation(target.slot);
    std::vector<Built> built;
    Status status;
    const Result<bool> found =
        source_.Read(target.database, target.slot, target.hash, target.key,
                     [&](const StoredEntry& stored) { status = Build(stored, built); });
    if (status.ok() && !found.ok()) status = found.error();
    // Of who gives up the requests are told nothing: the process ends.
    if (!EnterAndLock(target.slot)) {
      Discard(built);
      return {};
    }
    if (!status.ok() && !IsWanted(target)) status = {};
    const bool placed = !status.ok() || PlaceKey(target, generation,
                                                 built.empty() ? nullptr : &built.front(), asked);
    UnlockAndLeave(target.slot);
    Discard(built);
    if (!status.ok()) return std::move(status).error().WithContext("read a key from disk");
    if (placed) return {};
  }
}

bool ColdReader::LearnAbsent(const EngineThread& thread, const ColdTarget& target) {
  ColdHold hold(residency_.pins());
  hold.Add(target);
  const uint32_t generation = residency_.Generation(target.slot);
  if (!source_.IsAbsent(target.database, target.slot, target.hash, target.key)) return false;
  if (!engine_.TryLock(target.slot)) return false;
  const bool valid = residency_.Generation(target.slot) == generation;
  if (valid && IsWanted(target))
    PlaceAbsent(thread, residency_.NumberOf(target.database), target.ref());
  engine_.Unlock(target.slot);
  return valid;
}

bool ColdReader::IsWanted(const ColdTarget& target) {
  const int db = residency_.NumberOf(target.database);
  return db >= 0 && !residency_.IsResident(db, target.ref());
}

bool ColdReader::PlaceKey(const ColdTarget& target, uint32_t generation, Built* found, bool asked) {
  if (!IsWanted(target)) return true;
  if (residency_.Generation(target.slot) != generation) return false;
  const int db = residency_.NumberOf(target.database);
  if (found == nullptr) {
    PlaceAbsent(thread_, db, target.ref());
  } else {
    Place(db, target.ref(), *found, asked);
  }
  return true;
}

void ColdReader::Place(int db, const KeyRef& key, Built& built, bool asked) {
  Entry* entry = std::exchange(built.entry, nullptr);
  // Else it would be the first to leave again, before it has been of use.
  if (asked && residency_.tiered()) {
    entry->set_access(thread_.lfu ? access::LfuFresh(thread_.now_ms)
                                  : access::LruClock(thread_.now_ms));
  }
  entry->set_cut_mark(MarkFor(thread_, key.slot));
  Database(engine_.keyspace(), thread_, db, thread_.now_ms, {.no_touch = true})
      .Place(key, entry, built.object);
  counters_.loaded_keys.fetch_add(1, std::memory_order_relaxed);
  counters_.loaded_bytes.fetch_add(built.bytes, std::memory_order_relaxed);
}

// There is nothing on disk, and nobody needs to ask again.
void ColdReader::PlaceAbsent(const EngineThread& thread, int db, const KeyRef& key) {
  Keyspace& keyspace = engine_.keyspace();
  StoredState& stored = keyspace.stored(key.slot, db);
  const uint32_t known = stored.removed().count();
  // Looked for at each doubling, so that few are looked at for each that comes.
  if (known >= kAbsentMin && std::has_single_bit(known)) DropAbsent(db, key.slot);
  Entry* absent = stored.AddRemoved(key.hash, key.name);
  absent->set_change_mark(thread.change_mark);
  absent->set_access(access::LruClock(thread.wall_ms));  // since when it is known
  counters_.absent_keys.fetch_add(1, std::memory_order_relaxed);
  keyspace.slot(key.slot).flags |= Slot::kRemoved;
}

void ColdReader::DropAbsent(int db, uint16_t slot) {
  StoredState& stored = engine_.keyspace().stored(slot, db);
  std::vector<Entry*> absent;
  stored.removed().ForEach([&](Entry& entry) {
    if (!entry.dirty() && !entry.in_flight() &&
        !residency_.pins().IsPinned(slot, KeyHash(entry.key())))
      absent.push_back(&entry);
  });
  for (Entry* entry : absent) stored.EraseRemoved(KeyHash(entry->key()), entry);
  residency_.TombstonesDropped(slot);
}

Result<ColdReader::Progress> ColdReader::LoadSome(const ColdTarget& target) {
  ColdHold hold(residency_.pins());
  hold.Add(target);
  Batch batch;
  if (!BeginBatch(target, batch)) return Progress::kThrough;
  Status status = ReadBatch(target, batch);
  bool usable = status.ok();
  while (usable) {
    if (!EnterAndLock(target.slot)) break;
    usable = PlaceSome(target, batch);
    UnlockAndLeave(target.slot);
    if (batch.placed == batch.entries.size()) break;
  }
  Discard(batch.entries);
  if (!status.ok()) return std::move(status).error().WithContext("read a slot from disk");
  return Progress::kMore;
}

bool ColdReader::BeginBatch(const ColdTarget& target, Batch& batch) {
  if (!EnterAndLock(target.slot)) return false;
  const int db = residency_.NumberOf(target.database);
  batch.from = db < 0 ? Residency::kAll : residency_.LoadedBelow(db, target.slot);
  batch.generation = residency_.Generation(target.slot);
  UnlockAndLeave(target.slot);
  batch.end = Residency::kAll;
  return batch.from != Residency::kAll;
}

// Ends between two hashes, so that all keys of a hash are here when it is said to be loaded.
Status ColdReader::ReadBatch(const ColdTarget& target, Batch& batch) {
  Status built;
  Status read =
      source_.ReadSlot(target.database, target.slot, batch.from, [&](const StoredEntry& stored) {
        const bool full = batch.entries.size() >= batch_entries_max_ ||
                          batch.bytes + stored.value.size() > kBatchBytesMax.count;
        if (full && !batch.entries.empty() && stored.hash != batch.entries.back().hash &&
            stored.hash != Residency::kAll) {
          batch.end = stored.hash;
          return false;
        }
        built = Build(stored, batch.entries);
        if (built.ok()) batch.bytes += batch.entries.back().bytes;
        return built.ok() && !stopping_.load(std::memory_order_relaxed);
      });
  return built.ok() ? std::move(read) : std::move(built);
}

bool ColdReader::PlaceSome(const ColdTarget& target, Batch& batch) {
  const int db = residency_.NumberOf(target.database);
  if (db < 0 || residency_.Generation(target.slot) != batch.generation ||
      stopping_.load(std::memory_order_relaxed))
    return false;
  const size_t end = std::min(batch.entries.size(), batch.placed + kPlacedPerHold);
  for (; batch.placed < end; ++batch.placed) {
    Built& built = batch.entries[batch.placed];
    const KeyRef key{built.key, built.hash, target.slot};
    if (!residency_.IsResident(db, key)) Place(db, key, built, /*asked=*/false);
  }
  const bool all = batch.placed == batch.entries.size();
  const uint64_t below = all ? batch.end : batch.entries[batch.placed].hash;
  if (all || below != Residency::kAll) residency_.Advance(db, target.slot, below);
  return true;
}

}  // namespace tidegate
