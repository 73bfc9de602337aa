// ColdSource: the data as the last checkpoint has it on disk, for whoever loads keys into memory:
// one by one as they are asked for, or slot by slot to warm up.
//
// It knows nothing of what has happened since. So whoever asks must know that the key is cold: not
// in memory, and not remembered there as gone. What is cold changes by FLUSHDB and SWAPDB alone, so
// a checkpoint that comes in between two reads changes nothing for cold keys.
// `database` is the id under which a database stands on disk (keyspace/database_map.h). An
// interface, because tests have one that fails, waits and counts. Thread: any, several at once;
// reads block on the disk, so never a loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "storage/keyspace/entry.h"
#include "storage/keyspace/stored_object.h"

namespace tidegate {

struct StoredEntry {
  std::string_view key;  // valid until the next call
  uint64_t hash = 0;
  int64_t expire_at_ms = kNoExpire;
  uint32_t access = 0;     // LRU or LFU bits
  StoredObject object;     // none: stored in the record itself
  std::string_view value;  // RDB type byte, then the RDB value, whole
};

// Of an entry, without its value.
struct StoredExpiry {
  std::string_view key;  // valid until the next call
  uint64_t hash = 0;
  int64_t expire_at_ms = kNoExpire;
};

class ColdSource {
 public:
  virtual ~ColdSource() = default;
  // Calls fn with the key's entry, when there is one: true.
  virtual Result<bool> Read(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key,
                            const std::function<void(const StoredEntry&)>& fn) = 0;
  // Whether it is known that there is no such key, without a read of the disk: false says nothing.
  // The one call that a loop's thread may make.
  virtual bool IsAbsent(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key) = 0;
  // The entries of a slot in the order of their hashes, from `from_hash` on, until fn returns
  // false.
  virtual Status ReadSlot(uint32_t database, uint16_t slot, uint64_t from_hash,
                          const std::function<bool(const StoredEntry&)>& fn) = 0;
  // The same of when they expire.
  virtual Status ReadExpiries(uint32_t database, uint16_t slot, uint64_t from_hash,
                              const std::function<bool(const StoredExpiry&)>& fn) = 0;
};

}  // namespace tidegate
