// Intersections, unions and differences of sets.
//
// Each walks over as little as it can and looks members up in the other sets: an intersection over
// the smallest set, a difference over the first. Only a union has to remember what it has seen. The
// sets are those of a moment: all their slots are locked.
#include <algorithm>
#include <utility>
#include <vector>

#include "config/notify.h"
#include "storage/commands/set_commands.h"
#include "storage/value/packed_reply.h"

namespace tidegate {
namespace {

enum class Operation : uint8_t { kIntersection, kUnion, kDifference };

// The sets of a command in the order of its keys.
struct Operands {
  std::vector<SetView> sets;  // those that exist
  bool first_exists = false;
  bool all_exist = true;
};

// Nothing when one of the keys is no set: the error is written.
std::optional<Operands> FindOperands(CommandContext& context, std::span<const KeyRef> keys) {
  Operands operands;
  operands.sets.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    Entry* entry = nullptr;
    if (!context.FindValue(keys[i], ValueType::kSet, false, &entry)) return std::nullopt;
    if (entry == nullptr) {
      operands.all_exist = false;
      continue;
    }
    if (i == 0) operands.first_exists = true;
    operands.sets.emplace_back(*entry);
  }
  return operands;
}

// How many members are looked at or looked for, at most.
uint64_t LooksMax(Operation operation, const Operands& operands) {
  uint64_t smallest = UINT64_MAX;
  uint64_t all = 0;
  for (const SetView& set : operands.sets) {
    smallest = std::min(smallest, set.size());
    all += set.size();
  }
  switch (operation) {
    case Operation::kIntersection:
      return operands.all_exist ? smallest * operands.sets.size() : 0;
    case Operation::kDifference:
      return operands.first_exists ? operands.sets[0].size() * operands.sets.size() : 0;
    case Operation::kUnion:
      break;
  }
  return all;
}

// Calls fn(const ListpackValue&) for each member that all have, until it answers false.
template <typename Fn>
void Intersect(Operands& operands, Fn&& fn) {
  if (!operands.all_exist) return;
  std::vector<SetView>& sets = operands.sets;
  // The smallest refuse most, and cost least.
  std::stable_sort(sets.begin(), sets.end(), [](const SetView& left, const SetView& right) {
    return left.size() < right.size();
  });
  sets[0].ForEachWhile([&](const ListpackValue& member) {
    char digits[kListpackDigitsBytes];
    const std::string_view text = member.Render(digits);
    const bool in_all = std::all_of(sets.begin() + 1, sets.end(),
                                    [text](const SetView& set) { return set.Contains(text); });
    return !in_all || fn(member);
  });
}

// Calls fn(const ListpackValue&) for each member of the first that none of the others has.
template <typename Fn>
void Subtract(Operands& operands, Fn&& fn) {
  if (!operands.first_exists) return;
  std::vector<SetView>& sets = operands.sets;
  // The largest are the most likely to have it.
  std::stable_sort(sets.begin() + 1, sets.end(), [](const SetView& left, const SetView& right) {
    return left.size() > right.size();
  });
  sets[0].ForEach([&](const ListpackValue& member) {
    char digits[kListpackDigitsBytes];
    const std::string_view text = member.Render(digits);
    const bool in_any = std::any_of(sets.begin() + 1, sets.end(),
                                    [text](const SetView& set) { return set.Contains(text); });
    if (!in_any) fn(member);
  });
}

// Calls fn(const ListpackValue&) for all members; one that several sets have comes several times.
template <typename Fn>
void Unite(const Operands& operands, Fn&& fn) {
  for (const SetView& set : operands.sets) set.ForEach(fn);
}

template <typename Fn>
void Compute(Operation operation, Operands& operands, Fn&& fn) {
  switch (operation) {
    case Operation::kIntersection:
      return Intersect(operands, [&fn](const ListpackValue& member) {
        fn(member);
        return true;
      });
    case Operation::kDifference:
      return Subtract(operands, fn);
    case Operation::kUnion:
      return Unite(operands, fn);
  }
}

void Collect(Operation operation, Operands& operands, SetBuilder& result) {
  Compute(operation, operands, [&result](const ListpackValue& member) {
    char digits[kListpackDigitsBytes];
    result.Add(member.Render(digits));
  });
}

SetBuilder BuilderFor(CommandContext& context) {
  return SetBuilder(SetLimits::Of(context.engine().settings()), context.db().epoch());
}

void ReplySet(ReplyWriter& reply, const SetView& set) {
  reply.Set(set.size());
  set.ForEach([&reply](const ListpackValue& member) { ReplyPackedValue(reply, member); });
}

ExecStatus Reply(CommandContext& context, Operation operation) {
  std::optional<Operands> operands = FindOperands(context, context.keys());
  if (!operands) return ExecStatus::kDone;
  if (context.IsLong(LooksMax(operation, *operands))) return context.RunLong();
  ReplyWriter& reply = context.reply();
  if (operation == Operation::kUnion && operands->sets.size() > 1) {
    SetBuilder result = BuilderFor(context);
    Collect(operation, *operands, result);
    ReplySet(reply, result.view());
    return ExecStatus::kDone;
  }
  // What comes, comes once. How many there are is known at the end.
  OutputBuffer found(reply.out().pool());
  ReplyWriter writer(found);
  size_t count = 0;
  Compute(operation, *operands, [&](const ListpackValue& member) {
    ReplyPackedValue(writer, member);
    ++count;
  });
  reply.Set(count);
  reply.out().TakeAll(found);
  return ExecStatus::kDone;
}

// The first key is the target; `event` says that it was set.
ExecStatus Store(CommandContext& context, Operation operation, std::string_view event) {
  std::optional<Operands> operands = FindOperands(context, context.keys().subspan(1));
  if (!operands) return ExecStatus::kDone;
  if (context.IsLong(LooksMax(operation, *operands))) return context.RunLong();
  SetBuilder result = BuilderFor(context);
  Collect(operation, *operands, result);
  const uint64_t size = result.view().size();
  const KeyRef& target = context.key(0);
  Database& db = context.db();
  if (size > 0) {
    result.Store(db, target, db.FindForWrite(target));
    db.Modified(target);
    db.Notify(notify::kSet, event, target);
  } else if (db.Delete(target)) {
    db.Notify(notify::kGeneric, "del", target);
  }
  context.reply().Integer(static_cast<int64_t>(size));
  return ExecStatus::kDone;
}

// LIMIT of SINTERCARD; 0: none. Nothing when the error is written.
std::optional<uint64_t> ParseLimit(CommandContext& context, size_t first) {
  constexpr std::string_view kNegative = "ERR LIMIT can't be negative";
  uint64_t limit = 0;
  for (size_t i = first; i < context.argc(); i += 2) {
    if (!EqualsIgnoreCase(context.arg(i), "limit") || i + 1 == context.argc()) {
      context.Fail(errors::kSyntax);
      return std::nullopt;
    }
    const std::optional<int64_t> number = context.IntegerArg(i + 1, kNegative);
    if (!number) return std::nullopt;
    if (*number < 0) {
      context.Fail(kNegative);
      return std::nullopt;
    }
    limit = static_cast<uint64_t>(*number);
  }
  return limit;
}

}  // namespace

