#include "storage/value/sorted_set_value.h"

#include <cmath>
#include <utility>

#include "storage/breathe.h"

namespace tidegate {
namespace {

// What comes of a member that is there: `score` is made what it shall have.
SortedSetWriter::Outcome Decide(double old_score, double& score, const SortedSetAdd& options) {
  using Outcome = SortedSetWriter::Outcome;
  if (options.only_absent) return Outcome::kSkipped;
  const double wanted = options.increment ? old_score + score : score;
  if (std::isnan(wanted)) return Outcome::kNotANumber;
  if (options.only_less && wanted >= old_score) return Outcome::kSkipped;
  if (options.only_greater && wanted <= old_score) return Outcome::kSkipped;
  score = wanted;
  return wanted == old_score ? Outcome::kUnchanged : Outcome::kUpdated;
}

}  // namespace

std::optional<double> SortedSetView::Score(std::string_view member) const {
  if (!is_packed()) return large().Score(large().Hash(member), member);
  const PackedSortedSetView set = packed();
  const size_t at = set.Find(member);
  if (at == set.End()) return std::nullopt;
  return set.Score(at);
}

std::optional<SortedSetView::Place> SortedSetView::Find(std::string_view member) const {
  if (is_packed()) {
    const PackedSortedSetView set = packed();
    const size_t at = set.Find(member);
    if (at == set.End()) return std::nullopt;
    return Place{set.RankOf(at), set.Score(at)};
  }
  const std::optional<double> score = Score(member);
  if (!score) return std::nullopt;
  return Place{large().order().Rank(*score, member), *score};
}

uint64_t SortedSetView::Scan(uint64_t cursor, uint64_t count, const ScanVisitor& visit) const {
  if (is_packed()) {
    const ListpackView list(PackedBytes(entry_));
    char digits[kListpackDigitsBytes];
    char score_digits[kListpackDigitsBytes];
    for (size_t at = list.First(); at != list.End(); at = list.Next(at)) {
      const ListpackValue member = list.Get(at);
      at = list.Next(at);
      visit(member.Render(digits), list.Get(at).Render(score_digits));
    }
    return 0;
  }
  return large().members().Scan(cursor, count, [&](const FieldView& field) {
    char text[kDoubleTextBytesMax];
    visit(field.field(), {text, FormatDouble(field.number(), text)});
  });
}

SortedSetWriter::SortedSetWriter(Database& db, const KeyRef& key, Entry* entry,
                                 const EngineSettings& settings)
    : SortedSetWriter(db, key, entry, settings, entry == nullptr) {}

SortedSetWriter::SortedSetWriter(Database& db, const KeyRef& key, Entry* entry,
                                 const EngineSettings& settings, bool instead)
    : db_(db),
      key_(key),
      entry_(entry),
      entries_max_(settings.zset_listpack_entries_max.load(std::memory_order_relaxed)),
      value_bytes_max_(settings.zset_listpack_value_bytes_max.load(std::memory_order_relaxed)),
      fresh_(instead),
      entry_buffer_(db, key, entry_) {
  if (fresh_) {
    Listpack(scratch_).Create();
  } else if (entry_->encoding() == Encoding::kSortedSet) {
    large_ = entry_->object<SortedSetObject>();
  }
}

SortedSetWriter::~SortedSetWriter() {
  if (fresh_ && large_ != nullptr) SortedSetObject::Destroy(large_);
}

uint64_t SortedSetWriter::size() {
  return large_ != nullptr ? large_->size() : PackedSortedSetView(buffer().bytes()).size();
}

bool SortedSetWriter::FitsPacked(uint64_t members, size_t member_bytes) const {
  return members <= entries_max_ && member_bytes <= value_bytes_max_;
}

void SortedSetWriter::MakeLarge() {
  SortedSetObject* set = SortedSetObject::Create(db_.epoch());
  const PackedSortedSetView packed(buffer().bytes());
  packed.ForEach({0, packed.size()}, false, [set](std::string_view member, double score) {
    set->Insert(set->Hash(member), member, score);
  });
  large_ = set;
  if (fresh_) return;
  entry_ = db_.PutObject(key_, entry_, ValueType::kSortedSet, Encoding::kSortedSet, set,
                         entry_->expire_at_ms());
}

SortedSetWriter::Outcome SortedSetWriter::Add(std::string_view member, double& score,
                                              const SortedSetAdd& options) {
  return large_ != nullptr ? AddLarge(member, score, options) : AddPacked(member, score, options);
}

SortedSetWriter::Outcome SortedSetWriter::AddPacked(std::string_view member, double& score,
                                                    const SortedSetAdd& options) {
  PackedBuffer& bytes = buffer();
  const PackedSortedSetView set(bytes.bytes());
  const size_t at = set.Find(member);
  if (at != set.End()) {
    const Outcome outcome = Decide(set.Score(at), score, options);
    if (outcome == Outcome::kUpdated) UpdatePacked(bytes, at, member, score);
    return outcome;
  }
  if (options.only_present) return Outcome::kSkipped;
  if (FitsPacked(set.size() + 1, member.size()) && bytes.size() < kListpackBytesMax.count) {
    InsertPacked(bytes, member, score);
  } else {
    MakeLarge();
    large_->Insert(large_->Hash(member), member, score);
  }
  return Outcome::kAdded;
}

SortedSetWriter::Outcome SortedSetWriter::AddLarge(std::string_view member, double& score,
                                                   const SortedSetAdd& options) {
  const uint64_t hash = large_->Hash(member);
  const std::optional<double> old_score = large_->Score(hash, member);
  if (old_score.has_value()) {
    const Outcome outcome = Decide(*old_score, score, options);
    if (outcome == Outcome::kUpdated) large_->Update(hash, member, *old_score, score);
    return outcome;
  }
  if (options.only_present) return Outcome::kSkipped;
  large_->Insert(hash, member, score);
  return Outcome::kAdded;
}

bool SortedSetWriter::Erase(std::string_view member) {
  if (large_ != nullptr) return large_->Erase(member);
  const PackedSortedSetView set(buffer().bytes());
  const size_t at = set.Find(member);
  if (at == set.End()) return false;
  ErasePacked(buffer(), at);
  return true;
}

void SortedSetWriter::Erase(const RankRange& range) {
  if (large_ != nullptr) return large_->Erase(range);
  if (range.empty()) return;
  ErasePacked(buffer(), PackedSortedSetView(buffer().bytes()).At(range.first), range.size());
}

void SortedSetWriter::Assign(std::span<const ScoredMember> sorted, FieldTable* table) {
  TG_DCHECK(fresh_ && large_ == nullptr && table->size() == sorted.size());
  size_t longest = 0;
  BreathingSpaces<1024> spaces;
  for (const ScoredMember& one : sorted) {
    spaces.Step();
    longest = std::max(longest, one.member.size());
  }
  if (FitsPacked(sorted.size(), longest)) {
    Listpack list(scratch_);
    list.Create();
    for (const ScoredMember& one : sorted) {
      const PackedScore score(one.score);
      list.AppendPair(ListpackValue::Of(one.member), score.value());
    }
    FieldTable::Destroy(table);
    return;
  }
  large_ = SortedSetObject::Adopt(table, db_.epoch());
  for (const ScoredMember& one : sorted) large_->Order(one.score, one.member);
}

bool SortedSetWriter::Finish() {
  if (size() == 0) return db_.Delete(key_);
  if (fresh_ && large_ != nullptr) {
    entry_ =
        db_.PutObject(key_, entry_, ValueType::kSortedSet, Encoding::kSortedSet, large_, kNoExpire);
  } else if (fresh_) {
    entry_ =
        db_.CreatePacked(key_, entry_, ValueType::kSortedSet, false, scratch_.bytes(), kNoExpire);
  }
  fresh_ = false;
  db_.Modified(key_);
  return false;
}

}  // namespace tidegate
