#include "proxy/observe/big_keys.h"

#include <algorithm>
#include <optional>

#include "config/options.h"
#include "storage/size_watch.h"

namespace tidegate {
namespace {

using hotkey::BigKeySource;

hotkey::KeyId EngineKey(const SizeNote& note) {
  return hotkey::IdOf(note.hash, {.cluster = 0, .database = static_cast<uint16_t>(note.db)});
}

struct NamedKey {
  hotkey::KeyId id = 0;
  std::string_view name;
};

// A string of which all bytes have come by.
hotkey::BigKeySighting WholeString(const NamedKey& key, uint64_t bytes, const SizedRequest& sized,
                                   BigKeySource source) {
  return {.id = key.id,
          .name = key.name,
          .cluster = sized.cluster,
          .database = sized.keyspace.database,
          .type = "string",
          .bytes = bytes,
          .elements = 1,
          .exact = true,
          .moved_bytes = sized.moved_bytes,
          .source = source};
}

}  // namespace

BigKeyLimits LimitsOf(const Options& options) {
  return {.bytes = std::min(options.big_key_warn_bytes.count, options.big_key_bytes.count),
          .elements = static_cast<uint64_t>(options.big_key_elements)};
}

void BigKeys::Follow(const Options& options) {
  table_.SetThresholds({.warn_bytes = options.big_key_warn_bytes.count,
                        .big_bytes = options.big_key_bytes.count,
                        .elements = static_cast<uint64_t>(options.big_key_elements),
                        .bytes_per_second = options.big_key_rate.count});
  const BigKeyLimits limits = LimitsOf(options);
  bytes_min_.store(limits.bytes, std::memory_order_relaxed);
  elements_min_.store(limits.elements, std::memory_order_relaxed);
  enabled_.store(options.big_keys, std::memory_order_relaxed);
  if (!options.big_keys) table_.Clear();
}

void BigKeys::TakeNotes(const std::vector<SizeNote>& notes, int64_t now_ms) {
  if (!enabled()) return;
  for (const SizeNote& note : notes) {
    switch (note.what) {
      case SizeNote::What::kFlushed:
        table_.RemoveAll(kEngineClusterName,
                         note.db < 0 ? std::nullopt : std::optional<int>(note.db));
        break;
      case SizeNote::What::kGone:
        table_.Remove(EngineKey(note));
        break;
      case SizeNote::What::kSize:
        table_.Note({.id = EngineKey(note),
                     .name = note.name,
                     .cluster = kEngineClusterName,
                     .database = note.db,
                     .type = note.type,
                     .bytes = note.size.bytes,
                     .elements = note.size.elements,
                     .exact = true,
                     .source = BigKeySource::kEngine},
                    now_ms);
        break;
    }
  }
}

void BigKeys::NoteRequest(SizeRole role, const Request& request, const SizedRequest& sized,
                          int64_t now_ms) {
  if (role == SizeRole::kFlushes) {
    const bool all = request.command->full_name == "flushall";
    return table_.RemoveAll(sized.cluster,
                            all ? std::nullopt : std::optional<int>(sized.keyspace.database));
  }
  if (role == SizeRole::kRemoves) {
    for (const KeyRef& key : request.keys) {
      const hotkey::KeyId id = hotkey::IdOf(key.hash, sized.keyspace);
      if (table_.MayHold(id)) table_.Remove(id);
    }
    return;
  }
  if (role == SizeRole::kSetsPairs) return NotePairs(request, sized, now_ms);
  const std::optional<ValueSize> size = SizeInRequest(role, request);
  if (!size || request.keys.size() != 1) return;
  const hotkey::KeyId id = hotkey::IdOf(request.keys[0].hash, sized.keyspace);
  if (sized.moved_bytes < bytes_min() && !table_.MayHold(id)) return;
  table_.Note(
      {.id = id,
       .name = request.keys[0].name,
       .cluster = sized.cluster,
       .database = sized.keyspace.database,
       .type = role == SizeRole::kSets ? "string" : TypeOfGroup(request.command->spec->group),
       .bytes = size->bytes,
       .elements = size->elements,
       .exact = size->exact,
       .moved_bytes = sized.moved_bytes,
       .source = BigKeySource::kRequest},
      now_ms);
}

void BigKeys::NotePairs(const Request& request, const SizedRequest& sized, int64_t now_ms) {
  for (size_t i = 0; i < request.keys.size() && 2 * i + 2 < request.args.size(); ++i) {
    const hotkey::KeyId id = hotkey::IdOf(request.keys[i].hash, sized.keyspace);
    const uint64_t bytes = request.args[2 * i + 2].size();
    if (bytes < bytes_min() && !table_.MayHold(id)) continue;
    const SizedRequest part{
        .keyspace = sized.keyspace, .cluster = sized.cluster, .moved_bytes = bytes};
    table_.Note(WholeString({id, request.keys[i].name}, bytes, part, BigKeySource::kRequest),
                now_ms);
  }
}

void BigKeys::NoteReply(SizeRole role, const Command& command, std::string_view name,
                        std::string_view begin, const SizedRequest& sized, int64_t now_ms) {
  const std::optional<ValueSize> size = SizeInReply(role, begin, sized.moved_bytes);
  if (!size) return;
  const hotkey::KeyId id = hotkey::IdOf(KeyHash(name), sized.keyspace);
  const bool large = size->bytes.value_or(0) >= bytes_min() ||
                     size->elements.value_or(0) >= elements_min_.load(std::memory_order_relaxed);
  if (!large && !table_.MayHold(id)) return;
  table_.Note({.id = id,
               .name = name,
               .cluster = sized.cluster,
               .database = sized.keyspace.database,
               .type = TypeOfGroup(command.spec->group),
               .bytes = size->bytes,
               .elements = size->elements,
               .exact = size->exact,
               .moved_bytes = sized.moved_bytes,
               .source = BigKeySource::kReply},
              now_ms);
}

void BigKeys::NoteString(std::string_view name, uint64_t bytes, const SizedRequest& sized,
                         int64_t now_ms) {
  const hotkey::KeyId id = hotkey::IdOf(KeyHash(name), sized.keyspace);
  if (bytes < bytes_min() && !table_.MayHold(id)) return;
  table_.Note(WholeString({id, name}, bytes, sized, BigKeySource::kReply), now_ms);
}

void BigKeys::NoteProbed(const hotkey::BigKeySighting& size, hotkey::Keyspace keyspace,
                         int64_t now_ms) {
  hotkey::BigKeySighting sighting = size;
  sighting.id = hotkey::IdOf(KeyHash(size.name), keyspace);
  sighting.source = BigKeySource::kProbe;
  const bool large = size.bytes.value_or(0) >= bytes_min() ||
                     size.elements.value_or(0) >= elements_min_.load(std::memory_order_relaxed);
  if (enabled() && (large || table_.MayHold(sighting.id))) table_.Note(sighting, now_ms);
}

void BigKeys::NoteMoved(const Request& request, int db, uint64_t bytes, int64_t now_ms) {
  if (bytes < bytes_min() || request.keys.empty()) return;
  const hotkey::Keyspace keyspace{.cluster = 0, .database = static_cast<uint16_t>(db)};
  for (const KeyRef& key : request.keys) {
    const hotkey::KeyId id = hotkey::IdOf(key.hash, keyspace);
    if (!table_.MayHold(id)) continue;
    table_.NoteMoved(id, bytes / request.keys.size(), now_ms);
  }
}

BigKeyFacts BigKeys::Facts(int64_t now_ms) {
  return {.enabled = enabled(),
          .counts = table_.Counts(now_ms),
          .keys = table_.List(hotkey::BigKeyOrder::kBytes, hotkey::kBigKeysMax, now_ms)};
}

}  // namespace tidegate
