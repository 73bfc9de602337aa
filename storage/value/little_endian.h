// Integers inside packed bytes: little-endian, at any address.
//
// Why not pointers to integers: packed bytes have no alignment, and a misaligned or aliasing access
// is undefined behaviour. A memcpy of a constant size is one move instruction on every compiler we
// build with, so this costs nothing. The machines that we build for are little-endian themselves,
// which is checked here once instead of swapping bytes everywhere.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace tidegate {

static_assert(std::endian::native == std::endian::little);

template <typename T>
inline T LoadLittle(const uint8_t* p) {
  static_assert(std::is_integral_v<T>);
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <typename T>
inline void StoreLittle(uint8_t* p, T value) {
  static_assert(std::is_integral_v<T>);
  std::memcpy(p, &value, sizeof value);
}

}  // namespace tidegate
