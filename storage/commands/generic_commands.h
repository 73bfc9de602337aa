// Handlers of the key commands: those that work on a key whatever its type, and those over the
// whole keyspace. Their rows stand in generic_commands.cc. Replies, error texts and the order of
// checks are those of Redis 7.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/command_context.h"

namespace tidegate {

// "string", "list" …, as TYPE answers.
std::string_view ValueTypeName(ValueType type);

// The client's database for commands that look without using: LRU and LFU stay as they are, hits
// and misses are counted.
inline Database UntouchedDb(CommandContext& ctx) { return ctx.DbWithTouch(false); }

// Argument i as a 32-bit number, or the error reply: `error`, or Redis's words for a bad number.
std::optional<int> Int32Arg(CommandContext& ctx, size_t i, std::string_view error = {});

// generic_commands.cc
ExecStatus CmdDel(CommandContext& ctx);
ExecStatus CmdUnlink(CommandContext& ctx);
ExecStatus CmdExists(CommandContext& ctx);
ExecStatus CmdTouch(CommandContext& ctx);
ExecStatus CmdType(CommandContext& ctx);
ExecStatus CmdRename(CommandContext& ctx);
ExecStatus CmdRenameNx(CommandContext& ctx);
ExecStatus CmdCopy(CommandContext& ctx);
ExecStatus CmdMove(CommandContext& ctx);

// generic_commands_expire.cc
ExecStatus CmdExpire(CommandContext& ctx);
ExecStatus CmdExpireAt(CommandContext& ctx);
ExecStatus CmdPExpire(CommandContext& ctx);
ExecStatus CmdPExpireAt(CommandContext& ctx);
ExecStatus CmdTtl(CommandContext& ctx);
ExecStatus CmdPTtl(CommandContext& ctx);
ExecStatus CmdExpireTime(CommandContext& ctx);
ExecStatus CmdPExpireTime(CommandContext& ctx);
ExecStatus CmdPersist(CommandContext& ctx);

// generic_commands_walk.cc
ExecStatus CmdScan(CommandContext& ctx);
ExecStatus CmdKeys(CommandContext& ctx);

// generic_commands_random.cc
ExecStatus CmdRandomKey(CommandContext& ctx);

// generic_commands_keyspace.cc
ExecStatus CmdDbSize(CommandContext& ctx);
ExecStatus CmdFlushDb(CommandContext& ctx);
ExecStatus CmdFlushAll(CommandContext& ctx);
ExecStatus CmdSwapDb(CommandContext& ctx);

// generic_commands_object.cc
// As OBJECT REFCOUNT and DEBUG OBJECT tell it. Values are never shared here, but Redis shares the
// integers below 10000, unless each needs a time of last use of its own, and says so with the
// largest int: tools and tests tell shared values by it.
int ReferenceCount(CommandContext& ctx, const Entry& entry);
ExecStatus CmdObjectEncoding(CommandContext& ctx);
ExecStatus CmdObjectFreq(CommandContext& ctx);
ExecStatus CmdObjectHelp(CommandContext& ctx);
ExecStatus CmdObjectIdleTime(CommandContext& ctx);
ExecStatus CmdObjectRefCount(CommandContext& ctx);

}  // namespace tidegate
