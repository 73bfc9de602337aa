// Handlers of the commands about the expiry of single fields of a hash (Redis 7.4), and of those
// that read, set or delete fields in one go with it (Redis 8.0). Rows: hash_field_commands.cc.
// Replies and error texts follow the documentation of these versions.
#pragma once

#include "storage/command_context.h"

namespace tidegate {

// Times of fields are kept below this, as Redis does: 46 bits of milliseconds.
inline constexpr int64_t kFieldExpireMsMax = (int64_t{1} << 46) - 1;

enum class FieldTimeForm : uint8_t { kSeconds, kMillis, kAtSeconds, kAtMillis };

// Argument i as a point in time in milliseconds; nothing when the error is written.
std::optional<int64_t> FieldExpireTimeArg(CommandContext& context, size_t i, FieldTimeForm form);

// The fields of a call: FIELDS numfields field … to its end, with FIELDS at argument `at`. Nothing
// when the error is written, which for a bad number is `bad_number`.
std::optional<std::span<const std::string_view>> FieldsArg(
    CommandContext& context, size_t at,
    std::string_view bad_number = "ERR Number of fields must be a positive integer");

// hash_field_commands_expire.cc
ExecStatus CmdHExpire(CommandContext& context);
ExecStatus CmdHExpireAt(CommandContext& context);
ExecStatus CmdHExpireTime(CommandContext& context);
ExecStatus CmdHPersist(CommandContext& context);
ExecStatus CmdHPExpire(CommandContext& context);
ExecStatus CmdHPExpireAt(CommandContext& context);
ExecStatus CmdHPExpireTime(CommandContext& context);
ExecStatus CmdHPTtl(CommandContext& context);
ExecStatus CmdHTtl(CommandContext& context);

// hash_field_commands_value.cc
ExecStatus CmdHGetDel(CommandContext& context);
ExecStatus CmdHGetEx(CommandContext& context);
ExecStatus CmdHSetEx(CommandContext& context);

}  // namespace tidegate
