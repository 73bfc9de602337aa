// Handlers of the list commands, listed by the rows in list_commands.cc. They are spread over files
// by what they do: reading, adding and taking at the ends, changing in the middle, moving from list
// to list, and the commands that wait for an element. Each answers as Redis 7.0 does, down to the
// order in which mistakes are found.
#pragma once

#include <optional>
#include <string_view>

#include "storage/command_context.h"
#include "storage/value/list_value.h"

namespace tidegate {

// list_commands_read.cc
ExecStatus CmdLindex(CommandContext& context);
ExecStatus CmdLlen(CommandContext& context);
ExecStatus CmdLpos(CommandContext& context);
ExecStatus CmdLrange(CommandContext& context);

// list_commands_ends.cc
ExecStatus CmdLpop(CommandContext& context);
ExecStatus CmdLpush(CommandContext& context);
ExecStatus CmdLpushx(CommandContext& context);
ExecStatus CmdRpop(CommandContext& context);
ExecStatus CmdRpush(CommandContext& context);
ExecStatus CmdRpushx(CommandContext& context);

// list_commands_change.cc
ExecStatus CmdLinsert(CommandContext& context);
ExecStatus CmdLrem(CommandContext& context);
ExecStatus CmdLset(CommandContext& context);
ExecStatus CmdLtrim(CommandContext& context);

// list_commands_move.cc
ExecStatus CmdBlmove(CommandContext& context);
ExecStatus CmdBrpoplpush(CommandContext& context);
ExecStatus CmdLmove(CommandContext& context);
ExecStatus CmdRpoplpush(CommandContext& context);

// list_commands_blocking.cc
ExecStatus CmdBlmpop(CommandContext& context);
ExecStatus CmdBlpop(CommandContext& context);
ExecStatus CmdBrpop(CommandContext& context);
ExecStatus CmdLmpop(CommandContext& context);

// LEFT or RIGHT at argument i; on failure the error is written and nothing returned.
std::optional<ListEnd> ListEndArg(CommandContext& context, size_t i);
// One element as a bulk string.
void ReplyElement(ReplyWriter& reply, const ListpackValue& element);
// Replies with up to `n` elements off an end, each as a bulk string, and takes them out of the
// list, with all that follows from it: the events, and the key's end when none is left.
void ReplyAndPop(CommandContext& context, const KeyRef& key, ListValue& list, ListEnd end,
                 uint64_t n);
// The events of elements that were taken off an end of a list, `gone`: with its last one.
void NotifyPopped(Database& db, const KeyRef& key, ListEnd end, bool gone);

}  // namespace tidegate
