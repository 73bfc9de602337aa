// ScoredSource: an input of ZUNION, ZINTER, ZDIFF and their kind. A sorted set, a set (whose
// members all count 1), or nothing.
//
// The one place where a sorted set command reads sets, in whatever way they are held. Borrows the
// entry; needs the slot's lock of its key. Cost: ForEach passes over the value once, Find is the
// value's own look-up.
#pragma once

#include <optional>
#include <string_view>

#include "storage/keyspace/entry_buffer.h"
#include "storage/value/field_table.h"
#include "storage/value/intset.h"
#include "storage/value/listpack.h"
#include "storage/value/sorted_set_value.h"

namespace tidegate {

class ScoredSource final {
 public:
  static constexpr double kSetScore = 1;

  // Null: an input without members. Of type kSet or kSortedSet otherwise.
  explicit ScoredSource(const Entry* entry) : entry_(entry) {}

  uint64_t size() const;
  std::optional<double> Find(std::string_view member) const;

  // Calls fn(std::string_view member, double score).
  template <typename Fn>
  void ForEach(Fn&& fn) const;

 private:
  bool is_set() const { return entry_->type() == ValueType::kSet; }

  const Entry* entry_;
};

template <typename Fn>
void ScoredSource::ForEach(Fn&& fn) const {
  if (entry_ == nullptr) return;
  if (!is_set()) return SortedSetView(*entry_).ForEach(fn);
  char digits[kListpackDigitsBytes];
  if (entry_->encoding() == Encoding::kFieldTable) {
    entry_->object<FieldTable>()->ForEach(
        [&](const FieldView& field) { fn(field.field(), kSetScore); });
  } else if (IsIntset(entry_->encoding())) {
    const IntsetView set(PackedBytes(*entry_));
    for (size_t i = 0; i < set.count(); ++i)
      fn(std::string_view(digits, FormatInt64(set.At(i), digits)), kSetScore);
  } else {
    const ListpackView list(PackedBytes(*entry_));
    for (size_t at = list.First(); at != list.End(); at = list.Next(at))
      fn(list.Get(at).Render(digits), kSetScore);
  }
}

}  // namespace tidegate
