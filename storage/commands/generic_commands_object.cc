// OBJECT: what the engine knows about a key beside its value. Looking does not count as use, so
// that asking for the idle time does not reset it.
#include <limits>

#include "base/text.h"
#include "storage/commands/generic_commands.h"
#include "storage/keyspace/access.h"
#include "storage/value/encoding_name.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

constexpr std::string_view kLfuNotSelected =
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
    "when switching between policies at runtime LRU and LFU data will take some time to adjust.";
constexpr std::string_view kLfuSelected =
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
    "switching between policies at runtime LRU and LFU data will take some time to adjust.";

constexpr std::string_view kHelp[] = {
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    How the value of the key is held in memory.",
    "FREQ <key>",
    "    How often the key is used, on a logarithmic scale that decays with time.",
    "    Known with an LFU maxmemory policy.",
    "IDLETIME <key>",
    "    About how many seconds ago the key was last used. Not known with an LFU",
    "    maxmemory policy.",
    "REFCOUNT <key>",
    "    How many references the value has.",
    "HELP",
    "    Print this help.",
};

// The entry of argument 2, or null after the reply was written.
const Entry* FindOrReplyNull(CommandContext& ctx) {
  Database db = UntouchedDb(ctx);
  const Entry* entry = db.FindForRead(ctx.key());
  if (entry == nullptr) ctx.reply().Null();
  return entry;
}

bool IsLfu(EvictionPolicy policy) {
  return policy == EvictionPolicy::kAllKeysLfu || policy == EvictionPolicy::kVolatileLfu;
}

EvictionPolicy CurrentPolicy(CommandContext& ctx) {
  return ctx.engine().settings().maxmemory_policy.load(std::memory_order_relaxed);
}

}  // namespace

int ReferenceCount(CommandContext& ctx, const Entry& entry) {
  constexpr int kShared = std::numeric_limits<int>::max();
  constexpr int64_t kSharedIntegers = 10000;
  const EngineSettings& settings = ctx.engine().settings();
  const EvictionPolicy policy = CurrentPolicy(ctx);
  const bool by_use = IsLfu(policy) || policy == EvictionPolicy::kAllKeysLru ||
                      policy == EvictionPolicy::kVolatileLru;
  if (by_use && settings.maxmemory_bytes.load(std::memory_order_relaxed) != 0) return 1;
  if (entry.type() != ValueType::kString || StringEncodingName(entry) != "int") return 1;
  std::string scratch;
  const std::optional<int64_t> number = ParseInt64(StringContents(entry, scratch));
  return number && *number >= 0 && *number < kSharedIntegers ? kShared : 1;
}

ExecStatus CmdObjectEncoding(CommandContext& ctx) {
  const Entry* entry = FindOrReplyNull(ctx);
  if (entry != nullptr) ctx.reply().Bulk(EncodingName(*entry));
  return ExecStatus::kDone;
}

ExecStatus CmdObjectFreq(CommandContext& ctx) {
  const Entry* entry = FindOrReplyNull(ctx);
  if (entry == nullptr) return ExecStatus::kDone;
  if (!IsLfu(CurrentPolicy(ctx))) return ctx.Fail(kLfuNotSelected);
  const int decay_minutes =
      ctx.engine().settings().lfu_decay_minutes.load(std::memory_order_relaxed);
  ctx.reply().Integer(access::LfuCounter(entry->access(), ctx.now_ms(), decay_minutes));
  return ExecStatus::kDone;
}

ExecStatus CmdObjectIdleTime(CommandContext& ctx) {
  const Entry* entry = FindOrReplyNull(ctx);
  if (entry == nullptr) return ExecStatus::kDone;
  if (IsLfu(CurrentPolicy(ctx))) return ctx.Fail(kLfuSelected);
  ctx.reply().Integer(access::LruIdleSeconds(entry->access(), ctx.now_ms()));
  return ExecStatus::kDone;
}

ExecStatus CmdObjectRefCount(CommandContext& ctx) {
  const Entry* entry = FindOrReplyNull(ctx);
  if (entry != nullptr) ctx.reply().Integer(ReferenceCount(ctx, *entry));
  return ExecStatus::kDone;
}

ExecStatus CmdObjectHelp(CommandContext& ctx) {
  ctx.reply().Array(std::size(kHelp));
  for (const std::string_view line : kHelp) ctx.reply().SimpleString(line);
  return ExecStatus::kDone;
}

}  // namespace tidegate
