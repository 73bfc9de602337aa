// Keyspace: 16384 slots, each one cache line with its lock word and its tables.
//
// The slot is the unit of locking, of hashing, of SCAN and of the order on disk. Its cache line
// holds the lock, the table of database 0 in place, and a pointer to the tables of other databases,
// which appear on first use: most users have one database, and a command then touches slot line,
// bucket line, entry, and nothing else. Lock order: none is needed, since nobody waits for a slot
// while holding another (see engine.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "storage/keyspace/database_map.h"
#include "storage/keyspace/table.h"

namespace tidegate {

class EngineThread;
struct EngineSettings;
class LazyFreer;
struct SlotExtras;
class StoredState;

struct alignas(64) Slot {
  // 0 free; kLocked held; kWaiters: somebody is parked here and wants a wake-up at unlock;
  // kHeldLong: by a long command, for several turns.
  static constexpr uint32_t kLocked = 1;
  static constexpr uint32_t kWaiters = 2;
  static constexpr uint32_t kHeldLong = 4;

  // What `extras` of this slot holds: bits of Flag. Needs the lock.
  enum Flag : uint32_t {
    kWatched = 1,       // watched keys
    kBlocked = 2,       // blocked requests
    kBlockedMoves = 4,  // of these, some that write to another slot when they are served
    kRemoved = 8,       // tombstones
    // Not of `extras`: not all keys of the slot are in memory (cold/residency.h).
    kCold = 16,
    // A command with one key has more to look at than that key.
    kNeedsMore = kBlockedMoves | kCold,
  };

  std::atomic<uint32_t> lock{0};
  uint32_t flags = 0;
  Table db0;
  // Tables of databases 1 .. N-1, or null. Owned.
  Table* others = nullptr;

  bool TryLock() {
    uint32_t expected = lock.load(std::memory_order_relaxed);
    return (expected & kLocked) == 0 &&
           lock.compare_exchange_strong(expected, expected | kLocked, std::memory_order_acquire,
                                        std::memory_order_relaxed);
  }
  bool held() const { return (lock.load(std::memory_order_relaxed) & kLocked) != 0; }
  bool held_long() const { return (lock.load(std::memory_order_relaxed) & kHeldLong) != 0; }
  // Until the unlock.
  void HoldLong() { lock.fetch_or(kHeldLong, std::memory_order_relaxed); }
};
static_assert(sizeof(Slot) == 64);

class Keyspace final {
 public:
  Keyspace(int databases, EngineSettings& settings, LazyFreer& lazy_freer);
  ~Keyspace();
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  int databases() const { return databases_; }
  Slot& slot(uint16_t id) { return slots_[id]; }
  // Made on first use. Needs the slot's lock. UpdateFlags follows what was put in or taken out.
  SlotExtras& extras(uint16_t slot);
  void UpdateFlags(uint16_t slot);

  // What is remembered of records on disk; made on first use, null when there is nothing.
  StoredState& stored(uint16_t slot, int db);
  StoredState* FindStored(uint16_t slot, int db);

  DatabaseMap& database_map() { return database_map_; }

  // The table of a database in a slot. For reading it may be null (nothing there); TableForInsert
  // makes it.
  Table* FindTable(uint16_t slot, int db);
  bool HasOthers(uint16_t slot) const {
    return __atomic_load_n(&slots_[slot].others, __ATOMIC_RELAXED) != nullptr;
  }
  Table& TableForInsert(uint16_t slot, int db);

  // Visits the entries of one slot and database in hash order from `position` on, whole home
  // buckets at a time, until at least `wanted` were visited or the slot is through. Returns the
  // position to go on from, or 0 when through. Positions survive growth and shrinking: what was
  // there all the time is visited at least once. Needs the slot's lock.
  uint32_t Visit(uint16_t slot, int db, uint32_t position, size_t wanted,
                 const std::function<void(Entry&)>& visit);

  // Needs the exclusive gate. Clear drops everything of one database (all: db < 0); freeing happens
  // in the background. Returns how many keys there were.
  // `had_any`: databases that have keys on disk alone; the others with something are added.
  uint64_t Clear(EngineThread& thread, int db, std::vector<bool> had_any);
  void Swap(EngineThread& thread, int a, int b);

  EngineSettings& settings() { return settings_; }
  LazyFreer& lazy_freer() { return lazy_freer_; }

 private:
  // The tables of tombstones of a database, or all (db < 0), and what objects there were.
  void ClearStored(EngineThread& thread, uint16_t slot, int db, std::vector<Table>& gone,
                   std::vector<bool>& had_any);
  void SwapStored(uint16_t slot, int a, int b);
  void TouchWatchesBeforeClear(uint16_t slot, int db);
  void TouchWatchesBeforeSwap(EngineThread& thread, uint16_t slot, int a, int b);
  // What the table holds, whether its time has passed or not.
  const Entry* FindIn(uint16_t slot, int db, std::string_view key);
  // All keys of the database that somebody waits at: what they hold may be another value, or gone.
  void SignalBlocked(EngineThread& thread, uint16_t slot, int db);
  uint64_t BytesOfShare(uint64_t keys, uint64_t keys_left) const;

  int databases_;
  EngineSettings& settings_;
  LazyFreer& lazy_freer_;
  DatabaseMap database_map_;
  std::vector<std::unique_ptr<SlotExtras>> extras_;  // by slot; null: none so far
  Slot* slots_;  // kSlotCount, own mapping, touched at start so that it never faults on the request
                 // path
};

}  // namespace tidegate
