// Where RocksDB's write-ahead log is damaged, and whether anything whole comes after it.
//
// RocksDB opens a log that ends early, and refuses one with a wrong checksum, wherever that is. Of
// the two ways to be damaged one is harmless: a power loss may leave garbage where the last write
// was, which nobody was promised. Damage with whole records behind it is another matter: opening
// such a log would silently lose what was synced. RocksDB cannot tell them apart, so this reads the
// log's own framing. A log that ends in the middle of a record, with another log behind it, is no
// damage: a start after a power loss came upon it and went on, and whether numbers are missing
// there is seen when the journal is read. Used when opening fails, and then only; reads each log
// once. Source: RocksDB, db/log_format.h: blocks of 32 KiB of fragments, each {masked CRC-32C 4,
// length 2, type 1, payload}; no fragment crosses a block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace tidegate {

struct WalDamage {
  std::string file;
  uint64_t offset = 0;
  bool at_end = false;  // nothing whole behind it
};

// The first damage in the logs of the database; none: they are whole, or cannot be read.
std::optional<WalDamage> FindWalDamage(const std::string& directory);

// Cuts the log off where its damage begins, which is at its end: RocksDB takes what is left. (It
// has a mode of recovery of its own that drops such an end, and with it all logs whose sequence
// numbers do not go on from there. Files that are taken into the store use some up, so no log's
// ever would.)
Status CutOffDamage(const WalDamage& damage);

}  // namespace tidegate
