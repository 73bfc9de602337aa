#include "storage/eviction.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/clock.h"
#include "base/hash.h"
#include "config/notify.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Victims between two looks at what all threads use.
constexpr int kVictimsPerLook = 16;

// Keys looked at under one hold of a slot's lock.
constexpr size_t kVisitedPerLock = 64;

}  // namespace

bool OnlyVolatile(EvictionPolicy policy) {
  return policy == EvictionPolicy::kVolatileLru || policy == EvictionPolicy::kVolatileLfu ||
         policy == EvictionPolicy::kVolatileRandom || policy == EvictionPolicy::kVolatileTtl;
}

bool IsRandom(EvictionPolicy policy) {
  return policy == EvictionPolicy::kAllKeysRandom || policy == EvictionPolicy::kVolatileRandom;
}

EvictionState& Eviction::StateOf(EngineThread& thread) { return thread.eviction; }

// As Redis: 50 us for each of the first ten steps of tenacity, then 15% more for each. Never more
// than a turn may take.
int64_t Eviction::BudgetNanos() const {
  constexpr int64_t kStepNanos = 50'000;
  const int tenacity = engine_.settings().maxmemory_tenacity.load(std::memory_order_relaxed);
  const int64_t left = std::max<int64_t>(state_.turn_nanos_left, 0);
  if (tenacity <= 10) return std::min(left, tenacity * kStepNanos);
  if (tenacity >= 100) return left;
  const double wanted = static_cast<double>(10 * kStepNanos) * std::pow(1.15, tenacity - 10);
  return wanted < static_cast<double>(left) ? static_cast<int64_t>(wanted) : left;
}

Room Eviction::MakeRoom() {
  const EngineSettings& settings = engine_.settings();
  const uint64_t limit = settings.maxmemory_bytes.load(std::memory_order_relaxed);
  const uint64_t used = engine_.UsedNow(thread_);
  if (used <= limit) engine_.eviction_limit_.Within(MonotonicNanos());
  if (used <= limit || settings.IsFrozen(thread_.now_ms)) return Room::kYes;
  const Room room = Evict(used, limit);
  // As Redis counts it: what one attempt brings down is no time over the limit.
  if (engine_.UsedAbout(thread_) <= limit) {
    engine_.eviction_limit_.Within(MonotonicNanos());
  } else {
    engine_.eviction_limit_.Exceeded(MonotonicNanos());
  }
  return room;
}

Room Eviction::Evict(uint64_t used, uint64_t limit) {
  const EngineSettings& settings = engine_.settings();
  const LazyFreer& freer = keyspace_.lazy_freer();
  if (used <= limit + freer.pending_bytes()) return WaitForFreer(used, limit);
  const EvictionPolicy policy = settings.maxmemory_policy.load(std::memory_order_relaxed);
  if (policy == EvictionPolicy::kNoEviction) return Room::kNo;
  if (state_.policy != policy) state_.pool.Clear();
  state_.policy = policy;
  state_.starves = false;
  if (tier_ != nullptr && HasJustStarved()) return WaitForCheckpoint(used, limit);
  // Asked for what a whole walk would find out.
  if (state_.pool.empty() && engine_.CountKeys(OnlyVolatile(policy)) == 0) return Room::kNo;
  const Found found = state_.turn_nanos_left > 0 ? EvictDownTo(limit) : Found::kNoTime;
  used = engine_.UsedNow(thread_);
  if (used <= limit + freer.pending_bytes()) return WaitForFreer(used, limit);
  state_.searched_nanos = 0;
  if (tier_ != nullptr && met_unclean_ && (victims_ == 0 || found == Found::kNothing))
    return WaitForCheckpoint(used, limit);
  return found == Found::kNothing ? Room::kNo : GoOnOrWait(used, limit);
}

