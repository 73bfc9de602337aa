// SetView: reading a set, whichever way it is held: an intset, a listpack of members, or a
// FieldTable once it is too large for these.
//
// Members come out as ListpackValue: an integer where it is held as one, else its text. Borrows the
// set; valid until its next change. Needs the slot's lock. Cost: Contains is O(log n) in an intset,
// O(n) in a listpack (some 2 ns each), O(1) in a table.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "storage/keyspace/entry_buffer.h"
#include "storage/value/field_table.h"
#include "storage/value/intset.h"
#include "storage/value/listpack.h"

namespace tidegate {

enum class SetForm : uint8_t { kIntset, kListpack, kTable };

class SetView final {
 public:
  explicit SetView(const Entry& entry) : form_(FormOf(entry)) {
    if (form_ == SetForm::kTable) {
      table_ = entry.object<FieldTable>();
    } else {
      bytes_ = PackedBytes(entry);
    }
  }
  explicit SetView(const FieldTable& table) : form_(SetForm::kTable), table_(&table) {}
  // The bytes of an intset or of a listpack.
  SetView(SetForm form, std::string_view bytes) : form_(form), bytes_(bytes) {}

  static SetForm FormOf(const Entry& entry) {
    if (entry.encoding() == Encoding::kFieldTable) return SetForm::kTable;
    return IsIntset(entry.encoding()) ? SetForm::kIntset : SetForm::kListpack;
  }

  SetForm form() const { return form_; }
  uint64_t size() const {
    switch (form_) {
      case SetForm::kIntset:
        return IntsetView(bytes_).count();
      case SetForm::kListpack:
        return ListpackView(bytes_).count();
      case SetForm::kTable:
        break;
    }
    return table_->size();
  }
  bool Contains(std::string_view member) const;

  // Calls fn(const ListpackValue&) for each member, in an order that stays the same while nothing
  // changes.
  template <typename Fn>
  void ForEach(Fn&& fn) const {
    ForEachWhile([&fn](const ListpackValue& member) {
      fn(member);
      return true;
    });
  }
  // The same until fn answers false.
  template <typename Fn>
  void ForEachWhile(Fn&& fn) const;

  // A step of SCAN: calls fn for about `count` members from the cursor on (a packed set: for all of
  // them) and returns where to go on, 0 at the end.
  template <typename Fn>
  uint64_t Scan(uint64_t cursor, size_t count, Fn&& fn) const {
    if (form_ != SetForm::kTable) {
      ForEach(fn);
      return 0;
    }
    return table_->Scan(
        cursor, count, [&fn](const FieldView& field) { fn(ListpackValue::AsText(field.field())); });
  }

  // A random member, each with the same probability. `random` gives 64 random bits. The set must
  // not be empty.
  ListpackValue Random(const std::function<uint64_t()>& random) const;
  // Whether drawing costs the same however many members there are.
  bool DrawsInConstantTime() const { return form_ != SetForm::kListpack; }

 private:
  SetForm form_;
  const FieldTable* table_ = nullptr;
  std::string_view bytes_;
};

template <typename Fn>
void SetView::ForEachWhile(Fn&& fn) const {
  switch (form_) {
    case SetForm::kIntset: {
      const IntsetView set(bytes_);
      for (size_t i = 0; i < set.count(); ++i) {
        if (!fn(ListpackValue(set.At(i)))) return;
      }
      return;
    }
    case SetForm::kListpack: {
      const ListpackView list(bytes_);
      for (size_t at = list.First(); at != list.End(); at = list.Next(at)) {
        if (!fn(list.Get(at))) return;
      }
      return;
    }
    case SetForm::kTable: {
      FieldTable::Iterator it(*table_);
      while (const FieldView field = it.Next()) {
        if (!fn(ListpackValue::AsText(field.field()))) return;
      }
      return;
    }
  }
}

}  // namespace tidegate
