// Handlers of the hash commands, listed by the rows in hash_commands.cc and, for those about the
// expiry of single fields, in hash_field_commands.cc. They answer as Redis 7.0 does, down to the
// order in which mistakes are found; what is newer follows its documentation. None of them knows
// how a hash is held: that is HashValue's.
#pragma once

#include "storage/command_context.h"
#include "storage/value/hash_value.h"

namespace tidegate {

// hash_commands_read.cc
ExecStatus CmdHExists(CommandContext& context);
ExecStatus CmdHGet(CommandContext& context);
ExecStatus CmdHGetAll(CommandContext& context);
ExecStatus CmdHKeys(CommandContext& context);
ExecStatus CmdHLen(CommandContext& context);
ExecStatus CmdHMget(CommandContext& context);
ExecStatus CmdHStrlen(CommandContext& context);
ExecStatus CmdHVals(CommandContext& context);

// hash_commands_change.cc
ExecStatus CmdHDel(CommandContext& context);
ExecStatus CmdHIncrBy(CommandContext& context);
ExecStatus CmdHIncrByFloat(CommandContext& context);
ExecStatus CmdHMset(CommandContext& context);
ExecStatus CmdHSet(CommandContext& context);
ExecStatus CmdHSetNx(CommandContext& context);

// hash_commands_walk.cc
ExecStatus CmdHRandField(CommandContext& context);
ExecStatus CmdHScan(CommandContext& context);

}  // namespace tidegate
