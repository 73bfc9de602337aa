// AccessWindow: a key's accesses of the last second, as the sum of ten tenths. Its counts are at
// most the true ones, for they are sums of exact counts and of lower bounds.
#pragma once

#include <array>
#include <cstddef>

#include "hotkey/access_epoch.h"

namespace tidegate::hotkey {

inline constexpr size_t kWindowCells = 10;

class AccessWindow final {
 public:
  void Add(const AccessCounts& counts) { cells_[now_] += counts; }
  // The oldest tenth is forgotten, a new one begins.
  void Advance() {
    now_ = (now_ + 1) % kWindowCells;
    cells_[now_] = {};
  }
  AccessCounts Sum() const {
    AccessCounts sum;
    for (const AccessCounts& cell : cells_) sum += cell;
    return sum;
  }

 private:
  std::array<AccessCounts, kWindowCells> cells_{};
  size_t now_ = 0;
};

}  // namespace tidegate::hotkey
