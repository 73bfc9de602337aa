// MEMORY USAGE and the engine's part of DEBUG, see storage/introspection.h.
#include <cstdio>
#include <vector>

#include "storage/commands/generic_commands.h"
#include "storage/commands/value_digest.h"
#include "storage/introspection.h"
#include "storage/keyspace/access.h"
#include "storage/rdb/rdb_value_writer.h"
#include "storage/rdb/rdb_writer.h"
#include "storage/value/encoding_name.h"
#include "storage/value/key_size.h"
#include "storage/value/string_value.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

Digest DigestOfKey(const Entry& entry, int db, int64_t now_ms) {
  Digest digest = Digest::Of(ToText(db));
  digest.Then(entry.key());
  digest.Then(DigestOfValue(entry, now_ms));
  return digest;
}

// What DUMP writes of the value alone, without the byte of the type and the footer.
size_t SerializedBytes(const Entry& entry, int64_t now_ms) {
  constexpr size_t kTypeBytes = 1;
  std::string payload;
  if (!entry.embedded()) payload.reserve(ValueBytes(ValueObject::Of(entry)));
  rdb::RdbWriter writer(payload);
  rdb::WriteValue(entry, {.now_ms = now_ms}, writer);
  return payload.size() - kTypeBytes;
}

ExecStatus CmdDebugObject(CommandContext& ctx) {
  const Entry* entry = ctx.db().Peek(ctx.key());
  if (entry == nullptr) return ctx.Fail(errors::kNoSuchKey);
  if (ctx.IsLongValue(*entry)) return ctx.RunLong();
  char line[256];
  std::snprintf(
      line, sizeof line,
      "Value at:%p refcount:%d encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
      static_cast<const void*>(entry), ReferenceCount(ctx, *entry),
      std::string(EncodingName(*entry)).c_str(), SerializedBytes(*entry, ctx.now_ms()),
      entry->access(), access::LruIdleSeconds(entry->access(), ctx.now_ms()));
  ctx.reply().SimpleString(line);
  return ExecStatus::kDone;
}

ExecStatus CmdDebugDigestValue(CommandContext& ctx) {
  for (const KeyRef& key : ctx.keys()) {
    const Entry* entry = ctx.db().Peek(key);
    if (entry != nullptr && ctx.IsLongValue(*entry)) return ctx.RunLong();
  }
  ctx.reply().Array(ctx.keys().size());
  for (const KeyRef& key : ctx.keys()) {
    const Entry* entry = ctx.db().Peek(key);
    ctx.reply().SimpleString(entry == nullptr ? Digest().Hex()
                                              : DigestOfValue(*entry, ctx.now_ms()).Hex());
  }
  return ExecStatus::kDone;
}

// Entries that one turn of DEBUG DIGEST and DEBUG POPULATE handles.
constexpr size_t kEntriesPerTurn = 2000;

// What of a value counts as one more entry, and entries under one hold of a slot's lock.
constexpr size_t kDigestBytesPerEntry = 128;
constexpr size_t kDigestEntriesPerHold = 16;

struct DigestWalk final : ClientState::Continuation {
  Digest digest;
  int db = 0;
  uint32_t slot = 0;
  uint32_t position = 0;
  size_t work = 0;  // of this turn, in entries
};

ExecStatus CmdDebugDigest(CommandContext& ctx) {
  // There may be large values.
  if (ctx.IsLong(UINT64_MAX)) return ctx.RunLong();
  auto& continuation = ctx.client().continuation;
  if (continuation == nullptr) continuation = std::make_unique<DigestWalk>();
  auto& walk = static_cast<DigestWalk&>(*continuation);
  walk.work = 0;
  for (size_t steps = 0; walk.db < ctx.engine().databases(); ++steps) {
    if (walk.work >= kEntriesPerTurn || steps >= kSlotCount) return ctx.Yield();
    const auto slot = static_cast<uint16_t>(walk.slot);
    if (!ctx.TryLockSlot(slot)) return ctx.SuspendAtSlot(slot);
    if (!ctx.IsInMemory(walk.db, slot)) {
      ctx.UnlockSlot(slot);
      return ctx.AwaitSlot(walk.db, slot);
    }
    walk.position = ctx.keyspace().Visit(
        slot, walk.db, walk.position, kDigestEntriesPerHold, [&](Entry& entry) {
          walk.digest.Also(DigestOfKey(entry, walk.db, ctx.now_ms()));
          walk.work += 1 + KeyBytes(entry) / kDigestBytesPerEntry;
        });
    ctx.UnlockSlot(slot);
    if (walk.position == 0) ++walk.slot;
    if (walk.slot == kSlotCount) {
      walk.slot = 0;
      ++walk.db;
    }
  }
  ctx.reply().SimpleString(walk.digest.Hex());
  continuation.reset();
  return ExecStatus::kDone;
}

struct PopulateProgress final : ClientState::Continuation {
  int64_t next = 0;
};

// "value:7", cut or filled up with zeros to `bytes`; 0: as it is.
std::string PopulatedValue(int64_t number, int64_t bytes) {
  std::string value = "value:" + ToText(number);
  if (bytes != 0) value.resize(static_cast<size_t>(bytes), '\0');
  return value;
}

