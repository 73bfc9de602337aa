// TtlJitter: keys of a route that would expire in one second with too many others expire somewhat
// earlier.
//
//   SET key value EX 3600 --> second of its expiry --> not full: as it was said
//                                                 \--> full: one of a few before it, chosen by lot,
//                                                      that has fewest
//
// It only shortens, by `share` percent at most, and only once a second has got its `per-second`: an
// application that sets few keys finds each time to live as it set it. What is counted are writes
// that were seen since the start: keys that were overwritten or deleted since, too.
// A wheel of fixed size, a cell for a second; a second that is farther away than its size shares a
// cell, and then too few are counted. Threads: any; two workers at one moment may both take the
// last place of a second. Cost: two or six looks into the wheel for each such write.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"
#include "storage/request.h"

namespace tidegate {

// Seconds that have a cell: 18 hours.
inline constexpr size_t kExpiryWheelSeconds = 65536;
// Seconds that are looked at for one that has fewer.
inline constexpr int kExpiryChoices = 4;
// What expires within so little is left alone: there is no room before it.
inline constexpr int64_t kJitteredTtlMsMin = 10'000;

// The same request with another argument.
struct ShorterTtl {
  size_t argument = 0;
  int64_t value = 0;
};

class TtlJitter final {
 public:
  TtlJitter(const TtlJitterOptions& options, PolicyMode mode);

  PolicyMode mode() const { return mode_; }
  bool of_learned_keys() const { return options_.learned; }
  bool Names(std::string_view key) const { return MatchesAny(keys_, key); }

  // A write of one such key: counted, and with which time to live it is sent instead; none: as it
  // is. `lot`: any number.
  std::optional<ShorterTtl> Rule(const Request& request, int64_t unix_ms, uint64_t lot);
  // Keys that were seen to expire in that second.
  uint32_t CountOf(int64_t second) const;

  // A line for TIDEGATE EXPLAIN.
  std::string Describe() const;

 private:
  // The second in front, modulo 2^40, and how many expire in it.
  using Cell = uint64_t;

  void Add(int64_t second);
  int64_t EarlierThan(int64_t second, int64_t spread, uint64_t lot) const;
  std::atomic<Cell>& CellOf(int64_t second) const {
    return wheel_[static_cast<size_t>(second) % kExpiryWheelSeconds];
  }

  const TtlJitterOptions options_;
  const PolicyMode mode_;
  const std::vector<KeyPattern> keys_;
  const std::unique_ptr<std::atomic<Cell>[]> wheel_;
};

}  // namespace tidegate
