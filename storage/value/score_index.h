// ScoreIndex: the order of a large sorted set, by score and then by the bytes of the member.
//
//   PageTree                      by (score, first 8 bytes of the member)
//    |      |      |
//   [page] [page] [page] …        ScorePage: up to 4 KiB, about 180 members of 12 bytes
//
// The other half of a sorted set, from member to score, is a hash table elsewhere. Members are held
// here once more and not shared with it: a pointer would cost as much as a short member, and a
// cache miss per comparison.
//
// Why pages in a B+-tree and not a skiplist: 23-26 bytes per element of 12 bytes instead of about
// 70, ranges are sequential memory, and the page is the unit of everything that is done in pieces:
// a change stamps its page with the current epoch, so that a cut copies one page before it changes
// and knows which are dirty; freeing goes page by page.
//
// A full page becomes two halves; at both ends of the set it is left full instead, since scores are
// often times. A page below a quarter merges with a neighbour when both fit well into one.
//
// Order is Redis's: -inf < … < +inf, -0.0 equal to 0.0, then memcmp, shorter first. NaN must not
// come in, nor a pair that is already there: the hash table knows. Views and iterators are valid
// until the next change, and arguments must not point into the index.
// Owner: the slot of its key. Cost: logarithmic, three to six cache misses; the longest single step
// is splitting a page, some microseconds at any size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "storage/value/page_tree.h"
#include "storage/value/score_page.h"

namespace tidegate {

class ScoreIndex final {
 public:
  class Iterator;

  ScoreIndex() = default;
  ~ScoreIndex() { FreeSome(SIZE_MAX); }
  ScoreIndex(ScoreIndex&& other) noexcept { Swap(other); }
  ScoreIndex& operator=(ScoreIndex&& other) noexcept {
    Swap(other);
    return *this;
  }
  ScoreIndex Clone() const;
  // Frees up to so many pages; true when nothing is left. For values that nobody reaches any more:
  // nothing else may be done with it once begun.
  bool FreeSome(size_t pages_max);

  // Moves pages that lie where memory is sparse (memory.h): looks at so many, from the one with
  // this rank on, and returns the rank to go on from; 0: through.
  uint64_t CompactSome(uint64_t from_rank, size_t pages_max);

  uint64_t size() const { return tree_.element_count(); }
  uint64_t page_count() const { return tree_.page_count(); }
  // All memory that it takes but for the object itself.
  uint64_t allocated_bytes() const { return tree_.allocated_bytes() + page_bytes_; }

  // Changes from now on are of this epoch.
  void set_epoch(uint32_t epoch) { epoch_ = epoch; }
  uint32_t epoch() const { return epoch_; }

  // Adds a pair, which must be absent.
  void Insert(double score, std::string_view member);
  // False when the pair is not there.
  bool Erase(double score, std::string_view member);
  // Gives a member another score: in place when it stays within its page. False, and nothing
  // changes, when the pair is not there.
  bool Update(double old_score, std::string_view member, double new_score);

  // Erases up to count_max elements from this rank on, but only within one page: call again with
  // the same rank until the range is done. Calls fn(double score, std::string_view member) for each
  // before they go. Returns how many there were: 0 only when there is nothing at that rank.
  template <typename Fn>
  uint64_t EraseSomeByRank(uint64_t rank, uint64_t count_max, Fn&& fn);

  // Elements before the pair, which must be there: that saves looking at its member, which is a
  // cache miss, unless others have that score.
  uint64_t Rank(double score, std::string_view member) const;
  // Elements before the iterator; size() at the end.
  uint64_t Rank(const Iterator& at) const;

  Iterator Begin() const;
  Iterator Last() const;
  // At the end when there is no such element.
  Iterator At(uint64_t rank) const;
  Iterator Find(double score, std::string_view member) const;

  // The first element that is not before (Lower) or that is behind (Upper) …
  // … everything of a score;
  Iterator LowerBound(double score) const;
  Iterator UpperBound(double score) const;
  // … a pair, which need not be there. For ranges by lex all members have the same score.
  Iterator LowerBound(double score, std::string_view member) const;
  Iterator UpperBound(double score, std::string_view member) const;

  // For tests: ends the process when an invariant is broken.
  void Check() const;

 private:
  struct Position {
    PageTree::Path path;
    uint32_t index = 0;
  };

  static ScorePage* PageOf(const PageTree::Path& path) {
    return static_cast<ScorePage*>(path.page());
  }
  void Swap(ScoreIndex& other) noexcept {
    std::swap(tree_, other.tree_);
    std::swap(page_bytes_, other.page_bytes_);
    std::swap(epoch_, other.epoch_);
  }

  ScorePage* NewPage(size_t bytes);
  void FreeEmptied(ScorePage* page);
  static PageTree::Leaf LeafOf(ScorePage* page);

  // The page where the target is or would be, and the first element there that is not before it,
  // which may be one behind the page's last. The index must not be empty.
  Position Seek(const ScoreTarget& target) const;
  // The page alone, which has been asked for, and a guess at the index.
  Position SeekPage(const ScoreTarget& target) const;
  Iterator SeekIterator(const ScoreTarget& target) const;
  std::optional<Position> FindPair(double score, std::string_view member) const;

  void MakeRoom(Position& at, size_t bytes);
  void Rebuild(PageTree::Path& path, size_t bytes);
  void SplitAt(Position& at, uint32_t split, size_t bytes);
  uint32_t SplitPoint(const Position& at, size_t bytes) const;
  bool TryMove(Position& at, double new_score);
  void EraseAt(Position& at, uint32_t n);
  bool TryMerge(PageTree::Path& path, bool with_next);

  PageTree tree_;
  uint64_t page_bytes_ = 0;  // pages and long members
  uint32_t epoch_ = 0;
};

// Stands on an element, or at the end. Any change of the index makes it invalid.
class ScoreIndex::Iterator final {
 public:
  bool at_end() const { return !path_.valid(); }
  double score() const { return page().score(index_); }
  std::string_view member() const { return page().member(index_); }
  // Of the last change of the page that holds the element.
  uint32_t page_epoch() const { return page().epoch(); }

  void Next();
  // From the first element to the end; from the end to the last element.
  void Previous();

 private:
  friend class ScoreIndex;
  Iterator(const ScoreIndex& index, const Position& at)
      : tree_(&index.tree_), path_(at.path), index_(at.index) {}
  const ScorePage& page() const {
    TG_DCHECK(!at_end());
    return *static_cast<const ScorePage*>(path_.page());
  }

  const PageTree* tree_;
  PageTree::Path path_;
  uint32_t index_;
};

template <typename Fn>
uint64_t ScoreIndex::EraseSomeByRank(uint64_t rank, uint64_t count_max, Fn&& fn) {
  if (rank >= size() || count_max == 0) return 0;
  const PageTree::Place place = tree_.FindByRank(rank);
  Position at{place.path, static_cast<uint32_t>(place.offset)};
  const ScorePage& page = *PageOf(at.path);
  const uint64_t rest = page.count() - at.index;
  const auto n = static_cast<uint32_t>(rest < count_max ? rest : count_max);
  for (uint32_t i = at.index; i < at.index + n; ++i) fn(page.score(i), page.member(i));
  EraseAt(at, n);
  return n;
}

}  // namespace tidegate
