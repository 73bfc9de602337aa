#include "storage/value/sorted_set_bounds.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

namespace tidegate {
namespace {

// As strtod reads it, the whole text up to a zero byte; NaN is refused.
std::optional<double> ParseScoreBound(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value) &&
      value != 0)
    return value;
  const std::string copy(text);
  char* stop = nullptr;
  value = std::strtod(copy.c_str(), &stop);
  if (*stop != '\0' || std::isnan(value)) return std::nullopt;
  return value;
}

std::optional<double> ParseScoreBound(std::string_view text, bool& excluded) {
  excluded = text.starts_with('(');
  return ParseScoreBound(excluded ? text.substr(1) : text);
}

}  // namespace

RankRange RankRange::OfIndexes(int64_t start, int64_t stop, uint64_t size, bool backwards) {
  const auto count = static_cast<int64_t>(size);
  if (start < 0) start = std::max<int64_t>(start + count, 0);
  if (stop < 0) stop += count;
  stop = std::min(stop, count - 1);
  if (start > stop) return {};
  if (backwards) {
    return {static_cast<uint64_t>(count - 1 - stop), static_cast<uint64_t>(count - start)};
  }
  return {static_cast<uint64_t>(start), static_cast<uint64_t>(stop + 1)};
}

std::optional<ScoreBounds> ScoreBounds::Parse(std::string_view min, std::string_view max) {
  ScoreBounds bounds;
  const std::optional<double> low = ParseScoreBound(min, bounds.min_excluded);
  const std::optional<double> high = ParseScoreBound(max, bounds.max_excluded);
  if (!low || !high) return std::nullopt;
  bounds.min = *low;
  bounds.max = *high;
  return bounds;
}

std::optional<LexBound> LexBound::Parse(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const std::string_view rest = text.substr(1);
  switch (text.front()) {
    case '-':
    case '+':
      // Redis reads a C string here: what is behind a zero byte is not seen.
      if (!rest.empty() && rest.front() != '\0') return std::nullopt;
      return LexBound{text.front() == '-' ? Kind::kBeforeAll : Kind::kAfterAll, true, {}};
    case '(':
      return LexBound{Kind::kMember, true, rest};
    case '[':
      return LexBound{Kind::kMember, false, rest};
    default:
      return std::nullopt;
  }
}

std::optional<LexBounds> LexBounds::Parse(std::string_view min, std::string_view max) {
  const std::optional<LexBound> low = LexBound::Parse(min);
  const std::optional<LexBound> high = LexBound::Parse(max);
  if (!low || !high) return std::nullopt;
  return LexBounds{*low, *high};
}

bool LexBounds::IsBelow(std::string_view member) const {
  if (min.kind != LexBound::Kind::kMember) return min.kind == LexBound::Kind::kAfterAll;
  return min.excluded ? member <= min.member : member < min.member;
}

bool LexBounds::IsAbove(std::string_view member) const {
  if (max.kind != LexBound::Kind::kMember) return max.kind == LexBound::Kind::kBeforeAll;
  return max.excluded ? member >= max.member : member > max.member;
}

bool LexBounds::empty() const {
  if (min.kind != max.kind) return min.kind > max.kind;
  if (min.kind != LexBound::Kind::kMember) return true;
  return min.member > max.member || (min.member == max.member && (min.excluded || max.excluded));
}

}  // namespace tidegate
