// ZUNION, ZINTER, ZDIFF, their STORE forms and ZINTERCARD: members of several sorted sets and sets,
// with scores that are weighted and aggregated.
//
// The result is collected in a table from member to score and sorted once. Inputs are taken from
// the smallest to the largest (but for ZDIFF), as Redis does: sums of doubles depend on the order.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/sorted_set_commands.h"
#include "storage/value/scored_source.h"

namespace tidegate {
namespace {

enum class SetOperation : uint8_t { kUnion, kInter, kDiff };
enum class Aggregate : uint8_t { kSum, kMin, kMax };
// What becomes of the result.
enum class ResultUse : uint8_t { kReply, kStore, kCount };

struct Input {
  ScoredSource source{nullptr};
  uint64_t size = 0;
  double weight = 1;

  // Infinity times zero counts as zero.
  double Weighted(double score) const {
    const double weighted = weight * score;
    return std::isnan(weighted) ? 0 : weighted;
  }
};

struct CombineArguments {
  std::vector<Input> inputs;
  Aggregate aggregate = Aggregate::kSum;
  bool with_scores = false;
  uint64_t limit = 0;  // of ZINTERCARD; 0: none
};

// How many members are looked at or looked for, at most.
uint64_t LooksMax(SetOperation operation, const CombineArguments& arguments) {
  const std::vector<Input>& inputs = arguments.inputs;
  uint64_t smallest = UINT64_MAX;
  uint64_t all = 0;
  for (const Input& input : inputs) {
    smallest = std::min(smallest, input.size);
    all += input.size;
  }
  switch (operation) {
    case SetOperation::kInter:
      return smallest * inputs.size();
    case SetOperation::kDiff:
      return inputs.front().size * inputs.size();
    case SetOperation::kUnion:
      break;
  }
  return all;
}

bool Refuse(CommandContext& ctx, std::string_view error) {
  ctx.Fail(error);
  return false;
}

// Reads numkeys and the inputs; `first` becomes the argument behind them. As with all functions
// here: false when the error is written.
bool FindInputs(CommandContext& ctx, size_t& first, CombineArguments& arguments) {
  const bool stores = first == 2;
  const std::optional<int64_t> count = ctx.IntegerArg(first);
  if (!count) return false;
  if (*count < 1) {
    return Refuse(ctx, "ERR at least 1 input key is needed for '" +
                           ctx.request().command->full_name + "' command");
  }
  if (static_cast<uint64_t>(*count) > ctx.argc() - first - 1) return Refuse(ctx, errors::kSyntax);
  arguments.inputs.resize(static_cast<size_t>(*count));
  for (size_t i = 0; i < arguments.inputs.size(); ++i) {
    const Entry* entry = ctx.db().FindForRead(ctx.key(i + (stores ? 1 : 0)));
    if (entry != nullptr && entry->type() != ValueType::kSortedSet &&
        entry->type() != ValueType::kSet) {
      return Refuse(ctx, errors::kWrongType);
    }
    Input& input = arguments.inputs[i];
    input.source = ScoredSource(entry);
    input.size = input.source.size();
  }
  first += 1 + arguments.inputs.size();
  return true;
}

bool ParseWeights(CommandContext& ctx, size_t first, CombineArguments& arguments) {
  for (Input& input : arguments.inputs) {
    const std::optional<double> weight = ParseDouble(ctx.arg(first++));
    if (!weight) return Refuse(ctx, "ERR weight value is not a float");
    input.weight = *weight;
  }
  return true;
}

bool ParseAggregate(std::string_view word, Aggregate& aggregate) {
  if (EqualsIgnoreCase(word, "sum")) {
    aggregate = Aggregate::kSum;
  } else if (EqualsIgnoreCase(word, "min")) {
    aggregate = Aggregate::kMin;
  } else if (EqualsIgnoreCase(word, "max")) {
    aggregate = Aggregate::kMax;
  } else {
    return false;
  }
  return true;
}

bool ParseLimit(CommandContext& ctx, size_t i, CombineArguments& arguments) {
  constexpr std::string_view kNegative = "ERR LIMIT can't be negative";
  const std::optional<int64_t> limit = ctx.IntegerArg(i, kNegative);
  if (!limit) return false;
  if (*limit < 0) return Refuse(ctx, kNegative);
  arguments.limit = static_cast<uint64_t>(*limit);
  return true;
}

// The words from argument i on.
bool ParseOptions(CommandContext& ctx, size_t i, SetOperation operation, ResultUse use,
                  CombineArguments& arguments) {
  const size_t inputs = arguments.inputs.size();
  const bool weighs = operation != SetOperation::kDiff && use != ResultUse::kCount;
  while (i < ctx.argc()) {
    const std::string_view word = ctx.arg(i);
    const size_t behind = ctx.argc() - i - 1;
    if (weighs && behind >= inputs && EqualsIgnoreCase(word, "weights")) {
      if (!ParseWeights(ctx, i + 1, arguments)) return false;
      i += 1 + inputs;
    } else if (weighs && behind >= 1 && EqualsIgnoreCase(word, "aggregate")) {
      if (!ParseAggregate(ctx.arg(i + 1), arguments.aggregate)) return Refuse(ctx, errors::kSyntax);
      i += 2;
    } else if (use == ResultUse::kReply && EqualsIgnoreCase(word, "withscores")) {
      arguments.with_scores = true;
      ++i;
    } else if (use == ResultUse::kCount && behind >= 1 && EqualsIgnoreCase(word, "limit")) {
      if (!ParseLimit(ctx, i + 1, arguments)) return false;
      i += 2;
    } else {
      return Refuse(ctx, errors::kSyntax);
    }
  }
  return true;
}

double Aggregated(double a, double b, Aggregate aggregate) {
  switch (aggregate) {
    case Aggregate::kSum:
      return std::isnan(a + b) ? 0 : a + b;  // of infinities
    case Aggregate::kMin:
      return b < a ? b : a;
    case Aggregate::kMax:
      return b > a ? b : a;
  }
  return a;
}

struct TableDeleter {
  void operator()(FieldTable* table) const { FieldTable::Destroy(table); }
};
using Result = std::unique_ptr<FieldTable, TableDeleter>;

void Unite(const CombineArguments& arguments, FieldTable& result) {
  for (const Input& input : arguments.inputs) {
    input.source.ForEach([&](std::string_view member, double score) {
      const uint64_t hash = result.Hash(member);
      double value = input.Weighted(score);
      if (const FieldView found = result.Find(hash, member))
        value = Aggregated(found.number(), value, arguments.aggregate);
      result.SetNumber(hash, member, value);
    });
  }
}

// Calls fn(member, score) for what is in all inputs, as long as it returns true.
template <typename Fn>
void Intersect(const CombineArguments& arguments, Fn&& fn) {
  const std::span<const Input> inputs = arguments.inputs;
  bool goes_on = inputs.front().size > 0;
  if (!goes_on) return;
  inputs.front().source.ForEach([&](std::string_view member, double score) {
    if (!goes_on) return;
    double value = inputs.front().Weighted(score);
    for (const Input& other : inputs.subspan(1)) {
      const std::optional<double> found = other.source.Find(member);
      if (!found) return;
      value = Aggregated(value, *found * other.weight, arguments.aggregate);
    }
    goes_on = fn(member, value);
  });
}

void Subtract(const CombineArguments& arguments, FieldTable& result) {
  const std::span<const Input> others = std::span(arguments.inputs).subspan(1);
  arguments.inputs.front().source.ForEach([&](std::string_view member, double score) {
    for (const Input& other : others) {
      if (other.source.Find(member)) return;
    }
    result.SetNumber(member, score);
  });
}

void SortBySize(CombineArguments& arguments) {
  std::stable_sort(arguments.inputs.begin(), arguments.inputs.end(),
                   [](const Input& a, const Input& b) { return a.size < b.size; });
}

Result Combined(CombineArguments& arguments, SetOperation operation) {
  Result result(FieldTable::Create(FieldValues::kDouble));
  switch (operation) {
    case SetOperation::kUnion:
      SortBySize(arguments);
      Unite(arguments, *result);
      break;
    case SetOperation::kInter:
      SortBySize(arguments);
      Intersect(arguments, [&](std::string_view member, double score) {
        result->SetNumber(member, score);
        return true;
      });
      break;
    case SetOperation::kDiff:
      Subtract(arguments, *result);
      break;
  }
  return result;
}

// Borrows the members from the table.
std::vector<ScoredMember> Sorted(const FieldTable& table) {
  std::vector<ScoredMember> sorted;
  sorted.reserve(table.size());
  table.ForEach([&](const FieldView& field) { sorted.push_back({field.number(), field.field()}); });
  BreathingSpaces<256> spaces;
  std::sort(sorted.begin(), sorted.end(), [&spaces](const ScoredMember& a, const ScoredMember& b) {
    spaces.Step();
    return a < b;
  });
  return sorted;
}

ExecStatus ReplyCombined(CommandContext& ctx, SetOperation operation) {
  CombineArguments arguments;
  size_t next = 1;
  if (!FindInputs(ctx, next, arguments) ||
      !ParseOptions(ctx, next, operation, ResultUse::kReply, arguments)) {
    return ExecStatus::kDone;
  }
  if (ctx.IsLong(LooksMax(operation, arguments))) return ctx.RunLong();
  const Result result = Combined(arguments, operation);
  ReplyWriter& reply = ctx.reply();
  const bool pairs = arguments.with_scores && reply.resp3();
  const uint64_t size = result->size();
  reply.Array(arguments.with_scores && !pairs ? 2 * size : size);
  BreathingSpaces<64> spaces;
  for (const ScoredMember& one : Sorted(*result)) {
    spaces.Step();
    if (pairs) reply.Array(2);
    reply.Bulk(one.member);
    if (arguments.with_scores) reply.Double(one.score);
  }
  return ExecStatus::kDone;
}

ExecStatus StoreCombined(CommandContext& ctx, SetOperation operation, std::string_view event) {
  CombineArguments arguments;
  size_t next = 2;
  if (!FindInputs(ctx, next, arguments) ||
      !ParseOptions(ctx, next, operation, ResultUse::kStore, arguments)) {
    return ExecStatus::kDone;
  }
  if (ctx.IsLong(LooksMax(operation, arguments))) return ctx.RunLong();
  Result result = Combined(arguments, operation);
  const std::vector<ScoredMember> sorted = Sorted(*result);
  const KeyRef& target = ctx.key(0);
  SortedSetWriter writer = SortedSetWriter::Instead(ctx.db(), target, ctx.db().FindForWrite(target),
                                                    ctx.engine().settings());
  writer.Assign(sorted, result.release());
  StoreSortedSet(ctx, writer, target, event);
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdZunion(CommandContext& ctx) { return ReplyCombined(ctx, SetOperation::kUnion); }

ExecStatus CmdZinter(CommandContext& ctx) { return ReplyCombined(ctx, SetOperation::kInter); }

ExecStatus CmdZdiff(CommandContext& ctx) { return ReplyCombined(ctx, SetOperation::kDiff); }

ExecStatus CmdZunionStore(CommandContext& ctx) {
  return StoreCombined(ctx, SetOperation::kUnion, "zunionstore");
}

ExecStatus CmdZinterStore(CommandContext& ctx) {
  return StoreCombined(ctx, SetOperation::kInter, "zinterstore");
}

ExecStatus CmdZdiffStore(CommandContext& ctx) {
  return StoreCombined(ctx, SetOperation::kDiff, "zdiffstore");
}

ExecStatus CmdZinterCard(CommandContext& ctx) {
  CombineArguments arguments;
  size_t next = 1;
  if (!FindInputs(ctx, next, arguments) ||
      !ParseOptions(ctx, next, SetOperation::kInter, ResultUse::kCount, arguments)) {
    return ExecStatus::kDone;
  }
  if (ctx.IsLong(LooksMax(SetOperation::kInter, arguments))) return ctx.RunLong();
  SortBySize(arguments);
  uint64_t count = 0;
  Intersect(arguments, [&](std::string_view, double) { return ++count != arguments.limit; });
  ctx.reply().Integer(static_cast<int64_t>(count));
  return ExecStatus::kDone;
}

}  // namespace tidegate
