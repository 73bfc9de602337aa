#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace tidegate {
namespace {

// Longest number text that Redis reads as a (long) double: MAX_LONG_DOUBLE_CHARS.
constexpr size_t kNumberTextBytesMax = 5 * 1024;

// The eight decimal digits of a number below 10^8, one in each byte, the first one lowest: halves,
// pairs and single digits are split in all lanes of a word at once.
uint64_t EightDigits(uint32_t value) {
  const uint64_t halves = value / 10000 | uint64_t{value % 10000} << 32;
  const uint64_t hundreds = (halves * 10486 >> 20) & 0x7f0000007fu;
  const uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
  const uint64_t tens = (pairs * 103 >> 10) & 0x000f000f000f000fu;
  return tens | (pairs - 10 * tens) << 8;
}

// Whether each byte of a word is a digit: its high half is 3, and stays so when 6 is added.
template <typename Word>
bool AreDigits(Word word) {
  constexpr auto kHighHalves = static_cast<Word>(0xf0f0f0f0f0f0f0f0u);
  constexpr auto kThrees = static_cast<Word>(0x3030303030303030u);
  constexpr auto kSixes = static_cast<Word>(0x0606060606060606u);
  return (word & kHighHalves) == kThrees && ((word + kSixes) & kHighHalves) == kThrees;
}

// Of at least as many bytes as the word has, and at most twice as many.
template <typename Word>
bool AreDigits(const char* text, size_t size) {
  Word first = 0;
  Word last = 0;
  std::memcpy(&first, text, sizeof first);
  std::memcpy(&last, text + size - sizeof last, sizeof last);
  return AreDigits(first) && AreDigits(last);
}

// A std::string is needed because strtod wants a terminator. Leading space is refused: strtod would
// skip it.
bool CopyNumber(std::string_view text, std::string& copy) {
  if (text.empty() || text.size() >= kNumberTextBytesMax) return false;
  const char first = text.front();
  if (first == ' ' || (first >= '\t' && first <= '\r')) return false;
  copy.assign(text);
  return true;
}

}  // namespace

bool ParseInt64(std::string_view text, int64_t& value) {
  if (text.empty() || text.size() > kInt64TextBytesMax) return false;
  const char* p = text.data();
  const char* end = p + text.size();
  const bool negative = *p == '-';
  if (negative && ++p == end) return false;
  if (*p == '0' && text.size() == 1) {
    value = 0;
    return true;
  }
  if (*p < '1' || *p > '9') return false;
  uint64_t magnitude = 0;
  for (; p < end; ++p) {
    const auto digit = static_cast<uint8_t>(*p - '0');
    if (digit > 9) return false;
    if (__builtin_mul_overflow(magnitude, uint64_t{10}, &magnitude)) return false;
    if (__builtin_add_overflow(magnitude, uint64_t{digit}, &magnitude)) return false;
  }
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (magnitude > kMax + (negative ? 1 : 0)) return false;
  value = static_cast<int64_t>(negative ? -magnitude : magnitude);
  return true;
}

std::optional<uint64_t> ParseUint64(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  double plain = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), plain);
  // What may be out of range, and what only strtod takes ("+1", "0x1p3"), is for strtod to judge.
  if (error == std::errc() && stop == text.data() + text.size() && std::isfinite(plain) &&
      plain != 0 && text.size() < kNumberTextBytesMax)
    return plain;
  std::string copy;
  if (!CopyNumber(text, copy)) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const double value = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

