// KeyMoves: which keys of routes with move-from are known not to be in the old cluster any more,
// and which are just being moved. One for the process.
//
//   unknown --Begin--> moving --Restored--> restored --Removed--> settled
//              ^          |
//              +--Failed--+            nobody executes anything on a key that is moving
//
// A key that is settled is never asked for in the old cluster again: whatever becomes of it, by
// clients or by time, it cannot come back from there. That has to hold between workers too, hence
// one set for all: two moves of one key at a time could bring back what was deleted in between.
// `restored` keys are still in the old cluster, and as good as settled.
//
// Settled keys are 64-bit hashes, of which two keys have the same once in 10^13 lookups; when a
// shard is full it forgets them all, which costs a question to the old cluster for each. Threads:
// any. Cost: one uncontended lock and a lookup for each key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/request.h"

namespace tidegate {

// Keys that are remembered as settled, over all shards. About 40 bytes each.
inline constexpr size_t kSettledKeysMax = 1 << 20;

class KeyMoves final {
 public:
  explicit KeyMoves(size_t settled_keys_max = kSettledKeysMax)
      : settled_of_shard_max_(settled_keys_max / kShards) {}

  enum class State : uint8_t { kSettled, kMine, kOthers };
  // kMine: the caller moves it, and says Restored, Absent or Failed. kOthers: somebody does. Of
  // both the ticket is among those that are given back then, once.
  State Begin(int database, const KeyRef& key, uint64_t ticket);

  // Each gives back the tickets that wait for the key.
  // It is where it should be, and is about to be removed from the old cluster.
  std::vector<uint64_t> Restored(int database, const KeyRef& key);
  // It was not in the old cluster.
  std::vector<uint64_t> Absent(int database, const KeyRef& key);
  // Nobody knows where it is.
  std::vector<uint64_t> Failed(int database, const KeyRef& key);

  // After Restored: it is not in the old cluster any more.
  void Removed(int database, const KeyRef& key);

 private:
  static constexpr size_t kShards = 64;
  struct Shard {
    Mutex mutex;
    std::unordered_set<uint64_t> settled TG_GUARDED_BY(mutex);
    std::unordered_set<uint64_t> restored TG_GUARDED_BY(mutex);
    std::map<std::pair<int, std::string>, std::vector<uint64_t>> moving TG_GUARDED_BY(mutex);
  };

  static uint64_t HashOf(int database, const KeyRef& key);
  void Settle(Shard& shard, uint64_t hash) TG_REQUIRES(shard.mutex);
  static std::vector<uint64_t> TakeWaiters(Shard& shard, int database, const KeyRef& key)
      TG_REQUIRES(shard.mutex);
  Shard& ShardOf(uint64_t hash) { return shards_[hash % kShards]; }

  const size_t settled_of_shard_max_;
  std::array<Shard, kShards> shards_;
};

}  // namespace tidegate
