#include "storage/value/set_value.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "storage/engine.h"
#include "storage/keyspace/keyspace.h"

namespace tidegate {
namespace {

// As Redis: a limit beyond this is taken for this.
constexpr uint64_t kIntsetEntriesMax = uint64_t{1} << 30;

size_t DigitsOf(int64_t value) {
  char digits[kInt64TextBytesMax];
  return FormatInt64(value, digits);
}

// Whether the members of an intset and this one, which is no integer, fit into a listpack.
bool FitsListpack(IntsetView set, std::string_view member, const SetLimits& limits) {
  const size_t count = set.count();
  if (count >= limits.listpack_entries_max || member.size() > limits.listpack_value_bytes_max) {
    return false;
  }
  const size_t digits = count == 0 ? 0 : std::max(DigitsOf(set.Min()), DigitsOf(set.Max()));
  return digits <= limits.listpack_value_bytes_max &&
         count * (digits + 2) + member.size() <= kListpackBytesMax.count;
}

bool FitsListpack(ListpackView list, std::string_view member, const SetLimits& limits) {
  return list.count() < limits.listpack_entries_max &&
         member.size() <= limits.listpack_value_bytes_max &&
         list.bytes().size() + member.size() <= kListpackBytesMax.count;
}

void FillListpack(PackedBuffer& buffer, const SetView& from) {
  Listpack list(buffer);
  list.Create();
  from.ForEach([&list](const ListpackValue& member) { list.Append(member); });
}

FieldTable* NewTable(uint32_t epoch) {
  FieldTable* table = FieldTable::Create(FieldValues::kNone);
  table->set_epoch(epoch);
  return table;
}

FieldTable* TableOf(const SetView& from, uint32_t epoch) {
  FieldTable* table = NewTable(epoch);
  from.ForEach([table](const ListpackValue& member) {
    char digits[kListpackDigitsBytes];
    table->Add(member.Render(digits));
  });
  return table;
}

template <typename Holder>
bool AddToIntset(Holder& set, const SetLimits& limits, std::string_view member) {
  Intset intset(set.buffer());
  if (const std::optional<int64_t> integer = ParseInt64(member)) {
    if (!intset.Insert(*integer)) return false;
    if (intset.view().count() > limits.intset_entries_max) set.ToTable();
    return true;
  }
  if (FitsListpack(intset.view(), member, limits)) {
    set.ToListpack();
    Listpack(set.buffer()).Append(member);
    return true;
  }
  set.ToTable();
  return set.table().Add(member);
}

template <typename Holder>
bool AddTo(Holder& set, const SetLimits& limits, std::string_view member) {
  if (set.form() == SetForm::kTable) return set.table().Add(member);
  if (set.form() == SetForm::kIntset) return AddToIntset(set, limits, member);
  Listpack list(set.buffer());
  const ListpackView view = list.view();
  if (view.Find(member) != view.End()) return false;
  if (FitsListpack(view, member, limits)) {
    list.Append(member);
    return true;
  }
  set.ToTable();
  return set.table().Add(member);
}

// Before `members` are added to a set: straight to a table when they are too many for what it is.
template <typename Holder>
void Expect(Holder& set, const SetLimits& limits, size_t members) {
  if ((set.form() == SetForm::kListpack && members > limits.listpack_entries_max) ||
      (set.form() == SetForm::kIntset && members > limits.intset_entries_max)) {
    set.ToTable();
  }
}

}  // namespace

SetLimits SetLimits::Of(const EngineSettings& settings) {
  return {.intset_entries_max = std::min(
              settings.set_intset_entries_max.load(std::memory_order_relaxed), kIntsetEntriesMax),
          .listpack_entries_max = settings.set_listpack_entries_max.load(std::memory_order_relaxed),
          .listpack_value_bytes_max =
              settings.set_listpack_value_bytes_max.load(std::memory_order_relaxed)};
}

void SetBuilder::Expect(std::string_view member, size_t members) {
  TG_DCHECK(form_ == SetForm::kIntset && view().size() == 0);
  if (members <= limits_.intset_entries_max && ParseInt64(member)) return;
  if (members <= limits_.listpack_entries_max) {
    ToListpack();
  } else {
    ToTable();
  }
}

bool SetBuilder::Add(std::string_view member) { return AddTo(*this, limits_, member); }

void SetBuilder::ToListpack() {
  PackedScratch list;
  FillListpack(list, view());
  uint8_t* to = buffer_.Splice(0, buffer_.size(), list.size());
  std::memcpy(to, list.data(), list.size());
  form_ = SetForm::kListpack;
}

void SetBuilder::ToTable() {
  table_ = TableOf(view(), epoch_);
  form_ = SetForm::kTable;
}

Entry* SetBuilder::Store(Database& db, const KeyRef& key, Entry* existing) {
  TG_DCHECK(view().size() > 0);
  if (form_ != SetForm::kTable) {
    return db.CreatePacked(key, existing, ValueType::kSet, form_ == SetForm::kIntset,
                           buffer_.bytes(), kNoExpire);
  }
  return db.PutObject(key, existing, ValueType::kSet, Encoding::kFieldTable,
                      std::exchange(table_, nullptr), kNoExpire);
}

size_t SetValue::Add(std::span<const std::string_view> members) {
  const SetLimits limits = SetLimits::Of(db_.keyspace().settings());
  size_t added = 0;
  if (entry_ == nullptr) {
    SetBuilder builder(limits, db_.epoch());
    builder.Expect(members[0], members.size());
    for (const std::string_view member : members) added += builder.Add(member) ? 1 : 0;
    entry_ = builder.Store(db_, key_, nullptr);
    return added;
  }
  Expect(*this, limits, members.size());
  for (const std::string_view member : members) added += AddTo(*this, limits, member) ? 1 : 0;
  return added;
}

bool SetValue::Erase(std::string_view member) {
  switch (form()) {
    case SetForm::kIntset: {
      const std::optional<int64_t> integer = ParseInt64(member);
      return integer && Intset(buffer_).Erase(*integer);
    }
    case SetForm::kListpack: {
      Listpack list(buffer_);
      const ListpackView view = list.view();
      const size_t at = view.Find(member);
      if (at == view.End()) return false;
      list.Erase(at);
      return true;
    }
    case SetForm::kTable:
      break;
  }
  return table().Erase(member);
}

void SetValue::ToListpack() {
  PackedScratch list;
  FillListpack(list, view());
  entry_ =
      db_.CreatePacked(key_, entry_, ValueType::kSet, false, list.bytes(), entry_->expire_at_ms());
}

void SetValue::ToTable() {
  FieldTable* table = TableOf(view(), db_.epoch());
  entry_ = db_.PutObject(key_, entry_, ValueType::kSet, Encoding::kFieldTable, table,
                         entry_->expire_at_ms());
}

}  // namespace tidegate
