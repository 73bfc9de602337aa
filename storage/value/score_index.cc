#include "storage/value/score_index.h"

#include <algorithm>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// A page with so much in gaps is rebuilt instead of split, and is rebuilt with so much to spare, so
// that the next rebuilding is some inserts away.
constexpr size_t kSpareShare = 16;
// A page of fewer bytes looks for a neighbour, with which it fills at most three quarters: it then
// takes many changes before the page splits again or looks for another.
constexpr size_t kSparseBytes = ScorePage::kBytesMax / 4;
constexpr size_t kMergedBytesMax = ScorePage::kBytesMax * 3 / 4;
// Slots by which a guess is wrong, usually: three cache lines around it.
constexpr uint32_t kGuessError = 9;

}  // namespace

ScorePage* ScoreIndex::NewPage(size_t bytes) {
  ScorePage* page = ScorePage::Create(ScorePage::CapacityFor(bytes));
  page->set_epoch(epoch_);
  page_bytes_ += page->capacity_bytes();
  return page;
}

void ScoreIndex::FreeEmptied(ScorePage* page) {
  page_bytes_ -= page->capacity_bytes();
  ScorePage::DestroyEmptied(page);
}

PageTree::Leaf ScoreIndex::LeafOf(ScorePage* page) { return {page, page->count(), page->key()}; }

ScoreIndex ScoreIndex::Clone() const {
  ScoreIndex copy;
  copy.epoch_ = epoch_;
  copy.tree_ = tree_.Clone([&](const void* page) -> void* {
    ScorePage* fresh = static_cast<const ScorePage*>(page)->Clone();
    copy.page_bytes_ += fresh->capacity_bytes() + fresh->outside_bytes();
    return fresh;
  });
  return copy;
}

uint64_t ScoreIndex::CompactSome(uint64_t from_rank, size_t pages_max) {
  if (from_rank >= size()) return 0;
  PageTree::Path path = tree_.FindByRank(from_rank).path;
  for (; path.valid(); tree_.Next(path)) {
    if (pages_max-- == 0) return tree_.RankOf(path);
    ScorePage* page = PageOf(path);
    const size_t bytes = page->capacity_bytes();
    if (MemoryIsSparse(page, bytes)) tree_.SetPage(path, MemoryMove(page, bytes));
  }
  return 0;
}

bool ScoreIndex::FreeSome(size_t pages_max) {
  return tree_.FreeSome(pages_max, [this](void* memory) {
    auto* page = static_cast<ScorePage*>(memory);
    page_bytes_ -= page->capacity_bytes() + page->outside_bytes();
    ScorePage::Destroy(page);
  });
}

ScoreIndex::Position ScoreIndex::SeekPage(const ScoreTarget& target) const {
  using Side = ScoreTarget::Side;
  PageKey key = ScorePage::KeyFor(target.score, target.member);
  if (target.side == Side::kBeforeAll) key.lo = 0;
  if (target.side == Side::kAfterAll) key.lo = UINT64_MAX;
  Position at;
  at.path = tree_.FindByKey(key, [&](const void* page) {
    return static_cast<const ScorePage*>(page)->Compare(0, target) <= 0;
  });
  const uint64_t count = tree_.CountOf(at.path);
  const uint64_t first = tree_.KeyOf(at.path).hi;
  const uint64_t next = tree_.NextKeyOf(at.path).value_or(PageKey{}).hi;
  if (next == first) {  // a page of equal scores: its members will be searched
    ScorePage::Prefetch(at.path.page(), 0, count);
    return at;
  }
  // Within one page scores are spread evenly, most of the time; a bad guess costs little. With it
  // the slots that matter come near together with the page's header.
  double part = 0.5;
  if (next > first && key.hi >= first)
    part = static_cast<double>(key.hi - first) / static_cast<double>(next - first);
  at.index = static_cast<uint32_t>(part * static_cast<double>(count));
  const uint32_t before = std::min(at.index, kGuessError);
  ScorePage::Prefetch(at.path.page(), at.index - before, at.index + kGuessError);
  return at;
}