Eviction::Found Eviction::EvictDownTo(uint64_t limit) {
  const LazyFreer& freer = keyspace_.lazy_freer();
  const int64_t begin_nanos = MonotonicNanos();
  const int64_t deadline_nanos = begin_nanos + BudgetNanos();
  int64_t now_nanos = begin_nanos;
  Found found = Found::kNoTime;
  int victims = 0;
  uint64_t used = 0;
  do {
    found = EvictOne(deadline_nanos);
    now_nanos = MonotonicNanos();
    const bool look = ++victims % kVictimsPerLook == 0;
    used = look ? engine_.UsedNow(thread_) : engine_.UsedAbout(thread_);
    if (tier_ != nullptr && victims_ == 0 && now_nanos > deadline_nanos) break;
    // The first few go even where no time at all was given.
  } while (found != Found::kNothing && used > limit + freer.pending_bytes() &&
           (victims < kVictimsPerLook || now_nanos < deadline_nanos));
  state_.turn_nanos_left -= now_nanos - begin_nanos;
  return found;
}

// Enough was deleted, and is being freed.
Room Eviction::WaitForFreer(uint64_t used, uint64_t limit) {
  if (GoOnOrWait(used, limit) == Room::kYes) return Room::kYes;
  const int64_t budget = BudgetNanos();
  if (budget == 0) return Room::kLater;
  const int64_t begin_nanos = MonotonicNanos();
  keyspace_.lazy_freer().Help(budget);
  state_.turn_nanos_left -= MonotonicNanos() - begin_nanos;
  return GoOnOrWait(engine_.UsedNow(thread_), limit);
}

Room Eviction::GoOnOrWait(uint64_t used, uint64_t limit) {
  EvictionLimit& seen = engine_.eviction_limit_;
  const uint64_t excess = used - std::min(used, limit);
  uint64_t least = seen.excess_bytes.load(std::memory_order_relaxed);
  if (seen.limit_bytes.load(std::memory_order_relaxed) != limit || excess < least) {
    least = excess;
    seen.excess_bytes.store(excess, std::memory_order_relaxed);
    seen.limit_bytes.store(limit, std::memory_order_relaxed);
  }
  return excess <= least + kOvershootBytesMax.count ? Room::kYes : Room::kLater;
}

Eviction::Found Eviction::EvictOne(int64_t deadline_nanos) {
  if (IsRandom(state_.policy)) {
    state_.pool.Clear();
    state_.slot = thread_.Random() % kSlotCount;
    state_.db = 0;
    state_.position = thread_.Random();
  }
  fresh_passed_ = 0;
  const Found found = Sample(deadline_nanos);
  // Also when nothing was found in time: those of before may do, and must not stay when they are
  // gone.
  while (const EvictionPool::Candidate* victim = state_.pool.TakeBest()) {
    if (tier_ != nullptr ? Unload(*victim) : Remove(*victim)) return Found::kSome;
  }
  return found;  // those there were are in use again: the next round finds others
}

Eviction::Found Eviction::Sample(int64_t deadline_nanos) {
  const int wanted = IsRandom(state_.policy)
                         ? 1
                         : engine_.settings().maxmemory_samples.load(std::memory_order_relaxed);
  int seen = 0;
  uint32_t slots = 0;
  busy_ = false;
  for (uint32_t steps = 0; seen < wanted; ++steps) {
    // A whole round, and the slot it began in once more.
    if (slots > kSlotCount && seen == 0) return busy_ ? Found::kNoTime : Found::kNothing;
    if (slots > kSlotCount) return Found::kSome;
    if (steps % 64 == 63 && MonotonicNanos() > deadline_nanos)
      return seen > 0 ? Found::kSome : Found::kNoTime;
    const uint32_t slot = state_.slot;
    if (SlotIsBare()) {
      NextSlot();
    } else {
      seen += SampleHere(wanted - seen);
    }
    slots += slot != state_.slot ? 1 : 0;
  }
  return Found::kSome;
}

