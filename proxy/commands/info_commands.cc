// INFO: see info_sections.h.
#include "proxy/commands/families.h"
#include "proxy/commands/info_sections.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

ExecStatus CmdInfo(SessionCommand& c) {
  return ReplyText(c, InfoText(c.server(), c.args().subspan(1), c.session().IsInFrontOfCluster()));
}

constexpr CommandSpec kInfoCommands[] = {
    {.name = "INFO",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kDangerous,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "State and counters of the server.",
     .session_handler = CmdInfo,
     .tips = "nondeterministic_output request_policy:all_shards response_policy:special"},
};

}  // namespace

static_assert(IsValidFamily(kInfoCommands));
const std::span<const CommandSpec> kInfoFamily = kInfoCommands;

}  // namespace tidegate
