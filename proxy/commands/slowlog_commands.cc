// SLOWLOG: the last slow commands. The log itself is proxy/observe/slowlog.h; arguments were cut
// and secrets replaced when a command was put there.
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr int64_t kEntriesDefault = 10;

constexpr std::string_view kSlowlogHelp[] = {
    "GET [<count>]",
    "    The newest entries (default: 10; -1: all). An entry has its number, the",
    "    Unix time, microseconds, the arguments, the client's address and its name.",
    "LEN",
    "    How many entries there are.",
    "RESET",
    "    Forget all entries.",
};

ExecStatus CmdSlowlogHelp(SessionCommand& c) { return ReplyHelp(c, kSlowlogHelp); }

ExecStatus CmdSlowlogGet(SessionCommand& c) {
  if (c.argc() > 3) return FailSubcommand(c);
  int64_t count = kEntriesDefault;
  if (c.argc() == 3) {
    constexpr std::string_view kBadCount = "ERR count should be greater than or equal to -1";
    const std::optional<int64_t> given = c.IntegerArg(2, kBadCount);
    if (!given) return ExecStatus::kDone;
    if (*given < -1) return c.Fail(kBadCount);
    count = *given;
  }
  const std::vector<SlowlogEntry> entries = c.server().slowlog().Get(count);
  ReplyWriter& reply = c.reply();
  reply.Array(entries.size());
  for (const SlowlogEntry& entry : entries) {
    reply.Array(6);
    reply.Integer(entry.id);
    reply.Integer(entry.unix_ms / 1000);
    reply.Integer(entry.duration_us);
    reply.Array(entry.arguments.size());
    for (const std::string& argument : entry.arguments) reply.Bulk(argument);
    reply.Bulk(entry.client_address);
    reply.Bulk(entry.client_name);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdSlowlogLen(SessionCommand& c) {
  c.reply().Integer(c.server().slowlog().size());
  return ExecStatus::kDone;
}

ExecStatus CmdSlowlogReset(SessionCommand& c) {
  c.server().slowlog().Clear();
  return c.Ok();
}

constexpr uint32_t kSlowlogFlags = kAdmin | kLoading | kStale;

constexpr CommandSpec kSlowlogSubcommands[] = {
    {.name = "GET",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSlowlogFlags,
     .group = Group::kServer,
     .since = "2.2.12",
     .complexity = "O(N) in the number of entries",
     .summary = "The last slow commands.",
     .session_handler = CmdSlowlogGet,
     .tips = "request_policy:all_nodes nondeterministic_output"},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of SLOWLOG.",
     .session_handler = CmdSlowlogHelp},
    {.name = "LEN",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSlowlogFlags,
     .group = Group::kServer,
     .since = "2.2.12",
     .complexity = "O(1)",
     .summary = "How many slow commands are kept.",
     .session_handler = CmdSlowlogLen,
     .tips = "request_policy:all_nodes response_policy:agg_sum nondeterministic_output"},
    {.name = "RESET",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kSlowlogFlags,
     .group = Group::kServer,
     .since = "2.2.12",
     .complexity = "O(N) in the number of entries",
     .summary = "Forgets the slow commands.",
     .session_handler = CmdSlowlogReset,
     .tips = "request_policy:all_nodes response_policy:all_succeeded"},
};

constexpr CommandSpec kSlowlogCommands[] = {
    {.name = "SLOWLOG",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "2.2.12",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about slow commands.",
     .subcommands = kSlowlogSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kSlowlogCommands));
const std::span<const CommandSpec> kSlowlogFamily = kSlowlogCommands;

}  // namespace tidegate
