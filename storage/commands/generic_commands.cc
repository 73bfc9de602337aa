#include "storage/commands/generic_commands.h"

#include <limits>

#include "config/notify.h"
#include "storage/commands/families.h"

namespace tidegate {
namespace {

ExecStatus DeleteKeys(CommandContext& ctx, bool lazy) {
  int64_t deleted = 0;
  for (const KeyRef& key : ctx.keys()) {
    if (!ctx.db().Delete(key, lazy)) continue;
    ctx.db().Notify(notify::kGeneric, "del", key);
    ++deleted;
  }
  ctx.reply().Integer(deleted);
  return ExecStatus::kDone;
}

// What became of a request to rename.
enum class Renamed : uint8_t { kNoSource, kSameName, kTaken, kDone };

Renamed Rename(CommandContext& ctx, bool replace) {
  const KeyRef& from = ctx.key(0);
  const KeyRef& to = ctx.key(1);
  if (ctx.db().FindForRecord(from) == nullptr) return Renamed::kNoSource;
  if (from.name == to.name) return Renamed::kSameName;
  if (!replace && ctx.db().FindForRecord(to) != nullptr) return Renamed::kTaken;
  ctx.db().MoveTo(from, ctx.db(), to);
  ctx.db().Notify(notify::kGeneric, "rename_from", from);
  ctx.db().Notify(notify::kGeneric, "rename_to", to);
  return Renamed::kDone;
}

struct CopyArguments {
  int db = 0;
  bool replace = false;
};

// Reads the options of COPY; on failure the error reply is written.
std::optional<CopyArguments> ParseCopyArguments(CommandContext& ctx) {
  CopyArguments out{.db = ctx.db().index()};
  for (size_t i = 3; i < ctx.argc(); ++i) {
    if (EqualsIgnoreCase(ctx.arg(i), "replace")) {
      out.replace = true;
    } else if (EqualsIgnoreCase(ctx.arg(i), "db") && i + 1 < ctx.argc()) {
      const std::optional<int> db = Int32Arg(ctx, ++i);
      if (!db) return std::nullopt;
      if (*db < 0 || *db >= ctx.engine().databases()) {
        ctx.Fail(errors::kDbIndexOutOfRange);
        return std::nullopt;
      }
      out.db = *db;
    } else {
      ctx.Fail(errors::kSyntax);
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kString:
      return "string";
    case ValueType::kList:
      return "list";
    case ValueType::kSet:
      return "set";
    case ValueType::kSortedSet:
      return "zset";
    case ValueType::kHash:
      return "hash";
    case ValueType::kStream:
      return "stream";
    case ValueType::kBloom:
      return "MBbloom--";
  }
  TG_CHECK(false);
}

std::optional<int> Int32Arg(CommandContext& ctx, size_t i, std::string_view error) {
  constexpr int64_t kMin = std::numeric_limits<int>::min();
  constexpr int64_t kMax = std::numeric_limits<int>::max();
  const std::optional<int64_t> number =
      ctx.IntegerArg(i, error.empty() ? errors::kNotInteger : error);
  if (!number) return std::nullopt;
  if (*number < kMin || *number > kMax) {
    ctx.Fail(error.empty() ? "ERR value is out of range, value must between " + ToText(kMin) +
                                 " and " + ToText(kMax)
                           : std::string(error));
    return std::nullopt;
  }
  return static_cast<int>(*number);
}

ExecStatus CmdDel(CommandContext& ctx) {
  return DeleteKeys(ctx, ctx.engine().settings().lazyfree_user_del.load(std::memory_order_relaxed));
}
ExecStatus CmdUnlink(CommandContext& ctx) { return DeleteKeys(ctx, true); }

ExecStatus CmdExists(CommandContext& ctx) {
  Database db = UntouchedDb(ctx);
  int64_t found = 0;
  for (const KeyRef& key : ctx.keys()) found += db.FindForRead(key) != nullptr ? 1 : 0;
  ctx.reply().Integer(found);
  return ExecStatus::kDone;
}

ExecStatus CmdTouch(CommandContext& ctx) {
  // Touches also for a client that said CLIENT NO-TOUCH: it asks for just that.
  Database db = ctx.DbWithTouch(true);
  int64_t found = 0;
  for (const KeyRef& key : ctx.keys()) found += db.FindForRead(key) != nullptr ? 1 : 0;
  ctx.reply().Integer(found);
  return ExecStatus::kDone;
}

ExecStatus CmdType(CommandContext& ctx) {
  Database db = UntouchedDb(ctx);
  const Entry* entry = db.FindForRead(ctx.key());
  ctx.reply().SimpleString(entry == nullptr ? "none" : ValueTypeName(entry->type()));
  return ExecStatus::kDone;
}

ExecStatus CmdRename(CommandContext& ctx) {
  if (Rename(ctx, true) == Renamed::kNoSource) return ctx.Fail(errors::kNoSuchKey);
  ctx.reply().Ok();
  return ExecStatus::kDone;
}

ExecStatus CmdRenameNx(CommandContext& ctx) {
  const Renamed renamed = Rename(ctx, false);
  if (renamed == Renamed::kNoSource) return ctx.Fail(errors::kNoSuchKey);
  ctx.reply().Integer(renamed == Renamed::kDone ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdCopy(CommandContext& ctx) {
  const std::optional<CopyArguments> arguments = ParseCopyArguments(ctx);
  if (!arguments) return ExecStatus::kDone;
  const KeyRef& from = ctx.key(0);
  const KeyRef& to = ctx.key(1);
  if (arguments->db == ctx.db().index() && from.name == to.name) {
    return ctx.Fail(errors::kSameObject);
  }
  Database target = ctx.OtherDb(arguments->db);
  const bool taken = target.FindForWrite(to) != nullptr;
  const Entry* entry = ctx.db().FindForRead(from);
  const bool copied = entry != nullptr && (arguments->replace || !taken);
  if (copied && ctx.IsLongValue(*entry)) return ctx.RunLong();
  if (copied) {
    ctx.db().CopyTo(*entry, target, to);
    target.Notify(notify::kGeneric, "copy_to", to);
  }
  ctx.reply().Integer(copied ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdMove(CommandContext& ctx) {
  const std::optional<int> index = Int32Arg(ctx, 2);
  if (!index) return ExecStatus::kDone;
  if (*index < 0 || *index >= ctx.engine().databases()) {
    return ctx.Fail(errors::kDbIndexOutOfRange);
  }
  if (*index == ctx.db().index()) return ctx.Fail(errors::kSameObject);
  const KeyRef& key = ctx.key();
  Database target = ctx.OtherDb(*index);
  const bool moved = ctx.db().FindForWrite(key) != nullptr && target.FindForWrite(key) == nullptr;
  if (moved) {
    ctx.db().MoveTo(key, target, key);
    ctx.db().Notify(notify::kGeneric, "move_from", key);
    target.Notify(notify::kGeneric, "move_to", key);
  }
  ctx.reply().Integer(moved ? 1 : 0);
  return ExecStatus::kDone;
}

namespace {

constexpr CommandSpec kObjectCommands[] = {
    {.name = "ENCODING",
     .arity = Exactly(3),
     .keys = {2, 2, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .group = Group::kGeneric,
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "How the value of a key is held in memory.",
     .handler = CmdObjectEncoding,
     .key_flags = "RO",
     .tips = "nondeterministic_output"},
    {.name = "FREQ",
     .arity = Exactly(3),
     .keys = {2, 2, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .group = Group::kGeneric,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "How often a key is used, on a logarithmic scale.",
     .handler = CmdObjectFreq,
     .key_flags = "RO",
     .tips = "nondeterministic_output"},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kSlotBySlot,
     .flags = kLoading | kStale,
     .group = Group::kGeneric,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of OBJECT.",
     .handler = CmdObjectHelp},
    {.name = "IDLETIME",
     .arity = Exactly(3),
     .keys = {2, 2, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .group = Group::kGeneric,
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Seconds since a key was last used.",
     .handler = CmdObjectIdleTime,
     .key_flags = "RO",
     .tips = "nondeterministic_output"},
    {.name = "REFCOUNT",
     .arity = Exactly(3),
     .keys = {2, 2, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .group = Group::kGeneric,
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "How many references the value of a key has.",
     .handler = CmdObjectRefCount,
     .key_flags = "RO",
     .tips = "nondeterministic_output"},
};

constexpr std::string_view kAggregateSum = "request_policy:multi_shard response_policy:agg_sum";
constexpr std::string_view kAllShardsSucceed =
    "request_policy:all_shards response_policy:all_succeeded";

constexpr CommandSpec kGenericCommands[] = {
    {.name = "COPY",
     .arity = AtLeast(3),
     .keys = {1, 2, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kDenyOom | kOtherDatabases,
     .cost = Cost::kPerElement,
     .group = Group::kGeneric,
     .since = "6.2.0",
     .complexity = "O(N) in the size of the value",
     .summary = "Copies the value of a key to another key.",
     .handler = CmdCopy,
     .key_flags = "RO access|OW update"},
    {.name = "DBSIZE",
     .arity = Exactly(1),
     .access = Access::kRead,
     .scope = Scope::kSlotBySlot,
     .flags = kFast,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "How many keys the database has.",
     .handler = CmdDbSize,
     .tips = "request_policy:all_shards response_policy:agg_sum"},
    {.name = "DEL",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .cost = Cost::kPerArgument,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys",
     .summary = "Removes keys.",
     .handler = CmdDel,
     .key_flags = "RM delete",
     .tips = kAggregateSum},
    {.name = "EXISTS",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kRead,
     .scope = Scope::kManyKeys,
     .flags = kFast,
     .cost = Cost::kPerArgument,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys",
     .summary = "How many of the keys exist.",
     .handler = CmdExists,
     .key_flags = "RO",
     .tips = kAggregateSum},
    {.name = "EXPIRE",
     .arity = AtLeast(3),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Lets a key expire in a number of seconds.",
     .handler = CmdExpire,
     .key_flags = "RW update"},
    {.name = "EXPIREAT",
     .arity = AtLeast(3),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Lets a key expire at a Unix time in seconds.",
     .handler = CmdExpireAt,
     .key_flags = "RW update"},
    {.name = "EXPIRETIME",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "The Unix time in seconds at which a key expires.",
     .handler = CmdExpireTime,
     .key_flags = "RO access"},
    {.name = "FLUSHALL",
     .arity = AtLeast(1),
     .access = Access::kWrite,
     .scope = Scope::kWholeKeyspace,
     .flags = kDangerous,
     .cost = Cost::kPerKeyspace,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys, in the background",
     .summary = "Removes the keys of all databases.",
     .handler = CmdFlushAll,
     .tips = kAllShardsSucceed},
    {.name = "FLUSHDB",
     .arity = AtLeast(1),
     .access = Access::kWrite,
     .scope = Scope::kWholeKeyspace,
     .flags = kDangerous,
     .cost = Cost::kPerKeyspace,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys, in the background",
     .summary = "Removes the keys of the database.",
     .handler = CmdFlushDb,
     .tips = kAllShardsSucceed},
    {.name = "KEYS",
     .arity = Exactly(2),
     .access = Access::kRead,
     .scope = Scope::kSlotBySlot,
     .flags = kDangerous | kMeetsAnyKey,
     .cost = Cost::kPerKeyspace,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(N) in the number of keys",
     .summary = "The keys that match a pattern.",
     .handler = CmdKeys,
     .tips = "request_policy:all_shards nondeterministic_output_order"},
    {.name = "MOVE",
     .arity = Exactly(3),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kFast | kOtherDatabases,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Moves a key to another database.",
     .handler = CmdMove,
     .key_flags = "RW access update"},
    {.name = "OBJECT",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kGeneric,
     .since = "2.2.3",
     .complexity = "Depends on the sub-command",
     .summary = "What is known about a key beside its value.",
     .subcommands = kObjectCommands},
    {.name = "PERSIST",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Drops the expiry of a key.",
     .handler = CmdPersist,
     .key_flags = "RW update"},
    {.name = "PEXPIRE",
     .arity = AtLeast(3),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Lets a key expire in a number of milliseconds.",
     .handler = CmdPExpire,
     .key_flags = "RW update"},
    {.name = "PEXPIREAT",
     .arity = AtLeast(3),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Lets a key expire at a Unix time in milliseconds.",
     .handler = CmdPExpireAt,
     .key_flags = "RW update"},
    {.name = "PEXPIRETIME",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "The Unix time in milliseconds at which a key expires.",
     .handler = CmdPExpireTime,
     .key_flags = "RO access"},
    {.name = "PTTL",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Milliseconds until a key expires.",
     .handler = CmdPTtl,
     .key_flags = "RO access",
     .tips = "nondeterministic_output"},
    {.name = "RANDOMKEY",
     .arity = Exactly(1),
     .access = Access::kRead,
     .scope = Scope::kSlotBySlot,
     .flags = kMeetsAnyKey,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "A random key of the database.",
     .handler = CmdRandomKey,
     .tips = "request_policy:all_shards nondeterministic_output"},
    {.name = "RENAME",
     .arity = Exactly(3),
     .keys = {1, 2, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Gives a key another name, replacing what has it.",
     .handler = CmdRename,
     .key_flags = "RW access delete|OW update"},
    {.name = "RENAMENX",
     .arity = Exactly(3),
     .keys = {1, 2, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Gives a key another name unless that is taken.",
     .handler = CmdRenameNx,
     .key_flags = "RW access delete|OW insert"},
    {.name = "SCAN",
     .arity = AtLeast(2),
     .access = Access::kRead,
     .scope = Scope::kSlotBySlot,
     .flags = kMeetsAnyKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeneric,
     .since = "2.8.0",
     .complexity = "O(1) for each call, O(N) for a whole iteration",
     .summary = "Iterates over the keys of the database.",
     .handler = CmdScan,
     .tips = "nondeterministic_output request_policy:special"},
    {.name = "SWAPDB",
     .arity = Exactly(3),
     .access = Access::kWrite,
     .scope = Scope::kWholeKeyspace,
     .flags = kFast | kDangerous,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Exchanges two databases.",
     .handler = CmdSwapDb},
    {.name = "TOUCH",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kRead,
     .scope = Scope::kManyKeys,
     .flags = kFast,
     .cost = Cost::kPerArgument,
     .group = Group::kGeneric,
     .since = "3.2.1",
     .complexity = "O(N) in the number of keys",
     .summary = "Marks keys as just used; how many exist.",
     .handler = CmdTouch,
     .key_flags = "RO",
     .tips = kAggregateSum},
    {.name = "TTL",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Seconds until a key expires.",
     .handler = CmdTtl,
     .key_flags = "RO access",
     .tips = "nondeterministic_output"},
    {.name = "TYPE",
     .arity = Exactly(2),
     .keys = {1, 1, 1},
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kGeneric,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "The type of the value of a key.",
     .handler = CmdType,
     .key_flags = "RO"},
    {.name = "UNLINK",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kFast,
     .cost = Cost::kPerArgument,
     .group = Group::kGeneric,
     .since = "4.0.0",
     .complexity = "O(N) in the number of keys",
     .summary = "Removes keys and frees their values in the background.",
     .handler = CmdUnlink,
     .key_flags = "RM delete",
     .tips = kAggregateSum},
};
}  // namespace

static_assert(IsValidFamily(kGenericCommands));
const std::span<const CommandSpec> kGenericFamily = kGenericCommands;

}  // namespace tidegate
