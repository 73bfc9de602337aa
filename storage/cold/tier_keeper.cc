#include "storage/cold/tier_keeper.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "storage/cold/residency.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/gate.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {

TierKeeper::TierKeeper(Engine& engine, ColdReader& reader, const ColdStart& start,
                       ColdCounters& counters)
    : engine_(engine),
      residency_(engine.residency()),
      reader_(reader),
      source_(*start.source),
      counters_(counters),
      now_ms_(start.now_ms) {}

// Slots that somebody is at have their turn in the next round.
bool TierKeeper::TryEnterAndLock(uint16_t slot) {
  if (!engine_.Enter(reader_.thread())) return false;
  engine_.FollowSettings(reader_.thread(), now_ms_());
  if (engine_.TryLock(slot)) return true;
  engine_.gate_->LeaveShared(reader_.thread());
  return false;
}

void TierKeeper::Round(int64_t now_nanos) {
  if (now_nanos < next_round_nanos_) return;
  next_round_nanos_ = now_nanos + kKeeperRoundNanos;
  uint64_t keys = 0;
  for (uint32_t slot = 0; slot < kSlotCount && !reader_.stopping(); ++slot) {
    if (!TryEnterAndLock(static_cast<uint16_t>(slot))) continue;
    keys += TidySlot(static_cast<uint16_t>(slot));
    engine_.Unlock(static_cast<uint16_t>(slot));
    engine_.gate_->LeaveShared(reader_.thread());
  }
  counters_.keys_in_memory.store(keys, std::memory_order_relaxed);
}

// With the slot locked; how many keys it has in memory.
uint64_t TierKeeper::TidySlot(uint16_t slot) {
  Keyspace& keyspace = engine_.keyspace();
  const bool has_removed = (keyspace.slot(slot).flags & Slot::kRemoved) != 0;
  uint64_t keys = 0;
  for (int db = 0; db < keyspace.databases(); ++db) {
    if (has_removed) DropOldAbsent(slot, db);
    if (const Table* table = keyspace.FindTable(slot, db)) keys += table->count();
    if (!has_removed && db == 0 && !keyspace.HasOthers(slot)) break;
  }
  if (has_removed) keyspace.UpdateFlags(slot);
  return keys;
}

void TierKeeper::DropOldAbsent(uint16_t slot, int db) {
  StoredState* stored = engine_.keyspace().FindStored(slot, db);
  if (stored == nullptr || stored->removed().count() == 0) return;
  std::vector<Entry*> old;
  bool pinned = false;
  stored->removed().ForEach([&](Entry& entry) {
    if (entry.dirty() || entry.in_flight()) return;
    const uint32_t seconds = access::LruIdleSeconds(entry.access(), reader_.thread().now_ms);
    if (seconds <= kAbsentSecondsMax) return;
    const bool held = residency_.pins().IsPinned(slot, KeyHash(entry.key()));
    if (held && seconds <= kAbsentPinnedSecondsMax) return;
    pinned = pinned || held;
    old.push_back(&entry);
  });
  for (Entry* entry : old) stored->EraseRemoved(KeyHash(entry->key()), entry);
  // A load of it may be under way.
  if (pinned) residency_.TombstonesDropped(slot);
}

// A slot of a database whose time has come; it is the next scan's.
bool TierKeeper::FindDue() {
  if (!reader_.EnterAndLock(0)) return false;
  const int64_t now_ms = now_ms_();
  const auto now_s = static_cast<uint32_t>(std::clamp<int64_t>(now_ms / 1000, 0, UINT32_MAX - 1));
  std::vector<int> databases;
  for (int db = 0; db < engine_.databases(); ++db) {
    if (residency_.IsCold(db) && engine_.StatsOfDb(db).expires > 0) databases.push_back(db);
  }
  for (uint32_t i = 0; i < kSlotCount && !databases.empty() && !scan_; ++i) {
    const auto slot = static_cast<uint16_t>((look_slot_ + i) % kSlotCount);
    for (const int db : databases) {
      if (residency_.EarliestExpiry(db, slot) > now_s) continue;
      scan_ = Scan{.database = residency_.IdOf(db), .slot = slot};
      look_slot_ = slot;
      break;
    }
  }
  reader_.UnlockAndLeave(0);
  if (!scan_ || !reader_.EnterAndLock(scan_->slot)) return scan_.has_value();
  // With its lock, so that what leaves after it is noted after it.
  const int db = residency_.NumberOf(scan_->database);
  if (db >= 0) residency_.ForgetExpiries(db, scan_->slot);
  reader_.UnlockAndLeave(scan_->slot);
  return true;
}

