// EVAL, FCALL, SCRIPT, FUNCTION. The engine executes scripts (proxy/script/eval.h); functions it
// has none, so FCALL and FUNCTION are unknown where the keys are its own.
#include "base/sha1.h"
#include "base/text.h"
#include "proxy/commands/declared_commands.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"
#include "proxy/script/eval.h"
#include "proxy/script/scripting.h"
#include "proxy/session/session_command.h"
#include "proxy/upstream/script_texts.h"
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

// Tips, as Redis gives them.
constexpr std::string_view kAllShardsSucceed =
    "request_policy:all_shards response_policy:all_succeeded";
constexpr std::string_view kOneShardSucceeds =
    "request_policy:all_shards response_policy:one_succeeded";
constexpr std::string_view kAllNodesSucceed =
    "request_policy:all_nodes response_policy:all_succeeded";

using Handler = ExecStatus (*)(CommandContext&);

// What a call locks of the engine: the slots of its keys, and as a script goes on the gate instead.
Scope ScopeOfScript(std::span<const std::string_view> /*args*/) { return Scope::kManyKeys; }

constexpr CommandSpec Call(std::string_view name, Access access, std::string_view since,
                           std::string_view summary, Handler handler) {
  return {.name = name,
          .arity = AtLeast(3),
          .find_keys = FindScriptKeys,
          .access = access,
          .scope = Scope::kByCall,
          .scope_of_call = ScopeOfScript,
          .flags = access == Access::kRead ? kReadOnlyScriptFlags : kScriptFlags,
          .group = Group::kScripting,
          .since = since,
          .complexity = "Depends on the script that is executed.",
          .summary = summary,
          .handler = handler,
          .key_flags = access == Access::kRead ? "RO access" : "RW access update"};
}

constexpr CommandSpec Sub(std::string_view name, Arity arity, Access access, uint32_t flags,
                          std::string_view since, std::string_view summary,
                          std::string_view tips = "") {
  return {.name = name,
          .arity = arity,
          .access = access,
          .scope = Scope::kManyKeys,
          .flags = flags,
          .group = Group::kScripting,
          .since = since,
          .complexity = "As the upstream executes it",
          .summary = summary,
          .handler = RefuseAsUnknown,
          .tips = tips};
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
    Sub("DELETE", Exactly(3), Access::kWrite, kNoScript, "7.0.0", "Removes a library.",
        kAllShardsSucceed),
    Sub("DUMP", Exactly(2), Access::kNone, kNoScript, "7.0.0", "The libraries, serialized."),
    Sub("FLUSH", AtLeast(2), Access::kWrite, kNoScript, "7.0.0", "Removes all libraries.",
        kAllShardsSucceed),
    Sub("HELP", Exactly(2), Access::kNone, kLoading | kStale, "7.0.0",
        "The sub-commands of FUNCTION."),
    Sub("KILL", Exactly(2), Access::kNone, kNoScript | kAllowBusy, "7.0.0",
        "Ends the function that is running.", kOneShardSucceeds),
    Sub("LIST", AtLeast(2), Access::kNone, kNoScript, "7.0.0", "The libraries.",
        "nondeterministic_output_order"),
    Sub("LOAD", AtLeast(3), Access::kWrite, kDenyOom | kNoScript, "7.0.0", "Adds a library.",
        kAllShardsSucceed),
    Sub("RESTORE", AtLeast(3), Access::kWrite, kDenyOom | kNoScript, "7.0.0",
        "Adds libraries that DUMP serialized.", kAllShardsSucceed),
    Sub("STATS", Exactly(2), Access::kNone, kNoScript | kAllowBusy, "7.0.0",
        "The function that is running, and the engines.",
        "nondeterministic_output request_policy:all_shards response_policy:special"),
};

Scripting& ScriptingOf(SessionCommand& c) { return c.server().script_texts().scripting(); }

ExecStatus CmdScriptLoad(SessionCommand& c) {
  // Not the worker's interpreter: there may be a script in it that is not through.
  OutputBlockPool blocks;
  ScriptInterpreter interpreter(blocks);
  const std::string sha = Sha1Hex(c.arg(2));
  std::string error;
  if (!interpreter.Compile(sha, c.arg(2), error)) return c.Fail("ERR " + error);
  ScriptingOf(c).Keep(sha, c.arg(2));
  c.reply().Bulk(sha);
  return ExecStatus::kDone;
}

