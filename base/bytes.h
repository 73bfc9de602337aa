// Bytes: an amount of memory or of data, so that it cannot be mixed up with a count. 64_KiB, 1_GiB
// literals.
#pragma once

#include <compare>
#include <cstdint>

namespace tidegate {

struct Bytes {
  uint64_t count = 0;

  constexpr explicit operator bool() const { return count != 0; }
  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
  friend constexpr Bytes operator*(Bytes a, uint64_t times) { return {a.count * times}; }
};

constexpr Bytes operator""_B(unsigned long long n) { return {n}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return {n << 10}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {n << 20}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {n << 30}; }

}  // namespace tidegate
