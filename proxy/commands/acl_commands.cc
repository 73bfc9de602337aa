// ACL: there is one user, `default`, so there is little to say yet.
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kAclHelp[] = {
    "WHOAMI",
    "    The user of this connection.",
};

ExecStatus CmdAclHelp(SessionCommand& c) { return ReplyHelp(c, kAclHelp); }

ExecStatus CmdAclWhoAmI(SessionCommand& c) {
  c.reply().Bulk(c.session().user());
  return ExecStatus::kDone;
}

constexpr CommandSpec kAclSubcommands[] = {
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of ACL.",
     .session_handler = CmdAclHelp},
    {.name = "WHOAMI",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kNoScript | kLoading | kStale,
     .group = Group::kServer,
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "The user of the connection.",
     .session_handler = CmdAclWhoAmI},
};

constexpr CommandSpec kAclCommands[] = {
    {.name = "ACL",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kServer,
     .since = "6.0.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about users.",
     .subcommands = kAclSubcommands},
};

}  // namespace

static_assert(IsValidFamily(kAclCommands));
const std::span<const CommandSpec> kAclFamily = kAclCommands;

}  // namespace tidegate
