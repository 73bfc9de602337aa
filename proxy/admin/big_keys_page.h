// /bigkeys: the keys that are big as JSON, the most bytes first, with how many there are. `key` is
// text to show, `key_base64` has the exact bytes. Threads: any.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/observe/big_keys.h"

namespace tidegate {

std::string BigKeysJson(const BigKeyFacts& facts, int64_t now_ms);

}  // namespace tidegate
