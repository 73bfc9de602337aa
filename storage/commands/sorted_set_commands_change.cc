// ZADD, ZINCRBY, ZREM and ZREMRANGEBY….
#include <array>
#include <optional>
#include <vector>

#include "base/text.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/sorted_set_commands.h"

namespace tidegate {
namespace {

constexpr std::string_view kNotANumber = "ERR resulting score is not a number (NaN)";

struct ZaddArguments {
  SortedSetAdd options;
  bool count_changes = false;  // CH
  size_t first = 2;            // argument of the first score
  size_t pairs = 0;
};

// One word in front of the scores; false when it is the first of these.
bool ParseZaddOption(std::string_view word, ZaddArguments& arguments) {
  SortedSetAdd& options = arguments.options;
  if (EqualsIgnoreCase(word, "nx")) return options.only_absent = true;
  if (EqualsIgnoreCase(word, "xx")) return options.only_present = true;
  if (EqualsIgnoreCase(word, "ch")) return arguments.count_changes = true;
  if (EqualsIgnoreCase(word, "incr")) return options.increment = true;
  if (EqualsIgnoreCase(word, "gt")) return options.only_greater = true;
  if (EqualsIgnoreCase(word, "lt")) return options.only_less = true;
  return false;
}

// False when the error is written.
bool ParseZadd(CommandContext& ctx, ZaddArguments& arguments) {
  size_t& first = arguments.first;
  while (first < ctx.argc() && ParseZaddOption(ctx.arg(first), arguments)) ++first;
  const size_t rest = ctx.argc() - first;
  arguments.pairs = rest / 2;
  const SortedSetAdd& options = arguments.options;
  std::string_view error;
  if (rest % 2 != 0 || rest == 0) {
    error = errors::kSyntax;
  } else if (options.only_absent && options.only_present) {
    error = "ERR XX and NX options at the same time are not compatible";
  } else if ((options.only_greater && options.only_absent) ||
             (options.only_less && options.only_absent) ||
             (options.only_greater && options.only_less)) {
    error = "ERR GT, LT, and/or NX options at the same time are not compatible";
  } else if (options.increment && arguments.pairs > 1) {
    error = "ERR INCR option supports a single increment-element pair";
  } else {
    return true;
  }
  ctx.Fail(error);
  return false;
}

// The scores of all pairs, read before anything is changed. A few need no memory of their own.
class PairScores final {
 public:
  // False when the error is written.
  bool Read(CommandContext& ctx, const ZaddArguments& arguments) {
    if (arguments.pairs > kInlinePairs) {
      many_.resize(arguments.pairs);
      scores_ = many_.data();
    }
    for (size_t i = 0; i < arguments.pairs; ++i) {
      const std::optional<double> score = ParseDouble(ctx.arg(arguments.first + 2 * i));
      if (!score) {
        ctx.Fail(errors::kNotFloat);
        return false;
      }
      scores_[i] = *score;
    }
    return true;
  }
  double& operator[](size_t i) { return scores_[i]; }

 private:
  static constexpr size_t kInlinePairs = 16;

  std::array<double, kInlinePairs> few_;
  std::vector<double> many_;
  double* scores_ = few_.data();
};

struct PairCounts {
  int64_t added = 0;
  int64_t updated = 0;
  bool any_processed = false;  // not passed over because of an option
};

// Adds all pairs. False when the sum of the only one is no number.
bool AddAll(CommandContext& ctx, const ZaddArguments& arguments, PairScores& scores,
            SortedSetWriter& set, PairCounts& counts) {
  using Outcome = SortedSetWriter::Outcome;
  for (size_t i = 0; i < arguments.pairs; ++i) {
    const std::string_view member = ctx.arg(arguments.first + 2 * i + 1);
    const Outcome outcome = set.Add(member, scores[i], arguments.options);
    if (outcome == Outcome::kNotANumber) return false;
    if (outcome == Outcome::kAdded) ++counts.added;
    if (outcome == Outcome::kUpdated) ++counts.updated;
    if (outcome != Outcome::kSkipped) counts.any_processed = true;
  }
  return true;
}

// Adds the pairs of score and member from argument `first` on.
ExecStatus AddPairs(CommandContext& ctx, const ZaddArguments& arguments) {
  PairScores scores;
  if (!scores.Read(ctx, arguments)) return ExecStatus::kDone;
  const bool increment = arguments.options.increment;
  const KeyRef& key = ctx.key();
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, key, true, &entry)) return ExecStatus::kDone;
  PairCounts counts;
  if (entry != nullptr || !arguments.options.only_present) {
    SortedSetWriter set(ctx.db(), key, entry, ctx.engine().settings());
    if (!AddAll(ctx, arguments, scores, set, counts)) return ctx.Fail(kNotANumber);
    if (counts.added + counts.updated > 0) {
      FinishSortedSet(ctx, set, key, increment ? "zincr" : "zadd");
    }
  }
  if (!increment) {
    ctx.reply().Integer(counts.added + (arguments.count_changes ? counts.updated : 0));
  } else if (counts.any_processed) {
    ctx.reply().Double(scores[0]);
  } else {
    ctx.reply().Null();
  }
  return ExecStatus::kDone;
}

