#include "storage/expiry.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"

namespace tidegate {
namespace {

// Keys visited under one lock of a slot: a few microseconds.
constexpr size_t kVisitedPerLock = 64;

}  // namespace

void ExpirySweep::Run(uint32_t share, uint32_t shares, int64_t budget_nanos) {
  const int64_t deadline = MonotonicNanos() + budget_nanos;
  const uint32_t mine = (kSlotCount - share + shares - 1) / shares;
  for (uint32_t n = 0; n < mine; ++n) {
    const uint32_t index = thread_.sweep_slot % mine;
    if (!SweepSlot(static_cast<uint16_t>(share + index * shares), deadline)) return;
    thread_.sweep_slot = (index + 1) % mine;
    if (n % 64 == 63 && MonotonicNanos() > deadline) return;
  }
}

bool ExpirySweep::IsDue(const Table& table) const {
  return table.expires() > 0 && int64_t{table.expiry_hint_s()} * 1000 <= now_ms_;
}

bool ExpirySweep::SweepSlot(uint16_t slot, int64_t deadline_nanos) {
  // Without the lock, which would cost more than the rest for the usual slot that has nothing due.
  // Seen too late is seen in the next round.
  if (!keyspace_.HasOthers(slot) && !IsDue(keyspace_.slot(slot).db0)) return true;
  for (int db = 0; db < keyspace_.databases(); ++db) {
    if (!SweepTable(slot, db, deadline_nanos)) return false;
    if (db == 0 && !keyspace_.HasOthers(slot)) break;
  }
  return true;
}

bool ExpirySweep::SweepTable(uint16_t slot, int db, int64_t deadline_nanos) {
  uint32_t position = 0;
  bool from_start = true;
  uint32_t earliest_s = UINT32_MAX;
  for (bool first = true;; first = false) {
    if (!engine_.TryLock(slot)) return true;
    Table* table = keyspace_.FindTable(slot, db);
    if (first) {
      if (table == nullptr || !IsDue(*table)) {
        engine_.Unlock(slot);
        return true;
      }
      // A table too big for one turn is gone on with where the last turn stopped.
      position = thread_.sweep_position;
      from_start = position == 0;
      // From here on writers lower the bound for what they set behind our back; what we see is
      // added at the end.
      table->set_expiry_hint_s(UINT32_MAX);
    }
    position = VisitSome(*table, slot, db, position, earliest_s);
    const bool out_of_time = position != 0 && MonotonicNanos() > deadline_nanos;
    if (position == 0 || out_of_time) {
      // A pass that was interrupted has not seen everything: the table stays due.
      table->LowerExpiryHint(from_start && !out_of_time ? earliest_s : 0);
      engine_.Unlock(slot);
      thread_.sweep_position = position;
      return !out_of_time;
    }
    engine_.Unlock(slot);
  }
}

// One step under the slot's lock: removes what is due among the next keys, and lowers `earliest_s`
// for what is not.
uint32_t ExpirySweep::VisitSome(const Table& table, uint16_t slot, int db, uint32_t position,
                                uint32_t& earliest_s) {
  std::vector<std::string> due;
  position = table.Visit(position, kVisitedPerLock, [&](Entry& entry) {
    if (!entry.has_expire()) return;
    if (entry.expire_at_ms() <= now_ms_) {
      due.emplace_back(entry.key());
    } else {
      const int64_t at_s = std::min<int64_t>(entry.expire_at_ms() / 1000, UINT32_MAX);
      earliest_s = std::min(earliest_s, static_cast<uint32_t>(at_s));
    }
  });
  // Looking a due key up removes it.
  Database database(keyspace_, thread_, db, now_ms_, {.no_touch = true});
  for (const std::string& key : due) database.Peek(KeyRef{key, KeyHash(key), slot});
  return position;
}

}  // namespace tidegate
