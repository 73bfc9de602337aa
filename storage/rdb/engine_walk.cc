#include "storage/rdb/engine_walk.h"

#include <memory>

#include "storage/cold/cold_rest.h"
#include "storage/cold/entry_builder.h"
#include "storage/cold/residency.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/value/field_table.h"

namespace tidegate::rdb {

namespace {

// Those that are on disk alone.
Status WalkCold(Engine& engine, int db, uint16_t slot, std::unique_ptr<EntryBuilder>& builder,
                EntrySink& sink) {
  const Residency& residency = engine.residency();
  if (!residency.any() || !residency.IsCold(db, slot)) return {};
  Keyspace& keyspace = engine.keyspace();
  ColdRest rest(residency.IdOf(db), slot, residency.LoadedBelow(db, slot));
  if (const Table* table = keyspace.FindTable(slot, db)) rest.Note(*table);
  if (const StoredState* stored = keyspace.FindStored(slot, db)) rest.Note(stored->removed());
  if (builder == nullptr)
    builder = std::make_unique<EntryBuilder>(engine.settings(), keyspace.lazy_freer());
  return rest.ForEach(*engine.cold_source(), *builder, [&sink](const Entry& entry) {
    sink.OnEntry(entry);
    return !sink.failed();
  });
}

}  // namespace

Status WalkEngine(Engine& engine, EntrySink& sink) {
  Keyspace& keyspace = engine.keyspace();
  std::unique_ptr<EntryBuilder> builder;
  for (int db = 0; db < engine.databases(); ++db) {
    const DbStats stats = engine.StatsOfDb(db);
    if (stats.keys == 0) continue;
    sink.OnDatabase(db, stats.keys, stats.expires);
    for (uint32_t i = 0; i < kSlotCount && !sink.failed(); ++i) {
      const auto slot = static_cast<uint16_t>(i);
      const Table* table = keyspace.FindTable(slot, db);
      if (table != nullptr) table->ForEach([&sink](Entry& entry) { sink.OnEntry(entry); });
      TG_RETURN_IF_ERROR(WalkCold(engine, db, slot, builder, sink));
    }
  }
  return {};
}

bool AnyFieldExpires(Engine& engine) {
  Keyspace& keyspace = engine.keyspace();
  bool found = false;
  const auto look = [&found](Entry& entry) {
    if (entry.type() == ValueType::kHash && entry.encoding() == Encoding::kFieldTable)
      found = found || entry.object<FieldTable>()->expires() > 0;
  };
  for (int db = 0; db < engine.databases() && !found; ++db) {
    for (uint32_t slot = 0; slot < kSlotCount && !found; ++slot) {
      const Table* table = keyspace.FindTable(static_cast<uint16_t>(slot), db);
      if (table != nullptr && table->fields_expire()) table->ForEach(look);
    }
  }
  return found;
}

bool FieldsMayExpire(Engine& engine) {
  Keyspace& keyspace = engine.keyspace();
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
    for (int db = 0; db < engine.databases(); ++db) {
      const Table* table = keyspace.FindTable(static_cast<uint16_t>(slot), db);
      if (table == nullptr) break;  // nor are there any of the other databases
      if (table->fields_expire()) return true;
    }
  }
  return false;
}

}  // namespace tidegate::rdb
