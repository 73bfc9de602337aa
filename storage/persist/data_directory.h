// The data directory: what lies in it, and which version of Tidegate may read it.
//
//   DIR/FORMAT   "tidegate-data 1\n": the version of everything below DIR/store. Written before
//                the store is made, so that a store without it cannot be.
//   DIR/store/   the RocksDB database
//
// A directory of a newer format is refused, never guessed at. Used at the start only.
#pragma once

#include <string>

#include "base/result.h"

namespace tidegate {

inline constexpr int kDataFormatVersion = 1;

// Makes the directory when there is none, checks or writes its format. Returns where the store is.
Result<std::string> PrepareDataDirectory(const std::string& dir);

}  // namespace tidegate
