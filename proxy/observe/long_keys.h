// LongKeys: names of keys that cannot be kept with a request in flight (kKeptKeyBytesMax), for when
// the reply says that a key is big: a name that is too long, or the names of all keys of an MGET.
//
// Two rings: what was kept is found until so many others came behind it; of what is gone nothing is
// learned until the next request. Why no map by request: then each reply would have to look whether
// it has something to take out. No allocation once a ring was round. Owner: one worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "storage/request.h"

namespace tidegate {

inline constexpr size_t kLongKeysKept = 1024;
// Longer ones are not kept; 1 MiB for a worker at most.
inline constexpr size_t kLongKeyBytesMax = 1024;
inline constexpr size_t kKeyListsKept = 256;
// Of all names of one request, each with its size in front; further keys are not kept. 1 MiB for a
// worker at most.
inline constexpr size_t kKeyListBytesMax = 4096;

class LongKeys final {
 public:
  // What to ask for it by; 0: it is not kept.
  uint32_t Keep(std::string_view name) {
    if (name.size() > kLongKeyBytesMax) return 0;
    Kept& kept = names_.Next();
    kept.text.assign(name);
    return kept.ticket;
  }
  // Empty: it is gone.
  std::string_view Find(uint32_t ticket) const { return names_.Find(ticket); }

  uint32_t KeepList(std::span<const KeyRef> keys) {
    Kept& kept = lists_.Next();
    kept.text.clear();
    for (const KeyRef& key : keys) {
      if (kept.text.size() + kSizeBytes + key.name.size() > kKeyListBytesMax) break;
      kept.text.push_back(static_cast<char>(key.name.size() & 0xff));
      kept.text.push_back(static_cast<char>(key.name.size() >> 8));
      kept.text.append(key.name);
    }
    return kept.ticket;
  }
  // Calls fn(std::string_view name) for each that was kept, in order, until it answers false.
  template <typename Fn>
  void ForEachInList(uint32_t ticket, Fn&& fn) const {
    for (std::string_view left = lists_.Find(ticket); left.size() >= kSizeBytes;) {
      const size_t bytes = static_cast<uint8_t>(left[0]) | static_cast<uint8_t>(left[1]) << 8;
      if (!fn(left.substr(kSizeBytes, bytes))) return;
      left.remove_prefix(kSizeBytes + bytes);
    }
  }

 private:
  static constexpr size_t kSizeBytes = 2;

  struct Kept {
    uint32_t ticket = 0;
    std::string text;
  };
  template <size_t kCount>
  struct Ring {
    Kept& Next() {
      if (++last == 0) ++last;
      Kept& kept = kept_texts[last % kCount];
      kept.ticket = last;
      return kept;
    }
    std::string_view Find(uint32_t ticket) const {
      const Kept& kept = kept_texts[ticket % kCount];
      return ticket != 0 && kept.ticket == ticket ? std::string_view(kept.text)
                                                  : std::string_view();
    }
    std::array<Kept, kCount> kept_texts;
    uint32_t last = 0;
  };

  Ring<kLongKeysKept> names_;
  Ring<kKeyListsKept> lists_;
};

}  // namespace tidegate
