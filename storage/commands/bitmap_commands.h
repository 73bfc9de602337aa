// Handlers of the bitmap commands, listed by the rows in bitmap_commands.cc, and what they share. A
// bitmap is a string; bit 0 is the highest bit of byte 0. All work on pieces of the value, so that
// a sparse or chunked string is never made contiguous.
#pragma once

#include <optional>
#include <string_view>

#include "storage/command_context.h"

namespace tidegate {

// bitmap_commands.cc
ExecStatus CmdGetBit(CommandContext& context);
ExecStatus CmdSetBit(CommandContext& context);

// bitmap_commands_scan.cc
ExecStatus CmdBitCount(CommandContext& context);
ExecStatus CmdBitPos(CommandContext& context);

// bitmap_commands_bitop.cc
ExecStatus CmdBitOp(CommandContext& context);

// bitfield_command.cc
ExecStatus CmdBitField(CommandContext& context);
// As CommandSpec::key_flags_of_call: a call of nothing but GETs only reads.
std::string_view BitFieldKeyFlags(std::span<const std::string_view> args);
ExecStatus CmdBitFieldRo(CommandContext& context);

// Argument i as the number of a bit that a string may have; nothing when the error was written.
// When `field_bits` is not 0, "#n" means n fields of that width.
std::optional<uint64_t> BitOffsetArg(CommandContext& context, size_t i, int field_bits = 0);

}  // namespace tidegate