ScoreIndex::Position ScoreIndex::Seek(const ScoreTarget& target) const {
  Position at = SeekPage(target);
  at.index = PageOf(at.path)->LowerBound(target, at.index);
  return at;
}

ScoreIndex::Iterator ScoreIndex::SeekIterator(const ScoreTarget& target) const {
  if (tree_.empty()) return {*this, {}};
  Position at = Seek(target);
  if (at.index == PageOf(at.path)->count()) {
    tree_.Next(at.path);
    at.index = 0;
  }
  return {*this, at};
}

std::optional<ScoreIndex::Position> ScoreIndex::FindPair(double score,
                                                         std::string_view member) const {
  if (tree_.empty()) return std::nullopt;
  const ScoreTarget target{score, member};
  const Position at = Seek(target);
  const ScorePage& page = *PageOf(at.path);
  if (at.index == page.count() || page.Compare(at.index, target) != 0) return std::nullopt;
  return at;
}

void ScoreIndex::Insert(double score, std::string_view member) {
  TG_DCHECK(score == score);
  const size_t bytes = ScorePage::BytesFor(member);
  page_bytes_ += ScorePage::OutsideBytesFor(member);
  if (tree_.empty()) {
    ScorePage* page = NewPage(sizeof(ScorePage) + bytes);
    page->Insert(0, score, member);
    tree_.Append(LeafOf(page));
    return;
  }
  Position at = Seek({score, member});
  TG_DCHECK(at.index == PageOf(at.path)->count() ||
            PageOf(at.path)->Compare(at.index, {score, member}) != 0);
  if (!PageOf(at.path)->HasRoom(bytes)) MakeRoom(at, bytes);
  ScorePage* page = PageOf(at.path);
  page->Insert(at.index, score, member);
  page->set_epoch(epoch_);
  tree_.AddCount(at.path, 1);
  if (at.index == 0) tree_.SetKey(at.path, page->key());
}

// Lets the page have room for an element of so many bytes at that position, which may become one of
// another page.
void ScoreIndex::MakeRoom(Position& at, size_t bytes) {
  const ScorePage& page = *PageOf(at.path);
  const size_t needed = page.live_bytes() + bytes;
  const size_t spare = page.dead_bytes() > 0 ? needed / kSpareShare : 0;
  if (needed + spare <= ScorePage::kBytesMax) return Rebuild(at.path, needed + spare);
  SplitAt(at, SplitPoint(at, bytes), bytes);
}

// The page becomes one of another size, without gaps.
void ScoreIndex::Rebuild(PageTree::Path& path, size_t bytes) {
  ScorePage* old = PageOf(path);
  ScorePage* page = NewPage(bytes);
  page->Append(*old, 0, old->count());
  FreeEmptied(old);
  tree_.SetPage(path, page);
}

// Index of the first element of the right half. The new element counts, so that the half it goes to
// has room for it.
uint32_t ScoreIndex::SplitPoint(const Position& at, size_t bytes) const {
  const ScorePage& page = *PageOf(at.path);
  PageTree::Path neighbour = at.path;
  if (at.index == page.count() && !tree_.Next(neighbour)) return page.count();
  neighbour = at.path;
  if (at.index == 0 && !tree_.Previous(neighbour)) return 0;
  const size_t half = (page.live_bytes() + bytes) / 2;
  size_t left = sizeof(ScorePage);
  for (uint32_t i = 0; i < page.count(); ++i) {
    if (left >= half) return i;
    if (i == at.index) left += bytes;
    if (left >= half) return i;
    left += ScorePage::BytesFor(page.member(i));
  }
  return page.count();
}

