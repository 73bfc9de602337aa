// BITCOUNT and BITPOS: counting and finding bits in a range of a string, given in bytes or in bits.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/text.h"
#include "storage/commands/bitmap_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// Bits [begin, end] of a string, both included; empty when begin > end. Within the string.
struct BitRange {
  int64_t begin = 0;
  int64_t end = -1;
};

// As work: what counts as so many elements of a long command.
uint64_t ElementsOf(const BitRange& range) {
  constexpr uint64_t kBitsPerElement = uint64_t{2048} * 8;
  return range.begin > range.end ? 0
                                 : static_cast<uint64_t>(range.end - range.begin) / kBitsPerElement;
}

uint64_t LoadWord(const char* p) {
  uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

__attribute__((always_inline)) inline uint64_t CountBitsLoop(std::string_view bytes) {
  uint64_t count = 0;
  const char* p = bytes.data();
  const char* end = p + bytes.size();
  for (; end - p >= 8; p += 8) count += static_cast<uint64_t>(__builtin_popcountll(LoadWord(p)));
  for (; p < end; ++p) count += static_cast<uint64_t>(__builtin_popcount(static_cast<uint8_t>(*p)));
  return count;
}

#if defined(__x86_64__)
// The baseline of x86-64 lacks the instruction; nearly every machine has it.
__attribute__((target("popcnt"))) uint64_t CountBitsNative(std::string_view bytes) {
  return CountBitsLoop(bytes);
}
uint64_t CountBits(std::string_view bytes) {
  return __builtin_cpu_supports("popcnt") ? CountBitsNative(bytes) : CountBitsLoop(bytes);
}
#else
uint64_t CountBits(std::string_view bytes) { return CountBitsLoop(bytes); }
#endif

// Set bits of one byte among its bits [from, to].
uint64_t CountBitsOfByte(uint8_t byte, int64_t from, int64_t to) {
  const unsigned mask = (0xffu >> from) & (0xffu << (7 - to));
  return static_cast<uint64_t>(std::popcount(byte & mask));
}

uint64_t CountRange(const Entry& entry, BitRange range) {
  const int64_t first = range.begin / 8;
  const int64_t last = range.end / 8;
  const auto byte = [&entry](int64_t i) { return StringByte(&entry, static_cast<size_t>(i)); };
  if (first == last) return CountBitsOfByte(byte(first), range.begin % 8, range.end % 8);
  uint64_t count = CountBitsOfByte(byte(first), range.begin % 8, 7) +
                   CountBitsOfByte(byte(last), 0, range.end % 8);
  VisitStringRange(entry, static_cast<size_t>(first + 1), static_cast<size_t>(last - first - 1),
                   [&count](size_t, std::string_view piece) { count += CountBits(piece); });
  return count;
}

// The first byte that has a bit other than `skip` everywhere (0x00 or 0xff), or size.
size_t SkipBytes(std::string_view bytes, uint8_t skip) {
  const uint64_t skip_word = skip == 0 ? 0 : ~uint64_t{0};
  size_t i = 0;
  while (bytes.size() - i >= 8 && LoadWord(bytes.data() + i) == skip_word) i += 8;
  while (i < bytes.size() && static_cast<uint8_t>(bytes[i]) == skip) ++i;
  return i;
}

// The first bit of the value `bit` in the range, or -1.
int64_t FindBit(const Entry& entry, BitRange range, bool bit) {
  const uint8_t skip = bit ? 0x00 : 0xff;
  const int64_t first = range.begin / 8;
  const int64_t last = range.end / 8;
  int64_t found = -1;
  VisitStringRange(entry, static_cast<size_t>(first), static_cast<size_t>(last - first + 1),
                   [&](size_t offset, std::string_view piece) {
                     if (found >= 0) return;
                     size_t i = 0;
                     // Bits of the first byte that lie before the range count as the other value.
                     if (static_cast<int64_t>(offset) == first && range.begin % 8 != 0) {
                       const unsigned before = 0xffu & ~(0xffu >> (range.begin % 8));
                       const auto byte = static_cast<uint8_t>(piece[0]);
                       const auto masked =
                           static_cast<uint8_t>(bit ? byte & ~before : byte | before);
                       if (masked != skip) {
                         found = first * 8 + std::countl_zero(static_cast<uint8_t>(masked ^ skip));
                         return;
                       }
                       i = 1;
                     }
                     i += SkipBytes(piece.substr(i), skip);
                     if (i == piece.size()) return;
                     const auto byte = static_cast<uint8_t>(piece[i]);
                     found = static_cast<int64_t>(offset + i) * 8 +
                             std::countl_zero(static_cast<uint8_t>(byte ^ skip));
                   });
  return found > range.end ? -1 : found;
}

enum class Unit : uint8_t { kByte, kBit };

// "BIT" or "BYTE" at argument i; nothing when the error was written. kByte when there is none.
std::optional<Unit> UnitArg(CommandContext& context, size_t i) {
  if (i >= context.argc() || EqualsIgnoreCase(context.arg(i), "BYTE")) return Unit::kByte;
  if (EqualsIgnoreCase(context.arg(i), "BIT")) return Unit::kBit;
  context.Fail(errors::kSyntax);
  return std::nullopt;
}

// Positions of `size` units, negative ones from the end, as bits.
BitRange ResolveRange(int64_t start, int64_t end, int64_t size, Unit unit) {
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end) return {};
  if (unit == Unit::kBit) return {start, end};
  return {start * 8, end * 8 + 7};
}