// Without the lock, which would cost more than the rest for a slot that has nothing to give.
bool Eviction::SlotIsBare() const {
  const auto slot = static_cast<uint16_t>(state_.slot);
  if (keyspace_.HasOthers(slot)) return false;
  const Table& table = keyspace_.slot(slot).db0;
  return table.seems_empty() || (OnlyVolatile(state_.policy) && table.expires() == 0);
}

int Eviction::SampleHere(int wanted) {
  const auto slot = static_cast<uint16_t>(state_.slot);
  if (!engine_.TryLock(slot)) {
    busy_ = true;
    NextSlot();
    return 0;
  }
  int seen = 0;
  const bool only_volatile = OnlyVolatile(state_.policy);
  const Table* table = keyspace_.FindTable(slot, state_.db);
  const bool bare =
      table == nullptr || table->count() == 0 || (only_volatile && table->expires() == 0);
  uint32_t position = bare ? 0 : state_.position;
  for (size_t visited = 0; !bare && seen < wanted && visited < kVisitedPerLock;) {
    position = table->Visit(position, static_cast<size_t>(wanted - seen), [&](Entry& entry) {
      ++visited;
      if (only_volatile && !entry.has_expire()) return;
      if (tier_ != nullptr && !MayBeSampled(slot, entry)) return;
      ++seen;
      state_.pool.Offer(Score(entry), state_.db, slot, entry.key());
    });
    if (position == 0) break;
  }
  const bool others = keyspace_.HasOthers(slot);
  engine_.Unlock(slot);
  state_.position = position;
  if (position == 0 && (!others || ++state_.db >= keyspace_.databases())) NextSlot();
  return seen;
}

void Eviction::NextSlot() {
  state_.slot = (state_.slot + 1) % kSlotCount;
  state_.db = 0;
  state_.position = 0;
}

int64_t Eviction::Score(const Entry& entry) const {
  switch (state_.policy) {
    case EvictionPolicy::kAllKeysLru:
    case EvictionPolicy::kVolatileLru:
      return access::LruIdleSeconds(entry.access(), thread_.now_ms);
    case EvictionPolicy::kAllKeysLfu:
    case EvictionPolicy::kVolatileLfu: {
      // Among those of one count the one whose last use is longest ago.
      const int decay = engine_.settings().lfu_decay_minutes.load(std::memory_order_relaxed);
      const uint32_t count = access::LfuCounter(entry.access(), thread_.now_ms, decay);
      return (int64_t{255 - count} << 16) + access::LfuIdleMinutes(entry.access(), thread_.now_ms);
    }
    case EvictionPolicy::kVolatileTtl:
      return INT64_MAX - entry.expire_at_ms();
    default:
      return thread_.Random();
  }
}

// False when it has to stay: it is busy, gone, was used since it was sampled, or is large and a cut
// has not had it yet.
bool Eviction::Remove(const EvictionPool::Candidate& victim) {
  if (!engine_.TryLock(victim.slot)) return false;
  Database db(keyspace_, thread_, victim.db, thread_.now_ms, {.no_touch = true});
  const KeyRef key{victim.key, KeyHash(victim.key), victim.slot};
  if (engine_.IsLargeForCut(thread_, key, victim.db)) {
    engine_.Unlock(victim.slot);
    return false;
  }
  const Entry* entry = db.Peek(key);
  const bool goes = entry != nullptr && (!OnlyVolatile(state_.policy) || entry->has_expire()) &&
                    (IsRandom(state_.policy) || Score(*entry) >= victim.score);
  if (goes) {
    db.Delete(key, engine_.settings().lazyfree_eviction.load(std::memory_order_relaxed));
    if (thread_.recording) thread_.effects.Add(victim.db, {"DEL", key.name});
    thread_.counters.evicted_keys.Add();
    db.Notify(notify::kEvicted, "evicted", key);
  }
  if (!thread_.ready.empty()) engine_.ServeReady(thread_);
  engine_.Record(thread_);
  engine_.Unlock(victim.slot);
  engine_.Deliver(thread_);
  return goes;
}

}  // namespace tidegate