// Moves the elements from `split` on into a page of their own, and leaves room for another element
// of so many bytes in the one that the position is in then.
void ScoreIndex::SplitAt(Position& at, uint32_t split, size_t bytes) {
  ScorePage* old = PageOf(at.path);
  const uint32_t count = old->count();
  if (split == 0 || split == count) {  // at an end of the set: nothing moves
    at.index = 0;
    ScorePage* fresh = NewPage(sizeof(ScorePage) + bytes);
    const PageTree::Leaf leaf{fresh, 0, tree_.KeyOf(at.path)};
    return split == 0 ? tree_.InsertBefore(at.path, leaf) : tree_.InsertAfter(at.path, leaf);
  }
  size_t right_bytes = sizeof(ScorePage);
  for (uint32_t i = split; i < count; ++i) right_bytes += ScorePage::BytesFor(old->member(i));
  const size_t left_bytes = old->live_bytes() - right_bytes + sizeof(ScorePage);
  // Between the halves, the new element goes to the smaller one.
  const bool to_right = at.index > split || (at.index == split && left_bytes > right_bytes);
  ScorePage* left = NewPage(left_bytes + (to_right ? 0 : bytes));
  ScorePage* right = NewPage(right_bytes + (to_right ? bytes : 0));
  left->Append(*old, 0, split);
  right->Append(*old, split, count);
  FreeEmptied(old);
  tree_.SetPage(at.path, left);
  tree_.AddCount(at.path, -static_cast<int64_t>(right->count()));
  PageTree::Path path = at.path;
  tree_.InsertAfter(path, LeafOf(right));
  // The nodes of the old path may have been split as well.
  if (!to_right) tree_.Previous(path);
  at = {path, to_right ? at.index - split : at.index};
}

bool ScoreIndex::Erase(double score, std::string_view member) {
  std::optional<Position> at = FindPair(score, member);
  if (!at.has_value()) return false;
  EraseAt(*at, 1);
  return true;
}

void ScoreIndex::EraseAt(Position& at, uint32_t n) {
  ScorePage* page = PageOf(at.path);
  for (uint32_t i = at.index; i < at.index + n; ++i)
    page_bytes_ -= ScorePage::OutsideBytesFor(page->member(i));
  page->Erase(at.index, n);
  if (page->count() == 0) {
    tree_.Remove(at.path);
    return FreeEmptied(page);
  }
  page->set_epoch(epoch_);
  tree_.AddCount(at.path, -static_cast<int64_t>(n));
  if (at.index == 0) tree_.SetKey(at.path, page->key());
  const size_t live = page->live_bytes();
  if (live < kSparseBytes && (TryMerge(at.path, true) || TryMerge(at.path, false))) return;
  if (live * 2 < page->capacity_bytes() &&
      ScorePage::CapacityFor(live + live / kSpareShare) < page->capacity_bytes()) {
    Rebuild(at.path, live + live / kSpareShare);
  }
}

// Merges a page with its neighbour when both fit well into one; the path is invalid then.
bool ScoreIndex::TryMerge(PageTree::Path& path, bool with_next) {
  PageTree::Path neighbour = path;
  if (!(with_next ? tree_.Next(neighbour) : tree_.Previous(neighbour))) return false;
  PageTree::Path& left_path = with_next ? path : neighbour;
  const PageTree::Path& right_path = with_next ? neighbour : path;
  ScorePage* left = PageOf(left_path);
  ScorePage* right = PageOf(right_path);
  const size_t bytes = left->live_bytes() + right->live_bytes() - sizeof(ScorePage);
  if (bytes > kMergedBytesMax) return false;
  ScorePage* merged = NewPage(bytes + bytes / kSpareShare);
  merged->Append(*left, 0, left->count());
  merged->Append(*right, 0, right->count());
  tree_.SetPage(left_path, merged);
  tree_.AddCount(left_path, right->count());
  tree_.Remove(right_path);
  FreeEmptied(left);
  FreeEmptied(right);
  return true;
}

bool ScoreIndex::Update(double old_score, std::string_view member, double new_score) {
  TG_DCHECK(new_score == new_score);
  std::optional<Position> at = FindPair(old_score, member);
  if (!at.has_value()) return false;
  if (TryMove(*at, new_score)) return true;
  EraseAt(*at, 1);
  Insert(new_score, member);
  return true;
}

