// StoredRecord: what the disk holds under an entry's key.
//
//   version 1 | flags 1 | [expiry ms 8] | access 3 |
//       the value: RDB type byte and RDB value          (storage/rdb/rdb_value_writer.h)
//    or object 8 | parts 4 | bytes 8 | RDB type byte    kObject: it hangs under an id, cut in parts
//    or object 8 | bits 1 | fields 8 | RDB type byte    kTable: the same, with a part for each
//                                                       number of so many bits (table_parts.h)
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
#include "storage/keyspace/stored_object.h"

namespace tidegate {

// A value whose encoding is longer hangs under an object id, so that DEL of it costs a record and
// reading a neighbour does not read it.
inline constexpr Bytes kInlineBytesMax = 16_KiB;
// What a part of it holds at most.
inline constexpr Bytes kObjectPartBytes = 64_KiB;

struct StoredRecord {
  int64_t expire_at_ms = kNoExpire;
  uint32_t access = 0;     // LRU or LFU bits
  StoredObject object;     // none: `value` holds it
  std::string_view value;  // type byte first; empty of an object
};

// What stands before the value.
void AppendRecordHead(std::string& out, const Entry& entry, const StoredObject& object);
// The rest, of an object.
void AppendObjectReference(std::string& out, const StoredObject& object);

Result<StoredRecord> ParseStoredRecord(std::string_view record);

}  // namespace tidegate
