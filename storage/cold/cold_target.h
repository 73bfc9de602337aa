// ColdTarget: what is read from disk, and what is kept in memory meanwhile: a key, the whole of a
// slot, or all there is. Databases go by their id on disk, which FLUSHDB changes and SWAPDB moves.
// A value.
#pragma once

#include <cstdint>
#include <string>

#include "storage/request.h"

namespace tidegate {

struct ColdTarget {
  enum class Kind : uint8_t { kKey, kSlot, kEverything };

  Kind kind = Kind::kEverything;
  uint32_t database = 0;
  uint16_t slot = 0;
  uint64_t hash = 0;
  std::string key;

  static ColdTarget Key(uint32_t database, const KeyRef& key) {
    return {Kind::kKey, database, key.slot, key.hash, std::string(key.name)};
  }
  static ColdTarget Slot(uint32_t database, uint16_t slot) {
    return {Kind::kSlot, database, slot, 0, {}};
  }
  static ColdTarget Everything() { return {}; }

  KeyRef ref() const { return {key, hash, slot}; }
  friend bool operator==(const ColdTarget&, const ColdTarget&) = default;
};

}  // namespace tidegate
