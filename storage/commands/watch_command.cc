// WATCH: the part of transactions that needs the keys. MULTI and EXEC are the session's.
#include "storage/command_context.h"
#include "storage/commands/families.h"
#include "storage/keyspace/slot_extras.h"

namespace tidegate {
namespace {

ExecStatus CmdWatch(CommandContext& ctx) {
  ClientState& client = ctx.client();
  if (client.in_multi) return ctx.Fail("ERR WATCH inside MULTI is not allowed");
  ctx.reply().Ok();
  if (client.watches.dirty()) return ExecStatus::kDone;  // EXEC will refuse anyway
  for (const KeyRef& key : ctx.keys()) {
    if (client.watches.Watches(client.db, key.name)) continue;
    const bool expired = ctx.db().HoldsExpired(key);
    ctx.keyspace().extras(key.slot).watches.Add(client.db, key.name, expired,
                                                client.watches.state());
    ctx.keyspace().UpdateFlags(key.slot);
    client.watches.Add(client.db, key);
  }
  return ExecStatus::kDone;
}

constexpr CommandSpec kWatchCommands[] = {
    {.name = "WATCH",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kNone,
     .scope = Scope::kManyKeys,
     .flags = kNoScript | kLoading | kStale | kFast | kAllowBusy | kRunsInMulti,
     .cost = Cost::kPerArgument,
     .group = Group::kTransactions,
     .since = "2.2.0",
     .complexity = "O(1) for each key.",
     .summary = "Makes the next EXEC depend on the keys being unchanged.",
     .handler = CmdWatch,
     .key_flags = "RO"},
};
static_assert(IsValidFamily(kWatchCommands));

}  // namespace

const std::span<const CommandSpec> kWatchFamily = kWatchCommands;

}  // namespace tidegate
