// DeadRecords: what a checkpoint has to delete from the disk beside the keys that are gone.
// Gathered at the moment of its cut; kept by the engine until it is known to have succeeded.
#pragma once

#include <cstdint>
#include <vector>

namespace tidegate {

struct DeadRecords {
  std::vector<uint32_t> databases;  // ids that FLUSHDB put out of use (keyspace/database_map.h)
  std::vector<uint64_t> objects;    // ids of stored objects that no record names any more
};

}  // namespace tidegate