bool TierKeeper::IsNeeded() {
  if (!reader_.EnterAndLock(scan_->slot)) return false;
  const int db = residency_.NumberOf(scan_->database);
  const bool needed = db >= 0 && residency_.IsCold(db, scan_->slot);
  reader_.UnlockAndLeave(scan_->slot);
  return needed;
}

Result<bool> TierKeeper::StepExpiry(int64_t now_nanos) {
  if (!scan_) {
    if (now_nanos < next_look_nanos_) return false;
    if (!FindDue()) {
      next_look_nanos_ = now_nanos + kExpiryLookNanos;
      return false;
    }
  }
  if (!IsNeeded()) {
    scan_.reset();
    return true;
  }
  Found found;
  Status status = ReadSome(found);
  if (status.ok()) status = LoadDue(found.due);
  if (!status.ok()) {
    EndScan(static_cast<uint32_t>(now_ms_() / 1000) + kExpiryRetrySeconds);
    return std::move(status).error();
  }
  if (found.through) {
    EndScan(scan_->earliest_s);
  } else {
    scan_->from_hash = found.next_hash;
  }
  return true;
}

// Ends between two hashes, as a batch of the reader does.
Status TierKeeper::ReadSome(Found& found) {
  const int64_t now_ms = now_ms_();
  size_t seen = 0;
  uint64_t last_hash = 0;
  const auto look = [&](const StoredExpiry& stored) {
    if (seen >= kExpiriesPerStep && stored.hash != last_hash) {
      found.next_hash = stored.hash;
      found.through = false;
      return false;
    }
    ++seen;
    last_hash = stored.hash;
    if (stored.expire_at_ms == kNoExpire) return !reader_.stopping();
    if (stored.expire_at_ms <= now_ms) {
      found.due.push_back(ColdTarget::Key(scan_->database, {stored.key, stored.hash, scan_->slot}));
    } else {
      // In the second after it: an entry that is read too early is read twice.
      const auto at_s =
          static_cast<uint32_t>(std::clamp<int64_t>(stored.expire_at_ms / 1000 + 1, 1, UINT32_MAX));
      scan_->earliest_s = std::min(scan_->earliest_s, at_s);
    }
    return !reader_.stopping();
  };
  return source_.ReadExpiries(scan_->database, scan_->slot, scan_->from_hash, look);
}

Status TierKeeper::LoadDue(const std::vector<ColdTarget>& due) {
  for (const ColdTarget& target : due) {
    if (!reader_.EnterAndLock(target.slot)) return {};
    const bool wanted = reader_.IsWanted(target);
    reader_.UnlockAndLeave(target.slot);
    if (!wanted) continue;  // what is in memory is the sweep's
    TG_RETURN_IF_ERROR(reader_.LoadKey(target, /*asked=*/false));
    counters_.expired_on_disk.fetch_add(1, std::memory_order_relaxed);
  }
  return {};
}

void TierKeeper::EndScan(uint32_t earliest_s) {
  const Scan scan = *std::exchange(scan_, std::nullopt);
  look_slot_ = (scan.slot + 1u) % kSlotCount;
  if (!reader_.EnterAndLock(scan.slot)) return;
  const int db = residency_.NumberOf(scan.database);
  if (db >= 0) residency_.LowerExpiry(db, scan.slot, earliest_s);
  reader_.UnlockAndLeave(scan.slot);
}

Result<bool> TierKeeper::StepEverything() {
  for (; everything_at_ < kSlotCount; ++everything_at_) {
    const auto slot = static_cast<uint16_t>(everything_at_);
    if (!reader_.EnterAndLock(slot)) return false;
    std::optional<ColdTarget> target;
    for (int db = 0; db < engine_.databases() && !target; ++db) {
      if (residency_.IsCold(db, slot)) target = ColdTarget::Slot(residency_.IdOf(db), slot);
    }
    reader_.UnlockAndLeave(slot);
    if (!target) continue;
    Result<ColdReader::Progress> progress = reader_.LoadSome(*target);
    if (!progress.ok()) return std::move(progress).error();
    return true;
  }
  return false;
}

}  // namespace tidegate
