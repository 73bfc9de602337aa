// A small sorted set: a listpack of member, score, member, score … in order, as Redis keeps it.
//
// A score without a fraction is an integer up to 2^62, else text of 17 digits; -0 becomes 0, as in
// Redis. Positions are those of members in the listpack. Every search is a walk: at the 128 members
// that a packed set has by default that costs less than any index, which would have to be rebuilt.
//
// PackedSortedSetView reads; the functions below it edit. Owner: the slot of the key. Cost: about 5
// ns for each member passed; ten more where scores have fractions and are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "storage/value/listpack.h"
#include "storage/value/sorted_set_bounds.h"

namespace tidegate {

// A score as a listpack holds it.
class PackedScore final {
 public:
  explicit PackedScore(double score);
  PackedScore(const PackedScore&) = delete;
  PackedScore& operator=(const PackedScore&) = delete;

  // Borrows from this.
  const ListpackValue& value() const { return value_; }
  static double Read(const ListpackValue& value) {
    if (__builtin_expect(value.is_integer(), 1)) return static_cast<double>(value.integer());
    return ReadText(value.text());
  }

 private:
  static double ReadText(std::string_view text);

  char text_[kDoubleTextBytesMax];
  ListpackValue value_;
};

class PackedSortedSetView final {
 public:
  explicit PackedSortedSetView(std::string_view bytes) : view_(bytes) {}

  uint64_t size() const { return view_.count() / 2; }
  bool empty() const { return view_.empty(); }
  size_t End() const { return view_.End(); }

  // End() when it is not there.
  size_t Find(std::string_view member) const { return view_.Find(member, 1); }
  double Score(size_t at) const { return PackedScore::Read(view_.Get(view_.Next(at))); }
  ListpackValue Member(size_t at) const { return view_.Get(at); }
  size_t At(uint64_t rank) const { return view_.Seek(static_cast<int64_t>(2 * rank)); }
  size_t Next(size_t at) const { return view_.Next(view_.Next(at)); }
  // From the first member, End().
  size_t Previous(size_t at) const {
    const size_t score = view_.Prev(at);
    return score == End() ? score : view_.Prev(score);
  }
  // Members before this position.
  uint64_t RankOf(size_t at) const;

  // Where a pair that is not there belongs: in front of this position.
  size_t PlaceOf(double score, std::string_view member) const;
  // Whether the member there would stay where it is with another score.
  bool StaysWith(size_t at, std::string_view member, double new_score) const;

  // Found from the side that will be read first: that matters only for a range by lex of members
  // that have different scores, for which Redis promises nothing but gives this.
  RankRange Within(const ScoreBounds& bounds, bool backwards) const;
  RankRange Within(const LexBounds& bounds, bool backwards) const;

  // Calls fn(std::string_view member, double score) for a range, in order or backwards.
  template <typename Fn>
  void ForEach(const RankRange& range, bool backwards, Fn&& fn) const {
    uint64_t left = range.size();
    if (left == 0) return;
    char digits[kListpackDigitsBytes];
    for (size_t at = At(backwards ? range.last - 1 : range.first); left > 0; --left) {
      const size_t score = view_.Next(at);
      fn(view_.Get(at).Render(digits), PackedScore::Read(view_.Get(score)));
      at = backwards ? Previous(at) : view_.Next(score);
    }
  }

 private:
  // Less than 0: the pair there is before the other one.
  int Compare(size_t at, double score, std::string_view member) const;
  template <typename Bounds, typename KeyOf>
  RankRange RangeOf(const Bounds& bounds, KeyOf&& key_of) const;
  template <typename Bounds, typename KeyOf>
  RankRange RangeFromEnd(const Bounds& bounds, KeyOf&& key_of) const;

  ListpackView view_;
};

// Adds a pair, whose member must be absent.
void InsertPacked(PackedBuffer& buffer, std::string_view member, double score);
// Gives the member at a position another score, which may move it.
void UpdatePacked(PackedBuffer& buffer, size_t at, std::string_view member, double score);
void ErasePacked(PackedBuffer& buffer, size_t at, uint64_t count = 1);

}  // namespace tidegate
