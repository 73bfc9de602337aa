// Eviction: making room when maxmemory is reached.
//
// Runs before a command that may need memory, while no slot is held: a victim is chosen by sampling
// and removed in a short critical section of its own. Samples come from random places of random
// slots; the best of maxmemory-samples goes. Like Redis's approximated LRU and LFU, without its
// pool: a pool would be shared by all workers. What counts as used is the memory of keys, values
// and tables (memory.h), over all threads. Owner: the worker that executes. Cost: bounded by
// kEvictionBudgetNanos a call. Source: Redis's description of its approximated LRU ("Key eviction"
// in its documentation).
#pragma once

#include <cstdint>

#include "storage/engine.h"

namespace tidegate {

class Keyspace;

// Longest time a command spends on making room; what is then still too much is left to the next
// ones.
inline constexpr int64_t kEvictionBudgetNanos = 500'000;

class Eviction final {
 public:
  Eviction(Engine& engine, Keyspace& keyspace, EngineThread& thread)
      : engine_(engine), keyspace_(keyspace), thread_(thread) {}

  // True when the command may go on: used memory is within maxmemory, or what could be evicted was.
  // False: answer OOM.
  bool MakeRoom();

 private:
  struct Candidate;
  bool EvictOne(EvictionPolicy policy);
  void SampleSlot(uint16_t slot, EvictionPolicy policy, Candidate& best);
  bool Remove(const Candidate& victim);

  Engine& engine_;
  Keyspace& keyspace_;
  EngineThread& thread_;
};

}  // namespace tidegate
