// StoredRecord: what the disk holds under an entry's key.
//
//   version 1 | flags 1 | [expiry ms 8] | access 3 |
//       the value: RDB type byte and RDB value          (storage/rdb/rdb_value_writer.h)
//    or object 8 | parts 4 | bytes 8 | RDB type byte    kObject: it hangs under an id, in parts
//
// Values are the bytes of DUMP without its footer, so one reader and one writer serve snapshots,
// DUMP and the store, and every old form stays readable. All of them are on disk, also fields of
// hashes whose time has come: that they went is a record of the journal. Checked when it is read:
// nothing is believed. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/keyspace/entry.h"

namespace tidegate {

// A value whose encoding is longer hangs under an object id, so that DEL of it costs a record and
// reading a neighbour does not read it.
inline constexpr Bytes kInlineBytesMax = 16_KiB;
// What a part of it holds at most.
inline constexpr Bytes kObjectPartBytes = 64_KiB;

struct StoredRecord {
  int64_t expire_at_ms = kNoExpire;
  uint32_t access = 0;     // LRU or LFU bits
  uint64_t object_id = 0;  // 0: `value` holds it
  uint32_t parts = 0;
  uint64_t value_bytes = 0;
  uint8_t rdb_type = 0;
  std::string_view value;  // type byte first; empty of an object
};

// What stands before the value.
void AppendRecordHead(std::string& out, const Entry& entry, bool is_object);
// The rest, of an object.
void AppendObjectReference(std::string& out, uint64_t object, uint32_t parts, uint64_t bytes,
                           uint8_t rdb_type);

Result<StoredRecord> ParseStoredRecord(std::string_view record);

}  // namespace tidegate
