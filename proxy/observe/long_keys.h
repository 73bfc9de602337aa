// LongKeys: names of keys that are too long to be kept with a request in flight (kKeptKeyBytesMax),
// for when the reply says that the key is big. A ring: a name is found until kLongKeysKept others
// came behind it; one that is gone is found with the key's next request. No allocation once the
// ring was round. Owner: one worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

inline constexpr size_t kLongKeysKept = 1024;
// Longer ones are not kept; 1 MiB for a worker at most.
inline constexpr size_t kLongKeyBytesMax = 1024;

class LongKeys final {
 public:
  // What to ask for it by; 0: it is not kept.
  uint32_t Keep(std::string_view name) {
    if (name.size() > kLongKeyBytesMax) return 0;
    if (++last_ == 0) ++last_;
    Kept& kept = ring_[last_ % kLongKeysKept];
    kept.ticket = last_;
    kept.name.assign(name);
    return last_;
  }
  // Empty: it is gone.
  std::string_view Find(uint32_t ticket) const {
    const Kept& kept = ring_[ticket % kLongKeysKept];
    return ticket != 0 && kept.ticket == ticket ? std::string_view(kept.name) : std::string_view();
  }

 private:
  struct Kept {
    uint32_t ticket = 0;
    std::string name;
  };
  std::array<Kept, kLongKeysKept> ring_;
  uint32_t last_ = 0;
};

}  // namespace tidegate
