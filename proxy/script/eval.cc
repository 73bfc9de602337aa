#include "proxy/script/eval.h"

#include <optional>

#include "base/text.h"
#include "proxy/commands/declared_commands.h"
#include "proxy/script/script_execution.h"
#include "proxy/worker.h"
#include "storage/command_context.h"

namespace tidegate {
namespace {

ExecStatus Eval(CommandContext& c, ScriptExecution::Form form) {
  Worker* worker = Worker::Current();
  if (worker == nullptr) return RefuseAsUnknown(c);
  const std::optional<int64_t> keys = c.IntegerArg(2);
  if (!keys) return ExecStatus::kDone;
  if (*keys > static_cast<int64_t>(c.argc()) - 3)
    return c.Fail("ERR Number of keys can't be greater than number of args");
  if (*keys < 0) return c.Fail("ERR Number of keys can't be negative");
  return ScriptExecution(c, *worker, form).Run(static_cast<size_t>(*keys));
}

}  // namespace

ExecStatus CmdEval(CommandContext& c) { return Eval(c, {}); }
ExecStatus CmdEvalReadOnly(CommandContext& c) { return Eval(c, {.read_only = true}); }
ExecStatus CmdEvalSha(CommandContext& c) { return Eval(c, {.by_sha = true}); }
ExecStatus CmdEvalShaReadOnly(CommandContext& c) {
  return Eval(c, {.by_sha = true, .read_only = true});
}

}  // namespace tidegate
