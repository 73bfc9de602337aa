// Handlers of the set commands, listed by the rows in set_commands.cc. They answer as Redis 7.0
// does, down to the order in which mistakes are found. None of them knows how a set is held: that
// is SetView's and SetValue's.
#pragma once

#include <string_view>

#include "storage/command_context.h"
#include "storage/value/set_value.h"

namespace tidegate {

// What a command that took members out of a set ends with: says that it was modified, notifies, and
// deletes the key when no member is left.
void FinishSetRemoval(Database& db, const KeyRef& key, const SetValue& set, std::string_view event);

// set_commands_members.cc
ExecStatus CmdSAdd(CommandContext& context);
ExecStatus CmdSCard(CommandContext& context);
ExecStatus CmdSIsMember(CommandContext& context);
ExecStatus CmdSMembers(CommandContext& context);
ExecStatus CmdSMisMember(CommandContext& context);
ExecStatus CmdSMove(CommandContext& context);
ExecStatus CmdSRem(CommandContext& context);

// set_commands_walk.cc
ExecStatus CmdSPop(CommandContext& context);
ExecStatus CmdSRandMember(CommandContext& context);
ExecStatus CmdSScan(CommandContext& context);

// set_commands_algebra.cc
ExecStatus CmdSDiff(CommandContext& context);
ExecStatus CmdSDiffStore(CommandContext& context);
ExecStatus CmdSInter(CommandContext& context);
ExecStatus CmdSInterCard(CommandContext& context);
ExecStatus CmdSInterStore(CommandContext& context);
ExecStatus CmdSUnion(CommandContext& context);
ExecStatus CmdSUnionStore(CommandContext& context);

}  // namespace tidegate
