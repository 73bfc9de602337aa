// EVAL, FCALL, SCRIPT, FUNCTION: known when there are upstreams, which execute them. The engine has
// no scripts: of whoever's keys are its own they are unknown, as they are without upstreams.
#include "proxy/commands/declared_commands.h"
#include "proxy/commands/families.h"
#include "storage/key_finders.h"

namespace tidegate {
namespace {

// script numkeys [key …]; without keys it is no mistake.
bool FindScriptKeys(std::span<const std::string_view> args, std::vector<int>& out) {
  if (args.size() > 2 && args[2] == "0") return true;
  return FindCountedKeys<2>(args, out);
}

constexpr uint32_t kScriptFlags =
    kNoScript | kStale | kSkipMonitor | kMayReplicate | kNoMandatoryKeys;
constexpr uint32_t kReadOnlyScriptFlags = kNoScript | kStale | kSkipMonitor | kNoMandatoryKeys;

constexpr CommandSpec Call(std::string_view name, Access access, std::string_view since,
                           std::string_view summary) {
  return {.name = name,
          .arity = AtLeast(3),
          .find_keys = FindScriptKeys,
          .access = access,
          .scope = Scope::kManyKeys,
          .flags = access == Access::kRead ? kReadOnlyScriptFlags : kScriptFlags,
          .group = Group::kScripting,
          .since = since,
          .complexity = "Depends on the script that is executed.",
          .summary = summary,
          .handler = RefuseAsUnknown,
          .key_flags = access == Access::kRead ? "RO access" : "RW access update"};
}

constexpr CommandSpec Sub(std::string_view name, Arity arity, Access access, uint32_t flags,
                          std::string_view since, std::string_view summary) {
  return {.name = name,
          .arity = arity,
          .access = access,
          .scope = Scope::kManyKeys,
          .flags = flags,
          .group = Group::kScripting,
          .since = since,
          .complexity = "As the upstream executes it",
          .summary = summary,
          .handler = RefuseAsUnknown};
}

constexpr CommandSpec Container(std::string_view name, std::string_view since,
                                std::string_view summary,
                                std::span<const CommandSpec> subcommands) {
  return {.name = name,
          .arity = AtLeast(2),
          .access = Access::kNone,
          .scope = Scope::kManyKeys,
          .group = Group::kScripting,
          .since = since,
          .complexity = "Depends on the sub-command",
          .summary = summary,
          .subcommands = subcommands};
}

constexpr CommandSpec kFunctionSubcommands[] = {
    Sub("DELETE", Exactly(3), Access::kWrite, kNoScript, "7.0.0", "Removes a library."),
    Sub("DUMP", Exactly(2), Access::kNone, kNoScript, "7.0.0", "The libraries, serialized."),
    Sub("FLUSH", AtLeast(2), Access::kWrite, kNoScript, "7.0.0", "Removes all libraries."),
    Sub("HELP", Exactly(2), Access::kNone, kLoading | kStale, "7.0.0",
        "The sub-commands of FUNCTION."),
    Sub("KILL", Exactly(2), Access::kNone, kNoScript | kAllowBusy, "7.0.0",
        "Ends the function that is running."),
    Sub("LIST", AtLeast(2), Access::kNone, kNoScript, "7.0.0", "The libraries."),
    Sub("LOAD", AtLeast(3), Access::kWrite, kDenyOom | kNoScript, "7.0.0", "Adds a library."),
    Sub("RESTORE", AtLeast(3), Access::kWrite, kDenyOom | kNoScript, "7.0.0",
        "Adds libraries that DUMP serialized."),
    Sub("STATS", Exactly(2), Access::kNone, kNoScript | kAllowBusy, "7.0.0",
        "The function that is running, and the engines."),
};

constexpr CommandSpec kScriptSubcommands[] = {
    Sub("EXISTS", AtLeast(3), Access::kNone, kNoScript, "2.6.0", "Whether scripts are cached."),
    Sub("FLUSH", AtLeast(2), Access::kNone, kNoScript, "2.6.0", "Forgets all cached scripts."),
    Sub("HELP", Exactly(2), Access::kNone, kLoading | kStale, "5.0.0",
        "The sub-commands of SCRIPT."),
    Sub("KILL", Exactly(2), Access::kNone, kNoScript | kAllowBusy, "2.6.0",
        "Ends the script that is running."),
    Sub("LOAD", Exactly(3), Access::kNone, kNoScript | kStale, "2.6.0", "Caches a script."),
};

constexpr CommandSpec kScriptingCommands[] = {
    Call("EVAL", Access::kWrite, "2.6.0", "Executes a script."),
    Call("EVALSHA", Access::kWrite, "2.6.0", "Executes a cached script by its SHA1."),
    Call("EVALSHA_RO", Access::kRead, "7.0.0", "Executes a cached script that only reads."),
    Call("EVAL_RO", Access::kRead, "7.0.0", "Executes a script that only reads."),
    Call("FCALL", Access::kWrite, "7.0.0", "Calls a function."),
    Call("FCALL_RO", Access::kRead, "7.0.0", "Calls a function that only reads."),
    Container("FUNCTION", "7.0.0", "Commands about functions.", kFunctionSubcommands),
    Container("SCRIPT", "2.6.0", "Commands about cached scripts.", kScriptSubcommands),
};

}  // namespace

static_assert(IsValidFamily(kScriptingCommands));
const std::span<const CommandSpec> kScriptingFamily = kScriptingCommands;

}  // namespace tidegate
