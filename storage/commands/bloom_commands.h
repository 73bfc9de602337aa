// Handlers of the BF.* commands, with the replies of the RedisBloom module: what a client library
// of that module sends works here. Rows: bloom_commands.cc. The filter is in
// storage/value/bloom_filter.h.
#pragma once

#include "storage/command_context.h"
#include "storage/value/bloom_filter.h"

namespace tidegate {

inline constexpr std::string_view kBloomNotFound = "ERR not found";

// The key's filter: *filter is null when there is none; false when the key holds something else,
// and the error is written.
bool FindBloom(CommandContext& context, bool for_write, BloomFilter** filter);

// bloom_commands_add.cc
ExecStatus CmdBfAdd(CommandContext& context);
ExecStatus CmdBfInsert(CommandContext& context);
ExecStatus CmdBfMAdd(CommandContext& context);
ExecStatus CmdBfReserve(CommandContext& context);

// bloom_commands_read.cc
ExecStatus CmdBfCard(CommandContext& context);
ExecStatus CmdBfExists(CommandContext& context);
ExecStatus CmdBfInfo(CommandContext& context);
ExecStatus CmdBfMExists(CommandContext& context);

// bloom_commands_dump.cc
ExecStatus CmdBfLoadChunk(CommandContext& context);
ExecStatus CmdBfScanDump(CommandContext& context);

}  // namespace tidegate
