// Policies of a route, as the YAML file writes them under `policies:`.
//
//   policies:
//     rate_limit: {mode: enforce, rules: [{per: hot-key, rate: 400/s, burst: 100}]}
//     key_shape:  {allow: ["item:<int>"], key-bytes-max: 64}
//     big_key:    {keys: refuse, elements-max: 100000}
//     single_flight: {keys: ["item:*"], wait-max: 500ms}
//     early_refresh: {mode: enforce, keys: ["item:*"]}
//     stale:      {mode: enforce, keys: ["item:*"], keep: 30s}
//     ttl_jitter: {keys: ["item:*"], share: 10}
//     negative_cache: {mode: enforce, ttl: 30s, answer: nil}
//     bloom:      {mode: enforce, on-absent: {sentinel: "null"}}
//
// What would limit nothing, or everything, is refused here, where the file has a line for it.
// Thread: the one that loads. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "config/config_node.h"
#include "config/policy_options.h"
#include "config/yaml_context.h"

namespace tidegate {

// Rules of one route: each costs its requests a look.
inline constexpr size_t kRateLimitRulesMax = 16;
// Faster than that nothing needs to be limited; and an interval between two requests is whole
// nanoseconds, so this is still exact to a hundredth.
inline constexpr int64_t kRatePerSecondMax = 10'000'000;
inline constexpr int64_t kRateBurstMax = 1'000'000'000;
// A client that is kept longer takes its server for dead.
inline constexpr std::chrono::milliseconds kParkMax{1000};
// Patterns of `allow`, and of `deny`: each key is held against them one after the other.
inline constexpr size_t kKeyShapePatternsMax = 64;
// Patterns of `keys` of the policies that have such: likewise.
inline constexpr size_t kKeysPatternsMax = 64;
// A time to live that is shortened by more is another one.
inline constexpr int64_t kJitterShareMax = 50;
inline constexpr int64_t kJitterPerSecondMax = 10'000'000;
// A lease that is longer would keep a key from being loaded for as long when its client has gone.
inline constexpr std::chrono::milliseconds kFlightLeaseMost{10'000};
inline constexpr std::chrono::milliseconds kFlightLeaseLeast{50};
// A read that waits longer is one that its client has given up.
inline constexpr std::chrono::milliseconds kFlightWaitMost{1500};
// How early keys are loaded anew, in hundredths of XFetch's beta: beyond ten times what is known to
// be best most reads of a key would be loads.
inline constexpr int64_t kRefreshBetaPercentMin = 10;
inline constexpr int64_t kRefreshBetaPercentMax = 1000;
// How long a copy may be given after its value was last seen, and memory for copies of one route.
inline constexpr std::chrono::milliseconds kStaleKeepMin{100};
inline constexpr std::chrono::milliseconds kStaleKeepMax = std::chrono::hours(24);
inline constexpr Bytes kStaleBytesMin = 1_MiB;
inline constexpr Bytes kStaleEntryBytesMax = 1_MiB;
inline constexpr int64_t kWholeReadElementsMax = 1'000'000'000;
// For how long, and of how many keys, it may be remembered that they are absent.
inline constexpr std::chrono::milliseconds kNegativeTtlMin{100};
inline constexpr std::chrono::milliseconds kNegativeTtlMax = std::chrono::hours(1);
inline constexpr int64_t kNegativeKeysMax = 10'000'000;
// Of a sentinel, or of an error.
inline constexpr size_t kAbsentTextBytesMax = 1024;
// How often a filter of all keys may be built anew, and how fast keys may be walked through for it.
inline constexpr std::chrono::milliseconds kBloomRebuildMin = std::chrono::seconds(1);
inline constexpr std::chrono::milliseconds kBloomRebuildMax = std::chrono::hours(24 * 30);
inline constexpr int64_t kBloomScanRateMax = 10'000'000;

// "400/s", "10/m", "1/h"; none: no rate.
std::optional<Rate> ParseRate(std::string_view text);
std::string PrintRate(const Rate& rate);
// What a rule has that does not say: a quarter of a second's requests, at least one.
int64_t BurstOf(const Rate& rate);

RoutePriority ReadYamlPriority(YamlContext& context, const ConfigNode& entry);
RoutePolicyOptions ReadYamlPolicies(YamlContext& context, const ConfigNode& node);

}  // namespace tidegate