std::optional<long double> ParseLongDouble(std::string_view text) {
  std::string copy;
  if (!CopyNumber(text, copy)) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long double value = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

// Stored as whole words: who copies the text right away need not wait until the stores of its parts
// have reached the cache.
size_t FormatUint64(uint64_t value, char* out) {
  constexpr uint32_t kEightDigits = 100'000'000;
  constexpr uint64_t kAscii = 0x3030303030303030u;
  size_t digits = 0;
  if (__builtin_expect(value >= kEightDigits, 0)) {
    digits = FormatUint64(value / kEightDigits, out);
    const uint64_t word = EightDigits(static_cast<uint32_t>(value % kEightDigits)) | kAscii;
    std::memcpy(out + digits, &word, sizeof word);
    return digits + sizeof word;
  }
  const uint64_t word = EightDigits(static_cast<uint32_t>(value));
  const int zeros = word == 0 ? 7 : __builtin_ctzll(word) / 8;
  const uint64_t text = (word | kAscii) >> (8 * zeros);
  std::memcpy(out, &text, sizeof text);
  return sizeof text - static_cast<size_t>(zeros);
}

bool IncrementLastDigit(char* text, size_t size) {
  if (size == 0 || size > kIncrementedDigitsMax) return false;
  char& last = text[size - 1];
  if (last < '0' || last >= '9') return false;
  if (size == 1) {
    ++last;
    return true;
  }
  if (text[0] == '0') return false;
  const bool digits = size >= sizeof(uint64_t)   ? AreDigits<uint64_t>(text, size)
                      : size >= sizeof(uint32_t) ? AreDigits<uint32_t>(text, size)
                                                 : AreDigits<uint16_t>(text, size);
  if (digits) ++last;
  return digits;
}

size_t FormatInt64(int64_t value, char* out) {
  if (value >= 0) return FormatUint64(static_cast<uint64_t>(value), out);
  *out = '-';
  return 1 + FormatUint64(0 - static_cast<uint64_t>(value), out + 1);
}

std::string FormatFixed(double value, int digits) {
  char text[kNumberTextBytesMax];
  const int size = std::snprintf(text, sizeof text, "%.*f", digits, value);
  return std::string(text, static_cast<size_t>(size));
}

std::string ToText(int64_t value) {
  char digits[kInt64TextBytesMax];
  return std::string(digits, FormatInt64(value, digits));
}

size_t FormatDouble(double value, char* out) {
  // Integers that a double holds exactly print as integers; -0 does not.
  if (value > -4503599627370496.0 && value < 4503599627370496.0 &&
      value == static_cast<double>(static_cast<int64_t>(value)) &&
      (value != 0 || !std::signbit(value))) {
    return FormatInt64(static_cast<int64_t>(value), out);
  }
  if (std::isnan(value)) {  // whose sign means nothing
    std::copy_n("nan", 3, out);
    return 3;
  }
  // By the standard the text of printf's %.17g, but several times as fast.
  constexpr int kDigits = 17;
  const auto [end, error] =
      std::to_chars(out, out + kDoubleTextBytesMax, value, std::chars_format::general, kDigits);
  return error == std::errc() ? static_cast<size_t>(end - out) : 0;
}

std::string FormatDouble(double value) {
  char text[kDoubleTextBytesMax];
  return std::string(text, FormatDouble(value, text));
}

std::string FormatLongDouble(long double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[kNumberTextBytesMax];
  int n = std::snprintf(text, sizeof text, "%.17Lf", value);
  std::string out(text, static_cast<size_t>(n));
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
}

char ToLowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

std::string ToLowerAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = ToLowerAscii(c);
  return out;
}

std::string ToUpperAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
  }
  return out;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ToLowerAscii(a[i]) != ToLowerAscii(b[i])) return false;
  }
  return true;
}

void AppendQuoted(std::string& out, std::string_view bytes) {
  out.push_back('"');
  for (const char c : bytes) {
    switch (c) {
      case '\\':
      case '"':
        out.push_back('\\');
        out.push_back(c);
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c >= 0x20 && c < 0x7f) {
          out.push_back(c);
        } else {
          constexpr char kHex[] = "0123456789abcdef";
          out += "\\x";
          out.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
          out.push_back(kHex[static_cast<uint8_t>(c) & 15]);
        }
    }
  }
  out.push_back('"');
}

}  // namespace tidegate
