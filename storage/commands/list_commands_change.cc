// Changes in the middle of a list: LINSERT, LREM, LSET, LTRIM.
#include <algorithm>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/list_commands.h"

namespace tidegate {

ExecStatus CmdLinsert(CommandContext& context) {
  const bool after = EqualsIgnoreCase(context.arg(2), "after");
  if (!after && !EqualsIgnoreCase(context.arg(2), "before")) return context.Fail(errors::kSyntax);
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kList, true, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  ListValue list(context.db(), key, entry);
  if (context.IsLong(list.size())) return context.RunLong();
  const ListMatcher is_pivot(context.arg(3));
  uint64_t index = 0;
  bool found = false;
  list.Visit(0, [&](const ListpackValue& element) {
    found = is_pivot(element);
    if (!found) ++index;
    return !found;
  });
  if (!found) {
    context.reply().Integer(-1);
    return ExecStatus::kDone;
  }
  list.InsertBefore(after ? index + 1 : index, context.arg(4));
  list.Commit();
  context.db().Notify(notify::kList, "linsert", key);
  context.reply().Integer(static_cast<int64_t>(list.size()));
  return ExecStatus::kDone;
}

ExecStatus CmdLset(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* entry = context.db().FindForWrite(key);
  if (entry == nullptr) return context.Fail(errors::kNoSuchKey);
  if (entry->type() != ValueType::kList) return context.Fail(errors::kWrongType);
  const auto index = context.IntegerArg(2);
  if (!index) return ExecStatus::kDone;
  ListValue list(context.db(), key, entry);
  const auto size = static_cast<int64_t>(list.size());
  const int64_t at = *index < 0 ? *index + size : *index;
  if (at < 0 || at >= size) return context.Fail(errors::kIndexOutOfRange);
  list.Set(static_cast<uint64_t>(at), context.arg(3));
  list.Commit();
  context.reply().Ok();
  context.db().Notify(notify::kList, "lset", key);
  return ExecStatus::kDone;
}

ExecStatus CmdLrem(CommandContext& context) {
  const auto count = context.IntegerArg(2);
  if (!count) return ExecStatus::kDone;
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kList, true, &entry)) return ExecStatus::kDone;
  uint64_t erased = 0;
  if (entry != nullptr) {
    ListValue list(context.db(), key, entry);
    if (context.IsLong(list.size())) return context.RunLong();
    const uint64_t max = *count > 0   ? static_cast<uint64_t>(*count)
                         : *count < 0 ? uint64_t{0} - static_cast<uint64_t>(*count)
                                      : UINT64_MAX;
    const ListEnd from = *count < 0 ? ListEnd::kTail : ListEnd::kHead;
    erased = list.EraseMatches(context.arg(3), from, max);
    if (erased > 0) {
      const bool gone = list.Commit();
      context.db().Notify(notify::kList, "lrem", key);
      if (gone) context.db().Notify(notify::kGeneric, "del", key);
    }
  }
  context.reply().Integer(static_cast<int64_t>(erased));
  return ExecStatus::kDone;
}

ExecStatus CmdLtrim(CommandContext& context) {
  const auto from = context.IntegerArg(2);
  if (!from) return ExecStatus::kDone;
  const auto to = context.IntegerArg(3);
  if (!to) return ExecStatus::kDone;
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kList, true, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Ok();
    return ExecStatus::kDone;
  }
  ListValue list(context.db(), key, entry);
  const auto size = static_cast<int64_t>(list.size());
  const int64_t first = std::max<int64_t>(*from < 0 ? *from + size : *from, 0);
  const int64_t last = std::min(*to < 0 ? *to + size : *to, size - 1);
  if (first > last) {
    context.db().Delete(key);
    context.db().Notify(notify::kList, "ltrim", key);
    context.db().Notify(notify::kGeneric, "del", key);
    context.reply().Ok();
    return ExecStatus::kDone;
  }
  if (context.IsLong(static_cast<uint64_t>(first + size - 1 - last))) return context.RunLong();
  if (first == 0 && last == size - 1) context.RecordNothing();
  // The tail first: then the indexes of the head still hold.
  list.Erase(static_cast<uint64_t>(last + 1), static_cast<uint64_t>(size - 1 - last));
  list.Erase(0, static_cast<uint64_t>(first));
  list.Commit();
  context.db().Notify(notify::kList, "ltrim", key);
  context.reply().Ok();
  return ExecStatus::kDone;
}

}  // namespace tidegate
