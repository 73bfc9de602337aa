#include "storage/cut_walker.h"

#include <chrono>
#include <thread>

#include "storage/cold/cold_loader.h"
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

// Between two looks whether somebody has given up, while everything is awaited.
constexpr std::chrono::milliseconds kCancelledPause{50};

// What a key takes, about, for the sum of what waits to be freed.
constexpr uint64_t kDroppedKeyBytes = 64;

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

bool CutWalker::WaitAWhile() {
  MutexLock lock(mutex_);
  if (!woken_ && !given_up_) condition_.wait_for(mutex_, kCancelledPause);
  woken_ = false;
  return !given_up_;
}

Status CutWalker::AwaitEverything(const std::atomic<bool>& cancelled) {
  const std::vector<ColdTarget> everything = {ColdTarget::Everything()};
  const Waiter waiter{&thread_, kTicket};
  std::shared_ptr<ColdWait> wait;
  if (engine_.tier() != nullptr) {
    everything_ = std::make_unique<ColdHold>(engine_.residency_->pins());
    everything_->Add(ColdTarget::Everything());
  }
  for (bool goes_on = true;; goes_on = WaitAWhile()) {
    // In this order: it is closed when all is there, too.
    const bool closed = engine_.cold_loader_ != nullptr && engine_.cold_loader_->closed();
    if (!engine_.residency_->any()) return {};
    if (cancelled.load() || closed || !goes_on) {
      engine_.cold_loader_->Forget(waiter);
      everything_.reset();
      return Error{"given up, while keys were read from disk"};
    }
    if (wait != nullptr && wait->HasFailed(everything)) {
      everything_.reset();
      return Error{"not all keys are in memory yet, and some could not be read from disk"};
    }
    if (wait == nullptr) wait = engine_.cold_loader_->Add(everything, waiter);
  }
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
  engine_.cut_mark_ = !engine_.cut_mark_;
  Cut cut(sink, *engine_.cut_queue_, *engine_.keyspace_, engine_.cut_mark_,
          engine_.checkpoint_failed_);
  Begin(cut, sink, now_ms());
  everything_.reset();
  if (!WalkAll(cut, sink) || !End(cut)) return;
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
  if (sink.only_dirty()) CollectDead();
  if (sink.only_dirty() && engine_.tier() != nullptr) engine_.tier()->CheckpointBegins();
  for (int db = 0; db < engine_.databases(); ++db) moment.dbs.push_back(engine_.StatsOfDb(db));
  sink.OnMoment(moment);
  engine_.cut_.store(&cut, std::memory_order_relaxed);
  engine_.gate_->Open();
}

// Added to what a checkpoint that failed has left.
void CutWalker::CollectDead() {
  DeadRecords& dead = engine_.dead_records_;
  const std::vector<uint32_t> databases = engine_.keyspace_->database_map().TakeDead();
  dead.databases.insert(dead.databases.end(), databases.begin(), databases.end());
  for (const auto& thread : engine_.threads_) {
    dead.objects.insert(dead.objects.end(), thread->dead_objects.begin(),
                        thread->dead_objects.end());
    thread->dead_objects = {};
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
    if (table != nullptr && table->count() > 0) {
      table->ForEach([&](Entry& entry) {
        if (entry.cut_mark() != cut.mark()) (void)cut.Walk(slot, db, entry);
      });
    }
    StoredState* stored = keyspace.FindStored(slot, db);
    if (stored != nullptr && stored->removed().count() > 0) WalkRemoved(cut, slot, db, *stored);
  }
  if ((keyspace.slot(slot).flags & Slot::kRemoved) != 0) keyspace.UpdateFlags(slot);
  const std::vector<Cut::Dropped> dropped = cut.TakeDroppedOf(slot);
  for (const Cut::Dropped& table : dropped) {
    table.table.ForEach([&](Entry& entry) {
      if (entry.cut_mark() != cut.mark()) cut.WalkDropped(slot, table.db, entry);
    });
  }
  cut.SetWalked(slot);
  engine_.Unlock(slot);
  Leave();
  engine_.cut_queue_->SlotWalked(slot);
  sink.OnSlotWalked(slot);
  FreeDropped(dropped);
  slots_walked_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void CutWalker::WalkRemoved(Cut& cut, uint16_t slot, int db, StoredState& stored) const {
  std::vector<Entry*> done;
  stored.removed().ForEach([&](Entry& entry) {
    if (entry.cut_mark() == cut.mark() || cut.Walk(slot, db, entry)) return;
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
