// The data directory: what lies in it, and which version of Tidegate may read it.
//
//   DIR/FORMAT       "tidegate-data 4\nhash-seed …\n": the version of everything else, and the seed
//                    that keys are hashed with (base/hash.h), whose hashes are part of the keys on
//                    disk. Written before the store is made, so that a store without it cannot be.
//   DIR/store/       the RocksDB database: what the last checkpoint holds
//   DIR/journal/     what has changed since (journal_files.h)
//   DIR/backups/     copies of the three above (storage/backup.h)
//   DIR/checkpoint/  files of a checkpoint that is being written; swept at every start
//
// A directory of a newer format is refused, never guessed at. An older one is read as it was, and
// becomes one of this version when it is opened: version 1 holds a journal alone, version 2 no
// values in parts (checkpoint/table_parts.h), and up to version 3 the journal is in the database.
// Used at the start only.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace tidegate {

inline constexpr int kDataFormatVersion = 4;

struct DataDirectory {
  std::string store;
  std::string journal;
  std::string checkpoint;
  uint64_t hash_seed = 0;
};

// Makes the directory when there is none; checks, writes or renews its format.
Result<DataDirectory> PrepareDataDirectory(const std::string& dir);
// The format file alone, of the version that is written now, on the disk when it returns.
Status WriteDataFormat(const std::string& dir, uint64_t hash_seed);
// Looks at one that is there, and leaves it as it is.
Result<DataDirectory> FindDataDirectory(const std::string& dir);
// Whether there is one of ours, of whatever version.
bool IsDataDirectory(const std::string& dir);

}  // namespace tidegate
