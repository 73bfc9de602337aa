// Commands about single members of a set.
#include "config/notify.h"
#include "storage/commands/set_commands.h"
#include "storage/value/packed_reply.h"

namespace tidegate {

void FinishSetRemoval(Database& db, const KeyRef& key, const SetValue& set,
                      std::string_view event) {
  db.Notify(notify::kSet, event, key);
  if (set.empty()) {
    db.Delete(key);
    db.Notify(notify::kGeneric, "del", key);
  } else {
    db.Modified(key);
  }
}

ExecStatus CmdSAdd(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kSet, true, &entry)) return ExecStatus::kDone;
  SetValue set(context.db(), key, entry);
  const size_t added = set.Add(context.args().subspan(2));
  if (added > 0) {
    context.db().Modified(key);
    context.db().Notify(notify::kSet, "sadd", key);
  }
  context.reply().Integer(static_cast<int64_t>(added));
  return ExecStatus::kDone;
}

ExecStatus CmdSRem(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kSet, true, &entry)) return ExecStatus::kDone;
  int64_t erased = 0;
  if (entry != nullptr) {
    SetValue set(context.db(), key, entry);
    for (const std::string_view member : context.args().subspan(2)) {
      if (set.Erase(member)) ++erased;
    }
    if (erased > 0) FinishSetRemoval(context.db(), key, set, "srem");
  }
  context.reply().Integer(erased);
  return ExecStatus::kDone;
}

ExecStatus CmdSMove(CommandContext& context) {
  const KeyRef& from_key = context.key(0);
  const KeyRef& to_key = context.key(1);
  const std::string_view member = context.arg(3);
  Database& db = context.db();
  Entry* from = db.FindForWrite(from_key);
  Entry* to = db.FindForWrite(to_key);
  if (from == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  for (const Entry* entry : {from, to}) {
    if (entry != nullptr && entry->type() != ValueType::kSet) {
      return context.Fail(errors::kWrongType);
    }
  }
  SetValue source(db, from_key, from);
  bool moved = false;
  if (from == to) {
    moved = source.view().Contains(member);
  } else if (source.Erase(member)) {
    moved = true;
    FinishSetRemoval(db, from_key, source, "srem");
    SetValue target(db, to_key, to);
    if (target.Add(member)) {
      db.Modified(to_key);
      db.Notify(notify::kSet, "sadd", to_key);
    }
  }
  context.reply().Integer(moved ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdSIsMember(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kSet, false, &entry)) return ExecStatus::kDone;
  const bool contains = entry != nullptr && SetView(*entry).Contains(context.arg(2));
  context.reply().Integer(contains ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdSMisMember(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kSet, false, &entry)) return ExecStatus::kDone;
  context.reply().Array(context.argc() - 2);
  for (const std::string_view member : context.args().subspan(2)) {
    context.reply().Integer(entry != nullptr && SetView(*entry).Contains(member) ? 1 : 0);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdSCard(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kSet, false, &entry)) return ExecStatus::kDone;
  context.reply().Integer(entry == nullptr ? 0 : static_cast<int64_t>(SetView(*entry).size()));
  return ExecStatus::kDone;
}

ExecStatus CmdSMembers(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kSet, false, &entry)) return ExecStatus::kDone;
  ReplyWriter& reply = context.reply();
  if (entry == nullptr) {
    reply.Set(0);
    return ExecStatus::kDone;
  }
  const SetView set(*entry);
  if (context.IsLong(set.size())) return context.RunLong();
  reply.Set(set.size());
  set.ForEach([&reply](const ListpackValue& member) { ReplyPackedValue(reply, member); });
  return ExecStatus::kDone;
}

}  // namespace tidegate
