// Eviction: making room when maxmemory is reached.
//
// Runs before a command that may need memory, while no slot is held. Samples are taken by walking
// through the keyspace, a bucket or so at a time: buckets are in hash order, so neighbours have
// nothing to do with each other, every key is seen once per round however unevenly slots are
// filled, and nothing is drawn twice. The best of the samples wait in a pool (eviction_pool.h);
// the best of the pool is looked at again, since it may be in use again, and removed in a short
// critical section of its own.
//
// What counts as used: keys, values, tables and the buffers of clients, over all threads, but not
// what waits to be freed in the background: that was evicted or deleted already, and a second
// victim for the same bytes would be one too many. A turn of a loop spends at most
// kEvictionTurnNanos here. When that is not enough, commands go on as long as memory is within
// kOvershootBytesMax of the limit; beyond it they are suspended and executed again in the next
// turn. Where data may be larger than memory victims leave for the disk, and only those that are
// there as they stand (tier.h). Owner: the worker that executes. Source: Redis's description of its
// approximated LRU ("Key eviction" in its documentation).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "storage/engine.h"
#include "storage/eviction_pool.h"

namespace tidegate {

class Entry;
class Keyspace;
class Tier;

// Memory above maxmemory at which commands that may need more wait for eviction. They are let in
// without knowing what they need, so one command's data per worker may come on top.
inline constexpr Bytes kOvershootBytesMax = 4_MiB;

// Whether only keys with a time to live are victims.
bool OnlyVolatile(EvictionPolicy policy);
bool IsRandom(EvictionPolicy policy);

class Eviction final {
 public:
  Eviction(Engine& engine, Keyspace& keyspace, EngineThread& thread)
      : engine_(engine),
        keyspace_(keyspace),
        thread_(thread),
        state_(StateOf(thread)),
        tier_(engine.tier()) {}

  // For when more is used than maxmemory.
  Room MakeRoom();

 private:
  // kNothing: no key may go. kNoTime: none was found in time, or somebody is at those there are.
  enum class Found : uint8_t { kSome, kNothing, kNoTime };

  static EvictionState& StateOf(EngineThread& thread);
  int64_t BudgetNanos() const;
  Room Evict(uint64_t used, uint64_t limit);
  Room WaitForFreer(uint64_t used, uint64_t limit);
  Room GoOnOrWait(uint64_t used, uint64_t limit);
  Found EvictDownTo(uint64_t limit);
  Found EvictOne(int64_t deadline_nanos);
  Found Sample(int64_t deadline_nanos);
  // Samples where the walk stands, and moves it on; how many keys it found.
  int SampleHere(int wanted);
  void NextSlot();
  bool SlotIsBare() const;
  int64_t Score(const Entry& entry) const;
  bool Remove(const EvictionPool::Candidate& victim);
  // eviction_tier.cc: the same to disk.
  bool Unload(const EvictionPool::Candidate& victim);
  bool MayBeSampled(uint16_t slot, const Entry& entry);
  Room WaitForCheckpoint(uint64_t used, uint64_t limit);
  bool HasJustStarved() const;

  Engine& engine_;
  Keyspace& keyspace_;
  EngineThread& thread_;
  EvictionState& state_;
  Tier* const tier_;   // null: victims are deleted
  bool busy_ = false;  // a slot was passed over that somebody else has
  // Of a tier: entries that may not leave now were met; victims so far; and fresh ones that were
  // passed over for the next.
  bool met_unclean_ = false;
  int victims_ = 0;
  int fresh_passed_ = 0;
};

}  // namespace tidegate
