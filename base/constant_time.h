// Comparing secrets: how long it takes must not tell how much of a guess was right.
// Why not memcmp: it stops at the first byte that differs, and over many tries that can be
// measured.
#pragma once

#include <cstddef>
#include <string_view>

namespace tidegate {

// In time that depends on the length of `given` alone.
inline bool EqualsInConstantTime(std::string_view secret, std::string_view given) {
  unsigned difference = secret.size() == given.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const char c = secret.empty() ? 0 : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(c ^ given[i]);
  }
  return difference == 0;
}

}  // namespace tidegate
