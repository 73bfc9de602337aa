// Limits that more than one folder must agree on. Each has a unit and a reason; limits of one
// module live in its header.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace tidegate {

// Longest string value and longest bulk argument by default. As Redis's proto-max-bulk-len.
inline constexpr Bytes kStringBytesMax = 512_MiB;

// Databases that SELECT can name by default (option `databases`), and the most that can be asked
// for.
inline constexpr int kDatabasesDefault = 16;
inline constexpr int kDatabasesMax = 1024;

// Worker threads at the most: per-worker state is found by index in fixed arrays.
inline constexpr int kWorkersMax = 64;

}  // namespace tidegate
