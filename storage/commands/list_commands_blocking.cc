// Commands that take elements of the first of several lists that has any: BLPOP, BRPOP and BLMPOP,
// which wait until one has, and LMPOP.
#include <algorithm>

#include "base/text.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/list_commands.h"
#include "storage/commands/timeout_argument.h"

namespace tidegate {
namespace {

// The first key that holds a list. When the command is run for a client that waits, only the key
// that was served counts, and other types do not.
struct Found {
  const KeyRef* key = nullptr;
  Entry* entry = nullptr;
  bool failed = false;  // a key of another type came first; the error is written
};

Found FindFirst(CommandContext& context, std::span<const KeyRef> keys) {
  if (const KeyRef* served = context.served_key()) {
    Entry* entry = context.db().FindForWrite(*served);
    if (entry == nullptr || entry->type() != ValueType::kList) return {};
    return {.key = served, .entry = entry};
  }
  for (const KeyRef& key : keys) {
    Entry* entry = context.db().FindForWrite(key);
    if (entry == nullptr) continue;
    if (entry->type() == ValueType::kList) return {.key = &key, .entry = entry};
    context.Fail(errors::kWrongType);
    return {.failed = true};
  }
  return {};
}

// The command that takes off this end without choosing a key.
std::string_view PopWord(ListEnd end) { return end == ListEnd::kHead ? "LPOP" : "RPOP"; }

ExecStatus PopOrWait(CommandContext& context, ListEnd end) {
  const std::optional<int64_t> timeout_ms = TimeoutSecondsArg(context, context.argc() - 1);
  if (!timeout_ms) return ExecStatus::kDone;
  const Found found = FindFirst(context, context.keys());
  if (found.failed) return ExecStatus::kDone;
  if (found.key == nullptr)
    return context.Block(context.keys(), *timeout_ms, TimeoutReply::kNullArray);
  context.reply().Array(2);
  context.reply().Bulk(found.key->name);
  ListValue list(context.db(), *found.key, found.entry);
  ReplyAndPop(context, *found.key, list, end, 1);
  context.RecordAs({PopWord(end), found.key->name});
  return ExecStatus::kDone;
}

// numkeys key … LEFT|RIGHT [COUNT count]
struct ManyPop {
  ListEnd end = ListEnd::kHead;
  uint64_t count = 1;
};

// A number from 1 on; on failure the error is written.
std::optional<int64_t> PositiveArg(CommandContext& context, size_t i, std::string_view error) {
  const std::optional<int64_t> value = ParseInt64(context.arg(i));
  if (value && *value > 0) return value;
  context.Fail(error);
  return std::nullopt;
}

// The arguments from numkeys on; nothing after the error was written.
std::optional<ManyPop> ParseManyPop(CommandContext& context, size_t count_at) {
  const auto keys = PositiveArg(context, count_at, "ERR numkeys should be greater than 0");
  if (!keys) return std::nullopt;
  const size_t rest = context.argc() - count_at - 1;
  if (static_cast<uint64_t>(*keys) >= rest) {
    context.Fail(errors::kSyntax);
    return std::nullopt;
  }
  size_t i = count_at + 1 + static_cast<size_t>(*keys);
  const std::optional<ListEnd> end = ListEndArg(context, i++);
  if (!end) return std::nullopt;
  ManyPop pop{.end = *end};
  if (i == context.argc()) return pop;
  if (context.argc() - i != 2 || !EqualsIgnoreCase(context.arg(i), "count")) {
    // As Redis: of a second COUNT it says that it is one too many, but of the first one first what
    // is wrong with its number.
    if (context.argc() - i > 2 && EqualsIgnoreCase(context.arg(i), "count") &&
        !PositiveArg(context, i + 1, "ERR count should be greater than 0")) {
      return std::nullopt;
    }
    context.Fail(errors::kSyntax);
    return std::nullopt;
  }
  const auto count = PositiveArg(context, i + 1, "ERR count should be greater than 0");
  if (!count) return std::nullopt;
  pop.count = static_cast<uint64_t>(*count);
  return pop;
}

ExecStatus PopMany(CommandContext& context, const Found& found, const ManyPop& pop) {
  ListValue list(context.db(), *found.key, found.entry);
  const uint64_t n = std::min(pop.count, list.size());
  if (context.IsLong(n)) return context.RunLong();
  context.reply().Array(2);
  context.reply().Bulk(found.key->name);
  context.reply().Array(n);
  ReplyAndPop(context, *found.key, list, pop.end, n);
  if (context.records()) {
    const auto count = static_cast<int64_t>(n);
    context.RecordAs({PopWord(pop.end), found.key->name, DecimalWord(count)});
  }
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdBlpop(CommandContext& context) { return PopOrWait(context, ListEnd::kHead); }

ExecStatus CmdBrpop(CommandContext& context) { return PopOrWait(context, ListEnd::kTail); }

ExecStatus CmdLmpop(CommandContext& context) {
  const std::optional<ManyPop> pop = ParseManyPop(context, 1);
  if (!pop) return ExecStatus::kDone;
  const Found found = FindFirst(context, context.keys());
  if (found.failed) return ExecStatus::kDone;
  if (found.key != nullptr) return PopMany(context, found, *pop);
  context.reply().NullArray();
  return ExecStatus::kDone;
}

ExecStatus CmdBlmpop(CommandContext& context) {
  const std::optional<ManyPop> pop = ParseManyPop(context, 2);
  if (!pop) return ExecStatus::kDone;
  const std::optional<int64_t> timeout_ms = TimeoutSecondsArg(context, 1);
  if (!timeout_ms) return ExecStatus::kDone;
  const Found found = FindFirst(context, context.keys());
  if (found.failed) return ExecStatus::kDone;
  if (found.key == nullptr)
    return context.Block(context.keys(), *timeout_ms, TimeoutReply::kNullArray);
  return PopMany(context, found, *pop);
}

}  // namespace tidegate
