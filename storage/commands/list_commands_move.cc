// Commands that take an element of one list and add it to another, which may be the same: LMOVE,
// RPOPLPUSH, and BLMOVE and BRPOPLPUSH, which wait for the element.
#include <cstring>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/list_commands.h"
#include "storage/commands/timeout_argument.h"
#include "storage/value/packed_scratch.h"

namespace tidegate {
namespace {

struct Move {
  ListEnd from;
  ListEnd to;
};

// One list, turned round: the element is copied, because it borrows from the list it goes to.
void Rotate(CommandContext& context, ListValue& list, Move move) {
  const ListpackValue element = list.Get(move.from == ListEnd::kHead ? 0 : list.size() - 1);
  ReplyElement(context.reply(), element);
  PackedScratch copy;
  char digits[kListpackDigitsBytes];
  const std::string_view text = element.Render(digits);
  if (!text.empty()) std::memcpy(copy.Splice(0, 0, text.size()), text.data(), text.size());
  const std::string_view copied = copy.bytes();
  list.Pop(move.from, 1);
  list.Push(move.to, {&copied, 1});
  list.Commit();
}

std::string_view EndWord(ListEnd end) { return end == ListEnd::kHead ? "LEFT" : "RIGHT"; }

// As a command that does not wait, whichever it was.
void RecordMove(CommandContext& context, Move move) {
  context.RecordAs(
      {"LMOVE", context.key(0).name, context.key(1).name, EndWord(move.from), EndWord(move.to)});
}

// Moves an element of the list in the first key to the second key. Slots of both are held.
ExecStatus MoveElement(CommandContext& context, Entry* from, Move move) {
  Database& db = context.db();
  const KeyRef& from_key = context.key(0);
  const KeyRef& to_key = context.key(1);
  const std::string_view pushed = move.to == ListEnd::kHead ? "lpush" : "rpush";
  ListValue source(db, from_key, from);
  if (from_key.name == to_key.name) {
    Rotate(context, source, move);
    db.Notify(notify::kList, pushed, to_key);
    NotifyPopped(db, from_key, move.from, false);
    RecordMove(context, move);
    return ExecStatus::kDone;
  }
  Entry* to = nullptr;
  if (!context.FindValue(to_key, ValueType::kList, true, &to)) return ExecStatus::kDone;
  const ListpackValue element = source.Get(move.from == ListEnd::kHead ? 0 : source.size() - 1);
  ListValue target(db, to_key, to);
  target.Push(move.to, element);
  target.Commit();
  db.Notify(notify::kList, pushed, to_key);
  ReplyElement(context.reply(), element);
  source.Pop(move.from, 1);
  NotifyPopped(db, from_key, move.from, source.Commit());
  RecordMove(context, move);
  return ExecStatus::kDone;
}

std::optional<Move> MoveArgs(CommandContext& context) {
  const std::optional<ListEnd> from = ListEndArg(context, 3);
  if (!from) return std::nullopt;
  const std::optional<ListEnd> to = ListEndArg(context, 4);
  if (!to) return std::nullopt;
  return Move{*from, *to};
}

ExecStatus MoveNow(CommandContext& context, Move move) {
  Entry* from = context.db().FindForWrite(context.key(0));
  if (from == nullptr) {
    context.reply().Null();
    return ExecStatus::kDone;
  }
  if (from->type() != ValueType::kList) return context.Fail(errors::kWrongType);
  return MoveElement(context, from, move);
}

ExecStatus MoveOrWait(CommandContext& context, Move move, int64_t timeout_ms) {
  Entry* from = context.db().FindForWrite(context.key(0));
  // Who waits goes on waiting when another type comes.
  const bool served = context.served_key() != nullptr;
  if (from == nullptr || (served && from->type() != ValueType::kList)) {
    return context.Block(context.keys().first(1), timeout_ms, TimeoutReply::kNull, &context.key(1));
  }
  if (from->type() != ValueType::kList) return context.Fail(errors::kWrongType);
  return MoveElement(context, from, move);
}

}  // namespace

std::optional<ListEnd> ListEndArg(CommandContext& context, size_t i) {
  if (EqualsIgnoreCase(context.arg(i), "left")) return ListEnd::kHead;
  if (EqualsIgnoreCase(context.arg(i), "right")) return ListEnd::kTail;
  context.Fail(errors::kSyntax);
  return std::nullopt;
}

ExecStatus CmdLmove(CommandContext& context) {
  const std::optional<Move> move = MoveArgs(context);
  return move ? MoveNow(context, *move) : ExecStatus::kDone;
}

ExecStatus CmdRpoplpush(CommandContext& context) {
  return MoveNow(context, {ListEnd::kTail, ListEnd::kHead});
}

ExecStatus CmdBlmove(CommandContext& context) {
  const std::optional<Move> move = MoveArgs(context);
  if (!move) return ExecStatus::kDone;
  const std::optional<int64_t> timeout_ms = TimeoutSecondsArg(context, 5);
  return timeout_ms ? MoveOrWait(context, *move, *timeout_ms) : ExecStatus::kDone;
}

ExecStatus CmdBrpoplpush(CommandContext& context) {
  const std::optional<int64_t> timeout_ms = TimeoutSecondsArg(context, 3);
  if (!timeout_ms) return ExecStatus::kDone;
  return MoveOrWait(context, {ListEnd::kTail, ListEnd::kHead}, *timeout_ms);
}

}  // namespace tidegate
