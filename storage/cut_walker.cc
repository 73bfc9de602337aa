#include "storage/cut_walker.h"

#include <chrono>
#include <thread>
#include <utility>

#include "storage/cold/entry_builder.h"
#include "storage/cold/residency.h"
#include "storage/engine_thread.h"
#include "storage/gate.h"
#include "storage/journal/effect_sink.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/tier.h"

namespace tidegate {
namespace {

// Between two tries at a slot that somebody holds for longer than a moment.
constexpr std::chrono::microseconds kBusySlotPause{50};

// What a key takes, about, for the sum of what waits to be freed.
constexpr uint64_t kDroppedKeyBytes = 64;

// Changed keys whose memory is brought near ahead of the one that is looked at.
constexpr size_t kNotesAhead = 8;

// The walker's only request.
constexpr uint64_t kTicket = 1;

}  // namespace

CutWalker::CutWalker(Engine& engine)
    : engine_(engine),
      thread_(engine.AddThread(
          [](void* self, uint64_t) {
            auto& walker = *static_cast<CutWalker*>(self);
            MutexLock lock(walker.mutex_);
            walker.woken_ = true;
            walker.condition_.notify_one();
          },
          this)) {}

CutWalker::~CutWalker() = default;

bool CutWalker::WaitForWake() {
  MutexLock lock(mutex_);
  while (!woken_ && !given_up_) condition_.wait(mutex_);
  woken_ = false;
  return !given_up_;
}

void CutWalker::GiveUp() {
  MutexLock lock(mutex_);
  given_up_ = true;
  condition_.notify_one();
}

bool CutWalker::CloseGate() {
  while (engine_.gate_->Close({&thread_, kTicket}) == ExclusiveGate::Entry::kSuspended) {
    if (!WaitForWake()) return false;
  }
  return true;
}

// Into the engine, and in the way of nobody who wants the gate: who does waits until we are out,
// while all others go on.
bool CutWalker::EnterHolding() {
  for (;;) {
    bool wait = false;
    if (engine_.gate_->EnterShared(thread_)) {
      if (engine_.gate_->BeginHold({&thread_, kTicket})) return true;
      engine_.gate_->LeaveShared(thread_);
      wait = true;
    } else {
      wait = engine_.gate_->ParkUntilOpen({&thread_, kTicket});
    }
    if (wait && !WaitForWake()) return false;
  }
}

void CutWalker::Leave() {
  engine_.gate_->EndHold();
  engine_.gate_->LeaveShared(thread_);
}

void CutWalker::Write(CutSink& sink, int64_t (*now_ms)()) {
  MutexLock turn(engine_.cut_turn_);
  slots_walked_.store(0, std::memory_order_relaxed);
  if (!CloseGate()) return;
  bool& mark = sink.only_dirty() ? engine_.change_mark_ : engine_.cut_mark_;
  mark = !mark;
  Cut cut(sink, *engine_.cut_queue_, *engine_.keyspace_, mark, engine_.checkpoint_failed_);
  Begin(cut, sink, now_ms());
  const bool walked = WalkAll(cut, sink) && End(cut);
  builder_.reset();
  if (!walked) return;
  DrainQueue(sink);
  if (sink.only_dirty() && !sink.failed()) sink.OnDead(engine_.dead_records_);
}

bool CutWalker::WalkAll(Cut& cut, CutSink& sink) {
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
    while (const auto wanted = engine_.cut_queue_->NextWanted()) {
      if (!WalkSlot(cut, sink, *wanted)) return false;
    }
    if (!WalkSlot(cut, sink, static_cast<uint16_t>(slot))) return false;
    DrainQueue(sink);
  }
  return true;
}

