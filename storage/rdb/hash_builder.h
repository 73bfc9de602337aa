// HashBuilder: a hash without a key, out of fields as they come, in the form that this server's
// limits ask for: a listpack, or a FieldTable when there are too many fields, one is too long, or
// one expires. Its maker's, until Store.
#pragma once

#include <cstdint>
#include <string_view>

#include "storage/engine.h"
#include "storage/keyspace/database.h"
#include "storage/value/field_table.h"
#include "storage/value/packed_scratch.h"

namespace tidegate::rdb {

class HashBuilder final {
 public:
  HashBuilder(const EngineSettings& settings, uint32_t epoch);
  ~HashBuilder();
  HashBuilder(const HashBuilder&) = delete;
  HashBuilder& operator=(const HashBuilder&) = delete;

  // False: the field was there before. One that has expired counts as seen and is not kept.
  bool Add(std::string_view field, std::string_view value, int64_t expire_at_ms, bool expired);
  uint64_t seen() const { return seen_; }
  // Puts the hash into the place of whatever the key holds; without fields the key is removed.
  void Store(Database& db, const KeyRef& key, Entry* existing);

 private:
  void ToTable();

  const uint64_t entries_max_;
  const uint64_t value_bytes_max_;
  const uint32_t epoch_;
  uint64_t seen_ = 0;
  PackedScratch packed_;
  FieldTable* table_ = nullptr;  // null: packed
};

}  // namespace tidegate::rdb
