#include "storage/rdb/hash_builder.h"

#include <utility>

#include "storage/value/listpack.h"

namespace tidegate::rdb {

HashBuilder::HashBuilder(const EngineSettings& settings, uint32_t epoch)
    : entries_max_(settings.hash_listpack_entries_max.load(std::memory_order_relaxed)),
      value_bytes_max_(settings.hash_listpack_value_bytes_max.load(std::memory_order_relaxed)),
      epoch_(epoch) {
  Listpack(packed_).Create();
}

HashBuilder::~HashBuilder() {
  if (table_ != nullptr) FieldTable::Destroy(table_);
}

void HashBuilder::ToTable() {
  table_ = FieldTable::Create(FieldValues::kBytes);
  table_->set_epoch(epoch_);
  const ListpackView list(packed_.bytes());
  char field[kListpackDigitsBytes];
  char value[kListpackDigitsBytes];
  for (size_t at = list.First(); at != list.End();) {
    const size_t value_at = list.Next(at);
    table_->Set(list.Get(at).Render(field), list.Get(value_at).Render(value));
    at = list.Next(value_at);
  }
}

bool HashBuilder::Add(std::string_view field, std::string_view value, int64_t expire_at_ms,
                      bool expired) {
  ++seen_;
  if (expired) return true;
  if (table_ == nullptr) {
    const ListpackView list(packed_.bytes());
    if (list.Find(field, 1) != list.End()) return false;
    const bool fits = list.count() / 2 < entries_max_ && field.size() <= value_bytes_max_ &&
                      value.size() <= value_bytes_max_ && expire_at_ms == kNoExpire;
    if (fits) {
      Listpack(packed_).AppendPair(ListpackValue::Of(field), ListpackValue::Of(value));
      return true;
    }
    ToTable();
  }
  if (!table_->Set(field, value)) return false;
  if (expire_at_ms != kNoExpire) table_->SetExpiry(field, expire_at_ms);
  return true;
}

void HashBuilder::Store(Database& db, const KeyRef& key, Entry* existing) {
  const bool empty = table_ == nullptr && ListpackView(packed_.bytes()).empty();
  if (empty) {
    if (existing != nullptr) db.Delete(key);
  } else if (table_ == nullptr) {
    db.CreatePacked(key, existing, ValueType::kHash, false, packed_.bytes(), kNoExpire);
  } else {
    db.PutObject(key, existing, ValueType::kHash, Encoding::kFieldTable,
                 std::exchange(table_, nullptr), kNoExpire);
  }
}

}  // namespace tidegate::rdb
