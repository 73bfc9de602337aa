// The names of encodings, as OBJECT ENCODING gives them: for users and for client libraries that
// know Redis's words. Needs the slot's lock of the entry.
#pragma once

#include <string_view>

#include "storage/keyspace/entry.h"

namespace tidegate {

// "int", "embstr", "raw", "listpack", "intset", "hashtable", "skiplist", "quicklist" or "stream":
// Redis 7.2's word for what is nearest, since users and client libraries know these.
std::string_view EncodingName(const Entry& entry);

}  // namespace tidegate