// Erases the range that to_range(const SortedSetView&) gives. Where scores differ, what lies
// between two names depends on how it is looked for, and that on the form of the value: recorded is
// which ranks went.
template <typename ToRange>
ExecStatus RemoveRange(CommandContext& ctx, std::string_view event, ToRange&& to_range) {
  const KeyRef& key = ctx.key();
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, key, true, &entry)) return ExecStatus::kDone;
  RankRange range;
  if (entry != nullptr) range = to_range(SortedSetView(*entry));
  if (ctx.IsLong(range.size())) return ctx.RunLong();
  if (!range.empty()) {
    SortedSetWriter set(ctx.db(), key, entry, ctx.engine().settings());
    set.Erase(range);
    ctx.RecordAs({"ZREMRANGEBYRANK", key.name, DecimalWord(static_cast<int64_t>(range.first)),
                  DecimalWord(static_cast<int64_t>(range.last) - 1)});
    FinishSortedSet(ctx, set, key, event);
  }
  ctx.reply().Integer(static_cast<int64_t>(range.size()));
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdZadd(CommandContext& ctx) {
  ZaddArguments arguments;
  if (!ParseZadd(ctx, arguments)) return ExecStatus::kDone;
  return AddPairs(ctx, arguments);
}

ExecStatus CmdZincrBy(CommandContext& ctx) {
  ZaddArguments arguments;
  arguments.options.increment = true;
  arguments.pairs = 1;
  return AddPairs(ctx, arguments);
}

ExecStatus CmdZrem(CommandContext& ctx) {
  const KeyRef& key = ctx.key();
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, key, true, &entry)) return ExecStatus::kDone;
  int64_t erased = 0;
  if (entry != nullptr) {
    SortedSetWriter set(ctx.db(), key, entry, ctx.engine().settings());
    for (size_t i = 2; i < ctx.argc() && set.size() > 0; ++i) erased += set.Erase(ctx.arg(i));
    if (erased > 0) FinishSortedSet(ctx, set, key, "zrem");
  }
  ctx.reply().Integer(erased);
  return ExecStatus::kDone;
}

ExecStatus CmdZremRangeByRank(CommandContext& ctx) {
  const std::optional<int64_t> start = ctx.IntegerArg(2);
  if (!start) return ExecStatus::kDone;
  const std::optional<int64_t> stop = ctx.IntegerArg(3);
  if (!stop) return ExecStatus::kDone;
  return RemoveRange(ctx, "zremrangebyrank", [&](const SortedSetView& set) {
    return RankRange::OfIndexes(*start, *stop, set.size(), false);
  });
}

ExecStatus CmdZremRangeByScore(CommandContext& ctx) {
  const std::optional<ScoreBounds> bounds = ScoreBounds::Parse(ctx.arg(2), ctx.arg(3));
  if (!bounds) return ctx.Fail(kScoreBoundsError);
  return RemoveRange(ctx, "zremrangebyscore",
                     [&](const SortedSetView& set) { return set.Within(*bounds); });
}

ExecStatus CmdZremRangeByLex(CommandContext& ctx) {
  const std::optional<LexBounds> bounds = LexBounds::Parse(ctx.arg(2), ctx.arg(3));
  if (!bounds) return ctx.Fail(kLexBoundsError);
  return RemoveRange(ctx, "zremrangebylex",
                     [&](const SortedSetView& set) { return set.Within(*bounds); });
}

}  // namespace tidegate