ExecStatus CmdDebugPopulate(CommandContext& ctx) {
  constexpr std::string_view kNotPositive = "ERR value is out of range, must be positive";
  const std::optional<int64_t> count = ctx.IntegerArg(2, kNotPositive);
  if (!count) return ExecStatus::kDone;
  if (*count < 0) return ctx.Fail(kNotPositive);
  int64_t bytes = 0;
  if (ctx.argc() == 5) {
    const std::optional<int64_t> wanted = ctx.IntegerArg(4, kNotPositive);
    if (!wanted) return ExecStatus::kDone;
    if (*wanted < 0 || static_cast<uint64_t>(*wanted) > kStringBytesMax.count) {
      return ctx.Fail(kNotPositive);
    }
    bytes = *wanted;
  }
  const std::string_view prefix = ctx.argc() >= 4 ? ctx.arg(3) : "key";

  auto& continuation = ctx.client().continuation;
  if (continuation == nullptr) continuation = std::make_unique<PopulateProgress>();
  auto& progress = static_cast<PopulateProgress&>(*continuation);
  for (size_t made = 0; progress.next < *count; ++progress.next, ++made) {
    if (made >= kEntriesPerTurn) return ctx.Yield();
    const std::string name = std::string(prefix) + ":" + ToText(progress.next);
    const KeyRef key = KeyRef::Of(name);
    if (!ctx.TryLockSlot(key.slot)) return ctx.SuspendAtSlot(key.slot);
    if (!ctx.IsInMemory(key)) {
      ctx.UnlockSlot(key.slot);
      return ctx.AwaitKeys({&key, 1});
    }
    if (ctx.db().Peek(key) == nullptr) {
      const std::string value = PopulatedValue(progress.next, bytes);
      ctx.db().SetString(key, nullptr, value, kNoExpire);
      ctx.RecordAs({"SET", name, value});
    }
    ctx.UnlockSlot(key.slot);
  }
  ctx.reply().Ok();
  continuation.reset();
  return ExecStatus::kDone;
}

constexpr CommandSpec kDebugObject = {.name = "OBJECT",
                                      .arity = Exactly(3),
                                      .keys = {2, 2, 1},
                                      .access = Access::kRead,
                                      .scope = Scope::kOneKey,
                                      .handler = CmdDebugObject};
constexpr CommandSpec kDebugDigestValue = {.name = "DIGEST-VALUE",
                                           .arity = AtLeast(2),
                                           .keys = {2, -1, 1},
                                           .access = Access::kRead,
                                           .scope = Scope::kManyKeys,
                                           .handler = CmdDebugDigestValue};
constexpr CommandSpec kDebugDigest = {.name = "DIGEST",
                                      .arity = Exactly(2),
                                      .access = Access::kRead,
                                      .scope = Scope::kSlotBySlot,
                                      .handler = CmdDebugDigest};
// For the types that are hash tables inside; a string is none.
ExecStatus CmdDebugHtStatsKey(CommandContext& ctx) {
  if (ctx.db().Peek(ctx.key()) == nullptr) return ctx.Fail(errors::kNoSuchKey);
  return ctx.Fail(
      "ERR The value stored at the specified key is not represented using an hash table");
}

constexpr CommandSpec kDebugHtStatsKey = {.name = "HTSTATS-KEY",
                                          .arity = Exactly(3),
                                          .keys = {2, 2, 1},
                                          .access = Access::kRead,
                                          .scope = Scope::kOneKey,
                                          .handler = CmdDebugHtStatsKey};
constexpr CommandSpec kDebugPopulate = {.name = "POPULATE",
                                        .arity = AtLeast(3),
                                        .access = Access::kWrite,
                                        .scope = Scope::kSlotBySlot,
                                        .handler = CmdDebugPopulate};

Command DebugPart(const CommandSpec& spec) {
  Command command;
  command.spec = &spec;
  command.full_name = "debug";
  return command;
}

}  // namespace

const Command& DebugObjectCommand() {
  static const Command kCommand = DebugPart(kDebugObject);
  return kCommand;
}
const Command& DebugDigestValueCommand() {
  static const Command kCommand = DebugPart(kDebugDigestValue);
  return kCommand;
}
const Command& DebugDigestCommand() {
  static const Command kCommand = DebugPart(kDebugDigest);
  return kCommand;
}
const Command& DebugHtStatsKeyCommand() {
  static const Command kCommand = DebugPart(kDebugHtStatsKey);
  return kCommand;
}
const Command& DebugPopulateCommand() {
  static const Command kCommand = DebugPart(kDebugPopulate);
  return kCommand;
}

ExecStatus CmdMemoryUsage(CommandContext& ctx) {
  for (size_t i = 3; i < ctx.argc(); i += 2) {
    if (!EqualsIgnoreCase(ctx.arg(i), "samples") || i + 1 == ctx.argc()) {
      return ctx.Fail(errors::kSyntax);
    }
    const std::optional<int64_t> samples = ctx.IntegerArg(i + 1);
    if (!samples) return ExecStatus::kDone;
    if (*samples < 0) return ctx.Fail(errors::kSyntax);
  }
  const Entry* entry = ctx.db().Peek(ctx.key());
  if (entry == nullptr) {
    ctx.reply().Null();
  } else {
    ctx.reply().Integer(static_cast<int64_t>(KeyBytes(*entry)));
  }
  return ExecStatus::kDone;
}

}  // namespace tidegate
