// ColdStart: what an engine needs to know to serve keys that are not in memory yet: where they are
// read from, how many there are, and which come first. Made by who opens the store; a value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace tidegate {

class ColdSource;

// What a checkpoint says of one database. Its id on disk is in the engine's database map by then.
struct ColdDatabaseTotals {
  int db = 0;
  uint64_t keys = 0;
  uint64_t expires = 0;
  int64_t mean_expire_at_s = 0;
};

// A key that is worth being loaded early; `database`: its id on disk.
struct HotKey {
  uint32_t database = 0;
  std::string key;
};

struct ColdStart {
  ColdSource* source = nullptr;                    // as long as the engine's loads run
  std::vector<ColdDatabaseTotals> databases = {};  // those that have keys
  std::vector<HotKey> hot = {};                    // the hottest first
  int threads = 4;                                 // disks are faster at several reads than at one
  // Of a slot that are read at a time; and whether anything is read that nobody has asked for.
  // Tests choose less.
  uint64_t batch_entries_max = 512;
  bool warms_up = true;
  int64_t (*now_ms)() = &UnixMillis;  // for what goes by the time of day
};

}  // namespace tidegate
