// Residency: which keys are in memory, and which are on disk alone: not read yet since the start,
// or evicted to disk (tier.h).
//
//   slot, database     0 ........ loaded below ................. 2^64     by hash
//                      | all here |  here, gone, or not read yet |
//
// A slot of a database is cold from the start on, and warm when everything it had on disk is here.
// In between it is loaded in the order of hashes, and single keys are loaded when somebody asks for
// them. A key of a cold slot is resident when its hash is below what is loaded, when it is in the
// table, or when it is known to be absent: a tombstone says so (stored_state.h), one of a key that
// was removed, or one that a load has left when there was nothing to read. Every command on a key
// that is not resident waits until it is. So nothing is ever written over what nobody has read, and
// what is on disk under a key that is not resident is what the key holds.
//
// The way back: an entry that leaves memory makes its slot cold from its hash on. That is why a
// slot's state needs its lock, and why what was resident is not once the lock was let go of, but
// for what is pinned (cold_pins.h).
//
// A load reads first and puts the entry into its table later. In between another load may have
// brought the key, which may have been removed since, on disk as well, and its tombstone dropped.
// So loads take the slot's `generation` before they read, which counts tombstones that were
// dropped, and read again when it has moved on. (That it was changed and evicted meanwhile their
// pins prevent; as they do with tombstones of keys that were looked for and not found.)
//
// Expiry: the sweep removes what is in memory. Of what is on disk alone there is, by slot and
// database, a time before which nothing of it expires; what is due is loaded (tier_keeper.h).
//
// Databases go by the id they have on disk (database_map.h): FLUSHDB drops what is known about one,
// and what is read for it later finds no number. Needs the slot's lock for what is said of slots;
// databases go with the exclusive gate, and come with it or with the first entry that leaves. Cost:
// 192 KiB for each database that had keys on disk alone, a bit in the slot's flags (Slot::kCold)
// for who executes commands, and nothing when all is warm.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "base/thread_annotations.h"
#include "storage/cold/cold_pins.h"
#include "storage/request.h"

namespace tidegate {

class Keyspace;

class Residency final {
 public:
  // Of a slot: all of it is here.
  static constexpr uint64_t kAll = UINT64_MAX;

  // Seconds of Unix time, of a slot's keys on disk alone: nobody has looked yet; none expires.
  static constexpr uint32_t kExpiryUnknown = 0;
  static constexpr uint32_t kExpiresNever = UINT32_MAX;

  explicit Residency(Keyspace& keyspace);
  ~Residency();
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;

  // Before the first command: entries may leave memory from now on.
  void MakeTiered();
  bool tiered() const { return tiered_; }
  // Before the first command: all of the database's keys are on disk, under its id. `expires`:
  // whether any of them does.
  void MakeCold(int db, bool expires = true);

  // Whether any slot is cold. Any thread, for a guess. Where entries may not leave false stays
  // false; else who has a slot's lock, or the gate, knows of that slot, or of all.
  bool any() const { return cold_slots_.load(std::memory_order_acquire) != 0; }
  // Slots of databases that are cold.
  uint64_t cold_slots() const { return cold_slots_.load(std::memory_order_relaxed); }
  uint64_t slots_at_start() const { return slots_at_start_; }

  // With the slot's lock.
  bool IsCold(int db, uint16_t slot) const { return LoadedBelow(db, slot) != kAll; }
  uint64_t LoadedBelow(int db, uint16_t slot) const {
    const ColdDatabase* database = Of(db);
    return database == nullptr ? kAll : database->loaded_below[slot];
  }
  bool IsResident(int db, const KeyRef& key) const;
  // The same in every database.
  bool IsResidentInAll(const KeyRef& key) const;
  // Everything below this hash is here now.
  void Advance(int db, uint16_t slot, uint64_t loaded_below);
  // An entry has left memory, and is on disk alone. expire_at_ms: kNoExpire when it does not.
  void Evicted(int db, uint16_t slot, uint64_t hash, int64_t expire_at_ms);

  ColdPins& pins() { return *pins_; }
  const ColdPins& pins() const { return *pins_; }

  // In the engine; no lock is needed. A time before which nothing on disk alone expires there.
  uint32_t EarliestExpiry(int db, uint16_t slot) const {
    const ColdDatabase* database = Of(db);
    return database == nullptr ? kExpiresNever
                               : database->earliest_s[slot].load(std::memory_order_relaxed);
  }
  // Somebody begins to look through the slot: what leaves from here on is noted anew.
  void ForgetExpiries(int db, uint16_t slot);
  void LowerExpiry(int db, uint16_t slot, uint32_t at_s);

  uint32_t Generation(uint16_t slot) const {
    return generations_ == nullptr ? 0 : generations_[slot].load(std::memory_order_acquire);
  }
  void TombstonesDropped(uint16_t slot) {
    if (generations_ != nullptr) generations_[slot].fetch_add(1, std::memory_order_release);
  }

  // In the engine, so that nobody has the gate.
  bool IsCold(int db) const { return Of(db) != nullptr; }
  uint32_t IdOf(int db) const { return Of(db)->id; }
  // The database that has the id now; -1: none that is, or was, cold.
  int NumberOf(uint32_t id) const;

  // With the gate. db < 0: all.
  void Clear(int db);
  void Swap(int a, int b);

 private:
  struct ColdDatabase {
    uint32_t id = 0;
    std::atomic<uint32_t> cold_slots{0};
    std::unique_ptr<uint64_t[]> loaded_below = std::make_unique<uint64_t[]>(kSlotCount);
    std::unique_ptr<std::atomic<uint32_t>[]> earliest_s =
        std::make_unique<std::atomic<uint32_t>[]>(kSlotCount);
  };

  const ColdDatabase* Of(int db) const {
    return databases_[static_cast<size_t>(db)].load(std::memory_order_acquire);
  }
  ColdDatabase* Of(int db) {
    return databases_[static_cast<size_t>(db)].load(std::memory_order_acquire);
  }
  ColdDatabase& AddWarm(int db);
  bool Knows(int db, const KeyRef& key) const;
  void UpdateFlag(uint16_t slot);

  Keyspace& keyspace_;
  const size_t database_count_;
  bool tiered_ = false;
  Mutex adding_;
  std::unique_ptr<std::atomic<ColdDatabase*>[]> databases_;  // by number; null: all is here. Owned
  std::unique_ptr<std::atomic<uint32_t>[]> generations_;
  const std::shared_ptr<ColdPins> pins_ = std::make_shared<ColdPins>();
  std::atomic<uint64_t> cold_slots_{0};
  uint64_t slots_at_start_ = 0;
};

}  // namespace tidegate