void CutWalker::Begin(Cut& cut, CutSink& sink, int64_t now_ms) {
  CutMoment moment{.unix_ms = now_ms,
                   .changes = engine_.StatsSinceStart().changes,
                   .dbs = {},
                   .sequence = 0,
                   .ids = engine_.keyspace_->database_map().ids()};
  if (engine_.effect_sink_ != nullptr) moment.sequence = engine_.effect_sink_->last_sequence();
  if (sink.only_dirty()) CollectChanges();
  if (sink.only_dirty() && engine_.tier() != nullptr) engine_.tier()->CheckpointBegins();
  for (int db = 0; db < engine_.databases(); ++db) moment.dbs.push_back(engine_.StatsOfDb(db));
  sink.OnMoment(moment);
  engine_.cut_.store(&cut, std::memory_order_relaxed);
  engine_.gate_->Open();
  if (sink.only_dirty()) engine_.changed_slots_.Sort();
}

// Added to what a checkpoint that failed has left.
void CutWalker::CollectChanges() {
  DeadRecords& dead = engine_.dead_records_;
  const std::vector<uint32_t> databases = engine_.keyspace_->database_map().TakeDead();
  dead.databases.insert(dead.databases.end(), databases.begin(), databases.end());
  for (const auto& thread : engine_.threads_) {
    dead.objects.insert(dead.objects.end(), thread->dead_objects.begin(),
                        thread->dead_objects.end());
    thread->dead_objects = {};
    engine_.changed_slots_.Take(thread->changed);
  }
}

bool CutWalker::End(Cut& cut) {
  if (!CloseGate()) return false;
  for (const auto& thread : engine_.threads_) cut.CollectFrom(*thread);
  engine_.cut_.store(nullptr, std::memory_order_relaxed);
  engine_.gate_->Open();
  engine_.cut_queue_->WakeAll();
  return true;
}

