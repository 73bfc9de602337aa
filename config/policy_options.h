// What the configuration says about the policies of a route: what may act on its requests, and how
// far.
//
// Each policy has a mode. One that the file does not say follows `profile`: only `strict` enforces
// what can change a reply; until then such a policy looks on and counts what it would have done.
// What changes no reply (DEL of a large value as UNLINK) acts in `standard`, too. Plain values,
// compared when a reload asks whether anything changed; config/yaml_policies.cc reads them,
// docs/guards/ explains them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace tidegate {

// How far the guards go: watch only, the safe ones act, all act.
enum class Profile : uint8_t { kObserve, kStandard, kStrict };

enum class PolicyMode : uint8_t { kOff, kObserve, kEnforce };
inline constexpr std::array<std::string_view, 3> kPolicyModeNames = {"off", "observe", "enforce"};

// Which commands a policy is about, by what they do to data.
enum class PolicyAccess : uint8_t { kReads, kWrites, kBoth };
inline constexpr std::array<std::string_view, 3> kPolicyAccessNames = {"reads", "writes", "both"};

// What a request gets that a policy does not let through. Nil: as if its keys did not exist; blank:
// the same, but an empty string where a command replies with a string. Only reads can have these
// two; all others get the error.
enum class PolicyAnswer : uint8_t { kError, kNil, kBlank };
inline constexpr std::array<std::string_view, 3> kPolicyAnswerNames = {"error", "nil", "blank"};

// Which requests share one rate.
enum class RatePer : uint8_t { kKey, kHotKey, kRoute, kClient, kUser };
inline constexpr std::array<std::string_view, 5> kRatePerNames = {"key", "hot-key", "route",
                                                                  "client", "user"};

// So many requests in a period.
struct Rate {
  int64_t requests = 0;
  std::chrono::seconds period{1};

  friend bool operator==(const Rate&, const Rate&) = default;
};

struct RateLimitRule {
  RatePer per = RatePer::kKey;
  std::string match = {};  // only keys that match; empty: all of the route
  Rate rate = {};
  int64_t burst = 0;  // requests at once, after a pause
  PolicyAccess access = PolicyAccess::kBoth;
  std::chrono::milliseconds park{0};  // that a request may wait for its turn before it is over
  PolicyAnswer over = PolicyAnswer::kError;
  bool stale = false;  // before it waits or is over: a copy that the route's `stale` keeps

  friend bool operator==(const RateLimitRule&, const RateLimitRule&) = default;
};

struct RateLimitOptions {
  std::optional<PolicyMode> mode = {};
  std::vector<RateLimitRule> rules = {};

  friend bool operator==(const RateLimitOptions&, const RateLimitOptions&) = default;
};

struct KeyShapeOptions {
  std::optional<PolicyMode> mode = {};
  std::vector<std::string> allow = {};  // empty: all keys but those of `deny`
  std::vector<std::string> deny = {};
  Bytes key_bytes_max = 0_B;  // 0: no limit
  PolicyAnswer answer = PolicyAnswer::kError;

  bool any() const { return !allow.empty() || !deny.empty() || key_bytes_max.count > 0; }
  friend bool operator==(const KeyShapeOptions&, const KeyShapeOptions&) = default;
};

// What becomes of a command that reads a whole big key.
enum class WholeReads : uint8_t { kRefuse, kCap };
inline constexpr std::array<std::string_view, 2> kWholeReadsNames = {"refuse", "cap"};

struct BigKeyOptions {
  std::optional<PolicyMode> mode = {};    // of all but `unlink`
  std::optional<PolicyMode> unlink = {};  // DEL of a key that is known to be big
  bool refuse_keys = false;               // the command KEYS
  // Keys known to have more than that are read in parts alone. 0: no limit.
  int64_t elements_max = 0;
  Bytes bytes_max = 0_B;
  WholeReads whole_reads = WholeReads::kRefuse;

  bool any() const { return refuse_keys || elements_max > 0 || bytes_max.count > 0; }
  friend bool operator==(const BigKeyOptions&, const BigKeyOptions&) = default;
};

