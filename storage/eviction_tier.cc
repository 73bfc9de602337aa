// The part of Eviction in which victims leave for the disk: see tier.h.
#include "base/clock.h"
#include "base/hash.h"
#include "storage/cold/residency.h"
#include "storage/engine_thread.h"
#include "storage/eviction.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/tier.h"

namespace tidegate {

// A search costs a turn's time, and finds the same as the last one.
bool Eviction::HasJustStarved() const {
  return state_.searched_nanos != 0 && state_.checkpoints_ended == tier_->ended() &&
         MonotonicNanos() - state_.searched_nanos < kBarrenSearchNanos;
}

// With the slot's lock. What was read or written a moment ago is not the first to go under any
// policy: it would be read again for the next request.
bool Eviction::MayBeSampled(uint16_t slot, const Entry& entry) {
  if (!tier_->IsClean(thread_, slot, entry)) {
    met_unclean_ = true;
    return false;
  }
  const bool goes_by_use =
      !IsRandom(state_.policy) && state_.policy != EvictionPolicy::kVolatileTtl;
  if (goes_by_use || access::LruIdleSeconds(entry.access(), thread_.now_ms) >= kFreshSeconds)
    return true;
  return ++fresh_passed_ > kFreshPassedMax;
}

// Nothing may leave before the disk has it.
Room Eviction::WaitForCheckpoint(uint64_t used, uint64_t limit) {
  if (!HasJustStarved()) {
    state_.checkpoints_ended = tier_->ended();
    state_.searched_nanos = MonotonicNanos();
  }
  const bool helps = tier_->AskForCheckpoint();
  if (GoOnOrWait(used, limit) == Room::kYes) return Room::kYes;
  if (!helps) return Room::kNo;
  state_.starves = true;
  return Room::kLater;
}

// False when it has to stay, or was used since it was sampled.
bool Eviction::Unload(const EvictionPool::Candidate& victim) {
  if (!engine_.TryLock(victim.slot)) return false;
  const KeyRef key{victim.key, KeyHash(victim.key), victim.slot};
  const Table* table = keyspace_.FindTable(victim.slot, victim.db);
  Entry* entry = table == nullptr ? nullptr : table->Find(key.hash, key.name);
  const bool goes = entry != nullptr && (!OnlyVolatile(state_.policy) || entry->has_expire()) &&
                    (IsRandom(state_.policy) || Score(*entry) >= victim.score) &&
                    tier_->IsClean(thread_, key.slot, *entry) && !tier_->IsAwaited(victim.db, key);
  if (goes) {
    engine_.residency().Evicted(victim.db, key.slot, key.hash, entry->expire_at_ms());
    const size_t bytes = Database(keyspace_, thread_, victim.db, thread_.now_ms, {.no_touch = true})
                             .Unload(key, entry);
    thread_.counters.tier_evicted_keys.Add();
    thread_.counters.tier_evicted_bytes.Add(static_cast<int64_t>(bytes));
    tier_->NoteVictim();
    ++victims_;
  } else if (entry != nullptr) {
    met_unclean_ = true;
  }
  engine_.Unlock(victim.slot);
  engine_.Deliver(thread_);
  return goes;
}

}  // namespace tidegate
