// KeyId: which key, in 64 bits: the hash that its request carries already, mixed with where the key
// lives, so that one name in two databases or clusters is two keys. The hash has a secret seed, so
// nobody outside can aim two keys at one id; by chance two of a thousand hot keys share one with
// a probability of 3e-14.
#pragma once

#include <cstdint>

namespace tidegate::hotkey {

// Where a key lives. `cluster`: its number in the configuration; 0 is the engine.
struct Keyspace {
  uint16_t cluster = 0;
  uint16_t database = 0;

  friend bool operator==(const Keyspace&, const Keyspace&) = default;
};

using KeyId = uint64_t;

// `hash`: KeyHash of the name. Cost: a multiplication, none for database 0 of the engine.
inline KeyId IdOf(uint64_t hash, Keyspace keyspace) {
  const uint64_t place = static_cast<uint64_t>(keyspace.cluster) << 16 | keyspace.database;
  return hash ^ place * 0x9e3779b97f4a7c15ull;
}

}  // namespace tidegate::hotkey
