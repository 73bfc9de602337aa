#include "storage/checkpoint/checkpoint_loader.h"

#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/rdb/engine_walk.h"
#include "storage/rdb/rdb_loader.h"

namespace tidegate {
namespace {

// The engine for oneself.
class WholeEngine final {
 public:
  WholeEngine(Engine& engine, EngineThread& thread) : engine_(engine), thread_(thread) {
    engine_.BeginBatch(thread_, UnixMillis());
    TG_CHECK(engine_.BeginAtomic(thread_, {}, /*whole=*/true, nobody_) == ExecStatus::kDone);
  }
  ~WholeEngine() {
    engine_.EndAtomic(thread_);
    engine_.EndBatch(thread_);
  }
  WholeEngine(const WholeEngine&) = delete;
  WholeEngine& operator=(const WholeEngine&) = delete;

 private:
  Engine& engine_;
  EngineThread& thread_;
  ClientState nobody_;
};

Error CannotLoad(std::string_view key, std::string_view why) {
  constexpr size_t kNameBytesShown = 64;
  std::string text = "the stored value of key ";
  AppendQuoted(text, key.substr(0, kNameBytesShown));
  return Error{text + " cannot be loaded: " + std::string(why)};
}

}  // namespace

Status InstallStored(Engine& engine, EngineThread& thread, int db, uint16_t slot,
                     const StoredEntry& stored) {
  const KeyRef key = KeyRef::Of(stored.key);
  if (key.slot != slot || key.hash != stored.hash)
    return CannotLoad(stored.key, "it does not stand where its hash says");
  Database database(engine.keyspace(), thread, db, thread.now_ms, {.no_touch = true});
  if (stored.value.empty()) return CannotLoad(stored.key, "it is empty");
  const auto type = static_cast<rdb::Type>(stored.value[0]);
  rdb::RdbReader in(stored.value.substr(1));
  const rdb::FileKey file_key{.db = db, .name = stored.key, .expire_at_ms = stored.expire_at_ms};
  Result<rdb::KeyOutcome> outcome =
      rdb::ReadKey(file_key, key, type, in, database, nullptr, /*skip_modules=*/false);
  if (!outcome.ok()) return CannotLoad(stored.key, outcome.error().message);
  Entry* entry = database.Peek(key);
  if (*outcome != rdb::KeyOutcome::kRead || !in.at_end() || entry == nullptr)
    return CannotLoad(stored.key, "its bytes are no value");
  entry->set_access(stored.access);
  database.NoteStored(key, entry, stored.object);
  return {};
}

Result<CheckpointProgress> LoadCheckpoint(
    ColdSource& source, const CheckpointInfo& info, Engine& engine, EngineThread& thread,
    const std::function<void(const CheckpointProgress&)>& progress) {
  for (size_t db = static_cast<size_t>(engine.databases()); db < info.stats.size(); ++db) {
    if (info.stats[db].keys == 0) continue;
    return Error{"the checkpoint has keys in database " + std::to_string(db) +
                 ", and there are only " + std::to_string(engine.databases())};
  }
  engine.keyspace().database_map().Restore({info.databases, info.next_database});
  const WholeEngine whole(engine, thread);
  const rdb::LoadSection section(engine, thread);
  CheckpointProgress done;
  for (size_t db = 0; db < info.stats.size(); ++db) {
    if (info.stats[db].keys == 0) continue;
    for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
      Status installed;
      TG_RETURN_IF_ERROR(source.ReadSlot(
          info.databases[db], static_cast<uint16_t>(slot), 0, [&](const StoredEntry& entry) {
            installed = InstallStored(engine, thread, static_cast<int>(db),
                                      static_cast<uint16_t>(slot), entry);
            ++done.keys;
            done.bytes += entry.value.size();
            return installed.ok();
          }));
      if (!installed.ok()) return installed.error();
      if (progress) progress(done);
    }
  }
  return done;
}

}  // namespace tidegate