// Changes the score of an element when its new place is in the same page.
bool ScoreIndex::TryMove(Position& at, double new_score) {
  ScorePage* page = PageOf(at.path);
  const double old_score = page->score(at.index);
  const ScoreTarget target{new_score, page->member(at.index)};
  uint32_t to = page->LowerBound(target, at.index);  // as if the element were still where it is
  // At an edge of the page the neighbour decides, if there is one.
  PageTree::Path neighbour = at.path;
  if (new_score > old_score) {
    if (to == page->count() && tree_.Next(neighbour) && PageOf(neighbour)->Compare(0, target) < 0)
      return false;
    --to;  // itself
  } else if (new_score < old_score && to == 0 && tree_.Previous(neighbour)) {
    const ScorePage& previous = *PageOf(neighbour);
    if (previous.Compare(previous.count() - 1, target) > 0) return false;
  }
  page->Move(at.index, to, new_score);
  page->set_epoch(epoch_);
  if (at.index == 0 || to == 0) tree_.SetKey(at.path, page->key());
  return true;
}

uint64_t ScoreIndex::Rank(double score, std::string_view member) const {
  TG_DCHECK(FindPair(score, member).has_value());
  const ScoreTarget pair{score, member};
  const Position at = SeekPage(pair);
  return tree_.RankOf(at.path) + PageOf(at.path)->IndexOf(pair, at.index);
}

uint64_t ScoreIndex::Rank(const Iterator& at) const {
  return at.at_end() ? size() : tree_.RankOf(at.path_) + at.index_;
}

ScoreIndex::Iterator ScoreIndex::Begin() const { return {*this, {tree_.First(), 0}}; }

ScoreIndex::Iterator ScoreIndex::Last() const {
  Iterator last(*this, {});
  last.Previous();
  return last;
}

ScoreIndex::Iterator ScoreIndex::At(uint64_t rank) const {
  if (rank >= size()) return {*this, {}};
  const PageTree::Place place = tree_.FindByRank(rank);
  return {*this, {place.path, static_cast<uint32_t>(place.offset)}};
}

ScoreIndex::Iterator ScoreIndex::Find(double score, std::string_view member) const {
  const std::optional<Position> at = FindPair(score, member);
  return {*this, at.value_or(Position{})};
}

ScoreIndex::Iterator ScoreIndex::LowerBound(double score) const {
  return SeekIterator({score, {}, ScoreTarget::Side::kBeforeAll});
}

ScoreIndex::Iterator ScoreIndex::UpperBound(double score) const {
  return SeekIterator({score, {}, ScoreTarget::Side::kAfterAll});
}

ScoreIndex::Iterator ScoreIndex::LowerBound(double score, std::string_view member) const {
  return SeekIterator({score, member});
}

ScoreIndex::Iterator ScoreIndex::UpperBound(double score, std::string_view member) const {
  Iterator it = LowerBound(score, member);
  if (!it.at_end() && it.score() == score && it.member() == member) it.Next();
  return it;
}

void ScoreIndex::Iterator::Next() {
  if (++index_ < page().count()) return;
  index_ = 0;
  tree_->Next(path_);
}

void ScoreIndex::Iterator::Previous() {
  if (!at_end() && index_ > 0) {
    --index_;
    return;
  }
  if (at_end()) {
    path_ = tree_->Last();
  } else {
    tree_->Previous(path_);
  }
  index_ = at_end() ? 0 : page().count() - 1;
}

void ScoreIndex::Check() const {
  uint64_t bytes = 0;
  const ScorePage* previous = nullptr;
  tree_.Check([&](void* memory) {
    auto* page = static_cast<ScorePage*>(memory);
    TG_CHECK(page->count() > 0);
    page->Check();
    if (previous != nullptr) {
      const uint32_t last = previous->count() - 1;
      TG_CHECK(previous->Compare(last, {page->score(0), page->member(0)}) < 0);
    }
    TG_CHECK(page->epoch() <= epoch_);
    bytes += page->capacity_bytes() + page->outside_bytes();
    previous = page;
    return LeafOf(page);
  });
  TG_CHECK(bytes == page_bytes_);
}

}  // namespace tidegate
