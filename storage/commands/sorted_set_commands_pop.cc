// Taking the first or last members out of a sorted set: ZPOPMIN, ZPOPMAX, ZMPOP and the forms of
// them that wait until there is one.
#include <algorithm>

#include "base/text.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/sorted_set_commands.h"
#include "storage/commands/timeout_argument.h"

namespace tidegate {
namespace {

// How the members are sent: Redis has a shape for every command.
enum class PopShape : uint8_t {
  kFlat,          // member, score, member, score …
  kPairs,         // [member, score] …
  kKeyAndMember,  // key, member, score
  kKeyAndPairs,   // key, [[member, score] …]
};

struct PopArguments {
  bool from_end = false;
  uint64_t count = 1;
  PopShape shape = PopShape::kFlat;
};

void ReplyHeader(ReplyWriter& reply, const KeyRef& key, uint64_t size, PopShape shape) {
  switch (shape) {
    case PopShape::kFlat:
      return reply.Array(2 * size);
    case PopShape::kPairs:
      return reply.Array(size);
    case PopShape::kKeyAndMember:
      reply.Array(2 * size + 1);
      return reply.Bulk(key.name);
    case PopShape::kKeyAndPairs:
      reply.Array(2);
      reply.Bulk(key.name);
      return reply.Array(size);
  }
}

// Takes members out of a sorted set that is there, and replies with them.
ExecStatus PopFrom(CommandContext& ctx, const KeyRef& key, Entry* entry,
                   const PopArguments& arguments) {
  const SortedSetView set(*entry);
  const uint64_t size = set.size();
  const uint64_t count = std::min(size, arguments.count);
  const RankRange range = arguments.from_end ? RankRange{size - count, size} : RankRange{0, count};
  if (ctx.IsLong(count)) return ctx.RunLong();
  const bool pairs =
      arguments.shape == PopShape::kPairs || arguments.shape == PopShape::kKeyAndPairs;
  ReplyWriter& reply = ctx.reply();
  ReplyHeader(reply, key, count, arguments.shape);
  set.ForEach(range, arguments.from_end, [&](std::string_view member, double score) {
    if (pairs) reply.Array(2);
    reply.Bulk(member);
    reply.Double(score);
  });
  if (count == 0) return ExecStatus::kDone;
  SortedSetWriter writer(ctx.db(), key, entry, ctx.engine().settings());
  writer.Erase(range);
  FinishSortedSet(ctx, writer, key, arguments.from_end ? "zpopmax" : "zpopmin");
  if (ctx.records()) {
    const DecimalWord popped(static_cast<int64_t>(count));
    ctx.RecordAs({arguments.from_end ? "ZPOPMAX" : "ZPOPMIN", key.name, popped});
  }
  return ExecStatus::kDone;
}

// The first of the keys that is there; null: none. False when it is no sorted set and the error is
// written.
bool FindFirst(CommandContext& ctx, std::span<const KeyRef> keys, const KeyRef** key,
               Entry** entry) {
  *entry = nullptr;
  for (const KeyRef& one : keys) {
    *key = &one;
    if (!FindSortedSet(ctx, one, true, entry)) return false;
    if (*entry != nullptr) return true;
  }
  return true;
}

// ZPOPMIN and ZPOPMAX key [count].
ExecStatus Pop(CommandContext& ctx, bool from_end) {
  constexpr std::string_view kNotPositive = "ERR value is out of range, must be positive";
  if (ctx.argc() > 3) return ctx.Fail(errors::kSyntax);
  PopArguments arguments{.from_end = from_end};
  if (ctx.argc() == 3) {
    const std::optional<int64_t> count = ctx.IntegerArg(2, kNotPositive);
    if (!count) return ExecStatus::kDone;
    if (*count < 0) return ctx.Fail(kNotPositive);
    arguments.count = static_cast<uint64_t>(*count);
    if (ctx.reply().resp3()) arguments.shape = PopShape::kPairs;
  }
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), true, &entry)) return ExecStatus::kDone;
  if (entry != nullptr) return PopFrom(ctx, ctx.key(), entry, arguments);
  ctx.reply().Array(0);
  return ExecStatus::kDone;
}

