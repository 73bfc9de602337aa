// CheckpointInfo: what a checkpoint says of itself, in one record that comes into the store
// together with its data: up to which record of the journal it holds everything, under which ids
// the databases stand, and how much there is in them, so that a start needs to read nothing else
// before it serves. A value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/engine.h"

namespace tidegate {

// Its name among the keys of the store.
inline constexpr std::string_view kCheckpointName = "checkpoint";

struct CheckpointInfo {
  uint64_t sequence = 0;  // of the last record whose change is in it
  int64_t unix_ms = 0;    // of its moment
  uint64_t next_object_serial = 1;
  uint32_t next_database = 0;
  std::vector<uint32_t> databases;  // ids, by number
  std::vector<DbStats> stats;       // by number, as many

  std::string Encode() const;
  static Result<CheckpointInfo> Parse(std::string_view bytes);
};

}  // namespace tidegate