ExecStatus CmdScriptExists(SessionCommand& c) {
  const auto names = c.args().subspan(2);
  c.reply().Array(names.size());
  for (const std::string_view name : names)
    c.reply().Integer(ScriptingOf(c).Find(ToLowerAscii(name)) != nullptr ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdScriptFlush(SessionCommand& c) {
  const bool known = c.argc() == 2 || (c.argc() == 3 && (EqualsIgnoreCase(c.arg(2), "sync") ||
                                                         EqualsIgnoreCase(c.arg(2), "async")));
  if (!known) return c.Fail("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
  ScriptingOf(c).Flush();
  return c.Ok();
}

ExecStatus CmdScriptKill(SessionCommand& c) {
  switch (ScriptingOf(c).watch().Kill()) {
    case ScriptWatch::KillResult::kAsked:
      return c.Ok();
    case ScriptWatch::KillResult::kNoneRuns:
      return c.Fail("NOTBUSY No scripts in execution right now.");
    case ScriptWatch::KillResult::kHasWritten:
      break;
  }
  return c.Fail(
      "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
      "either wait the script termination or kill the server in a hard way using the SHUTDOWN "
      "NOSAVE command.");
}

// There is no debugger: whoever asks for none gets it.
ExecStatus CmdScriptDebug(SessionCommand& c) {
  if (EqualsIgnoreCase(c.arg(2), "no")) return c.Ok();
  if (EqualsIgnoreCase(c.arg(2), "yes") || EqualsIgnoreCase(c.arg(2), "sync"))
    return c.Fail("ERR SCRIPT DEBUG is not supported: there is no script debugger");
  return c.Fail("ERR Use SCRIPT DEBUG YES/SYNC/NO");
}

ExecStatus CmdScriptHelp(SessionCommand& c) {
  constexpr std::string_view kLines[] = {
      "DEBUG (YES|SYNC|NO)",
      "    There is no debugger; NO is accepted.",
      "EXISTS <sha1> [<sha1> ...]",
      "    Which of these scripts are cached.",
      "FLUSH [ASYNC|SYNC]",
      "    Forget all cached scripts.",
      "KILL",
      "    End the script that is running, if it has not written yet.",
      "LOAD <script>",
      "    Cache a script without running it.",
  };
  return ReplyHelp(c, kLines);
}

constexpr CommandSpec ScriptSub(std::string_view name, Arity arity, uint32_t flags,
                                std::string_view since, std::string_view complexity,
                                std::string_view summary, ExecStatus (*handler)(SessionCommand&),
                                std::string_view tips = "") {
  return {.name = name,
          .arity = arity,
          .access = Access::kNone,
          .scope = Scope::kProcess,
          .flags = flags,
          .group = Group::kScripting,
          .since = since,
          .complexity = complexity,
          .summary = summary,
          .session_handler = handler,
          .tips = tips};
}

constexpr CommandSpec kScriptSubcommands[] = {
    ScriptSub("DEBUG", Exactly(3), kNoScript, "3.2.0", "O(1)", "Sets the debug mode of scripts.",
              CmdScriptDebug),
    ScriptSub("EXISTS", AtLeast(3), kNoScript, "2.6.0", "O(n) for n scripts",
              "Whether scripts are cached.", CmdScriptExists,
              "request_policy:all_shards response_policy:agg_logical_and"),
    ScriptSub("FLUSH", AtLeast(2), kNoScript, "2.6.0", "O(n) for n cached scripts",
              "Forgets all cached scripts.", CmdScriptFlush, kAllNodesSucceed),
    ScriptSub("HELP", Exactly(2), kLoading | kStale, "5.0.0", "O(1)", "The sub-commands of SCRIPT.",
              CmdScriptHelp),
    ScriptSub("KILL", Exactly(2), kNoScript | kAllowBusy, "2.6.0", "O(1)",
              "Ends the script that is running.", CmdScriptKill, kOneShardSucceeds),
    ScriptSub("LOAD", Exactly(3), kNoScript | kStale, "2.6.0", "O(n) for n bytes of text",
              "Caches a script.", CmdScriptLoad, kAllNodesSucceed),
};

constexpr CommandSpec kScriptingCommands[] = {
    Call("EVAL", Access::kWrite, "2.6.0", "Executes a script.", CmdEval),
    Call("EVALSHA", Access::kWrite, "2.6.0", "Executes a cached script by its SHA1.", CmdEvalSha),
    Call("EVALSHA_RO", Access::kRead, "7.0.0", "Executes a cached script that only reads.",
         CmdEvalShaReadOnly),
    Call("EVAL_RO", Access::kRead, "7.0.0", "Executes a script that only reads.", CmdEvalReadOnly),
    Call("FCALL", Access::kWrite, "7.0.0", "Calls a function.", RefuseAsUnknown),
    Call("FCALL_RO", Access::kRead, "7.0.0", "Calls a function that only reads.", RefuseAsUnknown),
    Container("FUNCTION", "7.0.0", "Commands about functions.", kFunctionSubcommands),
    Container("SCRIPT", "2.6.0", "Commands about cached scripts.", kScriptSubcommands),
};

}  // namespace

static_assert(IsValidFamily(kScriptingCommands));
const std::span<const CommandSpec> kScriptingFamily = kScriptingCommands;

}  // namespace tidegate
