// Redis's glob rules, without its recursion: a star remembers where it stood, and on a mismatch the
// text behind the last star moves on by one. That is quadratic at worst, where recursion over many
// stars is exponential.
#include "base/text.h"

namespace tidegate {
namespace {

char Fold(char c, bool ignore_case) { return ignore_case ? ToLowerAscii(c) : c; }

// One [...] class at pattern[i] == '['. Moves i behind it and says whether `c` is in it. An
// unclosed class ends with the pattern, as in Redis.
bool MatchClass(std::string_view pattern, size_t& i, char c, bool ignore_case) {
  ++i;
  const bool negated = i < pattern.size() && pattern[i] == '^';
  if (negated) ++i;
  bool matched = false;
  while (true) {
    if (i + 1 < pattern.size() && pattern[i] == '\\') {
      ++i;
      if (Fold(pattern[i], ignore_case) == Fold(c, ignore_case)) matched = true;
    } else if (i >= pattern.size()) {
      break;
    } else if (pattern[i] == ']') {
      ++i;
      break;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      auto low = static_cast<unsigned char>(Fold(pattern[i], ignore_case));
      auto high = static_cast<unsigned char>(Fold(pattern[i + 2], ignore_case));
      const auto here = static_cast<unsigned char>(Fold(c, ignore_case));
      if (low > high) std::swap(low, high);
      if (here >= low && here <= high) matched = true;
      i += 2;
    } else if (Fold(pattern[i], ignore_case) == Fold(c, ignore_case)) {
      matched = true;
    }
    ++i;
  }
  return matched != negated;
}

// Does one pattern element at i match c? Moves i behind the element.
bool MatchOne(std::string_view pattern, size_t& i, char c, bool ignore_case) {
  switch (pattern[i]) {
    case '?':
      ++i;
      return true;
    case '[':
      return MatchClass(pattern, i, c, ignore_case);
    case '\\':
      if (i + 1 < pattern.size()) ++i;
      [[fallthrough]];
    default:
      return Fold(pattern[i++], ignore_case) == Fold(c, ignore_case);
  }
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  // Redis's matcher never looks at the pattern when there is no text, so "**" does not match it;
  // that "*" does is the short cut which its commands take before they match.
  if (text.empty()) return pattern.empty() || pattern == "*";
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t p = 0;
  size_t t = 0;
  size_t star_pattern = kNone;  // behind the last star
  size_t star_text = 0;         // where the text behind it is tried from
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star_pattern = ++p;
      star_text = t;
      continue;
    }
    if (p < pattern.size() && MatchOne(pattern, p, text[t], ignore_case)) {
      ++t;
      continue;
    }
    if (star_pattern == kNone) return false;
    p = star_pattern;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace tidegate
