// OBJECT: what the engine knows about a key beside its value. Looking does not count as use, so
// that asking for the idle time does not reset it.
#include "storage/commands/generic_commands.h"
#include "storage/keyspace/access.h"
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

ExecStatus CmdObjectEncoding(CommandContext& ctx) {
  const Entry* entry = FindOrReplyNull(ctx);
  if (entry != nullptr) ctx.reply().Bulk(StringEncodingName(*entry));
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
  // Values are never shared; Redis shares small integers and answers INT_MAX for them.
  if (FindOrReplyNull(ctx) != nullptr) ctx.reply().Integer(1);
  return ExecStatus::kDone;
}

ExecStatus CmdObjectHelp(CommandContext& ctx) {
  ctx.reply().Array(std::size(kHelp));
  for (const std::string_view line : kHelp) ctx.reply().SimpleString(line);
  return ExecStatus::kDone;
}

}  // namespace tidegate
