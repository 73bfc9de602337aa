// WatchList: the keys whose accesses are counted exactly, each with a counter of its own: those
// that are hot, and those that may become so. Made by the detector, handed to the workers, never
// changed. One probe says whether a key is on it, and everything that is known of a hot key:
// policies look here too.
//
// Why beside the summaries: a summary that starts anew ten times a second loses a few accesses of a
// key each time, and a key's accesses are spread over the workers; together that would blur every
// threshold. Keys of interest are few, so they can be counted exactly.
// Any thread. Cost of Find: a load and a compare for a key that is not on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hotkey/key_id.h"

namespace tidegate::hotkey {

// Keys on a list, at most.
inline constexpr size_t kWatchedMax = 2048;

// Why a key is hot; several at once.
enum class HotClass : uint8_t {
  kReads,      // read often, and at least ten times as often as written
  kWrites,     // written often
  kMisses,     // read often, and mostly not there
  kBytes,      // its replies are a large part of what goes out
  kPredicted,  // the configuration says so
};
inline constexpr size_t kHotClasses = 5;
const char* NameOf(HotClass hot_class);

// A set of them.
class HotClasses final {
 public:
  bool Has(HotClass one) const { return (bits_ & BitOf(one)) != 0; }
  void Set(HotClass one, bool on) {
    bits_ = static_cast<uint8_t>(on ? bits_ | BitOf(one) : bits_ & ~BitOf(one));
  }
  bool any() const { return bits_ != 0; }
  // "read,byte"; empty: none.
  std::string Text() const;

  friend bool operator==(const HotClasses&, const HotClasses&) = default;

 private:
  static constexpr unsigned BitOf(HotClass one) { return 1u << static_cast<unsigned>(one); }
  uint8_t bits_ = 0;
};

struct WatchedKey {
  KeyId id = 0;
  Keyspace keyspace = {};
  HotClasses classes = {};  // none: it may become hot
  uint32_t slot = 0;        // the detector's
  std::string name = {};    // at most kNameBytesMax; empty: nobody has said it yet
};

class WatchList final {
 public:
  // At most kWatchedMax, no id twice; hot ones first.
  explicit WatchList(std::vector<WatchedKey> keys);

  // Its place on the list.
  std::optional<size_t> Find(KeyId id) const {
    const size_t bit = BitOf(id);
    if (__builtin_expect((filter_[bit / 64] >> bit % 64 & 1) == 0, 1)) return std::nullopt;
    for (size_t at = id & mask_;; at = (at + 1) & mask_) {
      const Place& place = places_[at];
      if (__builtin_expect(place.index < 0, 1)) return std::nullopt;
      if (place.id == id) return static_cast<size_t>(place.index);
    }
  }
  const WatchedKey& operator[](size_t index) const { return keys_[index]; }
  size_t size() const { return keys_.size(); }
  // Those at the beginning that are hot.
  size_t hot() const { return hot_; }

 private:
  struct Place {
    KeyId id = 0;
    int32_t index = -1;  // -1: free
  };

  // Most keys are on no list. The places of a full one are a quarter of a megabyte, these bits are
  // always near: seven of eight keys are done with there.
  static constexpr size_t kFilterBits = 8 * kWatchedMax;
  static size_t BitOf(KeyId id) { return id >> 40 & (kFilterBits - 1); }

  std::vector<WatchedKey> keys_;
  std::vector<Place> places_;  // open addressing
  std::array<uint64_t, kFilterBits / 64> filter_{};
  size_t mask_;
  size_t hot_ = 0;
};

}  // namespace tidegate::hotkey