int64_t SizeIn(Unit unit, const Entry& entry) {
  return static_cast<int64_t>(StringLength(entry)) * (unit == Unit::kBit ? 8 : 1);
}

}  // namespace

ExecStatus CmdBitCount(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindString(context.key(), false, &entry)) return ExecStatus::kDone;
  // Redis looks at the other arguments only when there is a key.
  if (entry == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  BitRange range;
  if (context.argc() == 2) {
    range = ResolveRange(0, -1, SizeIn(Unit::kByte, *entry), Unit::kByte);
  } else if (context.argc() == 4 || context.argc() == 5) {
    const auto start = context.IntegerArg(2);
    if (!start) return ExecStatus::kDone;
    const auto end = context.IntegerArg(3);
    if (!end) return ExecStatus::kDone;
    if (*start < 0 && *end < 0 && *start > *end) {
      context.reply().Integer(0);
      return ExecStatus::kDone;
    }
    const auto unit = UnitArg(context, 4);
    if (!unit) return ExecStatus::kDone;
    range = ResolveRange(*start, *end, SizeIn(*unit, *entry), *unit);
  } else {
    return context.Fail(errors::kSyntax);
  }
  if (context.IsLong(ElementsOf(range))) return context.RunLong();
  const uint64_t count = range.begin > range.end ? 0 : CountRange(*entry, range);
  context.reply().Integer(static_cast<int64_t>(count));
  return ExecStatus::kDone;
}

ExecStatus CmdBitPos(CommandContext& context) {
  const auto bit = context.IntegerArg(2);
  if (!bit) return ExecStatus::kDone;
  if (*bit != 0 && *bit != 1) return context.Fail("ERR The bit argument must be 1 or 0.");
  Entry* entry = nullptr;
  if (!context.FindString(context.key(), false, &entry)) return ExecStatus::kDone;
  // No key is an endless row of zeros, whatever range is asked for.
  if (entry == nullptr) {
    context.reply().Integer(*bit == 1 ? -1 : 0);
    return ExecStatus::kDone;
  }
  if (context.argc() > 6) return context.Fail(errors::kSyntax);
  int64_t start_position = 0;
  int64_t end_position = -1;
  Unit unit = Unit::kByte;
  if (context.argc() >= 4) {
    const auto start = context.IntegerArg(3);
    if (!start) return ExecStatus::kDone;
    const auto unit_arg = UnitArg(context, 5);
    if (!unit_arg) return ExecStatus::kDone;
    start_position = *start;
    unit = *unit_arg;
  }
  const bool end_given = context.argc() >= 5;
  if (end_given) {
    const auto end = context.IntegerArg(4);
    if (!end) return ExecStatus::kDone;
    end_position = *end;
  }
  const BitRange range = ResolveRange(start_position, end_position, SizeIn(unit, *entry), unit);
  if (context.IsLong(ElementsOf(range))) return context.RunLong();
  int64_t found = -1;
  if (range.begin <= range.end) {
    found = FindBit(*entry, range, *bit == 1);
    // Without an end, the string is followed by zeros.
    if (found < 0 && *bit == 0 && !end_given) found = range.end + 1;
  }
  context.reply().Integer(found);
  return ExecStatus::kDone;
}

}  // namespace tidegate
