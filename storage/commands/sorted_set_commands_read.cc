// Reading a sorted set: scores, ranks, counts, ZSCAN.
#include "base/text.h"
#include "storage/commands/scan_arguments.h"
#include "storage/commands/sorted_set_commands.h"

namespace tidegate {
namespace {

// Replies with how many members are within the bounds.
template <typename Bounds>
ExecStatus CountWithin(CommandContext& ctx, const Bounds& bounds) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  const RankRange range = entry == nullptr ? RankRange{} : SortedSetView(*entry).Within(bounds);
  ctx.reply().Integer(static_cast<int64_t>(range.size()));
  return ExecStatus::kDone;
}

// ZRANK and ZREVRANK key member [WITHSCORE].
ExecStatus ReplyRank(CommandContext& ctx, bool backwards) {
  constexpr size_t kArgumentsMax = 4;
  if (ctx.argc() > kArgumentsMax) {
    return ctx.Fail(errors::WrongArity(ctx.request().command->full_name));
  }
  const bool with_score = ctx.argc() == kArgumentsMax;
  if (with_score && !EqualsIgnoreCase(ctx.arg(3), "withscore")) return ctx.Fail(errors::kSyntax);
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  std::optional<SortedSetView::Place> place;
  if (entry != nullptr) place = SortedSetView(*entry).Find(ctx.arg(2));
  if (!place) {
    with_score ? ctx.reply().NullArray() : ctx.reply().Null();
    return ExecStatus::kDone;
  }
  const uint64_t rank = backwards ? SortedSetView(*entry).size() - 1 - place->rank : place->rank;
  if (with_score) ctx.reply().Array(2);
  ctx.reply().Integer(static_cast<int64_t>(rank));
  if (with_score) ctx.reply().Double(place->score);
  return ExecStatus::kDone;
}

void ReplyScore(ReplyWriter& reply, const Entry* entry, std::string_view member) {
  std::optional<double> score;
  if (entry != nullptr) score = SortedSetView(*entry).Score(member);
  score ? reply.Double(*score) : reply.Null();
}

}  // namespace

ExecStatus CmdZscore(CommandContext& ctx) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  ReplyScore(ctx.reply(), entry, ctx.arg(2));
  return ExecStatus::kDone;
}

ExecStatus CmdZmscore(CommandContext& ctx) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) ReplyScore(ctx.reply(), entry, ctx.arg(i));
  return ExecStatus::kDone;
}

ExecStatus CmdZcard(CommandContext& ctx) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  ctx.reply().Integer(entry == nullptr ? 0 : static_cast<int64_t>(SortedSetView(*entry).size()));
  return ExecStatus::kDone;
}

ExecStatus CmdZcount(CommandContext& ctx) {
  const std::optional<ScoreBounds> bounds = ScoreBounds::Parse(ctx.arg(2), ctx.arg(3));
  if (!bounds) return ctx.Fail(kScoreBoundsError);
  return CountWithin(ctx, *bounds);
}

ExecStatus CmdZlexCount(CommandContext& ctx) {
  const std::optional<LexBounds> bounds = LexBounds::Parse(ctx.arg(2), ctx.arg(3));
  if (!bounds) return ctx.Fail(kLexBoundsError);
  return CountWithin(ctx, *bounds);
}

ExecStatus CmdZrank(CommandContext& ctx) { return ReplyRank(ctx, false); }

ExecStatus CmdZrevRank(CommandContext& ctx) { return ReplyRank(ctx, true); }

ExecStatus CmdZscan(CommandContext& ctx) {
  const std::optional<uint64_t> cursor = ParseScanCursor(ctx.arg(2));
  if (!cursor) return ctx.Fail("ERR invalid cursor");
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  ScanFindings findings(ctx.reply());
  if (entry == nullptr) {
    findings.Reply(0);
    return ExecStatus::kDone;
  }
  const std::optional<ScanArguments> arguments = ParseScanArguments(ctx, 3, ScanOf::kSortedSet);
  if (!arguments) return ExecStatus::kDone;
  if (ctx.IsLong(std::min<uint64_t>(arguments->count, SortedSetView(*entry).size())))
    return ctx.RunLong();
  const uint64_t next = SortedSetView(*entry).Scan(
      *cursor, arguments->count, [&](std::string_view member, std::string_view score) {
        if (!arguments->Accepts(member)) return;
        findings.Add().Bulk(member);
        findings.Add().Bulk(score);
      });
  findings.Reply(next);
  return ExecStatus::kDone;
}

}  // namespace tidegate