bool CutWalker::WalkSlot(Cut& cut, CutSink& sink, uint16_t slot) {
  if (cut.IsWalked(slot)) return true;  // only this thread sets it
  if (!EnterHolding()) return false;
  while (!engine_.TryLock(slot)) {
    Leave();
    std::this_thread::sleep_for(kBusySlotPause);
    if (!EnterHolding()) return false;
  }
  Keyspace& keyspace = *engine_.keyspace_;
  keyspace.slot(slot).HoldLong();
  for (int db = 0; db < keyspace.databases(); ++db) {
    const Table* table = keyspace.FindTable(slot, db);
    if (table != nullptr && table->count() > 0) WalkTable(cut, slot, db, *table);
    StoredState* stored = cut.only_dirty() ? keyspace.FindStored(slot, db) : nullptr;
    if (stored != nullptr && stored->removed().count() > 0) WalkRemoved(cut, slot, db, *stored);
  }
  if ((keyspace.slot(slot).flags & Slot::kRemoved) != 0) keyspace.UpdateFlags(slot);
  const std::vector<Cut::Dropped> dropped = cut.TakeDroppedOf(slot);
  for (const Cut::Dropped& table : dropped) {
    table.table.ForEach([&](Entry& entry) { cut.WalkDropped(slot, table.db, entry); });
  }
  std::vector<ColdPart> cold = NoteCold(cut, slot, dropped);
  cut.SetWalked(slot);
  engine_.Unlock(slot);
  Leave();
  engine_.cut_queue_->SlotWalked(slot);
  ReadCold(sink, cold);
  sink.OnSlotWalked(slot);
  FreeDropped(dropped);
  slots_walked_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Of a database that was dropped, what is known about it was dropped with it: tables that have its
// id, and no others, for the number may have been filled and dropped again.
std::vector<CutWalker::ColdPart> CutWalker::NoteCold(
    const Cut& cut, uint16_t slot, const std::vector<Cut::Dropped>& dropped) const {
  std::vector<ColdPart> parts;
  if (cut.only_dirty()) return parts;
  const Residency& residency = *engine_.residency_;
  Keyspace& keyspace = *engine_.keyspace_;
  for (int db = 0; residency.any() && db < keyspace.databases(); ++db) {
    if (!residency.IsCold(db, slot)) continue;
    ColdRest rest(residency.IdOf(db), slot, residency.LoadedBelow(db, slot));
    if (const Table* table = keyspace.FindTable(slot, db)) rest.Note(*table);
    if (const StoredState* stored = keyspace.FindStored(slot, db)) rest.Note(stored->removed());
    parts.push_back({cut.NumberOf(db), std::move(rest)});
  }
  for (const Cut::DroppedCold& database : cut.dropped_cold()) {
    if (database.loaded_below[slot] == Residency::kAll) continue;
    ColdRest rest(database.database, slot, database.loaded_below[slot]);
    for (const Cut::Dropped& table : dropped) {
      if (table.database == database.database) rest.Note(table.table);
    }
    parts.push_back({database.db, std::move(rest)});
  }
  return parts;
}

void CutWalker::ReadCold(CutSink& sink, std::vector<ColdPart>& parts) {
  for (ColdPart& part : parts) {
    if (sink.failed()) return;
    if (builder_ == nullptr) {
      builder_ =
          std::make_unique<EntryBuilder>(engine_.settings(), engine_.keyspace_->lazy_freer());
    }
    Status read = part.rest.ForEach(*engine_.cold_source(), *builder_, [&](const Entry& entry) {
      (void)sink.OnEntry(part.db, entry, {});
      return !sink.failed();
    });
    if (!read.ok()) sink.OnUnreadable(std::move(read).error());
  }
}

// Of a checkpoint: where something has changed. The memory is brought near ahead of the look.
void CutWalker::WalkTable(Cut& cut, uint16_t slot, int db, const Table& table) const {
  const std::function<void(Entry&)> walk = [&](Entry& entry) { (void)cut.Walk(slot, db, entry); };
  if (!cut.only_dirty() || engine_.changed_slots_.everything()) return table.ForEach(walk);
  const std::span<const uint64_t> notes = engine_.changed_slots_.Of(slot);
  const auto hash_of = [](uint64_t note) { return uint64_t{ChangedKeys::PositionOf(note)} << 32; };
  for (size_t i = 0; i < notes.size() + 2 * kNotesAhead; ++i) {
    if (i < notes.size()) table.Prefetch(hash_of(notes[i]));
    if (i >= kNotesAhead && i < notes.size() + kNotesAhead)
      table.PrefetchEntry(hash_of(notes[i - kNotesAhead]));
    if (i >= 2 * kNotesAhead)
      table.VisitNear(ChangedKeys::PositionOf(notes[i - 2 * kNotesAhead]), walk);
  }
}

void CutWalker::WalkRemoved(Cut& cut, uint16_t slot, int db, StoredState& stored) const {
  std::vector<Entry*> done;
  stored.removed().ForEach([&](Entry& entry) {
    if (cut.Walk(slot, db, entry)) return;
    // Whoever waits for several keys has found this one missing.
    if (!engine_.residency_->pins().IsPinned(slot, KeyHash(entry.key()))) done.push_back(&entry);
  });
  for (Entry* tombstone : done) stored.EraseRemoved(KeyHash(tombstone->key()), tombstone);
  if (!done.empty()) engine_.residency_->TombstonesDropped(slot);
}

void CutWalker::FreeDropped(const std::vector<Cut::Dropped>& dropped) const {
  if (dropped.empty()) return;
  std::vector<Table> tables;
  uint64_t keys = 0;
  for (const Cut::Dropped& table : dropped) {
    tables.push_back(table.table);
    keys += table.table.count();
  }
  engine_.keyspace_->lazy_freer().AddTables(std::move(tables), keys * kDroppedKeyBytes);
}

void CutWalker::DrainQueue(CutSink& sink) {
  for (const PreservedEntries& entries : engine_.cut_queue_->Take()) {
    if (!sink.failed()) sink.OnEncoded(entries.db, entries.bytes);
  }
}

}  // namespace tidegate
