#include "proxy/upstream/key_moves.h"

#include <algorithm>

#include "base/check.h"

namespace tidegate {

uint64_t KeyMoves::HashOf(int database, const KeyRef& key) {
  return key.hash ^ static_cast<uint64_t>(database) * 0x9e3779b97f4a7c15u;
}

KeyMoves::State KeyMoves::Begin(int database, const KeyRef& key, uint64_t ticket) {
  const uint64_t hash = HashOf(database, key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(shard.mutex);
  if (shard.settled.contains(hash) || shard.restored.contains(hash)) return State::kSettled;
  const auto [moving, is_new] = shard.moving.try_emplace({database, std::string(key.name)});
  std::vector<uint64_t>& waiters = moving->second;
  if (std::find(waiters.begin(), waiters.end(), ticket) == waiters.end()) waiters.push_back(ticket);
  return is_new ? State::kMine : State::kOthers;
}

std::vector<uint64_t> KeyMoves::TakeWaiters(Shard& shard, int database, const KeyRef& key) {
  const auto moving = shard.moving.find({database, std::string(key.name)});
  TG_CHECK(moving != shard.moving.end());
  std::vector<uint64_t> waiters = std::move(moving->second);
  shard.moving.erase(moving);
  return waiters;
}

void KeyMoves::Settle(Shard& shard, uint64_t hash) {
  if (shard.settled.size() >= settled_of_shard_max_) shard.settled.clear();
  shard.settled.insert(hash);
}

std::vector<uint64_t> KeyMoves::Restored(int database, const KeyRef& key) {
  const uint64_t hash = HashOf(database, key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(shard.mutex);
  shard.restored.insert(hash);
  return TakeWaiters(shard, database, key);
}

std::vector<uint64_t> KeyMoves::Absent(int database, const KeyRef& key) {
  const uint64_t hash = HashOf(database, key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(shard.mutex);
  Settle(shard, hash);
  return TakeWaiters(shard, database, key);
}

std::vector<uint64_t> KeyMoves::Failed(int database, const KeyRef& key) {
  Shard& shard = ShardOf(HashOf(database, key));
  MutexLock lock(shard.mutex);
  return TakeWaiters(shard, database, key);
}

void KeyMoves::Removed(int database, const KeyRef& key) {
  const uint64_t hash = HashOf(database, key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(shard.mutex);
  shard.restored.erase(hash);
  Settle(shard, hash);
}

}  // namespace tidegate
