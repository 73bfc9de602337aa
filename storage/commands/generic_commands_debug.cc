// MEMORY USAGE and the engine's part of DEBUG, see storage/introspection.h.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstdio>
#include <vector>

#include "storage/commands/generic_commands.h"
#include "storage/introspection.h"
#include "storage/keyspace/access.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/memory/memory.h"
#include "storage/value/encoding_name.h"
#include "storage/value/paged_list.h"
#include "storage/value/stream.h"
#include "storage/value/string_value.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

// A bucket's word, at the average load of a table.
constexpr size_t kTableBytesPerKey = 10;

size_t BytesOf(const Entry& entry) {
  size_t bytes = MemoryRoundUp(entry.allocated_bytes()) + kTableBytesPerKey;
  if (!entry.embedded()) bytes += ValueBytes(ValueObject::Of(entry));
  return bytes;
}

// 160 bits. Digests of keys are combined by exclusive or, so that their order does not matter.
class Digest final {
 public:
  void Add(const Digest& other) {
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] ^= other.bytes_[i];
  }
  static Digest Of(std::string_view bytes) {
    constexpr uint64_t kTailSeed = 1;
    const XXH128_hash_t head = XXH3_128bits(bytes.data(), bytes.size());
    const auto tail =
        static_cast<uint32_t>(XXH3_64bits_withSeed(bytes.data(), bytes.size(), kTailSeed));
    Digest digest;
    std::memcpy(digest.bytes_.data(), &head, sizeof head);
    std::memcpy(digest.bytes_.data() + sizeof head, &tail, sizeof tail);
    return digest;
  }
  std::string Hex() const {
    std::string hex;
    for (const uint8_t byte : bytes_) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x", byte);
      hex += digits;
    }
    return hex;
  }

 private:
  std::array<uint8_t, 20> bytes_{};
};

void AppendElement(std::string& image, const ListpackValue& element) {
  char digits[kListpackDigitsBytes];
  image += element.Render(digits);
  image += '\0';
}

void AppendList(std::string& image, const Entry& entry) {
  const auto append = [&image](const ListpackValue& element) {
    AppendElement(image, element);
    return true;
  };
  if (entry.encoding() == Encoding::kPagedList) return entry.object<PagedList>()->Visit(0, append);
  const ListpackView list(PackedBytes(entry));
  for (size_t at = list.First(); at != list.End(); at = list.Next(at)) append(list.Get(at));
}

void AppendStream(std::string& image, const Stream& stream) {
  StreamCursor cursor(stream, {}, StreamId::Max());
  while (const std::optional<StreamEntry> entry = cursor.Next()) {
    char id[kStreamIdTextBytesMax];
    image += FormatStreamId(entry->id, id);
    entry->ForEachField([&image](const ListpackValue& field, const ListpackValue& value) {
      AppendElement(image, field);
      AppendElement(image, value);
    });
  }
}

// What the value holds, whichever way it is held.
void AppendContents(std::string& image, const Entry& entry) {
  std::string scratch;
  if (entry.type() == ValueType::kString) {
    image += StringContents(entry, scratch);
  } else if (entry.type() == ValueType::kList) {
    AppendList(image, entry);
  } else if (entry.type() == ValueType::kStream) {
    AppendStream(image, *entry.object<Stream>());
  } else if (entry.embedded() || IsPacked(entry.encoding())) {
    image += PackedBytes(entry);
  }
}

Digest DigestOfValue(const Entry& entry) {
  std::string image(ValueTypeName(entry.type()));
  image += '\0';
  AppendContents(image, entry);
  if (entry.has_expire()) image += "!expire";
  return Digest::Of(image);
}

Digest DigestOfKey(const Entry& entry, int db) {
  std::string image = std::to_string(db);
  image += '\0';
  image += entry.key();
  image += '\0';
  image += DigestOfValue(entry).Hex();
  return Digest::Of(image);
}

// About what the value takes in a dump of Redis's, without compression; exact for strings.
size_t SerializedBytes(const Entry& entry) {
  if (entry.type() != ValueType::kString) {
    return entry.embedded() ? entry.value().size() : ValueBytes(ValueObject::Of(entry));
  }
  std::string scratch;
  const std::string_view text = StringContents(entry, scratch);
  const std::optional<int64_t> number = ParseInt64(text);
  if (number && *number >= INT8_MIN && *number <= INT8_MAX) return 2;
  if (number && *number >= INT16_MIN && *number <= INT16_MAX) return 3;
  if (number && *number >= INT32_MIN && *number <= INT32_MAX) return 5;
  const size_t length_bytes = text.size() < (1u << 6) ? 1 : text.size() < (1u << 14) ? 2 : 5;
  return length_bytes + text.size();
}

ExecStatus CmdDebugObject(CommandContext& ctx) {
  const Entry* entry = ctx.db().Peek(ctx.key());
  if (entry == nullptr) return ctx.Fail(errors::kNoSuchKey);
  char line[256];
  std::snprintf(
      line, sizeof line,
      "Value at:%p refcount:%d encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
      static_cast<const void*>(entry), ReferenceCount(ctx, *entry),
      std::string(EncodingName(*entry)).c_str(), SerializedBytes(*entry), entry->access(),
      access::LruIdleSeconds(entry->access(), ctx.now_ms()));
  ctx.reply().SimpleString(line);
  return ExecStatus::kDone;
}

ExecStatus CmdDebugDigestValue(CommandContext& ctx) {
  ctx.reply().Array(ctx.keys().size());
  for (const KeyRef& key : ctx.keys()) {
    const Entry* entry = ctx.db().Peek(key);
    ctx.reply().SimpleString(entry == nullptr ? Digest().Hex() : DigestOfValue(*entry).Hex());
  }
  return ExecStatus::kDone;
}

// Entries that one turn of DEBUG DIGEST and DEBUG POPULATE handles.
constexpr size_t kEntriesPerTurn = 2000;

struct DigestWalk final : ClientState::Continuation {
  Digest digest;
  int db = 0;
  uint32_t slot = 0;
  uint32_t position = 0;
  size_t entries = 0;  // of this turn
};

ExecStatus CmdDebugDigest(CommandContext& ctx) {
  auto& continuation = ctx.client().continuation;
  if (continuation == nullptr) continuation = std::make_unique<DigestWalk>();
  auto& walk = static_cast<DigestWalk&>(*continuation);
  walk.entries = 0;
  for (size_t steps = 0; walk.db < ctx.engine().databases(); ++steps) {
    if (walk.entries >= kEntriesPerTurn || steps >= kSlotCount) return ctx.Yield();
    const auto slot = static_cast<uint16_t>(walk.slot);
    if (!ctx.TryLockSlot(slot)) return ctx.SuspendAtSlot(slot);
    walk.position =
        ctx.keyspace().Visit(slot, walk.db, walk.position, kEntriesPerTurn, [&walk](Entry& entry) {
          walk.digest.Add(DigestOfKey(entry, walk.db));
          ++walk.entries;
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
    if (ctx.db().Peek(key) == nullptr) {
      ctx.db().SetString(key, nullptr, PopulatedValue(progress.next, bytes), kNoExpire);
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
    ctx.reply().Integer(static_cast<int64_t>(BytesOf(*entry)));
  }
  return ExecStatus::kDone;
}

}  // namespace tidegate
