#include "storage/tier.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "storage/cold/residency.h"
#include "storage/cut/cut.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {

void Tier::CheckpointBegins() {
  failed_before_ = flight_.load(std::memory_order_relaxed) != Flight::kLanded;
  flight_.store(Flight::kUnknown, std::memory_order_relaxed);
  serves_.store(asked_.exchange(false));
}

void Tier::CheckpointEnded(bool succeeded) {
  flight_.store(succeeded ? Flight::kLanded : Flight::kFailed, std::memory_order_release);
  if (succeeded && serves_.exchange(false)) barren_.fetch_add(1);
  ended_.fetch_add(1, std::memory_order_release);
  WakeWaiters();
}

bool Tier::IsClean(const EngineThread& thread, uint16_t slot, const Entry& entry) const {
  if (!entry.stored() || entry.dirty()) return false;
  const Cut* cut = thread.cut;
  if (cut != nullptr && cut->Wants(slot, entry)) return false;
  if (entry.in_flight()) {
    const Flight flight = flight_.load(std::memory_order_acquire);
    // Written by the checkpoint before the one under way.
    const bool of_the_last = flight == Flight::kUnknown && cut != nullptr && cut->only_dirty() &&
                             cut->IsOld(entry) && !failed_before_;
    if (flight != Flight::kLanded && !of_the_last) return false;
  }
  // One whose time is over is about to be removed.
  if (entry.has_expire() && entry.expire_at_ms() <= thread.now_ms) return false;
  const ColdPins& pins = residency_.pins();
  return !pins.HasAny(slot) || !pins.IsPinned(slot, KeyHash(entry.key()));
}

bool Tier::IsAwaited(int db, const KeyRef& key) const {
  const uint32_t flags = keyspace_.slot(key.slot).flags;
  if ((flags & (Slot::kWatched | Slot::kBlocked)) == 0) return false;
  SlotExtras& extras = keyspace_.extras(key.slot);
  if (extras.blocked.Find(db, key.name) != nullptr) return true;
  bool watched = false;
  extras.watches.ForEachKey([&](int watched_db, std::string_view name) {
    watched = watched || (watched_db == db && name == key.name);
  });
  return watched;
}

// Who fails keeps failing until it is seen to have succeeded: the next one is made all the same.
bool Tier::AskForCheckpoint() {
  if (ask_ == nullptr) return false;
  const bool barren = barren_.load() >= kBarrenCheckpointsMax;
  const int64_t now_nanos = MonotonicNanos();
  if (!barren || now_nanos - asked_nanos_.load() > kBarrenAskNanos) {
    asked_nanos_.store(now_nanos);
    if (!asked_.exchange(true)) asks_.fetch_add(1, std::memory_order_relaxed);
    ask_(ask_context_);
  }
  return !barren && flight_.load(std::memory_order_acquire) != Flight::kFailed;
}

bool Tier::Await(const Waiter& waiter, uint64_t seen_ended) {
  waits_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  if (ended() != seen_ended) return false;
  waiters_.push_back(waiter);
  any_waiters_.store(true);
  return true;
}

void Tier::Forget(const Waiter& waiter) {
  if (!any_waiters_.load()) return;
  MutexLock lock(mutex_);
  std::erase(waiters_, waiter);
}

void Tier::WakeWaiters() {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    woken = std::exchange(waiters_, {});
    any_waiters_.store(false);
  }
  for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
}

}  // namespace tidegate
