#include "storage/rdb/engine_walk.h"

#include "storage/keyspace/keyspace.h"
#include "storage/value/field_table.h"

namespace tidegate::rdb {

void WalkEngine(Engine& engine, EntrySink& sink) {
  Keyspace& keyspace = engine.keyspace();
  for (int db = 0; db < engine.databases(); ++db) {
    const DbStats stats = engine.StatsOfDb(db);
    if (stats.keys == 0) continue;
    sink.OnDatabase(db, stats.keys, stats.expires);
    for (uint32_t slot = 0; slot < kSlotCount && !sink.failed(); ++slot) {
      const Table* table = keyspace.FindTable(static_cast<uint16_t>(slot), db);
      if (table != nullptr) table->ForEach([&sink](Entry& entry) { sink.OnEntry(entry); });
    }
  }
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
