// Request: one parsed command on its way in, and its keys with their hashes.
//
// Keys are hashed once, while the batch is parsed, so that the engine can prefetch slot and bucket
// of every command of the batch before it executes the first; handlers never hash. Lifetime: all
// views point into the session's input; valid until the batch is done, or while the session is
// suspended.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/hash.h"

namespace tidegate {

struct Command;

struct KeyRef {
  std::string_view name;
  uint64_t hash = 0;  // KeyHash(name)
  uint16_t slot = 0;  // KeySlot(name)

  static KeyRef Of(std::string_view name) { return {name, KeyHash(name), KeySlot(name)}; }
};

struct Request {
  const Command* command = nullptr;        // never a container
  std::span<const std::string_view> args;  // [0] is the command's name; a sub-command's word is [1]
  std::span<const KeyRef> keys;            // as FindKeyArguments names them
};

}  // namespace tidegate
