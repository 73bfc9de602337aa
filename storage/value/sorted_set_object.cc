#include "storage/value/sorted_set_object.h"

#include <new>

#include "base/check.h"
#include "storage/memory/memory.h"

namespace tidegate {

SortedSetObject* SortedSetObject::Create(uint32_t epoch) {
  return Adopt(FieldTable::Create(FieldValues::kDouble), epoch);
}

SortedSetObject* SortedSetObject::Adopt(FieldTable* members, uint32_t epoch) {
  auto* set = new (MemoryAllocate(sizeof(SortedSetObject))) SortedSetObject(members);
  set->set_epoch(epoch);
  return set;
}

void SortedSetObject::Destroy(SortedSetObject* set) { (void)FreeSome(set, SIZE_MAX); }

bool SortedSetObject::FreeSome(SortedSetObject* set, size_t allocations) {
  if (set->members_ != nullptr) {
    if (!FieldTable::FreeSome(set->members_, allocations)) return false;
    set->members_ = nullptr;
    if (allocations != SIZE_MAX) return false;
  }
  if (!set->order_.FreeSome(allocations)) return false;
  set->~SortedSetObject();
  MemoryFree(set, sizeof(SortedSetObject));
  return true;
}

SortedSetObject* SortedSetObject::Clone() const {
  SortedSetObject* copy = Adopt(members_->Clone(), order_.epoch());
  copy->order_ = order_.Clone();
  return copy;
}

size_t SortedSetObject::allocated_bytes() const {
  return MemoryRoundUp(sizeof(SortedSetObject)) + members_->allocated_bytes() +
         order_.allocated_bytes();
}

void SortedSetObject::set_epoch(uint32_t epoch) { order_.set_epoch(epoch); }

std::optional<double> SortedSetObject::Score(uint64_t hash, std::string_view member) const {
  const FieldView found = members_->Find(hash, member);
  if (!found) return std::nullopt;
  return found.number();
}

void SortedSetObject::Insert(uint64_t hash, std::string_view member, double score) {
  members_->SetNumber(hash, member, score);
  order_.Insert(score, member);
}

void SortedSetObject::Update(uint64_t hash, std::string_view member, double old_score,
                             double new_score) {
  members_->SetNumber(hash, member, new_score);
  const bool was_there = order_.Update(old_score, member, new_score);
  TG_DCHECK(was_there);
  (void)was_there;
}

bool SortedSetObject::Erase(std::string_view member) {
  const uint64_t hash = members_->Hash(member);
  const std::optional<double> score = Score(hash, member);
  if (!score) return false;
  members_->Erase(hash, member);
  order_.Erase(*score, member);
  return true;
}

void SortedSetObject::Erase(const RankRange& range) {
  for (uint64_t left = range.size(); left > 0;) {
    left -= order_.EraseSomeByRank(
        range.first, left, [this](double, std::string_view member) { members_->Erase(member); });
  }
}

RankRange SortedSetObject::Within(const ScoreBounds& bounds) const {
  if (bounds.empty()) return {};
  const ScoreIndex::Iterator first =
      bounds.min_excluded ? order_.UpperBound(bounds.min) : order_.LowerBound(bounds.min);
  if (first.at_end() || bounds.IsAbove(first.score())) return {};
  const ScoreIndex::Iterator last =
      bounds.max_excluded ? order_.LowerBound(bounds.max) : order_.UpperBound(bounds.max);
  return {order_.Rank(first), order_.Rank(last)};
}

// Members of different scores have no common order, and Redis promises nothing for them: all count
// as if they had the score of the first. It looks at both ends before anything else.
RankRange SortedSetObject::Within(const LexBounds& bounds) const {
  if (size() == 0 || bounds.empty()) return {};
  if (bounds.IsBelow(order_.Last().member()) || bounds.IsAbove(order_.Begin().member())) return {};
  const double score = order_.Begin().score();
  RankRange range{0, size()};
  if (bounds.min.kind == LexBound::Kind::kMember) {
    range.first = order_.Rank(bounds.min.excluded ? order_.UpperBound(score, bounds.min.member)
                                                  : order_.LowerBound(score, bounds.min.member));
  }
  if (bounds.max.kind == LexBound::Kind::kMember) {
    range.last = order_.Rank(bounds.max.excluded ? order_.LowerBound(score, bounds.max.member)
                                                 : order_.UpperBound(score, bounds.max.member));
  }
  return range;
}

}  // namespace tidegate
