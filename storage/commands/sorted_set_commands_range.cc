// ZRANGE and its older relatives, and ZRANGESTORE: one way from arguments to a range of ranks.
#include <algorithm>

#include "base/text.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/sorted_set_commands.h"

namespace tidegate {
namespace {

enum class RangeBy : uint8_t { kUnsaid, kIndex, kScore, kLex };
enum class RangeOrder : uint8_t { kUnsaid, kForwards, kBackwards };

struct RangeArguments {
  size_t first = 1;  // argument of the set; the bounds follow
  bool store = false;
  RangeBy by = RangeBy::kUnsaid;
  RangeOrder order = RangeOrder::kUnsaid;
  bool with_scores = false;
  int64_t offset = 0;
  int64_t limit = -1;  // negative: all
  int64_t start = 0;   // of kIndex
  int64_t stop = 0;
  ScoreBounds scores;
  LexBounds lex;

  bool backwards() const { return order == RangeOrder::kBackwards; }
};

bool Refuse(CommandContext& ctx, std::string_view error) {
  ctx.Fail(error);
  return false;
}

// LIMIT offset count at arguments i+1 and i+2.
bool ParseLimit(CommandContext& ctx, size_t i, RangeArguments& arguments) {
  const std::optional<int64_t> offset = ctx.IntegerArg(i + 1);
  if (!offset) return false;
  const std::optional<int64_t> limit = ctx.IntegerArg(i + 2);
  if (!limit) return false;
  arguments.offset = *offset;
  arguments.limit = *limit;
  return true;
}

// Words behind the bounds. As with all functions here: false when the error is written.
bool ParseOptions(CommandContext& ctx, RangeArguments& arguments) {
  const bool order_is_open = arguments.order == RangeOrder::kUnsaid;
  for (size_t i = arguments.first + 3; i < ctx.argc(); ++i) {
    const std::string_view word = ctx.arg(i);
    if (!arguments.store && EqualsIgnoreCase(word, "withscores")) {
      arguments.with_scores = true;
    } else if (EqualsIgnoreCase(word, "limit") && i + 2 < ctx.argc()) {
      if (!ParseLimit(ctx, i, arguments)) return false;
      i += 2;
    } else if (order_is_open && arguments.order == RangeOrder::kUnsaid &&
               EqualsIgnoreCase(word, "rev")) {
      arguments.order = RangeOrder::kBackwards;
    } else if (arguments.by == RangeBy::kUnsaid && EqualsIgnoreCase(word, "bylex")) {
      arguments.by = RangeBy::kLex;
    } else if (arguments.by == RangeBy::kUnsaid && EqualsIgnoreCase(word, "byscore")) {
      arguments.by = RangeBy::kScore;
    } else {
      return Refuse(ctx, errors::kSyntax);
    }
  }
  if (arguments.by == RangeBy::kUnsaid) arguments.by = RangeBy::kIndex;
  if (arguments.limit != -1 && arguments.by == RangeBy::kIndex) {
    return Refuse(ctx,
                  "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
                  "BYLEX");
  }
  if (arguments.with_scores && arguments.by == RangeBy::kLex) {
    return Refuse(ctx, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
  }
  return true;
}

bool ParseBounds(CommandContext& ctx, RangeArguments& arguments) {
  size_t min = arguments.first + 1;
  size_t max = arguments.first + 2;
  if (arguments.by == RangeBy::kIndex) {
    const std::optional<int64_t> start = ctx.IntegerArg(min);
    if (!start) return false;
    const std::optional<int64_t> stop = ctx.IntegerArg(max);
    if (!stop) return false;
    arguments.start = *start;
    arguments.stop = *stop;
    return true;
  }
  if (arguments.backwards()) std::swap(min, max);
  if (arguments.by == RangeBy::kScore) {
    const std::optional<ScoreBounds> bounds = ScoreBounds::Parse(ctx.arg(min), ctx.arg(max));
    if (!bounds) return Refuse(ctx, kScoreBoundsError);
    arguments.scores = *bounds;
    return true;
  }
  const std::optional<LexBounds> bounds = LexBounds::Parse(ctx.arg(min), ctx.arg(max));
  if (!bounds) return Refuse(ctx, kLexBoundsError);
  arguments.lex = *bounds;
  return true;
}

// LIMIT of a range, counted from the end that is read first.
RankRange Limited(RankRange range, const RangeArguments& arguments) {
  if (range.empty()) return {};
  if (arguments.offset < 0) return {};
  const uint64_t skipped = std::min(static_cast<uint64_t>(arguments.offset), range.size());
  uint64_t taken = range.size() - skipped;
  if (arguments.limit >= 0) taken = std::min(taken, static_cast<uint64_t>(arguments.limit));
  if (arguments.backwards()) {
    range.last -= skipped;
    return {range.last - taken, range.last};
  }
  range.first += skipped;
  return {range.first, range.first + taken};
}

RankRange RangeOf(const SortedSetView& set, const RangeArguments& arguments) {
  switch (arguments.by) {
    case RangeBy::kScore:
      return Limited(set.Within(arguments.scores), arguments);
    case RangeBy::kLex:
      return Limited(set.Within(arguments.lex, arguments.backwards()), arguments);
    default:
      return RankRange::OfIndexes(arguments.start, arguments.stop, set.size(),
                                  arguments.backwards());
  }
}

void ReplyRange(ReplyWriter& reply, const SortedSetView& set, const RankRange& range,
                const RangeArguments& arguments) {
  if (!arguments.with_scores) {
    reply.Array(range.size());
    set.ForEach(range, arguments.backwards(),
                [&](std::string_view member, double) { reply.Bulk(member); });
    return;
  }
  const bool pairs = reply.resp3();
  reply.Array(pairs ? range.size() : 2 * range.size());
  set.ForEach(range, arguments.backwards(), [&](std::string_view member, double score) {
    if (pairs) reply.Array(2);
    reply.Bulk(member);
    reply.Double(score);
  });
}

ExecStatus Range(CommandContext& ctx, RangeBy by, RangeOrder order) {
  RangeArguments arguments;
  arguments.by = by;
  arguments.order = order;
  if (!ParseOptions(ctx, arguments) || !ParseBounds(ctx, arguments)) return ExecStatus::kDone;
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    ctx.reply().Array(0);
    return ExecStatus::kDone;
  }
  const SortedSetView set(*entry);
  const RankRange range = RangeOf(set, arguments);
  if (ctx.IsLong(range.size())) return ctx.RunLong();
  ReplyRange(ctx.reply(), set, range, arguments);
  return ExecStatus::kDone;
}

// Where scores differ, what lies between two names depends on the form of the value: recorded is
// which ranks were stored.
void RecordRanks(CommandContext& ctx, const RankRange& range, bool replaces) {
  const std::string_view target = ctx.key(0).name;
  if (!range.empty()) {
    ctx.RecordAs({"ZRANGESTORE", target, ctx.key(1).name,
                  DecimalWord(static_cast<int64_t>(range.first)),
                  DecimalWord(static_cast<int64_t>(range.last) - 1)});
  } else if (replaces) {
    ctx.RecordAs({"DEL", target});
  }
}

}  // namespace

ExecStatus CmdZrange(CommandContext& ctx) {
  return Range(ctx, RangeBy::kUnsaid, RangeOrder::kUnsaid);
}

ExecStatus CmdZrevRange(CommandContext& ctx) {
  return Range(ctx, RangeBy::kIndex, RangeOrder::kBackwards);
}

ExecStatus CmdZrangeByScore(CommandContext& ctx) {
  return Range(ctx, RangeBy::kScore, RangeOrder::kForwards);
}

ExecStatus CmdZrevRangeByScore(CommandContext& ctx) {
  return Range(ctx, RangeBy::kScore, RangeOrder::kBackwards);
}

ExecStatus CmdZrangeByLex(CommandContext& ctx) {
  return Range(ctx, RangeBy::kLex, RangeOrder::kForwards);
}

ExecStatus CmdZrevRangeByLex(CommandContext& ctx) {
  return Range(ctx, RangeBy::kLex, RangeOrder::kBackwards);
}

ExecStatus CmdZrangeStore(CommandContext& ctx) {
  RangeArguments arguments;
  arguments.first = 2;
  arguments.store = true;
  if (!ParseOptions(ctx, arguments) || !ParseBounds(ctx, arguments)) return ExecStatus::kDone;
  Entry* source = nullptr;
  if (!FindSortedSet(ctx, ctx.key(1), false, &source)) return ExecStatus::kDone;
  if (source != nullptr && ctx.IsLong(RangeOf(SortedSetView(*source), arguments).size()))
    return ctx.RunLong();
  const KeyRef& target = ctx.key(0);
  Entry* replaced = ctx.db().FindForWrite(target);
  SortedSetWriter result =
      SortedSetWriter::Instead(ctx.db(), target, replaced, ctx.engine().settings());
  RankRange range;
  if (source != nullptr) {
    const SortedSetView set(*source);
    range = RangeOf(set, arguments);
    set.ForEach(range, false,
                [&](std::string_view member, double score) { result.Add(member, score); });
  }
  if (arguments.by == RangeBy::kLex) RecordRanks(ctx, range, replaced != nullptr);
  StoreSortedSet(ctx, result, target, "zrangestore");
  return ExecStatus::kDone;
}

}  // namespace tidegate
