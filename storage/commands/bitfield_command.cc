// BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit of a string. All operations are
// parsed first, so that a mistake in the last one leaves the string alone; then they run in order,
// each on the 9 bytes that its field can touch.
#include <algorithm>
#include <limits>
#include <vector>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/bitmap_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

enum class Overflow : uint8_t { kWrap, kSaturate, kFail };
enum class Action : uint8_t { kGet, kSet, kAdd };

struct FieldType {
  bool is_signed = false;
  int bits = 0;  // 1 .. 64; at most 63 when unsigned
};

struct Operation {
  Action action = Action::kGet;
  Overflow overflow = Overflow::kWrap;
  FieldType type;
  uint64_t offset = 0;  // of the first bit
  int64_t number = 0;   // the new value, or what to add
};

struct Program {
  std::vector<Operation> operations;
  bool writes = false;
  uint64_t last_written_bit = 0;
};

// A field of 64 bits that does not start at a byte spans nine.
constexpr size_t kFieldSpanBytes = 9;

uint64_t LowBits(int bits) { return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

// The bits [shift, shift+bits) of nine bytes, the first bit highest.
uint64_t LoadField(const char* span, int shift, int bits) {
  unsigned __int128 wide = 0;
  for (size_t i = 0; i < kFieldSpanBytes; ++i) wide = wide << 8 | static_cast<uint8_t>(span[i]);
  return static_cast<uint64_t>(wide >> (72 - shift - bits)) & LowBits(bits);
}

void StoreField(char* span, int shift, int bits, uint64_t value) {
  const int low = 72 - shift - bits;
  const auto mask = static_cast<unsigned __int128>(LowBits(bits)) << low;
  unsigned __int128 wide = 0;
  for (size_t i = 0; i < kFieldSpanBytes; ++i) wide = wide << 8 | static_cast<uint8_t>(span[i]);
  wide = (wide & ~mask) | (static_cast<unsigned __int128>(value) << low & mask);
  for (size_t i = kFieldSpanBytes; i-- > 0; wide >>= 8) {
    span[i] = static_cast<char>(static_cast<uint8_t>(wide));
  }
}

// What the bits mean in this type.
__int128 ValueOf(uint64_t field, FieldType type) {
  const bool negative = type.is_signed && (field >> (type.bits - 1) & 1) != 0;
  return negative ? static_cast<__int128>(field) - (static_cast<__int128>(1) << type.bits)
                  : static_cast<__int128>(field);
}

// Fits a result into the operation's type as its overflow rule says; nothing when it says to fail.
std::optional<__int128> Fit(__int128 value, const Operation& operation) {
  const FieldType type = operation.type;
  const int magnitude_bits = type.is_signed ? type.bits - 1 : type.bits;
  const __int128 max = (static_cast<__int128>(1) << magnitude_bits) - 1;
  const __int128 min = type.is_signed ? -max - 1 : 0;
  if (value >= min && value <= max) return value;
  if (operation.overflow == Overflow::kFail) return std::nullopt;
  if (operation.overflow == Overflow::kWrap) {
    return ValueOf(static_cast<uint64_t>(value) & LowBits(type.bits), type);
  }
  // Redis computes max - number in 64 bits: SET of a number so far below that this wraps around
  // saturates at the wrong end, and so it does here.
  const bool far_below = operation.action == Action::kSet && type.is_signed &&
                         max - value > std::numeric_limits<int64_t>::max();
  return value > max || far_below ? max : min;
}

std::optional<FieldType> TypeArg(CommandContext& context, size_t i) {
  const std::string_view text = context.arg(i);
  if (!text.empty() && (text[0] == 'i' || text[0] == 'u')) {
    const bool is_signed = text[0] == 'i';
    const auto bits = ParseInt64(text.substr(1));
    if (bits && *bits >= 1 && *bits <= (is_signed ? 64 : 63)) {
      return FieldType{is_signed, static_cast<int>(*bits)};
    }
  }
  context.Fail(
      "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
      "i64 is.");
  return std::nullopt;
}

std::optional<Overflow> OverflowArg(CommandContext& context, size_t i) {
  const std::string_view word = context.arg(i);
  if (EqualsIgnoreCase(word, "WRAP")) return Overflow::kWrap;
  if (EqualsIgnoreCase(word, "SAT")) return Overflow::kSaturate;
  if (EqualsIgnoreCase(word, "FAIL")) return Overflow::kFail;
  context.Fail("ERR Invalid OVERFLOW type specified");
  return std::nullopt;
}

// The operation whose word is argument i (type and offset follow, then a number for writes);
// `left` is how many arguments follow the word. False when the error was written.
bool ParseOperation(CommandContext& context, size_t i, size_t left, Operation& operation) {
  const std::string_view word = context.arg(i);
  if (EqualsIgnoreCase(word, "GET") && left >= 2) {
    operation.action = Action::kGet;
  } else if (EqualsIgnoreCase(word, "SET") && left >= 3) {
    operation.action = Action::kSet;
  } else if (EqualsIgnoreCase(word, "INCRBY") && left >= 3) {
    operation.action = Action::kAdd;
  } else {
    context.Fail(errors::kSyntax);
    return false;
  }
  const auto type = TypeArg(context, i + 1);
  if (!type) return false;
  const auto offset = BitOffsetArg(context, i + 2, type->bits);
  if (!offset) return false;
  operation.type = *type;
  operation.offset = *offset;
  if (operation.action == Action::kGet) return true;
  const auto number = context.IntegerArg(i + 3);
  if (!number) return false;
  operation.number = *number;
  return true;
}

// False when the error was written.
bool ParseProgram(CommandContext& context, Program& program) {
  Overflow overflow = Overflow::kWrap;
  for (size_t i = 2; i < context.argc();) {
    const size_t left = context.argc() - i - 1;
    if (EqualsIgnoreCase(context.arg(i), "OVERFLOW") && left >= 1) {
      const auto rule = OverflowArg(context, i + 1);
      if (!rule) return false;
      overflow = *rule;
      i += 2;
      continue;
    }
    Operation operation;
    operation.overflow = overflow;
    if (!ParseOperation(context, i, left, operation)) return false;
    if (operation.action == Action::kGet) {
      i += 3;
    } else {
      i += 4;
      program.writes = true;
      program.last_written_bit =
          std::max(program.last_written_bit,
                   operation.offset + static_cast<uint64_t>(operation.type.bits) - 1);
    }
    program.operations.push_back(operation);
  }
  return true;
}

// What became of a field: read or left alone, written as it was, or changed.
enum class Outcome : uint8_t { kNotWritten, kSame, kChanged };

// Runs one operation on the span of its field and replies.
Outcome RunOperation(const Operation& operation, char* span, ReplyWriter& reply) {
  const auto shift = static_cast<int>(operation.offset % 8);
  const uint64_t field = LoadField(span, shift, operation.type.bits);
  const __int128 old_value = ValueOf(field, operation.type);
  if (operation.action == Action::kGet) {
    reply.Integer(static_cast<int64_t>(old_value));
    return Outcome::kNotWritten;
  }
  // A number to set is taken as 64 bits, unsigned for an unsigned field.
  __int128 wanted = operation.number;
  if (operation.action == Action::kAdd) {
    wanted += old_value;
  } else if (!operation.type.is_signed) {
    wanted = static_cast<uint64_t>(operation.number);
  }
  const auto new_value = Fit(wanted, operation);
  if (!new_value) {
    reply.Null();
    return Outcome::kNotWritten;
  }
  reply.Integer(static_cast<int64_t>(operation.action == Action::kAdd ? *new_value : old_value));
  StoreField(span, shift, operation.type.bits, static_cast<uint64_t>(*new_value));
  return *new_value != old_value ? Outcome::kChanged : Outcome::kSame;
}

// Runs all operations on the entry, which is long enough for those that write. What became of the
// field that changed most.
Outcome RunProgram(const Program& program, Entry* entry, ReplyWriter& reply) {
  reply.Array(program.operations.size());
  const size_t length = entry == nullptr ? 0 : StringLength(*entry);
  Outcome most = Outcome::kNotWritten;
  for (const Operation& operation : program.operations) {
    const size_t begin = operation.offset / 8;
    const size_t present = begin < length ? std::min(kFieldSpanBytes, length - begin) : 0;
    char span[kFieldSpanBytes] = {};
    if (present > 0) ReadStringRange(*entry, begin, present, span);
    const Outcome outcome = RunOperation(operation, span, reply);
    most = std::max(most, outcome);
    if (outcome == Outcome::kChanged) OverwriteString(*entry, begin, {span, present});
  }
  return most;
}

ExecStatus BitField(CommandContext& context, bool read_only) {
  Program program;
  if (!ParseProgram(context, program)) return ExecStatus::kDone;
  if (program.writes && read_only) {
    return context.Fail("ERR BITFIELD_RO only supports the GET subcommand");
  }
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindString(key, program.writes, &entry)) return ExecStatus::kDone;
  bool grows = false;
  if (program.writes) {
    const size_t bytes = program.last_written_bit / 8 + 1;
    grows = entry == nullptr || StringLength(*entry) < bytes;
    entry = GrowString(context.db(), key, entry, bytes);
  }
  const Outcome outcome = RunProgram(program, entry, context.reply());
  if (outcome == Outcome::kChanged || (grows && outcome == Outcome::kSame)) {
    context.db().Modified(key);
    context.db().Notify(notify::kString, "setbit", key);
  }
  return ExecStatus::kDone;
}

}  // namespace

std::string_view BitFieldKeyFlags(std::span<const std::string_view> args) {
  for (size_t i = 2; i < args.size(); ++i) {
    const size_t left = args.size() - i - 1;
    if (EqualsIgnoreCase(args[i], "GET") && left >= 2) {
      i += 2;
    } else if (EqualsIgnoreCase(args[i], "OVERFLOW") && left >= 1) {
      i += 1;
    } else {
      return "RW access update";
    }
  }
  return "RO access";
}

ExecStatus CmdBitField(CommandContext& context) { return BitField(context, false); }

ExecStatus CmdBitFieldRo(CommandContext& context) { return BitField(context, true); }

}  // namespace tidegate
