// KeyPattern: the shape that keys of one kind have, and whether a key has it.
//
//   item:<int>          a number: digits, no sign
//   user:<uuid>:*       8-4-4-4-12 hexadecimal digits, then anything
//   s:<hex>  w:<word>   hexadecimal digits; letters, digits, '_' and '-'. One or more
//   * ? [a-f] [^x] \*   as in Redis's globs
//
// Why not GlobMatch: a glob cannot say "a number", and one with several stars takes quadratic time
// on a key that somebody has made for it. This is a set of states in one word: a step for each
// byte, whatever the pattern. So there are at most 63 parts behind the literal beginning.
// Immutable; threads: any. Cost: about a nanosecond a byte. Source: Baeza-Yates and Gonnet, "A New
// Approach to Text Searching", CACM 1992.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidegate {

// Parts behind the literal beginning; <uuid> has 36, <int> two.
inline constexpr size_t kKeyPatternPartsMax = 63;
// Bytes of a pattern.
inline constexpr size_t kKeyPatternBytesMax = 1024;

class KeyPattern final {
 public:
  static Result<KeyPattern> Parse(std::string_view text);

  bool Matches(std::string_view key) const;
  const std::string& text() const { return text_; }

 private:
  friend class KeyPatternParser;
  using Bytes256 = std::bitset<256>;

  KeyPattern() = default;
  uint64_t Skip(uint64_t states) const;

  std::string text_;
  std::string literal_;  // that every key begins with
  // Bit i: part i takes that byte; part i takes any number of bytes.
  std::array<uint64_t, 256> accepts_{};
  uint64_t repeats_ = 0;
  size_t parts_ = 0;
};

// Of texts that were parsed before, and are known to be right.
std::vector<KeyPattern> ParsedPatterns(const std::vector<std::string>& texts);

// Those that a key has to have one of, or may have none of.
bool MatchesAny(const std::vector<KeyPattern>& patterns, std::string_view key);

}  // namespace tidegate
