// ZRANDMEMBER: members by random ranks.
#include <limits>
#include <unordered_set>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/random_elements.h"
#include "storage/commands/sorted_set_commands.h"

namespace tidegate {
namespace {

// Writes drawn members, with or without their scores.
class MemberWriter final {
 public:
  MemberWriter(ReplyWriter& reply, bool with_scores) : reply_(reply), scores_(with_scores) {}

  void Begin(uint64_t count) { reply_.Array(scores_ && !reply_.resp3() ? 2 * count : count); }
  void Add(std::string_view member, double score) {
    if (scores_ && reply_.resp3()) reply_.Array(2);
    reply_.Bulk(member);
    if (scores_) reply_.Double(score);
  }
  void AddRank(const SortedSetView& set, uint64_t rank) {
    set.ForEach({rank, rank + 1}, false,
                [this](std::string_view member, double score) { Add(member, score); });
  }

 private:
  ReplyWriter& reply_;
  bool scores_;
};

// Different members, fewer than there are.
void DrawDifferent(EngineThread& thread, const SortedSetView& set, uint64_t count,
                   MemberWriter& writer) {
  const uint64_t size = set.size();
  if (count > size / kDrawnPartMax) {
    InOrderSample sample(thread, size, count);
    set.ForEach([&](std::string_view member, double score) {
      if (sample.TakesNext()) writer.Add(member, score);
    });
    return;
  }
  std::unordered_set<uint64_t> drawn;
  BreathingSpaces<64> spaces;
  while (drawn.size() < count) {
    spaces.Step();
    const uint64_t rank = RandomBits(thread) % size;
    if (drawn.insert(rank).second) writer.AddRank(set, rank);
  }
}

// ZRANDMEMBER key: one member, or nothing.
ExecStatus DrawOne(CommandContext& ctx) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    ctx.reply().Null();
    return ExecStatus::kDone;
  }
  const SortedSetView set(*entry);
  MemberWriter(ctx.reply(), false).AddRank(set, RandomBits(ctx.thread()) % set.size());
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdZrandMember(CommandContext& ctx) {
  if (ctx.argc() == 2) return DrawOne(ctx);
  const std::optional<int64_t> count = DrawCountArg(ctx, 2);
  if (!count) return ExecStatus::kDone;
  const bool with_scores = ctx.argc() > 3;
  if (ctx.argc() > 4 || (with_scores && !EqualsIgnoreCase(ctx.arg(3), "withscores"))) {
    return ctx.Fail(errors::kSyntax);
  }
  // The reply counts members and scores.
  constexpr int64_t kPairsMax = std::numeric_limits<int64_t>::max() / 2;
  if (with_scores && (*count < -kPairsMax || *count > kPairsMax)) {
    return ctx.Fail(errors::kOutOfRange);
  }
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  MemberWriter writer(ctx.reply(), with_scores);
  if (entry == nullptr || *count == 0) {
    writer.Begin(0);
    return ExecStatus::kDone;
  }
  const SortedSetView set(*entry);
  const uint64_t size = set.size();
  if (ctx.IsLong(DrawLooks(*count, size))) return ctx.RunLong();
  if (*count < 0) {
    const auto wanted = static_cast<uint64_t>(-*count);
    writer.Begin(wanted);
    DrawTimes(ctx, wanted, [&] { writer.AddRank(set, RandomBits(ctx.thread()) % size); });
  } else if (static_cast<uint64_t>(*count) >= size) {
    writer.Begin(size);
    set.ForEach([&](std::string_view member, double score) { writer.Add(member, score); });
  } else {
    writer.Begin(static_cast<uint64_t>(*count));
    DrawDifferent(ctx.thread(), set, static_cast<uint64_t>(*count), writer);
  }
  return ExecStatus::kDone;
}

}  // namespace tidegate
