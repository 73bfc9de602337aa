// Ranges of a sorted set, as commands name them: by score, by the bytes of members, by index.
//
// ZRANGE and its relatives, ZCOUNT, ZLEXCOUNT and ZREMRANGEBY… all say where a range begins and
// ends in one of these three ways; a sorted set turns each into a range of ranks, so that counting,
// reading forwards or backwards, and erasing are written once. Bounds borrow the arguments they
// were parsed from. What is accepted is what Redis accepts, down to the empty text being 0 for a
// score, since strtod reads it so.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate {

// Elements [first, last) in the order of the set.
struct RankRange {
  uint64_t first = 0;
  uint64_t last = 0;

  uint64_t size() const { return last > first ? last - first : 0; }
  bool empty() const { return last <= first; }

  // The elements from index `start` to index `stop`, that one included, of a set of `size`;
  // negative ones count from the end. Backwards: index 0 is the last element.
  static RankRange OfIndexes(int64_t start, int64_t stop, uint64_t size, bool backwards);
};

// "5", "(5", "-inf" … "+inf".
struct ScoreBounds {
  double min = 0;
  double max = 0;
  bool min_excluded = false;
  bool max_excluded = false;

  static std::optional<ScoreBounds> Parse(std::string_view min, std::string_view max);

  bool IsBelow(double score) const { return min_excluded ? score <= min : score < min; }
  bool IsAbove(double score) const { return max_excluded ? score >= max : score > max; }
  bool empty() const { return min > max || (min == max && (min_excluded || max_excluded)); }
};

// "[member", "(member", "-" or "+".
struct LexBound {
  enum class Kind : uint8_t { kBeforeAll, kMember, kAfterAll };
  Kind kind = Kind::kBeforeAll;
  bool excluded = false;
  std::string_view member;

  static std::optional<LexBound> Parse(std::string_view text);
};

struct LexBounds {
  LexBound min;
  LexBound max;

  static std::optional<LexBounds> Parse(std::string_view min, std::string_view max);

  bool IsBelow(std::string_view member) const;
  bool IsAbove(std::string_view member) const;
  bool empty() const;
};

}  // namespace tidegate
