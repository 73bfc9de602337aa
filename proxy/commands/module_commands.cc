// MODULE: clients ask which modules there are when they connect. There are none, and none can be
// loaded.
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kModuleHelp[] = {
    "LIST",
    "    The loaded modules: none.",
};

ExecStatus CmdModuleHelp(SessionCommand& c) { return ReplyHelp(c, kModuleHelp); }

ExecStatus CmdModuleList(SessionCommand& c) {
  c.reply().Array(0);
  return ExecStatus::kDone;
}

constexpr CommandSpec kModuleSubcommands[] = {
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of MODULE.",
     .session_handler = CmdModuleHelp},
    {.name = "LIST",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kAdmin | kNoScript,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "The loaded modules.",
     .session_handler = CmdModuleList,
     .tips = "nondeterministic_output_order"},
};

constexpr CommandSpec kModuleCommands[] = {
    {.name = "MODULE",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "4.0.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about modules.",
     .subcommands = kModuleSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kModuleCommands));
const std::span<const CommandSpec> kModuleFamily = kModuleCommands;

}  // namespace tidegate
