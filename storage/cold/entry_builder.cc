#include "storage/cold/entry_builder.h"

#include <string>
#include <utility>

#include "storage/keyspace/database.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/rdb/rdb_loader.h"
#include "storage/rdb/rdb_reader.h"

namespace tidegate {
namespace {

// All entries pass through one slot of the scratch keyspace.
constexpr uint16_t kScratchSlot = 0;

}  // namespace

EntryBuilder::EntryBuilder(EngineSettings& settings, LazyFreer& lazy_freer)
    : keyspace_(/*databases=*/1, settings, lazy_freer),
      thread_(/*index=*/0, /*databases=*/1, nullptr, nullptr) {
  thread_.exclusive = true;
  thread_.loading = true;
}

Result<Entry*> EntryBuilder::Build(const StoredEntry& stored) {
  const KeyRef key{stored.key, stored.hash, kScratchSlot};
  Database db(keyspace_, thread_, 0, kLoadingNowMs, {.no_touch = true});
  rdb::RdbReader in(stored.value);
  const auto type = static_cast<rdb::Type>(in.Byte());
  const rdb::FileKey about{.db = 0, .name = stored.key, .expire_at_ms = stored.expire_at_ms};
  Result<rdb::KeyOutcome> outcome =
      in.ok() ? rdb::ReadKey(about, key, type, in, db, nullptr, /*skip_modules=*/false)
              : Result<rdb::KeyOutcome>(Error{"no value"});
  // Of a value that broke off.
  for (const ValueObject& value : thread_.frees) DestroyValue(value);
  thread_.frees.clear();
  Table& table = keyspace_.slot(kScratchSlot).db0;
  Entry* entry = table.Find(key.hash, key.name);
  if (entry != nullptr) {
    table.Remove(key.hash, entry);
    table.set_expires(0);
    table.set_fields_expire(false);
    entry->set_access(stored.access);
  }
  if (outcome.ok() && *outcome == rdb::KeyOutcome::kRead && entry != nullptr && in.at_end())
    return entry;
  if (entry != nullptr) DestroyEntry(entry);
  if (!outcome.ok()) return std::move(outcome).error();
  return Error{"a value that is empty, or longer than it says"};
}

}  // namespace tidegate
