#include "storage/keyspace/keyspace.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/check.h"
#include "storage/cut/cut.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/memory/memory.h"

namespace tidegate {

namespace {

constexpr size_t kSlotBytes = kSlotCount * sizeof(Slot);
constexpr size_t kHugePageBytes = size_t{2} << 20;

// One mapping aligned so that a single huge page can hold all slot lines: each command touches one
// of them at random.
void* MapSlots() {
  void* memory = std::aligned_alloc(kHugePageBytes, kHugePageBytes);
  TG_CHECK(memory != nullptr);
  static_assert(kSlotBytes <= kHugePageBytes);
  (void)madvise(memory, kHugePageBytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

Keyspace::Keyspace(int databases, EngineSettings& settings, LazyFreer& lazy_freer)
    : databases_(databases),
      settings_(settings),
      lazy_freer_(lazy_freer),
      database_map_(databases),
      extras_(kSlotCount) {
  void* memory = MapSlots();
  slots_ = static_cast<Slot*>(memory);
  for (uint32_t i = 0; i < kSlotCount; ++i) new (&slots_[i]) Slot;
}

Keyspace::~Keyspace() {
  const auto drop = [](Table& table) {
    table.ForEach([](Entry& entry) { DestroyEntry(&entry); });
    table.Release();
  };
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    drop(slots_[i].db0);
    if (slots_[i].others == nullptr) continue;
    for (int db = 1; db < databases_; ++db) drop(slots_[i].others[db - 1]);
    delete[] slots_[i].others;
  }
  std::free(slots_);
}

SlotExtras& Keyspace::extras(uint16_t slot) {
  if (extras_[slot] == nullptr) extras_[slot] = std::make_unique<SlotExtras>();
  return *extras_[slot];
}

void Keyspace::UpdateFlags(uint16_t slot) {
  const SlotExtras& extras = this->extras(slot);
  uint32_t flags = slots_[slot].flags & Slot::kCold;
  if (!extras.watches.empty()) flags |= Slot::kWatched;
  if (!extras.blocked.empty()) flags |= Slot::kBlocked;
  if (extras.blocked.has_targets()) flags |= Slot::kBlockedMoves;
  for (const StoredState& stored : extras.stored) {
    if (stored.removed().count() > 0) flags |= Slot::kRemoved;
  }
  slots_[slot].flags = flags;
}

StoredState& Keyspace::stored(uint16_t slot, int db) {
  std::vector<StoredState>& stored = extras(slot).stored;
  if (stored.size() <= static_cast<size_t>(db)) stored.resize(static_cast<size_t>(db) + 1);
  return stored[static_cast<size_t>(db)];
}

StoredState* Keyspace::FindStored(uint16_t slot, int db) {
  if (extras_[slot] == nullptr || extras_[slot]->stored.size() <= static_cast<size_t>(db))
    return nullptr;
  return &extras_[slot]->stored[static_cast<size_t>(db)];
}

void Keyspace::ClearStored(EngineThread& thread, uint16_t slot, int db, std::vector<Table>& gone,
                           std::vector<bool>& had_any) {
  if (extras_[slot] == nullptr || extras_[slot]->stored.empty()) return;
  std::vector<StoredState>& all = extras_[slot]->stored;
  for (size_t index = 0; index < all.size(); ++index) {
    if (db >= 0 && index != static_cast<size_t>(db)) continue;
    all[index].ForgetObjects();
    const Table removed = all[index].TakeRemoved();
    if (removed.count() == 0) continue;
    had_any[index] = true;
    if (thread.cut == nullptr || !thread.cut->TakeDropped(slot, static_cast<int>(index), removed))
      gone.push_back(removed);
  }
  UpdateFlags(slot);
}

void Keyspace::SwapStored(uint16_t slot, int a, int b) {
  if (extras_[slot] == nullptr || extras_[slot]->stored.empty()) return;
  StoredState& upper = stored(slot, std::max(a, b));
  std::swap(upper, stored(slot, std::min(a, b)));
}

// As Redis: a watched key changes when it was there. One that was as good as absent is absent then.
void Keyspace::TouchWatchesBeforeClear(uint16_t slot, int db) {
  if ((slots_[slot].flags & Slot::kWatched) == 0) return;
  extras(slot).watches.TouchIf([&](int watched_db, std::string_view key, bool& expired) {
    if (watched_db != db || FindIn(slot, db, key) == nullptr) return false;
    return !std::exchange(expired, false);
  });
}

// As Redis: a watched key of either database changes when one of them has it; but an absent one, or
// one whose time has passed, may become the other without being changed.
void Keyspace::TouchWatchesBeforeSwap(EngineThread& thread, uint16_t slot, int a, int b) {
  if ((slots_[slot].flags & Slot::kWatched) == 0) return;
  extras(slot).watches.TouchIf([&](int watched_db, std::string_view key, bool& expired) {
    if (watched_db != a && watched_db != b) return false;
    const int other_db = watched_db == a ? b : a;
    const bool is_there = FindIn(slot, watched_db, key) != nullptr;
    const Entry* next = FindIn(slot, other_db, key);
    if (!is_there && next == nullptr) return false;
    const bool next_expired =
        next != nullptr &&
        Database(*this, thread, other_db, thread.now_ms, {.no_touch = true}).IsExpired(*next);
    if (expired && next == nullptr) {
      expired = false;
      return false;
    }
    if (!next_expired || (is_there && !expired)) return true;
    expired = true;
    return false;
  });
}

const Entry* Keyspace::FindIn(uint16_t slot, int db, std::string_view key) {
  const Table* table = FindTable(slot, db);
  return table == nullptr ? nullptr : table->Find(KeyHash(key), key);
}

void Keyspace::SignalBlocked(EngineThread& thread, uint16_t slot, int db) {
  if ((slots_[slot].flags & Slot::kBlocked) == 0) return;
  extras(slot).blocked.ForEachKey([&](int blocked_db, std::string_view key) {
    if (blocked_db == db) thread.ready.push_back({db, slot, std::string(key)});
  });
}

Table* Keyspace::FindTable(uint16_t slot, int db) {
  if (__builtin_expect(db == 0, 1)) return &slots_[slot].db0;
  Table* others = slots_[slot].others;
  return others == nullptr ? nullptr : &others[db - 1];
}

Table& Keyspace::TableForInsert(uint16_t slot, int db) {
  if (__builtin_expect(db == 0, 1)) return slots_[slot].db0;
  if (slots_[slot].others == nullptr) {
    // Atomic, because HasOthers looks without the lock.
    __atomic_store_n(&slots_[slot].others, new Table[static_cast<size_t>(databases_ - 1)],
                     __ATOMIC_RELAXED);
  }
  return slots_[slot].others[db - 1];
}

uint32_t Keyspace::Visit(uint16_t slot, int db, uint32_t position, size_t wanted,
                         const std::function<void(Entry&)>& visit) {
  const Table* table = FindTable(slot, db);
  return table == nullptr ? 0 : table->Visit(position, wanted, visit);
}

uint64_t Keyspace::Clear(EngineThread& thread, int db, std::vector<bool> had_any) {
  if (thread.recording) thread.effects.CountNoMore();
  std::vector<Table> gone;
  uint64_t keys = 0;
  uint64_t keys_left = 0;
  const auto take = [&](uint32_t slot, int index) {
    Table* table = FindTable(static_cast<uint16_t>(slot), index);
    if (table == nullptr || table->count() == 0) return;
    TouchWatchesBeforeClear(static_cast<uint16_t>(slot), index);
    SignalBlocked(thread, static_cast<uint16_t>(slot), index);
    keys += table->count();
    had_any[static_cast<size_t>(index)] = true;
    thread.dbs[static_cast<size_t>(index)].keys.Add(-static_cast<int64_t>(table->count()));
    thread.dbs[static_cast<size_t>(index)].expires.Add(-static_cast<int64_t>(table->expires()));
    if (thread.cut == nullptr ||
        !thread.cut->TakeDropped(static_cast<uint16_t>(slot), index, *table))
      gone.push_back(*table);
    *table = Table{};
  };
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
    const int end = slots_[slot].others == nullptr ? 1 : databases_;
    for (int index = 0; index < end; ++index) {
      if (db < 0 || index == db) {
        take(slot, index);
      } else {
        keys_left += FindTable(static_cast<uint16_t>(slot), index)->count();
      }
    }
    ClearStored(thread, static_cast<uint16_t>(slot), db, gone, had_any);
  }
  for (int index = 0; thread.tracks_changes && index < databases_; ++index) {
    // One of which nothing is on disk keeps its id: there are not so many.
    if ((db < 0 || index == db) && had_any[static_cast<size_t>(index)]) database_map_.Renew(index);
  }
  if (!gone.empty()) lazy_freer_.AddTables(std::move(gone), BytesOfShare(keys, keys_left));
  return keys;
}

// Of several databases each has its share by keys: their bytes are not counted apart.
uint64_t Keyspace::BytesOfShare(uint64_t keys, uint64_t keys_left) const {
  const uint64_t used = MemoryUsedBytes();
  const uint64_t held = used - std::min(used, lazy_freer_.pending_bytes());
  const double share = static_cast<double>(keys) / static_cast<double>(keys + keys_left);
  return keys_left == 0 ? held : static_cast<uint64_t>(static_cast<double>(held) * share);
}

void Keyspace::Swap(EngineThread& thread, int a, int b) {
  if (a == b) return;
  if (thread.cut != nullptr) thread.cut->Swapped(a, b);
  database_map_.Swap(a, b);
  if (thread.recording) thread.effects.CountNoMore();
  int64_t keys = 0;
  int64_t expires = 0;
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    Table* left = FindTable(slot, a);
    Table* right = FindTable(slot, b);
    TouchWatchesBeforeSwap(thread, slot, a, b);
    SwapStored(slot, a, b);
    const bool left_empty = left == nullptr || left->count() == 0;
    const bool right_empty = right == nullptr || right->count() == 0;
    if (left_empty && right_empty) continue;
    left = &TableForInsert(slot, a);
    right = &TableForInsert(slot, b);
    std::swap(*left, *right);
    SignalBlocked(thread, slot, a);
    SignalBlocked(thread, slot, b);
    keys += static_cast<int64_t>(left->count()) - right->count();
    expires += static_cast<int64_t>(left->expires()) - right->expires();
  }
  thread.dbs[static_cast<size_t>(a)].keys.Add(keys);
  thread.dbs[static_cast<size_t>(b)].keys.Add(-keys);
  thread.dbs[static_cast<size_t>(a)].expires.Add(expires);
  thread.dbs[static_cast<size_t>(b)].expires.Add(-expires);
}

}  // namespace tidegate
