// Values in the RDB format: what DUMP answers and what RDB files are made of.
//
// Packed values go out as the bytes they are held in, since those are Redis's own; large ones
// element by element, or page by page. Forms that Redis 7.0 does not know are avoided where there
// is a choice: a packed set goes out as a plain one. Bloom filters, which Redis has from a module,
// go out as a module's value under an id of our own. Needs the slot's lock of the entry.
#pragma once

#include <cstdint>
#include <string>

#include "storage/keyspace/entry.h"
#include "storage/rdb/rdb_writer.h"

namespace tidegate::rdb {

// Writes the type byte and the value; returns the version that a reader must know. Fields whose
// time had come by now_ms stay behind.
uint16_t WriteValue(const Entry& entry, int64_t now_ms, RdbWriter& out);

// A whole payload of DUMP, with its footer.
std::string DumpPayload(const Entry& entry, int64_t now_ms);

}  // namespace tidegate::rdb
