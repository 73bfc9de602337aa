// AofManifest: which files an append-only file of Redis 7 is made of, and in which order.
//
//   file appendonly.aof.1.base.rdb seq 1 type b       the data at some time: RDB or commands
//   file appendonly.aof.1.incr.aof seq 1 type i       what was written since, in this order
//   file appendonly.aof.0.incr.aof seq 0 type h       no longer needed
//
// Source: Redis's aof.c, "AOF Manifest file implementation".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidegate {

// The names of the files that count, the base first. Names have no directory.
Result<std::vector<std::string>> ParseAofManifest(std::string_view text);

}  // namespace tidegate