// Patterns of local_cache, and limits of what it may be set to. Beyond an hour a value that was
// swapped in behind our back would be wrong for too long; larger entries are no hot keys.
inline constexpr size_t kLocalCachePatternsMax = 64;
inline constexpr std::chrono::milliseconds kLocalCacheTtlMin{10};
inline constexpr std::chrono::milliseconds kLocalCacheTtlMax{3'600'000};
inline constexpr Bytes kLocalCacheEntryBytesMax = 1_MiB;

// Keys whose replies a local cache keeps: those that are hot now, or those of a shape.
struct LocalCacheOptions {
  bool said = false;  // without it a route has none
  std::optional<PolicyMode> mode = {};
  bool hot = true;
  std::vector<std::string> patterns = {};
  std::chrono::milliseconds ttl_max{10'000};
  Bytes entry_bytes_max = 64_KiB;

  friend bool operator==(const LocalCacheOptions&, const LocalCacheOptions&) = default;
};

// Patterns of replica_fanout: of keys, and of addresses that are near.
inline constexpr size_t kFanoutPatternsMax = 64;

// Which nodes share the reads of replica_fanout: all that may be read, or replicas alone while
// there are any.
enum class FanoutNodes : uint8_t { kAll, kReplicas };
inline constexpr std::array<std::string_view, 2> kFanoutNodesNames = {"all", "replicas"};

// Keys whose reads replicas answer as well: those that are hot now, or those of a shape.
struct ReplicaFanoutOptions {
  bool said = false;  // without it a route has none
  std::optional<PolicyMode> mode = {};
  bool hot = true;
  std::vector<std::string> patterns = {};
  FanoutNodes nodes = FanoutNodes::kAll;
  std::vector<std::string> near = {};  // of addresses; empty: all are alike
  bool own_writes = true;              // nobody reads something older than what he wrote here

  friend bool operator==(const ReplicaFanoutOptions&, const ReplicaFanoutOptions&) = default;
};

// What becomes of a read whose key somebody else is loading, when that takes too long.
struct SingleFlightOptions {
  std::optional<PolicyMode> mode = {};
  std::vector<std::string> keys = {};  // those that a cache has; empty: `learned` says
  bool learned = false;                // keys that are seen to be used as a cache's
  std::chrono::milliseconds lease_max{3000};
  std::chrono::milliseconds wait_max{1500};
  PolicyAnswer over = PolicyAnswer::kNil;  // or kError

  bool any() const { return learned || !keys.empty(); }
  friend bool operator==(const SingleFlightOptions&, const SingleFlightOptions&) = default;
};

// Keys that one client loads anew before they expire. Acts only where a rule says `mode: enforce`.
struct EarlyRefreshOptions {
  bool any = false;
  PolicyMode mode = PolicyMode::kObserve;
  std::vector<std::string> keys = {};
  int64_t beta_percent = 100;  // how early: XFetch's beta

  friend bool operator==(const EarlyRefreshOptions&, const EarlyRefreshOptions&) = default;
};

// For what a copy of an older value is given: while somebody loads the key, while its node does not
// answer.
enum class StaleWhen : uint8_t { kBoth, kLoading, kDown };
inline constexpr std::array<std::string_view, 3> kStaleWhenNames = {"both", "loading", "down"};

// Copies of values. Given only where a rule says `mode: enforce`.
struct StaleOptions {
  bool any = false;
  PolicyMode mode = PolicyMode::kObserve;
  std::vector<std::string> keys = {};
  StaleWhen when = StaleWhen::kBoth;
  std::chrono::milliseconds keep{10'000};  // since the value was last seen
  bool after_delete = false;               // also of keys that a client has deleted
  bool scripts_name_keys = false;          // scripts write no keys but those they are called with
  Bytes bytes_max = 64_MiB;
  Bytes entry_bytes_max = 64_KiB;

  friend bool operator==(const StaleOptions&, const StaleOptions&) = default;
};

// Keys that would expire in one second with too many others expire somewhat earlier.
struct TtlJitterOptions {
  std::optional<PolicyMode> mode = {};
  std::vector<std::string> keys = {};
  bool learned = false;        // keys that the route's single_flight has learned
  int64_t share_percent = 10;  // of the time to live, at most
  int64_t per_second = 1000;   // that may expire together

