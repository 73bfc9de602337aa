// Compaction: moves keys and values together where deletions left little in many slabs.
//
// A slab goes back to the system when its last object does; after a mass deletion at random each
// still has some, and what comes next may be of other sizes. So when much is wasted, a round
// begins: of each size class the sparsest slabs are chosen to become empty (slab.h), and one walk
// over the keyspace moves what lies in them: entries, tables of slots, strings, packed collections,
// and pages of hashes, sets and sorted sets. What else there is stays where it is; slabs that did
// not become empty take objects again when the round is over. After a round that gained little the
// next one waits, longer each time.
//
//   unused > kWastedBytesMin and > 1/8 --> choose slabs --> walk --> end --> (rest) -->
//
// Instead of jemalloc's hints, on which Redis's active defragmentation is built: small objects are
// not jemalloc's here. Thread: one at a time, a worker's timer; `running` any. Cost: kSliceNanos a
// step, under one slot's lock for at most kVisitedPerLock keys.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "storage/value/value_object.h"

namespace tidegate {

class Engine;
class Entry;
class Keyspace;
class Table;

class Compaction final {
 public:
  static constexpr int64_t kSliceNanos = 500'000;
  // Unused memory in slabs that is not worth a round; beside it an eighth of what they take.
  static constexpr Bytes kWastedBytesMin = 16_MiB;

  Compaction(Engine& engine, Keyspace& keyspace) : engine_(engine), keyspace_(keyspace) {}

  // Whether Step has something to do now.
  bool IsDue(int64_t now_ms) const;
  // How many allocations it moved.
  uint64_t Step(int64_t now_ms);
  // Between the begin and the end of a round.
  bool running() const { return running_.load(std::memory_order_relaxed); }

 private:
  void Begin();
  void End(int64_t now_ms);
  bool WalkSome(int64_t deadline_nanos);
  void CompactSlot(uint16_t slot);
  void CompactLarge();
  static void CompactObject(Entry& entry);
  static void MoveEntry(Table& table, Entry* entry);

  Engine& engine_;
  Keyspace& keyspace_;
  std::atomic<bool> running_{false};
  // Of the round: how much was wasted, and where it stands.
  uint64_t wasted_before_bytes_ = 0;
  int next_class_ = 0;
  uint32_t slot_ = 0;
  int db_ = 0;
  uint32_t position_ = 0;
  // Large collections the walk came by, all of one slot and database; and where it is in the last.
  std::vector<std::string> large_;
  uint16_t large_slot_ = 0;
  int large_db_ = 0;
  CompactionPlace place_;
  // Of rounds that gained little.
  int64_t rest_until_ms_ = 0;
  int64_t rest_ms_ = 0;
};

}  // namespace tidegate
