// ColdRest: what a slot of a database has on disk and not in memory, for who writes a snapshot and
// does not want to load it.
//
//   with the slot's lock   Note: the keys of which memory knows more than the disk, those that are
//                          in a table and those that are known to be absent
//   later, without         ForEach: every entry on disk whose key was not noted
//
// Why that is right: a key that is not resident has not changed since it was written, and what is
// on disk under it changes neither by checkpoints, which write what is in memory, nor by FLUSHDB,
// as long as no checkpoint begins (cold/residency.h). So the disk has the key as it was when it was
// noted, whatever happens before it is read. Owner: one thread. Cost: a copy of the noted keys, and
// each entry is built once and dropped (entry_builder.h), so that memory is that of one value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/cold/cold_source.h"

namespace tidegate {

class EntryBuilder;
class Table;

class ColdRest final {
 public:
  // `database`: its id on disk. What has a smaller hash than `from_hash` is in memory.
  ColdRest(uint32_t database, uint16_t slot, uint64_t from_hash)
      : database_(database), slot_(slot), from_hash_(from_hash) {}

  void Note(const Table& table);
  // Until fn returns false. An error: it cannot be read, or is damaged.
  Status ForEach(ColdSource& source, EntryBuilder& builder,
                 const std::function<bool(const Entry&)>& fn);

 private:
  struct Noted {
    uint64_t hash;
    size_t begin;  // of the key in keys_
    size_t bytes;
  };
  bool IsNoted(uint64_t hash, std::string_view key) const;

  uint32_t database_;
  uint16_t slot_;
  uint64_t from_hash_;
  std::string keys_;
  std::vector<Noted> noted_;
};

}  // namespace tidegate
