// DUMP and RESTORE: a value as bytes that another server, or a later time, can make a key of.
#include "base/text.h"
#include "config/notify.h"
#include "storage/breathe.h"
#include "storage/command_context.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/families.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/access.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_value_reader.h"
#include "storage/rdb/rdb_value_writer.h"

namespace tidegate {
namespace {

// What of a payload counts as an element of a long command.
constexpr size_t kBytesPerElement = 64;

// So that a payload of many megabytes is not copied in one go.
void ReplyInPieces(ReplyWriter& reply, std::string_view payload) {
  constexpr size_t kPieceBytes = kOutputBlockBytes.count;
  reply.BeginBulk(payload.size());
  for (size_t at = 0; at < payload.size(); at += kPieceBytes) {
    Breathe();
    reply.BulkPart(payload.substr(at, kPieceBytes));
  }
  reply.EndBulk();
}

ExecStatus CmdDump(CommandContext& context) {
  Database db = context.DbWithTouch(false);
  const Entry* entry = db.FindForRead(context.key());
  if (entry == nullptr) {
    context.reply().Null();
  } else {
    if (context.IsLongValue(*entry)) return context.RunLong();
    ReplyInPieces(context.reply(), rdb::DumpPayload(*entry, context.now_ms()));
  }
  return ExecStatus::kDone;
}

struct RestoreOptions {
  bool replace = false;
  bool absolute_time = false;
  int64_t idle_seconds = -1;
  int64_t frequency = -1;
};

// Nothing after the error reply was written.
std::optional<RestoreOptions> ParseRestoreOptions(CommandContext& context) {
  constexpr int64_t kFrequencyMax = 255;
  RestoreOptions options;
  for (size_t i = 4; i < context.argc(); ++i) {
    const bool has_value = i + 1 < context.argc();
    if (EqualsIgnoreCase(context.arg(i), "replace")) {
      options.replace = true;
    } else if (EqualsIgnoreCase(context.arg(i), "absttl")) {
      options.absolute_time = true;
    } else if (EqualsIgnoreCase(context.arg(i), "idletime") && has_value &&
               options.frequency == -1) {
      const auto seconds = context.IntegerArg(++i);
      if (!seconds) return std::nullopt;
      if (*seconds < 0) {
        context.Fail("ERR Invalid IDLETIME value, must be >= 0");
        return std::nullopt;
      }
      options.idle_seconds = *seconds;
    } else if (EqualsIgnoreCase(context.arg(i), "freq") && has_value &&
               options.idle_seconds == -1) {
      const auto frequency = context.IntegerArg(++i);
      if (!frequency) return std::nullopt;
      if (*frequency < 0 || *frequency > kFrequencyMax) {
        context.Fail("ERR Invalid FREQ value, must be >= 0 and <= 255");
        return std::nullopt;
      }
      options.frequency = *frequency;
    } else {
      context.Fail(errors::kSyntax);
      return std::nullopt;
    }
  }
  return options;
}

// What the eviction policy of this server can use of it.
void SetAccess(CommandContext& context, const RestoreOptions& options, Entry& entry) {
  if (context.thread().lfu) {
    if (options.frequency < 0) return;
    entry.set_access(access::LfuMinutes(context.thread().wall_ms) << 8 |
                     static_cast<uint32_t>(options.frequency));
  } else if (options.idle_seconds >= 0) {
    const auto idle = static_cast<uint32_t>(options.idle_seconds);
    entry.set_access((access::LruClock(context.thread().wall_ms) - idle) & access::kClockMask);
  }
}

// `entry`: what the key holds now, or null. Fields of a hash whose time had come were left out, so
// it is told as it is.
void RecordRestored(CommandContext& context, const Entry* entry, int64_t expire_at_ms,
                    bool replaced) {
  if (!context.records()) return;
  const std::string_view key = context.key().name;
  if (entry == nullptr) {
    replaced ? context.RecordAs({"DEL", key}) : context.RecordNothing();
    return;
  }
  const bool fields_expire =
      static_cast<rdb::Type>(context.arg(3).front()) == rdb::Type::kHashMetadata;
  std::string told;
  if (fields_expire) told = rdb::DumpPayload(*entry, context.now_ms());
  context.RecordAs({"RESTORE", key, DecimalWord(expire_at_ms),
                    fields_expire ? std::string_view(told) : context.arg(3), "REPLACE", "ABSTTL"});
}

ExecStatus CmdRestore(CommandContext& context) {
  const auto options = ParseRestoreOptions(context);
  if (!options) return ExecStatus::kDone;
  const KeyRef& key = context.key();
  Database& db = context.db();
  Entry* existing = db.FindForWrite(key);
  if (existing != nullptr && !options->replace)
    return context.Fail("BUSYKEY Target key name already exists.");
  const auto time = context.IntegerArg(2);
  if (!time) return ExecStatus::kDone;
  if (*time < 0) return context.Fail("ERR Invalid TTL value, must be >= 0");
  std::string_view payload = context.arg(3);
  if (context.IsLong(payload.size() / kBytesPerElement)) return context.RunLong();
  if (!rdb::TakeFooter(payload))
    return context.Fail("ERR DUMP payload version or checksum are wrong");
  int64_t expire_at_ms = *time;
  if (*time != 0 && !options->absolute_time &&
      __builtin_add_overflow(*time, context.now_ms(), &expire_at_ms)) {
    return context.Fail("ERR Invalid TTL value, must be >= 0");
  }
  rdb::RdbReader in(payload);
  const size_t events_before = context.thread().events.size();
  if (!rdb::ReadValue(in, db, key, existing)) return context.Fail("ERR Bad data format");
  if (*time != 0 && expire_at_ms <= context.now_ms()) {
    context.thread().events.resize(events_before);  // it was never there
    const bool deleted = db.Delete(key) && existing != nullptr;
    if (deleted) db.Notify(notify::kGeneric, "del", key);
    RecordRestored(context, nullptr, 0, deleted);
    context.reply().Ok();
    return ExecStatus::kDone;
  }
  // As Redis, where what was there is deleted first.
  if (existing != nullptr) db.Notify(notify::kNew, "new", key);
  Entry* entry = db.Peek(key);
  if (entry != nullptr) {
    if (*time != 0) entry = db.SetExpire(key, entry, expire_at_ms);
    SetAccess(context, *options, *entry);
    db.Notify(notify::kGeneric, "restore", key);
  }
  RecordRestored(context, entry, *time == 0 ? 0 : expire_at_ms, existing != nullptr);
  context.reply().Ok();
  return ExecStatus::kDone;
}

constexpr CommandSpec kDumpCommands[] = {
    {.name = "DUMP",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeneric,
     .since = "2.6.0",
     .complexity = "O(n) for the bytes of the value",
     .summary = "Answers with the value in the form that RESTORE takes.",
     .handler = CmdDump,
     .key_flags = "RO access",
     .tips = "nondeterministic_output"},
    {.name = "RESTORE",
     .arity = AtLeast(4),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kDenyOom | kDangerous,
     .cost = Cost::kPerElement,
     .group = Group::kGeneric,
     .since = "2.6.0",
     .complexity = "O(n) for the bytes of the value; O(n log n) for a sorted set",
     .summary = "Makes a key of what DUMP answered, here or on another server.",
     .handler = CmdRestore,
     .key_flags = "OW update"},
};

}  // namespace

static_assert(IsValidFamily(kDumpCommands));
constinit const std::span<const CommandSpec> kDumpFamily = kDumpCommands;

}  // namespace tidegate
