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

struct ValueForm {
  int64_t now_ms = 0;       // fields of hashes whose time had come stay behind
  bool field_times = true;  // else fields that expire go out as if they did not
};

// Writes the type byte and the value; returns the version that a reader must know.
uint16_t WriteValue(const Entry& entry, const ValueForm& form, RdbWriter& out);

// The same with the key behind the type byte, as in files.
void WriteKeyAndValue(const Entry& entry, const ValueForm& form, RdbWriter& out);

// A whole payload of DUMP, with its footer.
std::string DumpPayload(const Entry& entry, const ValueForm& form);
inline std::string DumpPayload(const Entry& entry, int64_t now_ms) {
  return DumpPayload(entry, ValueForm{.now_ms = now_ms});
}

}  // namespace tidegate::rdb
