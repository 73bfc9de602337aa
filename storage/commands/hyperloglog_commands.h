// Handlers of the HyperLogLog commands. A HyperLogLog is a string whose bytes may come from
// anywhere, so every handler checks it first; what the bytes mean is in
// storage/value/hyperloglog.h.
#pragma once

#include "storage/command_context.h"

namespace tidegate {

ExecStatus CmdPfAdd(CommandContext& context);
ExecStatus CmdPfCount(CommandContext& context);
ExecStatus CmdPfMerge(CommandContext& context);

// hyperloglog_commands_debug.cc
ExecStatus CmdPfDebug(CommandContext& context);
ExecStatus CmdPfSelfTest(CommandContext& context);

inline constexpr std::string_view kHyperLogLogCorrupted =
    "INVALIDOBJ Corrupted HLL object detected";

// The key's value: *entry is null when there is none; false when it is no HyperLogLog, and the
// error is written.
bool FindHyperLogLog(CommandContext& context, const KeyRef& key, bool for_write, Entry** entry);

// Its bytes: where they are when they lie in one piece, as all but misshapen ones do, else a copy
// in `scratch`.
std::string_view HyperLogLogBytes(const Entry& entry, std::string& scratch);

}  // namespace tidegate
