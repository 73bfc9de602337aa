// Commands about all keys of a database: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB. All but DBSIZE run
// alone in the engine (the exclusive gate). What they drop is freed in the background whether the
// client says SYNC, ASYNC or nothing: freeing a large keyspace on the spot would stall everybody.
#include "storage/commands/generic_commands.h"

namespace tidegate {
namespace {

constexpr int kAllDatabases = -1;

ExecStatus Flush(CommandContext& ctx, int db) {
  const bool known_word = ctx.argc() == 2 && (EqualsIgnoreCase(ctx.arg(1), "async") ||
                                              EqualsIgnoreCase(ctx.arg(1), "sync"));
  if (ctx.argc() > 1 && !known_word) return ctx.Fail(errors::kSyntax);
  ctx.engine().ClearDatabase(ctx.thread(), db);
  ctx.thread().sizes.Flushed(db);
  ctx.thread().effects.NoteChange();
  ctx.reply().Ok();
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdDbSize(CommandContext& ctx) {
  ctx.reply().Integer(static_cast<int64_t>(ctx.engine().StatsOfDb(ctx.db().index()).keys));
  return ExecStatus::kDone;
}

ExecStatus CmdFlushDb(CommandContext& ctx) { return Flush(ctx, ctx.db().index()); }
ExecStatus CmdFlushAll(CommandContext& ctx) { return Flush(ctx, kAllDatabases); }

ExecStatus CmdSwapDb(CommandContext& ctx) {
  const std::optional<int> first = Int32Arg(ctx, 1, "ERR invalid first DB index");
  if (!first) return ExecStatus::kDone;
  const std::optional<int> second = Int32Arg(ctx, 2, "ERR invalid second DB index");
  if (!second) return ExecStatus::kDone;
  for (const int index : {*first, *second}) {
    if (index < 0 || index >= ctx.engine().databases()) {
      return ctx.Fail(errors::kDbIndexOutOfRange);
    }
  }
  if (*first != *second) {
    ctx.engine().SwapDatabases(ctx.thread(), *first, *second);
    for (const int index : {*first, *second}) ctx.thread().sizes.Flushed(index);
    ctx.thread().effects.NoteChange();
  }
  ctx.reply().Ok();
  return ExecStatus::kDone;
}

}  // namespace tidegate
