#include "storage/value/scored_source.h"

namespace tidegate {

uint64_t ScoredSource::size() const {
  if (entry_ == nullptr) return 0;
  if (!is_set()) return SortedSetView(*entry_).size();
  if (entry_->encoding() == Encoding::kFieldTable) return entry_->object<FieldTable>()->size();
  const std::string_view bytes = PackedBytes(*entry_);
  return IsIntset(entry_->encoding()) ? IntsetView(bytes).count() : ListpackView(bytes).count();
}

std::optional<double> ScoredSource::Find(std::string_view member) const {
  if (entry_ == nullptr) return std::nullopt;
  if (!is_set()) return SortedSetView(*entry_).Score(member);
  bool found = false;
  if (entry_->encoding() == Encoding::kFieldTable) {
    found = static_cast<bool>(entry_->object<FieldTable>()->Find(member));
  } else if (IsIntset(entry_->encoding())) {
    const std::optional<int64_t> integer = ParseInt64(member);
    found = integer.has_value() && IntsetView(PackedBytes(*entry_)).Contains(*integer);
  } else {
    const ListpackView list(PackedBytes(*entry_));
    found = list.Find(member) != list.End();
  }
  return found ? std::optional<double>(kSetScore) : std::nullopt;
}

}  // namespace tidegate
