// Adding to the ends of a list and taking off them: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP.
#include <algorithm>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/list_commands.h"

namespace tidegate {
namespace {

ExecStatus Push(CommandContext& context, ListEnd end, bool only_existing) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kList, true, &entry)) return ExecStatus::kDone;
  if (entry == nullptr && only_existing) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  ListValue list(context.db(), key, entry);
  list.Push(end, context.args().subspan(2));
  list.Commit();
  context.reply().Integer(static_cast<int64_t>(list.size()));
  context.db().Notify(notify::kList, end == ListEnd::kHead ? "lpush" : "rpush", key);
  return ExecStatus::kDone;
}

ExecStatus Pop(CommandContext& context, ListEnd end) {
  const bool counted = context.argc() == 3;
  if (context.argc() > 3) {
    return context.Fail(errors::WrongArity(end == ListEnd::kHead ? "lpop" : "rpop"));
  }
  uint64_t n = 1;
  if (counted) {
    const std::optional<int64_t> count = ParseInt64(context.arg(2));
    if (!count || *count < 0) return context.Fail("ERR value is out of range, must be positive");
    n = static_cast<uint64_t>(*count);
  }
  const KeyRef& key = context.key();
  Entry* entry = context.db().FindForWrite(key);
  ReplyWriter& reply = context.reply();
  if (entry == nullptr) {
    counted ? reply.NullArray() : reply.Null();
    return ExecStatus::kDone;
  }
  if (entry->type() != ValueType::kList) return context.Fail(errors::kWrongType);
  ListValue list(context.db(), key, entry);
  if (counted) {
    n = std::min(n, list.size());
    if (context.IsLong(n)) return context.RunLong();
    reply.Array(n);
    if (n == 0) return ExecStatus::kDone;
  }
  ReplyAndPop(context, key, list, end, n);
  return ExecStatus::kDone;
}

}  // namespace

void NotifyPopped(Database& db, const KeyRef& key, ListEnd end, bool gone) {
  db.Notify(notify::kList, end == ListEnd::kHead ? "lpop" : "rpop", key);
  if (gone) db.Notify(notify::kGeneric, "del", key);
}

void ReplyAndPop(CommandContext& context, const KeyRef& key, ListValue& list, ListEnd end,
                 uint64_t n) {
  uint64_t left = n;
  const auto reply_one = [&](const ListpackValue& element) {
    ReplyElement(context.reply(), element);
    return --left > 0;
  };
  if (end == ListEnd::kHead) {
    list.Visit(0, reply_one);
  } else {
    list.VisitBackward(list.size() - 1, reply_one);
  }
  list.Pop(end, n);
  NotifyPopped(context.db(), key, end, list.Commit());
}

ExecStatus CmdLpush(CommandContext& context) { return Push(context, ListEnd::kHead, false); }

ExecStatus CmdRpush(CommandContext& context) { return Push(context, ListEnd::kTail, false); }

ExecStatus CmdLpushx(CommandContext& context) { return Push(context, ListEnd::kHead, true); }

ExecStatus CmdRpushx(CommandContext& context) { return Push(context, ListEnd::kTail, true); }

ExecStatus CmdLpop(CommandContext& context) { return Pop(context, ListEnd::kHead); }

ExecStatus CmdRpop(CommandContext& context) { return Pop(context, ListEnd::kTail); }

}  // namespace tidegate
