#include "storage/cold/residency.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {

Residency::Residency(Keyspace& keyspace)
    : keyspace_(keyspace), databases_(static_cast<size_t>(keyspace.databases())) {}

void Residency::MakeCold(int db) {
  auto& database = databases_[static_cast<size_t>(db)];
  TG_CHECK(database == nullptr);
  database = std::make_unique<ColdDatabase>();
  database->id = keyspace_.database_map().IdOf(db);
  if (generations_ == nullptr) generations_ = std::make_unique<std::atomic<uint32_t>[]>(kSlotCount);
  cold_slots_.fetch_add(kSlotCount);
  slots_at_start_ += kSlotCount;
  for (uint32_t slot = 0; slot < kSlotCount; ++slot)
    keyspace_.slot(static_cast<uint16_t>(slot)).flags |= Slot::kCold;
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
  ColdDatabase& database = *databases_[static_cast<size_t>(db)];
  uint64_t& below = database.loaded_below[slot];
  if (below >= loaded_below) return;
  below = loaded_below;
  if (loaded_below != kAll) return;
  UpdateFlag(slot);
  database.cold_slots.fetch_sub(1, std::memory_order_relaxed);
  cold_slots_.fetch_sub(1, std::memory_order_release);
}

void Residency::UpdateFlag(uint16_t slot) {
  bool cold = false;
  for (const auto& database : databases_)
    cold = cold || (database != nullptr && database->loaded_below[slot] != kAll);
  uint32_t& flags = keyspace_.slot(slot).flags;
  flags = cold ? flags | Slot::kCold : flags & ~Slot::kCold;
}

int Residency::NumberOf(uint32_t id) const {
  for (size_t db = 0; db < databases_.size(); ++db) {
    if (databases_[db] != nullptr && databases_[db]->id == id) return static_cast<int>(db);
  }
  return -1;
}

void Residency::Clear(int db) {
  bool changed = false;
  for (size_t index = 0; index < databases_.size(); ++index) {
    if (databases_[index] == nullptr || (db >= 0 && index != static_cast<size_t>(db))) continue;
    cold_slots_.fetch_sub(databases_[index]->cold_slots.load());
    databases_[index].reset();
    changed = true;
  }
  for (uint32_t slot = 0; changed && slot < kSlotCount; ++slot)
    UpdateFlag(static_cast<uint16_t>(slot));
}

void Residency::Swap(int a, int b) {
  std::swap(databases_[static_cast<size_t>(a)], databases_[static_cast<size_t>(b)]);
}

}  // namespace tidegate
