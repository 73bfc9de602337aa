// GET, MGET, GETRANGE (and its old name SUBSTR), STRLEN.
#include <algorithm>

#include "storage/commands/string_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {

namespace {

// What of a string counts as an element of a long command.
constexpr uint64_t kBytesPerElement = 512;

bool IsLongString(const CommandContext& context, const Entry& entry) {
  return context.IsLong(StringLength(entry) / kBytesPerElement);
}

}  // namespace

ExecStatus CmdGet(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindString(context.key(), false, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Null();
  } else if (__builtin_expect(!entry->embedded(), 0) && IsLongString(context, *entry)) {
    return context.RunLong();
  } else {
    ReplyString(context.reply(), *entry);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdMget(CommandContext& context) {
  ReplyWriter& reply = context.reply();
  Database& db = context.db();
  reply.Array(context.keys().size());
  for (const KeyRef& key : context.keys()) {
    const Entry* entry = db.FindForRead(key);
    // Other types read as nothing here, so that one odd key does not spoil the answer.
    if (entry == nullptr || entry->type() != ValueType::kString) {
      reply.Null();
    } else {
      ReplyString(reply, *entry);
    }
  }
  return ExecStatus::kDone;
}

ExecStatus CmdStrlen(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindString(context.key(), false, &entry)) return ExecStatus::kDone;
  context.reply().Integer(entry == nullptr ? 0 : static_cast<int64_t>(StringLength(*entry)));
  return ExecStatus::kDone;
}

ExecStatus CmdGetRange(CommandContext& context) {
  const auto start_arg = context.IntegerArg(2);
  if (!start_arg) return ExecStatus::kDone;
  const auto end_arg = context.IntegerArg(3);
  if (!end_arg) return ExecStatus::kDone;
  Entry* entry = nullptr;
  if (!context.FindString(context.key(), false, &entry)) return ExecStatus::kDone;

  int64_t start = *start_arg;
  int64_t end = *end_arg;
  const auto size = entry == nullptr ? 0 : static_cast<int64_t>(StringLength(*entry));
  const bool backwards = start < 0 && end < 0 && start > end;
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (backwards || start > end) {
    context.reply().Bulk({});
  } else if (context.IsLong(static_cast<uint64_t>(end - start) / kBytesPerElement)) {
    return context.RunLong();
  } else {
    ReplyStringRange(context.reply(), *entry, static_cast<size_t>(start),
                     static_cast<size_t>(end - start + 1));
  }
  return ExecStatus::kDone;
}

}  // namespace tidegate
