#include "storage/eviction.h"

#include <string>

#include "base/clock.h"
#include "base/hash.h"
#include "config/notify.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Slots looked at for one victim before giving up: the keyspace may hold next to nothing that a
// volatile policy may take.
constexpr int kSlotsTriedMax = 2048;

bool OnlyVolatile(EvictionPolicy policy) {
  return policy == EvictionPolicy::kVolatileLru || policy == EvictionPolicy::kVolatileLfu ||
         policy == EvictionPolicy::kVolatileRandom || policy == EvictionPolicy::kVolatileTtl;
}

}  // namespace

struct Eviction::Candidate {
  std::string key;
  int db = 0;
  uint16_t slot = 0;
  int64_t score = -1;  // the higher, the sooner it goes
  int seen = 0;
};

bool Eviction::MakeRoom() {
  const uint64_t limit = engine_.settings().maxmemory_bytes.load(std::memory_order_relaxed);
  if (MemoryUsedBytes() <= limit || engine_.settings().IsFrozen(thread_.now_ms)) return true;
  const EvictionPolicy policy = engine_.settings().maxmemory_policy.load(std::memory_order_relaxed);
  if (policy == EvictionPolicy::kNoEviction) return false;
  const int64_t deadline = MonotonicNanos() + kEvictionBudgetNanos;
  while (MemoryUsedBytes() > limit) {
    if (!EvictOne(policy)) return false;
    if (MonotonicNanos() > deadline) break;
  }
  return true;
}

bool Eviction::EvictOne(EvictionPolicy policy) {
  const int samples = engine_.settings().maxmemory_samples.load(std::memory_order_relaxed);
  Candidate best;
  for (int tried = 0; tried < kSlotsTriedMax && best.seen < samples; ++tried) {
    SampleSlot(static_cast<uint16_t>(thread_.Random() % kSlotCount), policy, best);
  }
  // Nearly empty: random slots hit nothing, a walk does.
  for (uint32_t slot = 0; slot < kSlotCount && best.seen == 0; ++slot) {
    SampleSlot(static_cast<uint16_t>(slot), policy, best);
  }
  return best.seen > 0 && Remove(best);
}

void Eviction::SampleSlot(uint16_t slot, EvictionPolicy policy, Candidate& best) {
  if (!engine_.TryLock(slot)) return;
  const int databases = keyspace_.HasOthers(slot) ? keyspace_.databases() : 1;
  const int db =
      databases == 1 ? 0 : static_cast<int>(thread_.Random() % static_cast<uint32_t>(databases));
  const int decay = engine_.settings().lfu_decay_minutes.load(std::memory_order_relaxed);
  keyspace_.Visit(slot, db, thread_.Random(), 1, [&](Entry& entry) {
    if (OnlyVolatile(policy) && !entry.has_expire()) return;
    int64_t score = 0;
    switch (policy) {
      case EvictionPolicy::kAllKeysLru:
      case EvictionPolicy::kVolatileLru:
        score = access::LruIdleSeconds(entry.access(), thread_.now_ms);
        break;
      case EvictionPolicy::kAllKeysLfu:
      case EvictionPolicy::kVolatileLfu:
        score =
            255 - static_cast<int64_t>(access::LfuCounter(entry.access(), thread_.now_ms, decay));
        break;
      case EvictionPolicy::kVolatileTtl:
        score = INT64_MAX - entry.expire_at_ms();
        break;
      default:
        score = thread_.Random();
    }
    ++best.seen;
    if (score > best.score) {
      best.score = score;
      best.key = entry.key();
      best.db = db;
      best.slot = slot;
    }
  });
  engine_.Unlock(slot);
}

bool Eviction::Remove(const Candidate& victim) {
  // Busy now: the next round finds another.
  if (!engine_.TryLock(victim.slot)) return true;
  Database db(keyspace_, thread_, victim.db, thread_.now_ms, {.no_touch = true});
  const KeyRef key{victim.key, KeyHash(victim.key), victim.slot};
  if (db.Delete(key, false)) {
    thread_.counters.evicted_keys.Add();
    db.Notify(notify::kEvicted, "evicted", key);
  }
  if (!thread_.ready.empty()) engine_.ServeReady(thread_);
  engine_.Unlock(victim.slot);
  engine_.Deliver(thread_);
  return true;
}

}  // namespace tidegate
