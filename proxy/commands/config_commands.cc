// CONFIG: reading and changing the settings of the running server. What a setting is and what it
// accepts is the option table's (config/option_table.h); here are only the commands.
#include "config/option_table.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kConfigHelp[] = {
    "GET <pattern> [<pattern> ...]",
    "    The settings whose names match, with their values.",
    "RESETSTAT",
    "    Start the counters of INFO at 0.",
    "REWRITE",
    "    Write the settings into the configuration file.",
    "SET <name> <value> [<name> <value> ...]",
    "    Change settings, all or none.",
};

ExecStatus CmdConfigHelp(SessionCommand& c) { return ReplyHelp(c, kConfigHelp); }

ExecStatus CmdConfigGet(SessionCommand& c) {
  const auto found = c.server().config().Get(c.args().subspan(2));
  c.reply().Map(found.size());
  for (const auto& [name, value] : found) {
    c.reply().Bulk(name);
    c.reply().Bulk(value);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdConfigSet(SessionCommand& c) {
  // Wherever it stands: the command may be wrong in other ways.
  for (size_t i = 2; i + 1 < c.argc(); ++i) {
    if (IsSecretOption(c.arg(i))) c.Redact(i + 1);
  }
  if (c.argc() % 2 != 0) return c.Fail(errors::kSyntax);
  std::vector<NameAndValue> changes;
  for (size_t i = 2; i < c.argc(); i += 2) changes.push_back({c.arg(i), c.arg(i + 1)});
  const Status status = c.server().config().Set(changes, c.session().is_local());
  if (!status.ok()) return c.Fail(status.error().message);
  c.worker().FollowOptions();
  return c.Ok();
}

ExecStatus CmdConfigResetStat(SessionCommand& c) {
  c.server().ResetStats();
  return c.Ok();
}

ExecStatus CmdConfigRewrite(SessionCommand& c) {
  const Status status = c.server().config().Rewrite();
  return status.ok() ? c.Ok() : c.Fail(status.error().message);
}

constexpr uint32_t kAdminFlags = kAdmin | kNoScript | kLoading | kStale;

constexpr CommandSpec kConfigSubcommands[] = {
    {.name = "GET",
     .arity = AtLeast(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminFlags,
     .group = Group::kServer,
     .since = "2.0.0",
     .complexity = "O(N) in the number of settings",
     .summary = "Settings and their values.",
     .session_handler = CmdConfigGet},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of CONFIG.",
     .session_handler = CmdConfigHelp},
    {.name = "RESETSTAT",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminFlags,
     .group = Group::kServer,
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Starts the counters of INFO at 0.",
     .session_handler = CmdConfigResetStat},
    {.name = "REWRITE",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminFlags,
     .group = Group::kServer,
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Writes the settings into the configuration file.",
     .session_handler = CmdConfigRewrite},
    {.name = "SET",
     .arity = AtLeast(4),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdminFlags,
     .group = Group::kServer,
     .since = "2.0.0",
     .complexity = "O(N) in the number of settings",
     .summary = "Changes settings, all or none.",
     .session_handler = CmdConfigSet,
     .tips = "request_policy:all_nodes response_policy:all_succeeded"},
};

constexpr CommandSpec kConfigCommands[] = {
    {.name = "CONFIG",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "2.0.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about the settings.",
     .subcommands = kConfigSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kConfigCommands));
const std::span<const CommandSpec> kConfigFamily = kConfigCommands;

}  // namespace tidegate
