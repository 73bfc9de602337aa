#include "storage/rdb/rdb_loader.h"

#include <utility>

#include "storage/engine_thread.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/keyspace.h"
#include "storage/rdb/rdb_value_reader.h"

namespace tidegate::rdb {
namespace {

Result<KeyOutcome> ReadModule(const FileKey& key, const KeyRef& ref, RdbReader& in, Database& db,
                              Entry* existing, bool skip) {
  const uint64_t id = in.Length();
  if (!in.ok()) return Error{"a broken value"};
  if (id == kBloomModuleId) {
    const ValueOutcome outcome = ReadBloomFilter(in, db, ref, existing, key.expire_at_ms);
    if (outcome == ValueOutcome::kBroken) return Error{"a broken Bloom filter"};
    return KeyOutcome::kRead;
  }
  if (!skip) {
    return Error{"a value of the module type " + ModuleName(id) + ", which Tidegate does not have"};
  }
  if (!SkipModuleParts(in)) return Error{"a broken value of the module type " + ModuleName(id)};
  return KeyOutcome::kModule;
}

// What the eviction policy of this server can use of it.
void SetAccess(const FileKey& key, Database& db, const KeyRef& ref) {
  if (key.idle_seconds < 0 && key.frequency < 0) return;
  Entry* entry = db.Peek(ref);
  if (entry == nullptr) return;
  if (db.thread().lfu) {
    if (key.frequency >= 0) {
      entry->set_access(access::LfuMinutes(db.now_ms()) << 8 |
                        static_cast<uint32_t>(key.frequency));
    }
  } else if (key.idle_seconds >= 0) {
    const auto idle = static_cast<uint32_t>(key.idle_seconds);
    entry->set_access((access::LruClock(db.now_ms()) - idle) & access::kClockMask);
  }
}

}  // namespace

Result<KeyOutcome> ReadKey(const FileKey& key, const KeyRef& ref, Type type, RdbReader& in,
                           Database& db, Entry* existing, bool skip_modules) {
  if (type == Type::kModule) return Error{"a value of a module, in the form before Redis 4.0"};
  if (type == Type::kModule2) return ReadModule(key, ref, in, db, existing, skip_modules);
  switch (ReadValueOfType(type, in, db, ref, existing, key.expire_at_ms)) {
    case ValueOutcome::kEmpty:
      return KeyOutcome::kEmpty;
    case ValueOutcome::kBroken:
      return Error{"a broken " + std::string(TypeName(type)) + " (type " +
                   std::to_string(static_cast<int>(type)) + ")"};
    case ValueOutcome::kRead:
      break;
  }
  SetAccess(key, db, ref);
  return KeyOutcome::kRead;
}

RdbLoader::RdbLoader(Engine& engine, EngineThread& thread, const LoadOptions& options,
                     uint64_t file_bytes)
    : engine_(engine), thread_(thread), options_(options), file_bytes_(file_bytes) {}

Status RdbLoader::OnKey(const FileKey& key, Type type, RdbReader& in) {
  Database db(engine_.keyspace(), thread_, key.db, thread_.wall_ms, {.no_touch = true});
  const KeyRef ref = KeyRef::Of(key.name);
  Entry* existing = db.Peek(ref);
  if (existing != nullptr && !options_.replace) return Error{"this key is there already"};
  Result<KeyOutcome> outcome = ReadKey(key, ref, type, in, db, existing, options_.skip_modules);
  if (!outcome.ok()) return std::move(outcome).error();
  if (*outcome == KeyOutcome::kEmpty) {
    ++report_.empty;
  } else if (*outcome == KeyOutcome::kModule) {
    ++report_.modules_skipped;
  } else if (!options_.keep_expired && key.expire_at_ms != kNoExpire &&
             key.expire_at_ms < db.now_ms()) {
    Database timeless(engine_.keyspace(), thread_, key.db, 0, {.no_touch = true});
    timeless.Delete(ref);
    ++report_.expired;
  } else {
    ++report_.keys;
  }
  return {};
}

void RdbLoader::OnAux(std::string_view name, std::string_view text) {
  if (name == "redis-ver") report_.redis_version = text;
}

void RdbLoader::OnFunctions(std::string_view /*code*/) { ++report_.functions; }

void RdbLoader::OnProgress(uint64_t offset) {
  report_.bytes = offset;
  if (options_.on_progress) options_.on_progress({offset, file_bytes_, report_.keys});
}

}  // namespace tidegate::rdb
