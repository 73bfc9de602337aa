// LoadTimes: how long applications take to load a missing key, by what its name begins with. From
// the nil to the write, as a moving average; keys of one kind ("item:" of "item:17") share it. A
// fixed number of places: two kinds in one place are averaged, and then a lease is somewhat too
// long for one. Threads: any; a load that two workers note at one moment may count once.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"

namespace tidegate {

inline constexpr size_t kLoadTimePlaces = 256;

// What keys of one kind begin with: all up to the last ':'; else to the '{'; else nothing.
inline std::string_view KindOfKey(std::string_view key) {
  const size_t colon = key.rfind(':');
  if (colon != std::string_view::npos) return key.substr(0, colon + 1);
  const size_t brace = key.find('{');
  return brace == std::string_view::npos ? std::string_view() : key.substr(0, brace);
}

class LoadTimes final {
 public:
  static uint16_t PlaceOf(std::string_view key) {
    return static_cast<uint16_t>(KeyHash(KindOfKey(key)) % kLoadTimePlaces);
  }

  // 0: not known yet.
  int64_t NanosOf(uint16_t place) const { return nanos_[place].load(std::memory_order_relaxed); }
  void Note(uint16_t place, int64_t load_ns) {
    // Longer ones are no loads: somebody wrote the key for another reason.
    constexpr int64_t kLoadNanosMax = 10'000'000'000;
    constexpr int64_t kWeight = 4;  // the newest is a quarter of the average
    if (load_ns <= 0 || load_ns > kLoadNanosMax) return;
    const int64_t before = NanosOf(place);
    const int64_t after = before == 0 ? load_ns : before + (load_ns - before) / kWeight;
    nanos_[place].store(std::max<int64_t>(after, 1), std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<int64_t>, kLoadTimePlaces> nanos_{};
};

}  // namespace tidegate