ExecStatus CmdSInter(CommandContext& context) { return Reply(context, Operation::kIntersection); }
ExecStatus CmdSUnion(CommandContext& context) { return Reply(context, Operation::kUnion); }
ExecStatus CmdSDiff(CommandContext& context) { return Reply(context, Operation::kDifference); }

ExecStatus CmdSInterStore(CommandContext& context) {
  return Store(context, Operation::kIntersection, "sinterstore");
}
ExecStatus CmdSUnionStore(CommandContext& context) {
  return Store(context, Operation::kUnion, "sunionstore");
}
ExecStatus CmdSDiffStore(CommandContext& context) {
  return Store(context, Operation::kDifference, "sdiffstore");
}

ExecStatus CmdSInterCard(CommandContext& context) {
  constexpr std::string_view kNoKeys = "ERR numkeys should be greater than 0";
  const std::optional<int64_t> key_count = context.IntegerArg(1, kNoKeys);
  if (!key_count) return ExecStatus::kDone;
  if (*key_count < 1) return context.Fail(kNoKeys);
  if (static_cast<uint64_t>(*key_count) > context.argc() - 2) {
    return context.Fail("ERR Number of keys can't be greater than number of args");
  }
  const std::optional<uint64_t> limit = ParseLimit(context, static_cast<size_t>(*key_count) + 2);
  if (!limit) return ExecStatus::kDone;
  std::optional<Operands> operands = FindOperands(context, context.keys());
  if (!operands) return ExecStatus::kDone;
  if (context.IsLong(LooksMax(Operation::kIntersection, *operands))) return context.RunLong();
  uint64_t count = 0;
  Intersect(*operands, [&](const ListpackValue&) { return ++count != *limit; });
  context.reply().Integer(static_cast<int64_t>(count));
  return ExecStatus::kDone;
}

}  // namespace tidegate
