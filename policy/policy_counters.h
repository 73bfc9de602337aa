// PolicyCounters: what the policies of one route have done, or would have done in mode observe.
// Only requests that a policy acts on are counted: these are few, or slow it down anyway, so the
// workers share the counters. They outlive a reload. Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/policy_options.h"

namespace tidegate {

enum class PolicyKind : uint8_t {
  kRateLimit,
  kKeyShape,
  kBigKey,
  kLoadShedding,
  kSingleFlight,
  kTtlJitter,
  kNegativeCache,
  kBloom,
  kEarlyRefresh,
  kStale,
};
inline constexpr std::array<std::string_view, 10> kPolicyKindNames = {
    "rate_limit", "key_shape",      "big_key", "load_shedding", "single_flight",
    "ttl_jitter", "negative_cache", "bloom",   "early_refresh", "stale"};

// What a policy does to a request: answers in place of whoever has the data, keeps it for a moment,
// or lets it through in another form.
enum class PolicyAct : uint8_t { kRefused, kDelayed, kRewritten };

struct PolicyFigures {
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> delayed{0};
  std::atomic<uint64_t> rewritten{0};
  std::atomic<uint64_t> observed{0};   // one of the three, in mode observe
  std::atomic<uint64_t> forgotten{0};  // keys or clients whose rate had no place any more
};

// Of single_flight alone.
struct FlightFigures {
  std::atomic<uint64_t> leases{0};    // reads that got nil at once and are expected to load the key
  std::atomic<uint64_t> promoted{0};  // of these: they had waited, and nobody had loaded it
  std::atomic<uint64_t> parked{0};    // reads that waited
  std::atomic<uint64_t> released{0};  // of these: the key was loaded
  std::atomic<uint64_t> timed_out{0};  // of these: it was not, in time
  std::atomic<uint64_t> passed{0};     // reads that got nil at once, because too many waited
  std::atomic<uint64_t> waiting{0};    // now
};

// Of stale alone.
struct StaleFigures {
  std::atomic<uint64_t> loading{0};  // reads that got a copy while somebody else loaded the key
  std::atomic<uint64_t> down{0};     // because the key's node did not answer
  std::atomic<uint64_t> limited{0};  // because a rate was used up
  std::atomic<uint64_t> missing{0};  // that would have got one, and none was kept
  std::atomic<uint64_t> age_ms{0};   // of all copies that were given, together
  std::atomic<uint64_t> dropped{0};  // because their keys were written
};

struct PolicyCounters {
  std::array<PolicyFigures, kPolicyKindNames.size()> figures;
  FlightFigures flight;
  StaleFigures stale;

  PolicyFigures& of(PolicyKind kind) { return figures[static_cast<size_t>(kind)]; }
  const PolicyFigures& of(PolicyKind kind) const { return figures[static_cast<size_t>(kind)]; }

  void Count(PolicyKind kind, PolicyAct act, PolicyMode mode) {
    PolicyFigures& these = of(kind);
    std::atomic<uint64_t>& which = mode == PolicyMode::kObserve ? these.observed
                                   : act == PolicyAct::kRefused ? these.refused
                                   : act == PolicyAct::kDelayed ? these.delayed
                                                                : these.rewritten;
    which.fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace tidegate
