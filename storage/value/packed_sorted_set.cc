#include "storage/value/packed_sorted_set.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

namespace tidegate {
namespace {

// Scores without a fraction are kept as integers as far as this: half of what an int64 holds.
constexpr double kIntegerScoreMax = 4611686018427387904.0;

}  // namespace

PackedScore::PackedScore(double score) : value_(int64_t{0}) {
  if (score >= -kIntegerScoreMax && score <= kIntegerScoreMax && score == std::trunc(score)) {
    value_ = ListpackValue(static_cast<int64_t>(score));
  } else {
    value_ = ListpackValue::AsText({text_, FormatDouble(score, text_)});
  }
}

double PackedScore::ReadText(std::string_view text) {
  double score = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), score);
  if (__builtin_expect(error == std::errc() && end == text.data() + text.size(), 1)) return score;
  // Of a payload from elsewhere, whose text need not be ours.
  return std::strtod(std::string(text).c_str(), nullptr);
}

uint64_t PackedSortedSetView::RankOf(size_t at) const {
  uint64_t rank = 0;
  for (size_t i = view_.First(); i != at; i = Next(i)) ++rank;
  return rank;
}

int PackedSortedSetView::Compare(size_t at, double score, std::string_view member) const {
  const double own = Score(at);
  if (own < score) return -1;
  if (own > score) return 1;
  char digits[kListpackDigitsBytes];
  return Member(at).Render(digits).compare(member);
}

size_t PackedSortedSetView::PlaceOf(double score, std::string_view member) const {
  if (empty()) return End();
  // Scores are often times: then the end it is.
  if (Compare(Previous(End()), score, member) < 0) return End();
  size_t at = view_.First();
  while (Compare(at, score, member) < 0) at = Next(at);
  return at;
}

bool PackedSortedSetView::StaysWith(size_t at, std::string_view member, double new_score) const {
  const size_t previous = Previous(at);
  if (previous != End() && Compare(previous, new_score, member) > 0) return false;
  const size_t next = Next(at);
  return next == End() || Compare(next, new_score, member) > 0;
}

template <typename Bounds, typename KeyOf>
RankRange PackedSortedSetView::RangeOf(const Bounds& bounds, KeyOf&& key_of) const {
  RankRange range;
  size_t at = view_.First();
  for (; at != End() && bounds.IsBelow(key_of(at)); at = Next(at)) ++range.first;
  range.last = range.first;
  for (; at != End() && !bounds.IsAbove(key_of(at)); at = Next(at)) ++range.last;
  return range;
}

template <typename Bounds, typename KeyOf>
RankRange PackedSortedSetView::RangeFromEnd(const Bounds& bounds, KeyOf&& key_of) const {
  RankRange range;
  range.last = size();
  size_t at = Previous(End());
  for (; at != End() && bounds.IsAbove(key_of(at)); at = Previous(at)) --range.last;
  range.first = range.last;
  for (; at != End() && !bounds.IsBelow(key_of(at)); at = Previous(at)) --range.first;
  return range;
}

RankRange PackedSortedSetView::Within(const ScoreBounds& bounds, bool /*backwards*/) const {
  return RangeOf(bounds, [this](size_t at) { return Score(at); });
}

RankRange PackedSortedSetView::Within(const LexBounds& bounds, bool backwards) const {
  char digits[kListpackDigitsBytes];
  const auto member = [&](size_t at) { return Member(at).Render(digits); };
  // Of members of different scores, what Redis gives depends on this.
  if (empty() || bounds.IsBelow(member(Previous(End()))) || bounds.IsAbove(member(view_.First())))
    return {};
  return backwards ? RangeFromEnd(bounds, member) : RangeOf(bounds, member);
}

void InsertPacked(PackedBuffer& buffer, std::string_view member, double score) {
  const size_t at = PackedSortedSetView(buffer.bytes()).PlaceOf(score, member);
  const PackedScore packed(score);
  Listpack(buffer).InsertPair(at, ListpackValue::Of(member), packed.value());
}

void UpdatePacked(PackedBuffer& buffer, size_t at, std::string_view member, double score) {
  const PackedSortedSetView set(buffer.bytes());
  if (set.StaysWith(at, member, score)) {
    const PackedScore packed(score);
    Listpack(buffer).Replace(ListpackView(buffer.bytes()).Next(at), packed.value());
    return;
  }
  ErasePacked(buffer, at);
  InsertPacked(buffer, member, score);
}

void ErasePacked(PackedBuffer& buffer, size_t at, uint64_t count) {
  Listpack(buffer).Erase(at, 2 * count);
}

}  // namespace tidegate