// … numkeys key [key …] MIN | MAX [COUNT count], from the number at this argument on. False when
// the error is written.
bool ParseMpop(CommandContext& ctx, size_t at, PopArguments& arguments) {
  const auto refuse = [&ctx](std::string_view error) {
    ctx.Fail(error);
    return false;
  };
  constexpr std::string_view kNoKeys = "ERR numkeys should be greater than 0";
  constexpr std::string_view kNoCount = "ERR count should be greater than 0";
  const std::optional<int64_t> keys = ctx.IntegerArg(at, kNoKeys);
  if (!keys) return false;
  if (*keys < 1) return refuse(kNoKeys);
  if (static_cast<uint64_t>(*keys) >= ctx.argc() - at - 1) return refuse(errors::kSyntax);
  at += static_cast<size_t>(*keys) + 1;
  arguments.from_end = EqualsIgnoreCase(ctx.arg(at), "max");
  if (!arguments.from_end && !EqualsIgnoreCase(ctx.arg(at), "min")) return refuse(errors::kSyntax);
  arguments.shape = PopShape::kKeyAndPairs;
  bool counted = false;
  for (++at; at < ctx.argc(); at += 2) {
    if (counted || at + 1 == ctx.argc() || !EqualsIgnoreCase(ctx.arg(at), "count")) {
      return refuse(errors::kSyntax);
    }
    const std::optional<int64_t> count = ctx.IntegerArg(at + 1, kNoCount);
    if (!count) return false;
    if (*count < 1) return refuse(kNoCount);
    arguments.count = static_cast<uint64_t>(*count);
    counted = true;
  }
  return true;
}

// Pops from the first of the keys that is there, or waits for one.
ExecStatus PopOrBlock(CommandContext& ctx, size_t timeout, const PopArguments& arguments) {
  const std::optional<int64_t> timeout_ms = TimeoutSecondsArg(ctx, timeout);
  if (!timeout_ms) return ExecStatus::kDone;
  const KeyRef* key = nullptr;
  Entry* entry = nullptr;
  if (const KeyRef* served = ctx.served_key()) {
    // On behalf of a client that waits: a key of another type is nothing to it.
    key = served;
    entry = ctx.db().FindForWrite(*served);
    if (entry != nullptr && entry->type() != ValueType::kSortedSet) entry = nullptr;
  } else if (!FindFirst(ctx, ctx.keys(), &key, &entry)) {
    return ExecStatus::kDone;
  }
  if (entry != nullptr) return PopFrom(ctx, *key, entry, arguments);
  return ctx.Block(ctx.keys(), *timeout_ms, TimeoutReply::kNullArray);
}

ExecStatus BlockingPop(CommandContext& ctx, bool from_end) {
  return PopOrBlock(ctx, ctx.argc() - 1, {.from_end = from_end, .shape = PopShape::kKeyAndMember});
}

}  // namespace

ExecStatus CmdZpopMin(CommandContext& ctx) { return Pop(ctx, false); }

ExecStatus CmdZpopMax(CommandContext& ctx) { return Pop(ctx, true); }

ExecStatus CmdZmpop(CommandContext& ctx) {
  PopArguments arguments;
  if (!ParseMpop(ctx, 1, arguments)) return ExecStatus::kDone;
  const KeyRef* key = nullptr;
  Entry* entry = nullptr;
  if (!FindFirst(ctx, ctx.keys(), &key, &entry)) return ExecStatus::kDone;
  if (entry != nullptr) return PopFrom(ctx, *key, entry, arguments);
  ctx.reply().NullArray();
  return ExecStatus::kDone;
}

ExecStatus CmdBzpopMin(CommandContext& ctx) { return BlockingPop(ctx, false); }

ExecStatus CmdBzpopMax(CommandContext& ctx) { return BlockingPop(ctx, true); }

ExecStatus CmdBzmpop(CommandContext& ctx) {
  PopArguments arguments;
  if (!ParseMpop(ctx, 2, arguments)) return ExecStatus::kDone;
  return PopOrBlock(ctx, 1, arguments);
}

}  // namespace tidegate
