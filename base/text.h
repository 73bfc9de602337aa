// Text helpers that follow Redis's rules exactly, because clients can see them: which strings count
// as integers and doubles, how numbers are printed, how glob patterns match. All views borrow for
// the call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

// Longest text of an int64, sign included.
inline constexpr size_t kInt64TextBytesMax = 20;

// Room for the text of any double.
inline constexpr size_t kDoubleTextBytesMax = 32;

// Strict, as Redis's string2ll: optional '-', no '+', no spaces, no leading zeros, whole text,
// range checked. False leaves `value` as it was.
bool ParseInt64(std::string_view text, int64_t& value);
inline std::optional<int64_t> ParseInt64(std::string_view text) {
  int64_t value = 0;
  if (!ParseInt64(text, value)) return std::nullopt;
  return value;
}

// The same for 0 .. 2^64-1 (cursors, seeds). Digits only.
std::optional<uint64_t> ParseUint64(std::string_view text);

// As Redis's getLongDoubleFromObject/string2d: whole text, no leading space, accepts inf and
// exponents, refuses NaN and overflow.
std::optional<double> ParseDouble(std::string_view text);
std::optional<long double> ParseLongDouble(std::string_view text);

// Writes the digits to `out` (room for kInt64TextBytesMax) and returns how many.
size_t FormatInt64(int64_t value, char* out);
size_t FormatUint64(uint64_t value, char* out);

// Adds one to the decimal integer that `text` is, when that changes its last digit alone: nine
// times of ten. False when it does not, and for what is no integer, is negative or has more than
// kIncrementedDigitsMax digits; nothing is changed then.
inline constexpr size_t kIncrementedDigitsMax = 16;
bool IncrementLastDigit(char* text, size_t size);

// With so many digits behind the point: "0.250".
std::string FormatFixed(double value, int digits);
std::string ToText(int64_t value);

// As Redis prints a double in a reply: 17 significant digits without trailing zeros, so that it
// reads back the same ("inf", "-inf", "nan"; integers without a point).
std::string FormatDouble(double value);
// The same into `out` (room for kDoubleTextBytesMax); returns how many bytes.
size_t FormatDouble(double value, char* out);

// As Redis prints INCRBYFLOAT results: 17 digits after the point, trailing zeros cut.
std::string FormatLongDouble(long double value);

// ASCII only, as commands and options are.
char ToLowerAscii(char c);
std::string ToLowerAscii(std::string_view text);
std::string ToUpperAscii(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Redis's glob: * ? [a-z] [^…] and backslash. Bounded: a pattern of many stars cannot take
// exponential time.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

// "\x00abc\n" in the quoted form of redis-cli, MONITOR and SLOWLOG: in double quotes, unprintable
// bytes escaped.
void AppendQuoted(std::string& out, std::string_view bytes);

}  // namespace tidegate
