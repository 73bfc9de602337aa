#include "storage/compaction.h"

#include <algorithm>

#include "base/clock.h"
#include "base/hash.h"
#include "storage/engine.h"
#include "storage/keyspace/keyspace.h"
#include "storage/memory/memory.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

// Keys that are looked at under one lock of a slot: with all of them to move some tens of
// microseconds.
constexpr size_t kVisitedPerLock = 64;

// Pages of a collection that are looked at under one lock.
constexpr size_t kPagesPerLock = 32;

// After rounds that gained little: twice as long each time.
constexpr int64_t kRestMinMs = 1000;
constexpr int64_t kRestMaxMs = 600'000;

uint64_t WastedBytes() {
  const SlabMemory slabs = ReadSlabMemory();
  const uint64_t wasted = slabs.active_bytes - slabs.used_bytes;
  return wasted > slabs.active_bytes / 8 ? wasted : 0;
}

}  // namespace

bool Compaction::IsDue(int64_t now_ms) const {
  return running() || (now_ms >= rest_until_ms_ && WastedBytes() > kWastedBytesMin.count);
}

void Compaction::Begin() {
  wasted_before_bytes_ = WastedBytes();
  next_class_ = 0;
  slot_ = 0;
  db_ = 0;
  position_ = 0;
  large_.clear();
  place_ = {};
  running_.store(true, std::memory_order_relaxed);
}

uint64_t Compaction::Step(int64_t now_ms) {
  const uint64_t moves_before = MemoryMoves();
  const int64_t deadline_nanos = MonotonicNanos() + kSliceNanos;
  if (!running()) Begin();
  // What this thread keeps for itself would hold on to slabs, and go out again from them.
  MemoryFlushCache();
  while (next_class_ < MemoryClassCount()) {
    MemoryChooseSparse(next_class_++);
    if (MonotonicNanos() > deadline_nanos) return 0;
  }
  if (WalkSome(deadline_nanos)) End(now_ms);
  return MemoryMoves() - moves_before;
}

void Compaction::End(int64_t now_ms) {
  for (int i = 0; i < MemoryClassCount(); ++i) MemoryUnchoose(i);
  running_.store(false, std::memory_order_relaxed);
  const uint64_t wasted = WastedBytes();
  const bool gained = wasted < wasted_before_bytes_ - wasted_before_bytes_ / 8;
  rest_ms_ = gained ? 0 : std::clamp(2 * rest_ms_, kRestMinMs, kRestMaxMs);
  rest_until_ms_ = now_ms + rest_ms_;
}

// True when the walk is over.
bool Compaction::WalkSome(int64_t deadline_nanos) {
  for (uint32_t steps = 1; slot_ < kSlotCount || !large_.empty(); ++steps) {
    if (!large_.empty()) {
      CompactLarge();
      if (MonotonicNanos() > deadline_nanos) return false;
      continue;
    }
    const auto slot = static_cast<uint16_t>(slot_);
    const bool bare = !keyspace_.HasOthers(slot) && keyspace_.slot(slot).db0.seems_empty();
    // Who is busy is passed over: the next round comes by again.
    if (bare || !engine_.TryLock(slot)) {
      ++slot_;
      db_ = 0;
      position_ = 0;
    } else {
      CompactSlot(slot);
      engine_.Unlock(slot);
    }
    if (steps % 4 == 0 && MonotonicNanos() > deadline_nanos) return false;
  }
  return true;
}

void Compaction::CompactSlot(uint16_t slot) {
  Table* table = keyspace_.FindTable(slot, db_);
  if (table != nullptr && table->count() > 0) {
    if (position_ == 0) table->Compact();
    large_slot_ = slot;
    large_db_ = db_;
    std::vector<Entry*> sparse;
    position_ = table->Visit(position_, kVisitedPerLock, [&](Entry& entry) {
      if (HasPages(entry.encoding())) {
        large_.emplace_back(entry.key());
      } else if (!entry.embedded()) {
        CompactObject(entry);
      }
      if (MemoryIsSparse(&entry, entry.allocated_bytes())) sparse.push_back(&entry);
    });
    for (Entry* entry : sparse) MoveEntry(*table, entry);
  } else {
    position_ = 0;
  }
  if (position_ != 0) return;
  if (keyspace_.HasOthers(slot) && ++db_ < keyspace_.databases()) return;
  db_ = 0;
  ++slot_;
}

// Some pages of the last of large_.
void Compaction::CompactLarge() {
  bool done = true;
  if (engine_.TryLock(large_slot_)) {
    const Table* table = keyspace_.FindTable(large_slot_, large_db_);
    const Entry* entry =
        table == nullptr ? nullptr : table->Find(KeyHash(large_.back()), large_.back());
    if (entry != nullptr && HasPages(entry->encoding()))
      done = CompactSome(ValueObject::Of(*entry), place_, kPagesPerLock);
    engine_.Unlock(large_slot_);
  }
  if (!done) return;
  large_.pop_back();
  place_ = {};
}

void Compaction::CompactObject(Entry& entry) {
  const ValueObject value = ValueObject::Of(entry);
  void* moved = CompactValue(value);
  if (moved != value.object) entry.set_object(moved);
}

void Compaction::MoveEntry(Table& table, Entry* entry) {
  const uint64_t hash = KeyHash(entry->key());
  const size_t bytes = entry->allocated_bytes();
  // The table looks for the old address only, which is free by then.
  auto* fresh = static_cast<Entry*>(MemoryMove(entry, bytes));
  table.Replace(hash, entry, fresh);
}

}  // namespace tidegate
