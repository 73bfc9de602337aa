#include "hotkey/watch_list.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"

namespace tidegate::hotkey {

namespace {

// Free places are what makes a search for a key that is not there short.
constexpr size_t kPlacesPerKey = 8;
constexpr size_t kPlacesMin = 64;

constexpr std::array<const char*, kHotClasses> kNames = {"read", "write", "miss", "byte",
                                                         "predicted"};

}  // namespace

const char* NameOf(HotClass hot_class) { return kNames[static_cast<size_t>(hot_class)]; }

std::string HotClasses::Text() const {
  std::string text;
  for (size_t i = 0; i < kHotClasses; ++i) {
    if (!Has(static_cast<HotClass>(i))) continue;
    if (!text.empty()) text += ',';
    text += kNames[i];
  }
  return text;
}

WatchList::WatchList(std::vector<WatchedKey> keys)
    : keys_(std::move(keys)),
      places_(std::bit_ceil(std::max(keys_.size() * kPlacesPerKey, kPlacesMin))),
      mask_(places_.size() - 1) {
  TG_CHECK(keys_.size() <= kWatchedMax);
  for (size_t i = 0; i < keys_.size(); ++i) {
    TG_DCHECK(!Find(keys_[i].id));
    const size_t bit = BitOf(keys_[i].id);
    filter_[bit / 64] |= uint64_t{1} << bit % 64;
    size_t at = keys_[i].id & mask_;
    while (places_[at].index >= 0) at = (at + 1) & mask_;
    places_[at] = {.id = keys_[i].id, .index = static_cast<int32_t>(i)};
    if (!keys_[i].classes.any()) continue;
    TG_CHECK(hot_ == i);
    ++hot_;
  }
}

}  // namespace tidegate::hotkey
