// The rows of the bitmap commands, and SETBIT and GETBIT.
#include "storage/commands/bitmap_commands.h"

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/families.h"
#include "storage/value/string_value.h"

namespace tidegate {

std::optional<uint64_t> BitOffsetArg(CommandContext& context, size_t i, int field_bits) {
  std::string_view text = context.arg(i);
  uint64_t scale = 1;
  if (field_bits > 0 && text.starts_with('#')) {
    text.remove_prefix(1);
    scale = static_cast<uint64_t>(field_bits);
  }
  const auto number = ParseInt64(text);
  // The product may wrap around, as it does in Redis; what then is in range is taken.
  const uint64_t offset = number ? static_cast<uint64_t>(*number) * scale : 0;
  const uint64_t bytes_max =
      context.engine().settings().string_bytes_max.load(std::memory_order_relaxed);
  const bool too_far = offset / 8 >= bytes_max && !context.thread().loading;
  if (!number || static_cast<int64_t>(offset) < 0 || too_far) {
    context.Fail("ERR bit offset is not an integer or out of range");
    return std::nullopt;
  }
  return offset;
}

ExecStatus CmdSetBit(CommandContext& context) {
  const auto offset = BitOffsetArg(context, 2);
  if (!offset) return ExecStatus::kDone;
  constexpr std::string_view kNoBit = "ERR bit is not an integer or out of range";
  const auto bit = context.IntegerArg(3, kNoBit);
  if (!bit) return ExecStatus::kDone;
  if (*bit != 0 && *bit != 1) return context.Fail(kNoBit);

  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindString(key, true, &entry)) return ExecStatus::kDone;
  const size_t index = *offset / 8;
  const auto mask = static_cast<uint8_t>(0x80u >> (*offset % 8));
  const uint8_t old_byte = StringByte(entry, index);
  const auto new_byte = static_cast<uint8_t>(*bit == 1 ? old_byte | mask : old_byte & ~mask);

  const bool grows = entry == nullptr || index >= StringLength(*entry);
  // Growing leaves holes: a chunk of zeros is not made to write a zero into it.
  entry = GrowString(context.db(), key, entry, index + 1);
  if (new_byte != old_byte) {
    const char byte = static_cast<char>(new_byte);
    OverwriteString(*entry, index, {&byte, 1});
  }
  if (grows || new_byte != old_byte) {
    context.db().Modified(key);
    context.db().Notify(notify::kString, "setbit", key);
  }
  context.reply().Integer((old_byte & mask) != 0 ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdGetBit(CommandContext& context) {
  const auto offset = BitOffsetArg(context, 2);
  if (!offset) return ExecStatus::kDone;
  Entry* entry = nullptr;
  if (!context.FindString(context.key(), false, &entry)) return ExecStatus::kDone;
  const unsigned byte = StringByte(entry, *offset / 8);
  context.reply().Integer((byte & (0x80u >> (*offset % 8))) != 0 ? 1 : 0);
  return ExecStatus::kDone;
}

namespace {

constexpr KeyRange kFirstArgument = {1, 1, 1};

constexpr CommandSpec kBitmapCommands[] = {
    {.name = "BITCOUNT",
     .arity = AtLeast(2),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerElement,
     .group = Group::kBitmap,
     .since = "2.6.0",
     .complexity = "O(n) for n bytes of the range.",
     .summary = "Counts the bits that are set in a string or in a part of it.",
     .handler = CmdBitCount},
    {.name = "BITFIELD",
     .arity = AtLeast(2),
     .keys = kFirstArgument,
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kDenyOom,
     .cost = Cost::kPerArgument,
     .group = Group::kBitmap,
     .since = "3.2.0",
     .complexity = "O(n) for n operations.",
     .summary = "Reads, sets and adds to integers of any width at any bit of a string.",
     .handler = CmdBitField,
     .key_flags = "RW access update variable_flags",
     .key_flags_of_call = BitFieldKeyFlags},
    {.name = "BITFIELD_RO",
     .arity = AtLeast(2),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .cost = Cost::kPerArgument,
     .group = Group::kBitmap,
     .since = "6.0.0",
     .complexity = "O(n) for n operations.",
     .summary = "Reads integers of any width at any bit of a string.",
     .handler = CmdBitFieldRo},
    {.name = "BITOP",
     .arity = AtLeast(4),
     .keys = {2, -1, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kDenyOom,
     .cost = Cost::kPerElement,
     .group = Group::kBitmap,
     .since = "2.6.0",
     .complexity = "O(n) for n bytes of all source strings.",
     .summary = "Combines strings bit by bit with AND, OR, XOR or NOT and stores the result.",
     .handler = CmdBitOp,
     .key_flags = "OW update|RO access"},
    {.name = "BITPOS",
     .arity = AtLeast(3),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerElement,
     .group = Group::kBitmap,
     .since = "2.8.7",
     .complexity = "O(n) for n bytes looked at.",
     .summary = "Finds the first set or clear bit in a string or in a part of it.",
     .handler = CmdBitPos},
    {.name = "GETBIT",
     .arity = Exactly(3),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .flags = kFast,
     .group = Group::kBitmap,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Returns one bit of a string.",
     .handler = CmdGetBit},
    {.name = "SETBIT",
     .arity = Exactly(4),
     .keys = kFirstArgument,
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kDenyOom,
     .group = Group::kBitmap,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Sets or clears one bit of a string and returns what it was, growing the string "
                "when needed.",
     .handler = CmdSetBit,
     .key_flags = "RW access update"},
};
static_assert(IsValidFamily(kBitmapCommands));

}  // namespace

constinit const std::span<const CommandSpec> kBitmapFamily = kBitmapCommands;

}  // namespace tidegate
