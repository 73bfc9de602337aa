#include "storage/cold/residency.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "storage/keyspace/entry.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {

Residency::Residency(Keyspace& keyspace)
    : keyspace_(keyspace),
      database_count_(static_cast<size_t>(keyspace.databases())),
      databases_(std::make_unique<std::atomic<ColdDatabase*>[]>(database_count_)) {}

Residency::~Residency() {
  for (size_t db = 0; db < database_count_; ++db) delete databases_[db].load();
}

void Residency::MakeTiered() {
  tiered_ = true;
  pins_->Enable();
  if (generations_ == nullptr) generations_ = std::make_unique<std::atomic<uint32_t>[]>(kSlotCount);
}

void Residency::MakeCold(int db, bool expires) {
  TG_CHECK(Of(db) == nullptr);
  auto* database = new ColdDatabase;
  database->id = keyspace_.database_map().IdOf(db);
  database->cold_slots.store(kSlotCount);
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    database->earliest_s[slot].store(expires ? kExpiryUnknown : kExpiresNever);
  databases_[static_cast<size_t>(db)].store(database);
  pins_->Enable();
  if (generations_ == nullptr) generations_ = std::make_unique<std::atomic<uint32_t>[]>(kSlotCount);
  cold_slots_.fetch_add(kSlotCount);
  slots_at_start_ += kSlotCount;
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    keyspace_.slot(static_cast<uint16_t>(slot)).flags |= Slot::kCold;
}

// Whoever sees it finds all of its slots warm, as if there were none.
Residency::ColdDatabase& Residency::AddWarm(int db) {
  MutexLock lock(adding_);
  if (ColdDatabase* database = Of(db)) return *database;
  auto* database = new ColdDatabase;
  database->id = keyspace_.database_map().IdOf(db);
  std::fill_n(database->loaded_below.get(), kSlotCount, kAll);
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    database->earliest_s[slot].store(kExpiresNever);
  databases_[static_cast<size_t>(db)].store(database, std::memory_order_release);
  return *database;
}

void Residency::Evicted(int db, uint16_t slot, uint64_t hash, int64_t expire_at_ms) {
  TG_DCHECK(tiered_);
  ColdDatabase* known = Of(db);
  ColdDatabase& database = known != nullptr ? *known : AddWarm(db);
  uint64_t& below = database.loaded_below[slot];
  if (below == kAll) {
    database.cold_slots.fetch_add(1, std::memory_order_relaxed);
    cold_slots_.fetch_add(1, std::memory_order_release);
    keyspace_.slot(slot).flags |= Slot::kCold;
  }
  below = std::min({below, hash, kAll - 1});
  if (expire_at_ms == kNoExpire) return;
  LowerExpiry(db, slot,
              static_cast<uint32_t>(std::clamp<int64_t>(expire_at_ms / 1000, 1, UINT32_MAX)));
}

void Residency::ForgetExpiries(int db, uint16_t slot) {
  Of(db)->earliest_s[slot].store(kExpiresNever, std::memory_order_relaxed);
}

void Residency::LowerExpiry(int db, uint16_t slot, uint32_t at_s) {
  std::atomic<uint32_t>& earliest = Of(db)->earliest_s[slot];
  uint32_t known = earliest.load(std::memory_order_relaxed);
  while (at_s < known && !earliest.compare_exchange_weak(known, at_s, std::memory_order_relaxed)) {
  }
}

bool Residency::IsResident(int db, const KeyRef& key) const {
  const uint64_t below = LoadedBelow(db, key.slot);
  return below == kAll || key.hash < below || Knows(db, key);
}

bool Residency::IsResidentInAll(const KeyRef& key) const {
  for (int db = 0; db < keyspace_.databases(); ++db) {
    if (!IsResident(db, key)) return false;
  }
  return true;
}

// Whether there is an entry, or a tombstone.
bool Residency::Knows(int db, const KeyRef& key) const {
  const Table* table = keyspace_.FindTable(key.slot, db);
  if (table != nullptr && table->Find(key.hash, key.name) != nullptr) return true;
  const StoredState* stored = keyspace_.FindStored(key.slot, db);
  return stored != nullptr && stored->FindRemoved(key.hash, key.name) != nullptr;
}

void Residency::Advance(int db, uint16_t slot, uint64_t loaded_below) {
  ColdDatabase& database = *Of(db);
  uint64_t& below = database.loaded_below[slot];
  if (below >= loaded_below) return;
  below = loaded_below;
  if (loaded_below != kAll) return;
  UpdateFlag(slot);
  database.earliest_s[slot].store(kExpiresNever, std::memory_order_relaxed);
  database.cold_slots.fetch_sub(1, std::memory_order_relaxed);
  cold_slots_.fetch_sub(1, std::memory_order_release);
}

void Residency::UpdateFlag(uint16_t slot) {
  bool cold = false;
  for (int db = 0; db < keyspace_.databases(); ++db) cold = cold || IsCold(db, slot);
  uint32_t& flags = keyspace_.slot(slot).flags;
  flags = cold ? flags | Slot::kCold : flags & ~Slot::kCold;
}

int Residency::NumberOf(uint32_t id) const {
  for (int db = 0; db < keyspace_.databases(); ++db) {
    if (IsCold(db) && IdOf(db) == id) return db;
  }
  return -1;
}

void Residency::Clear(int db) {
  bool changed = false;
  for (int index = 0; index < keyspace_.databases(); ++index) {
    if (!IsCold(index) || (db >= 0 && index != db)) continue;
    const std::unique_ptr<ColdDatabase> gone(
        databases_[static_cast<size_t>(index)].exchange(nullptr));
    cold_slots_.fetch_sub(gone->cold_slots.load());
    changed = true;
  }
  for (uint32_t slot = 0; changed && slot < kSlotCount; ++slot)
    UpdateFlag(static_cast<uint16_t>(slot));
}

void Residency::Swap(int a, int b) {
  ColdDatabase* upper = Of(a);
  databases_[static_cast<size_t>(a)].store(Of(b));
  databases_[static_cast<size_t>(b)].store(upper);
}

}  // namespace tidegate
