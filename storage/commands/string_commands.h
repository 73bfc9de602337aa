// Handlers of the string commands, listed by the rows in string_commands.cc. They are spread over
// files by what they do: reading, setting (with the options of SET and GETEX), changing, and LCS.
// Each answers as Redis 7.0 does, down to the order in which mistakes are found.
#pragma once

#include "storage/command_context.h"

namespace tidegate {

// string_commands_read.cc
ExecStatus CmdGet(CommandContext& context);
ExecStatus CmdGetRange(CommandContext& context);
ExecStatus CmdMget(CommandContext& context);
ExecStatus CmdStrlen(CommandContext& context);

// string_commands_set.cc
ExecStatus CmdGetDel(CommandContext& context);
ExecStatus CmdGetEx(CommandContext& context);
ExecStatus CmdGetSet(CommandContext& context);
ExecStatus CmdMset(CommandContext& context);
ExecStatus CmdMsetNx(CommandContext& context);
ExecStatus CmdPsetEx(CommandContext& context);
ExecStatus CmdSet(CommandContext& context);
ExecStatus CmdSetEx(CommandContext& context);
ExecStatus CmdSetNx(CommandContext& context);

// string_commands_change.cc
ExecStatus CmdAppend(CommandContext& context);
ExecStatus CmdDecr(CommandContext& context);
ExecStatus CmdDecrBy(CommandContext& context);
ExecStatus CmdIncr(CommandContext& context);
ExecStatus CmdIncrBy(CommandContext& context);
ExecStatus CmdIncrByFloat(CommandContext& context);
ExecStatus CmdSetRange(CommandContext& context);

// lcs_command.cc
ExecStatus CmdLcs(CommandContext& context);

}  // namespace tidegate
