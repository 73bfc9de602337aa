// EarlyRefresh: which reads of a key that is there find nothing, so that one client loads it before
// it expires and nobody ever waits for it.
//
//   remaining time to live <= -beta * load time * ln(random)  --> nil, for the one that gets the
//                                                                 key's lease; all others the value
//
// A fresh draw for each read: the more a key is read, the earlier one of them wins, and it is
// loaded about a load before its end. Of all ways to draw this needs no coordination and is the
// best known. Here there is coordination as well: a lease keeps a second one from loading it
// meanwhile. How long a load takes is what single_flight measures; a key of whose kind no load was
// seen is left alone. Threads: any. Cost of a read: a load of a word, and a comparison; a logarithm
// near the end. Source: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
// Prevention", VLDB 2015.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"
#include "policy/early_refresh/expiry_times.h"
#include "storage/request.h"

namespace tidegate {

struct ShorterTtl;

class EarlyRefresh final {
 public:
  explicit EarlyRefresh(const EarlyRefreshOptions& options);

  PolicyMode mode() const { return options_.mode; }
  bool Names(std::string_view key) const { return MatchesAny(keys_, key); }
  ExpiryTimes& expiries() { return expiries_; }

  // `load_ns` 0: not known. `lot`: any 64 bits.
  bool Draws(int64_t remaining_ms, int64_t load_ns, uint64_t lot) const;

  // A line for TIDEGATE EXPLAIN.
  std::string Describe() const;

 private:
  const EarlyRefreshOptions options_;
  const std::vector<KeyPattern> keys_;
  ExpiryTimes expiries_;
};

// The time to live that a write gives its only key for certain, if it succeeds: SET with EX or PX
// and without NX, XX or GET, SETEX, PSETEX. `shorter`: the argument that is sent in place of what
// the client said; null: none. 0: it is not known.
int64_t WrittenTtlMs(const Request& request, const ShorterTtl* shorter);

}  // namespace tidegate
