// Commands that read a hash.
#include "storage/commands/hash_commands.h"
#include "storage/value/packed_reply.h"

namespace tidegate {
namespace {

void ReplyValueOrNull(ReplyWriter& reply, const std::optional<HashItem>& item) {
  if (item) {
    ReplyHashValue(reply, *item);
  } else {
    reply.Null();
  }
}

enum class Parts : uint8_t { kFields, kValues, kBoth };

ExecStatus ReplyAll(CommandContext& context, Parts parts) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  ReplyWriter& reply = context.reply();
  const auto begin = [&](uint64_t size) {
    parts == Parts::kBoth ? reply.Map(size) : reply.Array(size);
  };
  if (entry == nullptr) {
    begin(0);
    return ExecStatus::kDone;
  }
  const HashView hash(*entry, context.now_ms());
  if (context.IsLong(hash.size())) return context.RunLong();
  begin(hash.size());
  hash.ForEach([&](const HashItem& item) {
    if (parts != Parts::kValues) ReplyPackedValue(reply, item.field);
    if (parts != Parts::kFields) ReplyHashValue(reply, item);
  });
  return ExecStatus::kDone;
}

// The field of a command with key and field; false when there is an error, which is written.
bool FindField(CommandContext& context, std::optional<HashItem>& item) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return false;
  if (entry != nullptr) item = HashView(*entry, context.now_ms()).Find(context.arg(2));
  return true;
}

}  // namespace

ExecStatus CmdHGet(CommandContext& context) {
  std::optional<HashItem> item;
  if (FindField(context, item)) ReplyValueOrNull(context.reply(), item);
  return ExecStatus::kDone;
}

ExecStatus CmdHExists(CommandContext& context) {
  std::optional<HashItem> item;
  if (FindField(context, item)) context.reply().Integer(item ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdHStrlen(CommandContext& context) {
  std::optional<HashItem> item;
  if (!FindField(context, item)) return ExecStatus::kDone;
  context.reply().Integer(item ? static_cast<int64_t>(HashValueBytes(*item)) : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdHMget(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  context.reply().Array(context.argc() - 2);
  for (const std::string_view field : context.args().subspan(2)) {
    if (entry == nullptr) {
      context.reply().Null();
    } else {
      ReplyValueOrNull(context.reply(), HashView(*entry, context.now_ms()).Find(field));
    }
  }
  return ExecStatus::kDone;
}

ExecStatus CmdHLen(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  const uint64_t size = entry == nullptr ? 0 : HashView(*entry, context.now_ms()).size();
  context.reply().Integer(static_cast<int64_t>(size));
  return ExecStatus::kDone;
}

ExecStatus CmdHGetAll(CommandContext& context) { return ReplyAll(context, Parts::kBoth); }
ExecStatus CmdHKeys(CommandContext& context) { return ReplyAll(context, Parts::kFields); }
ExecStatus CmdHVals(CommandContext& context) { return ReplyAll(context, Parts::kValues); }

}  // namespace tidegate