  bool any() const { return learned || !keys.empty(); }
  friend bool operator==(const TtlJitterOptions&, const TtlJitterOptions&) = default;
};

// What a read gets whose key is not there: what it would get anyway, nothing, a text in place of a
// value, an error.
enum class OnAbsent : uint8_t { kObserve, kNil, kSentinel, kError };
inline constexpr std::array<std::string_view, 4> kOnAbsentNames = {"observe", "nil", "sentinel",
                                                                   "error"};

struct AbsentAnswer {
  OnAbsent kind = OnAbsent::kNil;
  std::string text = {};  // of sentinel and error

  friend bool operator==(const AbsentAnswer&, const AbsentAnswer&) = default;
};

// Both act only where a rule says `mode: enforce`: no profile makes them.
struct NegativeCacheOptions {
  bool any = false;
  PolicyMode mode = PolicyMode::kObserve;
  std::chrono::milliseconds ttl{0};  // 0: as long as fits who may write, see NegativeTtl
  int64_t keys_max = 100'000;
  AbsentAnswer answer = {};

  friend bool operator==(const NegativeCacheOptions&, const NegativeCacheOptions&) = default;
};

struct BloomOptions {
  bool any = false;
  PolicyMode mode = PolicyMode::kObserve;
  std::string file =
      {};  // of all keys that exist, one a line; empty: the route's cluster is walked
  bool scripts_name_keys = false;  // scripts make no keys but those they are called with
  AbsentAnswer on_absent = {.kind = OnAbsent::kObserve};
  bool spare = false;  // answers before anybody is asked
  std::chrono::milliseconds rebuild = std::chrono::hours(24);
  int64_t scan_rate = 20'000;  // keys a second

  friend bool operator==(const BloomOptions&, const BloomOptions&) = default;
};

// How long a key is taken for absent where the rule does not say: what the engine has only this
// process writes, what an upstream has perhaps others do.
constexpr std::chrono::milliseconds NegativeTtl(const NegativeCacheOptions& options,
                                                bool is_upstream) {
  if (options.ttl.count() > 0) return options.ttl;
  return is_upstream ? std::chrono::seconds(5) : std::chrono::seconds(30);
}

// Who is served first when not everybody can be.
enum class RoutePriority : uint8_t { kLow, kNormal, kHigh };
inline constexpr std::array<std::string_view, 3> kRoutePriorityNames = {"low", "normal", "high"};

struct RoutePolicyOptions {
  RateLimitOptions rate_limit = {};
  KeyShapeOptions key_shape = {};
  BigKeyOptions big_key = {};
  LocalCacheOptions local_cache = {};
  ReplicaFanoutOptions replica_fanout = {};
  SingleFlightOptions single_flight = {};
  EarlyRefreshOptions early_refresh = {};
  StaleOptions stale = {};
  TtlJitterOptions ttl_jitter = {};
  NegativeCacheOptions negative_cache = {};
  BloomOptions bloom = {};

  friend bool operator==(const RoutePolicyOptions&, const RoutePolicyOptions&) = default;
};

// `load-shedding`: as `profile` says, or one of the modes.
enum class LoadShedding : uint8_t { kAuto, kOff, kObserve, kEnforce };

constexpr PolicyMode ModeOf(LoadShedding shedding, Profile profile) {
  switch (shedding) {
    case LoadShedding::kOff:
      return PolicyMode::kOff;
    case LoadShedding::kObserve:
      return PolicyMode::kObserve;
    case LoadShedding::kEnforce:
      return PolicyMode::kEnforce;
    case LoadShedding::kAuto:
      break;
  }
  return profile == Profile::kStrict ? PolicyMode::kEnforce : PolicyMode::kObserve;
}

// The mode of a policy that changes replies, and of one that does not.
constexpr PolicyMode ModeOf(const std::optional<PolicyMode>& said, Profile profile) {
  if (said) return *said;
  return profile == Profile::kStrict ? PolicyMode::kEnforce : PolicyMode::kObserve;
}
constexpr PolicyMode SafeModeOf(const std::optional<PolicyMode>& said, Profile profile) {
  if (said) return *said;
  return profile == Profile::kObserve ? PolicyMode::kObserve : PolicyMode::kEnforce;
}

}  // namespace tidegate
