// List commands that only look: LINDEX, LLEN, LPOS, LRANGE.
#include <algorithm>
#include <limits>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/list_commands.h"

namespace tidegate {
namespace {

// An index as clients count (-1: the last one) as one from the head; negative: in front of it.
int64_t FromHead(int64_t index, int64_t size) { return index < 0 ? index + size : index; }

struct LposOptions {
  int64_t rank = 1;
  std::optional<int64_t> count;
  int64_t compared_max = 0;  // 0: all
};

std::optional<int64_t> NaturalArg(CommandContext& context, size_t i, std::string_view error) {
  const std::optional<int64_t> value = ParseInt64(context.arg(i));
  if (value && *value >= 0) return value;
  context.reply().Error(error);
  return std::nullopt;
}

std::optional<int64_t> RankArg(CommandContext& context, size_t i) {
  const std::optional<int64_t> rank = context.IntegerArg(i);
  if (!rank) return rank;
  if (*rank == std::numeric_limits<int64_t>::min()) {
    context.reply().Error(
        "ERR value is out of range, value must between -9223372036854775807 and "
        "9223372036854775807");
    return std::nullopt;
  }
  if (*rank != 0) return rank;
  context.reply().Error(
      "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
      "negative to start from the end of the list");
  return std::nullopt;
}

// Nothing after the error was written.
std::optional<LposOptions> ParseLposOptions(CommandContext& context) {
  LposOptions options;
  for (size_t i = 3; i < context.argc(); i += 2) {
    const bool has_value = i + 1 < context.argc();
    std::optional<int64_t> value;
    if (has_value && EqualsIgnoreCase(context.arg(i), "rank")) {
      value = RankArg(context, i + 1);
      if (value) options.rank = *value;
    } else if (has_value && EqualsIgnoreCase(context.arg(i), "count")) {
      value = NaturalArg(context, i + 1, "ERR COUNT can't be negative");
      options.count = value;
    } else if (has_value && EqualsIgnoreCase(context.arg(i), "maxlen")) {
      value = NaturalArg(context, i + 1, "ERR MAXLEN can't be negative");
      if (value) options.compared_max = *value;
    } else {
      context.reply().Error(errors::kSyntax);
    }
    if (!value) return std::nullopt;
  }
  return options;
}

// How many elements are looked at, at most.
uint64_t LooksMax(const ListValue& list, const LposOptions& options) {
  if (options.compared_max == 0) return list.size();
  return std::min(list.size(), static_cast<uint64_t>(options.compared_max));
}

// Calls found(index) for each match in the order that the options ask for, until it returns false.
template <typename Fn>
void ForEachMatch(const ListValue& list, std::string_view text, const LposOptions& options,
                  Fn&& found) {
  const ListMatcher match(text);
  const bool backward = options.rank < 0;
  const int64_t size = static_cast<int64_t>(list.size());
  int64_t skip = (backward ? -options.rank : options.rank) - 1;
  int64_t compared = 0;
  const auto look = [&](const ListpackValue& element) {
    const int64_t index = backward ? size - 1 - compared : compared;
    ++compared;
    if (match(element) && skip-- <= 0 && !found(index)) return false;
    return options.compared_max == 0 || compared < options.compared_max;
  };
  if (backward) {
    list.VisitBackward(static_cast<uint64_t>(size - 1), look);
  } else {
    list.Visit(0, look);
  }
}

}  // namespace

void ReplyElement(ReplyWriter& reply, const ListpackValue& element) {
  if (element.is_integer()) {
    reply.BulkInteger(element.integer());
  } else {
    reply.Bulk(element.text());
  }
}

ExecStatus CmdLlen(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kList, false, &entry)) return ExecStatus::kDone;
  const ListValue list(context.db(), context.key(), entry);
  context.reply().Integer(static_cast<int64_t>(list.size()));
  return ExecStatus::kDone;
}

ExecStatus CmdLindex(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kList, false, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Null();
    return ExecStatus::kDone;
  }
  const auto index = context.IntegerArg(2);
  if (!index) return ExecStatus::kDone;
  const ListValue list(context.db(), context.key(), entry);
  const auto size = static_cast<int64_t>(list.size());
  const int64_t at = FromHead(*index, size);
  if (at < 0 || at >= size) {
    context.reply().Null();
  } else {
    ReplyElement(context.reply(), list.Get(static_cast<uint64_t>(at)));
  }
  return ExecStatus::kDone;
}

ExecStatus CmdLrange(CommandContext& context) {
  const auto from = context.IntegerArg(2);
  if (!from) return ExecStatus::kDone;
  const auto to = context.IntegerArg(3);
  if (!to) return ExecStatus::kDone;
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kList, false, &entry)) return ExecStatus::kDone;
  const ListValue list(context.db(), context.key(), entry);
  const auto size = static_cast<int64_t>(list.size());
  const int64_t first = std::max<int64_t>(FromHead(*from, size), 0);
  const int64_t last = std::min(FromHead(*to, size), size - 1);
  ReplyWriter& reply = context.reply();
  if (first > last) {
    reply.Array(0);
    return ExecStatus::kDone;
  }
  auto left = static_cast<uint64_t>(last - first + 1);
  if (context.IsLong(left)) return context.RunLong();
  reply.Array(left);
  list.Visit(static_cast<uint64_t>(first), [&](const ListpackValue& element) {
    ReplyElement(reply, element);
    return --left > 0;
  });
  return ExecStatus::kDone;
}

ExecStatus CmdLpos(CommandContext& context) {
  const std::optional<LposOptions> options = ParseLposOptions(context);
  if (!options) return ExecStatus::kDone;
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kList, false, &entry)) return ExecStatus::kDone;
  const ListValue list(context.db(), context.key(), entry);
  if (context.IsLong(LooksMax(list, *options))) return context.RunLong();
  ReplyWriter& reply = context.reply();
  if (!options->count) {
    std::optional<int64_t> first;
    ForEachMatch(list, context.arg(2), *options, [&](int64_t index) {
      first = index;
      return false;
    });
    if (first) {
      reply.Integer(*first);
    } else {
      reply.Null();
    }
    return ExecStatus::kDone;
  }
  std::vector<int64_t> found;
  ForEachMatch(list, context.arg(2), *options, [&](int64_t index) {
    found.push_back(index);
    return *options->count == 0 || found.size() < static_cast<size_t>(*options->count);
  });
  reply.Array(found.size());
  BreathingSpaces<64> spaces;
  for (const int64_t index : found) {
    spaces.Step();
    reply.Integer(index);
  }
  return ExecStatus::kDone;
}

}  // namespace tidegate
