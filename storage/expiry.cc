#include "storage/expiry.h"

#include <algorithm>

#include "base/clock.h"
#include "base/hash.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/value/hash_value.h"

namespace tidegate {
namespace {

// Keys visited under one lock of a slot: a few microseconds.
constexpr size_t kVisitedPerLock = 64;

// Expiring fields of a hash that are looked at under one lock of its slot: some tens of
// microseconds when all of them are due.
constexpr size_t kFieldsPerLock = 256;

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
  return table.may_expire() && int64_t{table.expiry_hint_s()} * 1000 <= now_ms_;
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

void ExpirySweep::Pass::NoteExpiry(int64_t at_ms) {
  earliest_s =
      std::min(earliest_s, static_cast<uint32_t>(std::min<int64_t>(at_ms / 1000, UINT32_MAX)));
}

bool ExpirySweep::SweepTable(uint16_t slot, int db, int64_t deadline_nanos) {
  Pass pass;
  uint32_t position = 0;
  for (bool first = true;; first = false) {
    if (!engine_.TryLock(slot)) {
      // In the middle of a pass the rest may be due all the same.
      pass.complete = false;
      if (!first) EndPass(slot, db, pass);
      return true;
    }
    Table* table = keyspace_.FindTable(slot, db);
    if (first) {
      if (table == nullptr || !IsDue(*table)) {
        engine_.Unlock(slot);
        return true;
      }
      // A table too big for one turn is gone on with where the last turn stopped.
      position = thread_.sweep_position;
      pass.complete = position == 0;
      // From here on writers lower the bound for what they set behind our back; what we see is
      // added at the end.
      pass.had_fields = table->fields_expire();
      table->set_expiry_hint_s(UINT32_MAX);
      table->set_fields_expire(false);
    }
    const uint32_t step_position = position;
    position = VisitSome(*table, slot, db, position, pass);
    // Consumers of a stream that is gone now.
    if (__builtin_expect(!thread_.ready.empty(), 0)) engine_.ServeReady(thread_);
    engine_.Record(thread_);
    engine_.Unlock(slot);
    bool out_of_time = false;
    for (const std::string& key : pass.due_hashes) {
      out_of_time = !ExpireFields(slot, db, key, deadline_nanos, pass);
      if (out_of_time) break;
    }
    if (out_of_time) {
      position = step_position;
    } else {
      out_of_time = position != 0 && MonotonicNanos() > deadline_nanos;
    }
    if (position != 0 && !out_of_time) continue;
    // A pass that was interrupted has not seen everything: the table stays due.
    pass.complete &= !out_of_time;
    EndPass(slot, db, pass);
    thread_.sweep_position = position;
    return !out_of_time;
  }
}

// Brings the table's bound up to date, with or without the lock.
void ExpirySweep::EndPass(uint16_t slot, int db, const Pass& pass) {
  Table& table = *keyspace_.FindTable(slot, db);
  table.LowerExpiryHint(pass.complete ? pass.earliest_s : 0);
  if (pass.complete ? pass.fields_expire : pass.had_fields) table.set_fields_expire(true);
}

// One step under the slot's lock: removes what is due among the next keys, and notes when the
// others expire.
uint32_t ExpirySweep::VisitSome(const Table& table, uint16_t slot, int db, uint32_t position,
                                Pass& pass) {
  std::vector<std::string> due;
  pass.due_hashes.clear();
  position = table.Visit(position, kVisitedPerLock, [&](Entry& entry) {
    if (entry.has_expire()) {
      if (entry.expire_at_ms() <= now_ms_) {
        due.emplace_back(entry.key());
        return;
      }
      pass.NoteExpiry(entry.expire_at_ms());
    }
    if (entry.type() != ValueType::kHash || entry.encoding() != Encoding::kFieldTable) return;
    const auto* fields = entry.object<FieldTable>();
    if (fields->expires() == 0) return;
    pass.fields_expire = true;
    if (fields->earliest_expiry_ms() <= now_ms_) {
      pass.due_hashes.emplace_back(entry.key());
    } else {
      pass.NoteExpiry(fields->earliest_expiry_ms());
    }
  });
  // Looking a due key up removes it.
  Database database(keyspace_, thread_, db, now_ms_, {.no_touch = true});
  for (const std::string& key : due) database.Peek(KeyRef{key, KeyHash(key), slot});
  return position;
}

bool ExpirySweep::ExpireFields(uint16_t slot, int db, const std::string& name,
                               int64_t deadline_nanos, Pass& pass) {
  const KeyRef key{name, KeyHash(name), slot};
  EngineThread::FieldSweep& sweep = thread_.field_sweep;
  if (sweep.key_hash != key.hash || sweep.cursor == 0) sweep = {.key_hash = key.hash};
  do {
    if (!engine_.TryLock(slot)) {
      pass.complete = false;
      return true;
    }
    if (engine_.IsLargeForCut(thread_, key, db)) {
      engine_.Unlock(slot);
      pass.complete = false;
      return true;
    }
    Database database(keyspace_, thread_, db, now_ms_, {.no_touch = true});
    Entry* entry = database.Peek(key);
    const bool swept = entry != nullptr && entry->type() == ValueType::kHash &&
                       entry->encoding() == Encoding::kFieldTable;
    sweep.cursor = swept ? SweepFields(database, key, entry, pass) : 0;
    engine_.Record(thread_);
    engine_.Unlock(slot);
    if (sweep.cursor != 0 && MonotonicNanos() > deadline_nanos) return false;
  } while (sweep.cursor != 0);
  return true;
}

// One step of ExpireFields; the cursor to go on from.
uint64_t ExpirySweep::SweepFields(Database& database, const KeyRef& key, Entry* entry, Pass& pass) {
  EngineThread::FieldSweep& sweep = thread_.field_sweep;
  auto* fields = entry->object<FieldTable>();
  if (sweep.cursor == 0) fields->BeginSweep();
  HashValue hash(database, key, entry);
  const uint64_t cursor = hash.ExpireSome(sweep.cursor, kFieldsPerLock, sweep.earliest_ms);
  if (cursor == 0) {
    fields->EndSweep(sweep.earliest_ms);
    if (fields->expires() > 0) pass.NoteExpiry(fields->earliest_expiry_ms());
  }
  hash.Finish({});
  return cursor;
}

}  // namespace tidegate
