// Handlers of the sorted set commands, listed by the rows in sorted_set_commands.cc. They are
// spread over files by what they do: adding and removing members, reading, ranges, popping, and
// combining several sets. Each answers as Redis 7.0 does, down to the order in which mistakes are
// found; ZRANK and ZREVRANK take WITHSCORE as Redis 7.2 does.
#pragma once

#include "config/notify.h"
#include "storage/command_context.h"
#include "storage/value/sorted_set_value.h"

namespace tidegate {

// sorted_set_commands_change.cc
ExecStatus CmdZadd(CommandContext& ctx);
ExecStatus CmdZincrBy(CommandContext& ctx);
ExecStatus CmdZrem(CommandContext& ctx);
ExecStatus CmdZremRangeByLex(CommandContext& ctx);
ExecStatus CmdZremRangeByRank(CommandContext& ctx);
ExecStatus CmdZremRangeByScore(CommandContext& ctx);

// sorted_set_commands_read.cc
ExecStatus CmdZcard(CommandContext& ctx);
ExecStatus CmdZcount(CommandContext& ctx);
ExecStatus CmdZlexCount(CommandContext& ctx);
ExecStatus CmdZmscore(CommandContext& ctx);
ExecStatus CmdZrank(CommandContext& ctx);
ExecStatus CmdZrevRank(CommandContext& ctx);
ExecStatus CmdZscan(CommandContext& ctx);
ExecStatus CmdZscore(CommandContext& ctx);

// sorted_set_commands_random.cc
ExecStatus CmdZrandMember(CommandContext& ctx);

// sorted_set_commands_range.cc
ExecStatus CmdZrange(CommandContext& ctx);
ExecStatus CmdZrangeByLex(CommandContext& ctx);
ExecStatus CmdZrangeByScore(CommandContext& ctx);
ExecStatus CmdZrangeStore(CommandContext& ctx);
ExecStatus CmdZrevRange(CommandContext& ctx);
ExecStatus CmdZrevRangeByLex(CommandContext& ctx);
ExecStatus CmdZrevRangeByScore(CommandContext& ctx);

// sorted_set_commands_pop.cc
ExecStatus CmdBzmpop(CommandContext& ctx);
ExecStatus CmdBzpopMax(CommandContext& ctx);
ExecStatus CmdBzpopMin(CommandContext& ctx);
ExecStatus CmdZmpop(CommandContext& ctx);
ExecStatus CmdZpopMax(CommandContext& ctx);
ExecStatus CmdZpopMin(CommandContext& ctx);

// sorted_set_commands_combine.cc
ExecStatus CmdZdiff(CommandContext& ctx);
ExecStatus CmdZdiffStore(CommandContext& ctx);
ExecStatus CmdZinter(CommandContext& ctx);
ExecStatus CmdZinterCard(CommandContext& ctx);
ExecStatus CmdZinterStore(CommandContext& ctx);
ExecStatus CmdZunion(CommandContext& ctx);
ExecStatus CmdZunionStore(CommandContext& ctx);

inline constexpr std::string_view kScoreBoundsError = "ERR min or max is not a float";
inline constexpr std::string_view kLexBoundsError = "ERR min or max not valid string range item";

inline bool FindSortedSet(CommandContext& ctx, const KeyRef& key, bool for_write, Entry** out) {
  return ctx.FindValue(key, ValueType::kSortedSet, for_write, out);
}

// Ends a change of a sorted set and tells of it; a key that is empty then is gone.
inline void FinishSortedSet(CommandContext& ctx, SortedSetWriter& set, const KeyRef& key,
                            std::string_view event) {
  const bool removed = set.Finish();
  ctx.db().Notify(notify::kSortedSet, event, key);
  if (removed) ctx.db().Notify(notify::kGeneric, "del", key);
}

// The same for a command that stores its result in a key: an empty one removes what was there.
// Replies with how many members it has.
inline void StoreSortedSet(CommandContext& ctx, SortedSetWriter& set, const KeyRef& key,
                           std::string_view event) {
  const uint64_t size = set.size();
  const bool removed = set.Finish();
  if (size > 0) ctx.db().Notify(notify::kSortedSet, event, key);
  if (removed) ctx.db().Notify(notify::kGeneric, "del", key);
  ctx.reply().Integer(static_cast<int64_t>(size));
}

}  // namespace tidegate
