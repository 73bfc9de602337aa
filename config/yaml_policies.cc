#include "config/yaml_policies.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "base/key_pattern.h"
#include "base/text.h"
#include "config/near_miss.h"
#include "config/option_value.h"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 11> kPolicyNames = {
    "rate_limit",    "key_shape", "big_key",    "local_cache",    "replica_fanout", "single_flight",
    "early_refresh", "stale",     "ttl_jitter", "negative_cache", "bloom"};
constexpr std::array<std::string_view, 2> kRateLimitKeys = {"mode", "rules"};
constexpr std::array<std::string_view, 8> kRuleKeys = {"preset", "per",    "match", "rate",
                                                       "burst",  "access", "park",  "over"};
constexpr std::array<std::string_view, 5> kKeyShapeKeys = {"mode", "allow", "deny", "key-bytes-max",
                                                           "answer"};
constexpr std::array<std::string_view, 6> kBigKeyKeys = {
    "mode", "unlink", "keys", "elements-max", "bytes-max", "whole-reads"};
constexpr std::array<std::string_view, 4> kLocalCacheKeys = {"mode", "keys", "ttl-max",
                                                             "entry-bytes-max"};
constexpr std::array<std::string_view, 5> kReplicaFanoutKeys = {"mode", "keys", "nodes", "near",
                                                                "own-writes"};
constexpr std::array<std::string_view, 5> kSingleFlightKeys = {"mode", "keys", "lease-max",
                                                               "wait-max", "over"};
constexpr std::array<std::string_view, 3> kEarlyRefreshKeys = {"mode", "keys", "beta"};
constexpr std::array<std::string_view, 8> kStaleKeys = {
    "mode", "keys", "when", "keep", "after-delete", "scripts", "bytes-max", "entry-bytes-max"};
constexpr std::array<std::string_view, 4> kOverNames = {"error", "nil", "blank", "stale"};
constexpr std::array<std::string_view, 4> kTtlJitterKeys = {"mode", "keys", "share", "per-second"};
constexpr std::array<std::string_view, 2> kFlightAnswerNames = {"error", "nil"};
constexpr std::array<std::string_view, 4> kNegativeCacheKeys = {"mode", "ttl", "keys-max",
                                                                "answer"};
constexpr std::array<std::string_view, 7> kBloomKeys = {"mode",  "file",    "scripts",  "on-absent",
                                                        "spare", "rebuild", "scan-rate"};
constexpr std::array<std::string_view, 2> kScriptsNames = {"any-keys", "named-keys"};
constexpr std::array<std::string_view, 2> kNoYesNames = {"no", "yes"};
constexpr std::array<std::string_view, 2> kKeysCommandNames = {"allow", "refuse"};
constexpr std::array<std::string_view, 1> kPresetNames = {"hot-reads"};

std::string Quoted(std::string_view text) { return "'" + Excerpt(text) + "'"; }

std::string OneOf(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

// What reads all of keys that a hot one is asked for more often than a backend should see.
RateLimitRule HotReadsPreset() {
  return {.per = RatePer::kHotKey,
          .match = {},
          .rate = {.requests = 400},
          .burst = 100,
          .access = PolicyAccess::kReads,
          .over = PolicyAnswer::kBlank};
}

class PolicyReader {
 public:
  explicit PolicyReader(YamlContext& context) : context_(context) {}

  RoutePolicyOptions Read(const ConfigNode& node) {
    RoutePolicyOptions policies;
    if (!context_.ExpectMap(node, "policies")) return policies;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "rate_limit") {
        ReadRateLimit(entry, policies.rate_limit);
      } else if (entry.key == "key_shape") {
        ReadKeyShape(entry, policies.key_shape);
      } else if (entry.key == "big_key") {
        ReadBigKey(entry, policies.big_key);
      } else if (entry.key == "local_cache") {
        ReadLocalCache(entry, policies.local_cache);
      } else if (entry.key == "replica_fanout") {
        ReadReplicaFanout(entry, policies.replica_fanout);
      } else if (entry.key == "single_flight") {
        ReadSingleFlight(entry, policies.single_flight);
      } else if (entry.key == "early_refresh") {
        ReadEarlyRefresh(entry, policies.early_refresh);
      } else if (entry.key == "stale") {
        ReadStale(entry, policies.stale);
      } else if (entry.key == "ttl_jitter") {
        ReadTtlJitter(entry, policies.ttl_jitter);
      } else if (entry.key == "negative_cache") {
        ReadNegativeCache(entry, policies.negative_cache);
      } else if (entry.key == "bloom") {
        ReadBloom(entry, policies.bloom);
      } else {
        FailUnknown(entry, "policies", kPolicyNames);
      }
    }
    if (policies.ttl_jitter.learned && !policies.single_flight.learned)
      Fail(node, "ttl_jitter of learned keys needs single_flight with 'keys: learned'");
    if (policies.early_refresh.any && !policies.single_flight.any())
      Fail(node, "early_refresh needs single_flight, which knows who loads a key and for how long");
    const std::vector<RateLimitRule>& rules = policies.rate_limit.rules;
    const bool wants_copies =
        std::any_of(rules.begin(), rules.end(), [](const auto& rule) { return rule.stale; });
    if (wants_copies && !policies.stale.any)
      Fail(node, "'over: stale' needs the policy stale, which keeps copies");
    return policies;
  }

  template <typename Enum>
  Enum ReadName(const ConfigNode& entry, std::span<const std::string_view> names) {
    const std::string text = context_.ScalarOf(entry);
    const auto found = std::find(names.begin(), names.end(), text);
    if (found != names.end()) return static_cast<Enum>(found - names.begin());
    if (entry.is_scalar()) Fail(entry, "'" + entry.key + "' must be one of " + OneOf(names));
    return Enum{};
  }

 private:
  void Fail(const ConfigNode& node, std::string_view what) { context_.Fail(node, what); }

  void FailUnknown(const ConfigNode& entry, std::string_view where,
                   std::span<const std::string_view> names) {
    Fail(entry, "unknown key " + Quoted(entry.key) + " in " + std::string(where) +
                    DidYouMean(NearestName(entry.key, names)));
  }

  int64_t ReadNumber(const ConfigNode& entry, int64_t most) {
    const std::optional<int64_t> number = ParseInt64(context_.ScalarOf(entry));
    if (number && *number >= 1 && *number <= most) return *number;
    Fail(entry, "'" + entry.key + "' must be a number from 1 to " + std::to_string(most));
    return 1;
  }

  Bytes ReadBytes(const ConfigNode& entry) {
    const std::optional<int64_t> bytes = ParseMemory(context_.ScalarOf(entry));
    if (bytes && *bytes >= 1) return Bytes{static_cast<uint64_t>(*bytes)};
    Fail(entry, "'" + entry.key + "' must be a size above 0, as 512 or 1mb");
    return 1_B;
  }

  PolicyMode ReadMode(const ConfigNode& entry) {
    return ReadName<PolicyMode>(entry, kPolicyModeNames);
  }

  // --- rate_limit ---

  void ReadRateLimit(const ConfigNode& node, RateLimitOptions& limit) {
    if (!context_.ExpectMap(node, "rate_limit")) return;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        limit.mode = ReadMode(entry);
      } else if (entry.key == "rules") {
        ReadRules(entry, limit.rules);
      } else {
        FailUnknown(entry, "rate_limit", kRateLimitKeys);
      }
    }
    if (limit.rules.empty()) Fail(node, "rate_limit needs rules: a list with at least one");
  }

  void ReadRules(const ConfigNode& node, std::vector<RateLimitRule>& rules) {
    if (!node.is_list()) return Fail(node, "'rules' must be a list");
    if (node.items.size() > kRateLimitRulesMax) {
      return Fail(node, "'rules' has more than " + std::to_string(kRateLimitRulesMax) + " entries");
    }
    for (const ConfigNode& item : node.items) ReadRule(item, rules);
  }

  void ReadRule(const ConfigNode& node, std::vector<RateLimitRule>& rules) {
    if (!context_.ExpectMap(node, "a rule")) return;
    RateLimitRule rule;
    // What a preset says stands behind everything else, wherever it is written.
    for (const ConfigNode& entry : node.items) {
      if (entry.key != "preset") continue;
      if (context_.ScalarOf(entry) == kPresetNames[0]) {
        rule = HotReadsPreset();
      } else {
        Fail(entry, "'preset' must be one of " + OneOf(kPresetNames));
      }
    }
    bool has_per = rule.rate.requests > 0;
    for (const ConfigNode& entry : node.items) {
      has_per = has_per || entry.key == "per";
      ReadRuleEntry(entry, rule);
    }
    if (!has_per) Fail(node, "a rule needs 'per': " + OneOf(kRatePerNames));
    if (rule.rate.requests == 0) Fail(node, "a rule needs a rate, as 400/s");
    if (rule.burst == 0) rule.burst = BurstOf(rule.rate);
    if ((rule.over != PolicyAnswer::kError || rule.stale) && rule.access != PolicyAccess::kReads) {
      const std::string_view over =
          rule.stale ? "stale" : kPolicyAnswerNames[static_cast<size_t>(rule.over)];
      Fail(node, "'over: " + std::string(over) +
                     "' is for rules with 'access: reads': a write that is not executed must say "
                     "so");
    }
    rules.push_back(std::move(rule));
  }

  void ReadRuleEntry(const ConfigNode& entry, RateLimitRule& rule) {
    if (entry.key == "per") {
      rule.per = ReadName<RatePer>(entry, kRatePerNames);
    } else if (entry.key == "match") {
      rule.match = ReadPattern(entry);
    } else if (entry.key == "rate") {
      ReadRate(entry, rule);
    } else if (entry.key == "burst") {
      rule.burst = ReadNumber(entry, kRateBurstMax);
    } else if (entry.key == "access") {
      rule.access = ReadName<PolicyAccess>(entry, kPolicyAccessNames);
    } else if (entry.key == "park") {
      ReadPark(entry, rule);
    } else if (entry.key == "over") {
      ReadOver(entry, rule);
    } else if (entry.key != "preset") {
      FailUnknown(entry, "a rule", kRuleKeys);
    }
  }

  // A copy, and where there is none the error.
  void ReadOver(const ConfigNode& entry, RateLimitRule& rule) {
    rule.stale = context_.ScalarOf(entry) == "stale";
    rule.over = rule.stale ? PolicyAnswer::kError : ReadName<PolicyAnswer>(entry, kOverNames);
  }

  void ReadRate(const ConfigNode& entry, RateLimitRule& rule) {
    const std::optional<Rate> rate = ParseRate(context_.ScalarOf(entry));
    if (rate) {
      rule.rate = *rate;
    } else {
      Fail(entry, "'rate' must be requests per s, m or h, as 400/s, up to " +
                      std::to_string(kRatePerSecondMax) + "/s");
    }
  }

  void ReadPark(const ConfigNode& entry, RateLimitRule& rule) {
    const std::optional<std::chrono::milliseconds> park = ParseDuration(context_.ScalarOf(entry));
    if (park && *park <= kParkMax) {
      rule.park = *park;
    } else {
      Fail(entry, "'park' must be a time with a unit, as 20ms, up to " + PrintDuration(kParkMax));
    }
  }

  // --- key_shape ---

  std::string ReadPattern(const ConfigNode& entry) {
    std::string text = context_.ScalarOf(entry);
    const Result<KeyPattern> pattern = KeyPattern::Parse(text);
    if (entry.is_scalar() && !pattern.ok())
      Fail(entry, "pattern " + Quoted(text) + ": " + pattern.error().message);
    return text;
  }

  void ReadPatterns(const ConfigNode& node, std::vector<std::string>& patterns,
                    size_t most = kKeyShapePatternsMax) {
    if (!node.is_list()) return Fail(node, "'" + node.key + "' must be a list of patterns");
    if (node.items.size() > most) {
      return Fail(node, "'" + node.key + "' has more than " + std::to_string(most) + " entries");
    }
    for (const ConfigNode& item : node.items) patterns.push_back(ReadPattern(item));
  }

  void ReadKeyShape(const ConfigNode& node, KeyShapeOptions& shape) {
    if (!context_.ExpectMap(node, "key_shape")) return;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        shape.mode = ReadMode(entry);
      } else if (entry.key == "allow") {
        ReadPatterns(entry, shape.allow);
      } else if (entry.key == "deny") {
        ReadPatterns(entry, shape.deny);
      } else if (entry.key == "key-bytes-max") {
        shape.key_bytes_max = ReadBytes(entry);
      } else if (entry.key == "answer") {
        shape.answer = ReadName<PolicyAnswer>(entry, kPolicyAnswerNames);
      } else {
        FailUnknown(entry, "key_shape", kKeyShapeKeys);
      }
    }
    if (!shape.any()) Fail(node, "key_shape needs allow, deny or key-bytes-max");
  }

  // --- big_key ---

  void ReadBigKey(const ConfigNode& node, BigKeyOptions& big) {
    if (!context_.ExpectMap(node, "big_key")) return;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        big.mode = ReadMode(entry);
      } else if (entry.key == "unlink") {
        big.unlink = ReadMode(entry);
      } else if (entry.key == "keys") {
        big.refuse_keys = ReadName<int>(entry, kKeysCommandNames) != 0;
      } else if (entry.key == "elements-max") {
        big.elements_max = ReadNumber(entry, kWholeReadElementsMax);
      } else if (entry.key == "bytes-max") {
        big.bytes_max = ReadBytes(entry);
      } else if (entry.key == "whole-reads") {
        big.whole_reads = ReadName<WholeReads>(entry, kWholeReadsNames);
      } else {
        FailUnknown(entry, "big_key", kBigKeyKeys);
      }
    }
    if (big.whole_reads == WholeReads::kCap && big.elements_max == 0)
      Fail(node, "'whole-reads: cap' needs elements-max: to how many");
  }

  // --- local_cache ---

  void ReadLocalCache(const ConfigNode& node, LocalCacheOptions& cache) {
    if (!context_.ExpectMap(node, "local_cache")) return;
    cache.said = true;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        cache.mode = ReadMode(entry);
      } else if (entry.key == "keys") {
        cache.hot = ReadHotKeys(entry, cache.patterns, kLocalCachePatternsMax);
      } else if (entry.key == "ttl-max") {
        ReadTtl(entry, cache);
      } else if (entry.key == "entry-bytes-max") {
        ReadEntryBytes(entry, cache);
      } else {
        FailUnknown(entry, "local_cache", kLocalCacheKeys);
      }
    }
  }

  // True: those that are hot now; else of these patterns.
  bool ReadHotKeys(const ConfigNode& entry, std::vector<std::string>& patterns, size_t most) {
    if (entry.is_scalar() && context_.ScalarOf(entry) == "hot") return true;
    if (!entry.is_list()) {
      Fail(entry, "'" + entry.key + "' must be hot, or a list of patterns");
    } else if (entry.items.empty() || entry.items.size() > most) {
      Fail(entry, "'" + entry.key + "' must have 1 to " + std::to_string(most) + " patterns");
    } else {
      for (const ConfigNode& item : entry.items) patterns.push_back(ReadPattern(item));
    }
    return false;
  }

  void ReadTtl(const ConfigNode& entry, LocalCacheOptions& cache) {
    const std::optional<std::chrono::milliseconds> ttl = ParseDuration(context_.ScalarOf(entry));
    if (ttl && *ttl >= kLocalCacheTtlMin && *ttl <= kLocalCacheTtlMax) {
      cache.ttl_max = *ttl;
    } else {
      Fail(entry, "'ttl-max' must be a time with a unit, from " + PrintDuration(kLocalCacheTtlMin) +
                      " to " + PrintDuration(kLocalCacheTtlMax));
    }
  }

  void ReadEntryBytes(const ConfigNode& entry, LocalCacheOptions& cache) {
    const std::optional<int64_t> bytes = ParseMemory(context_.ScalarOf(entry));
    if (bytes && *bytes >= 1 && static_cast<uint64_t>(*bytes) <= kLocalCacheEntryBytesMax.count) {
      cache.entry_bytes_max = Bytes{static_cast<uint64_t>(*bytes)};
    } else {
      Fail(entry, "'entry-bytes-max' must be a size from 1 to 1mb");
    }
  }

  // --- replica_fanout ---

  void ReadReplicaFanout(const ConfigNode& node, ReplicaFanoutOptions& fanout) {
    if (!context_.ExpectMap(node, "replica_fanout")) return;
    fanout.said = true;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        fanout.mode = ReadMode(entry);
      } else if (entry.key == "keys") {
        fanout.hot = ReadHotKeys(entry, fanout.patterns, kFanoutPatternsMax);
      } else if (entry.key == "nodes") {
        fanout.nodes = ReadName<FanoutNodes>(entry, kFanoutNodesNames);
      } else if (entry.key == "near") {
        ReadPatterns(entry, fanout.near, kFanoutPatternsMax);
      } else if (entry.key == "own-writes") {
        fanout.own_writes = ReadName<int>(entry, kNoYesNames) != 0;
      } else {
        FailUnknown(entry, "replica_fanout", kReplicaFanoutKeys);
      }
    }
  }

  // --- single_flight ---

  void ReadSingleFlight(const ConfigNode& node, SingleFlightOptions& flight) {
    if (!context_.ExpectMap(node, "single_flight")) return;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        flight.mode = ReadMode(entry);
      } else if (entry.key == "keys") {
        ReadKindsOfKeys(entry, flight.keys, flight.learned);
      } else if (entry.key == "lease-max") {
        flight.lease_max = ReadTime(entry, kFlightLeaseLeast, kFlightLeaseMost);
      } else if (entry.key == "wait-max") {
        flight.wait_max = ReadTime(entry, std::chrono::milliseconds(1), kFlightWaitMost);
      } else if (entry.key == "over") {
        flight.over = ReadName<PolicyAnswer>(entry, kFlightAnswerNames);
      } else {
        FailUnknown(entry, "single_flight", kSingleFlightKeys);
      }
    }
    if (!flight.any()) Fail(node, "single_flight needs keys: a list of patterns, or learned");
  }

  // Patterns, or "learned".
  void ReadKindsOfKeys(const ConfigNode& entry, std::vector<std::string>& keys, bool& learned) {
    if (entry.is_list()) return ReadPatterns(entry, keys, kKeysPatternsMax);
    learned = context_.ScalarOf(entry) == "learned";
    if (entry.is_scalar() && !learned) Fail(entry, "'keys' must be a list of patterns, or learned");
  }

  // --- early_refresh, stale ---

  void ReadEarlyRefresh(const ConfigNode& node, EarlyRefreshOptions& refresh) {
    if (!context_.ExpectMap(node, "early_refresh")) return;
    refresh.any = true;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        refresh.mode = ReadMode(entry);
      } else if (entry.key == "keys") {
        ReadPatterns(entry, refresh.keys, kKeysPatternsMax);
      } else if (entry.key == "beta") {
        refresh.beta_percent = ReadBeta(entry);
      } else {
        FailUnknown(entry, "early_refresh", kEarlyRefreshKeys);
      }
    }
    if (refresh.keys.empty()) Fail(node, "early_refresh needs keys: a list of patterns");
  }

  int64_t ReadBeta(const ConfigNode& entry) {
    const std::optional<double> beta = ParseDouble(context_.ScalarOf(entry));
    const double percent = beta.value_or(0) * 100;
    if (percent >= kRefreshBetaPercentMin && percent <= kRefreshBetaPercentMax)
      return std::llround(percent);
    Fail(entry, "'beta' must be a number from 0.1 to 10");
    return kRefreshBetaPercentMin;
  }

  void ReadStale(const ConfigNode& node, StaleOptions& stale) {
    if (!context_.ExpectMap(node, "stale")) return;
    stale.any = true;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        stale.mode = ReadMode(entry);
      } else if (entry.key == "keys") {
        ReadPatterns(entry, stale.keys, kKeysPatternsMax);
      } else if (entry.key == "when") {
        stale.when = ReadName<StaleWhen>(entry, kStaleWhenNames);
      } else if (entry.key == "keep") {
        stale.keep = ReadTime(entry, kStaleKeepMin, kStaleKeepMax);
      } else if (entry.key == "after-delete") {
        stale.after_delete = ReadName<int>(entry, kNoYesNames) != 0;
      } else if (entry.key == "scripts") {
        stale.scripts_name_keys = ReadName<int>(entry, kScriptsNames) != 0;
      } else if (entry.key == "bytes-max") {
        stale.bytes_max = ReadBytes(entry);
        if (stale.bytes_max < kStaleBytesMin)
          Fail(entry, "'bytes-max' must be a megabyte at least");
      } else if (entry.key == "entry-bytes-max") {
        stale.entry_bytes_max = ReadBytes(entry);
        if (stale.entry_bytes_max > kStaleEntryBytesMax)
          Fail(entry, "'entry-bytes-max' must be a megabyte at most");
      } else {
        FailUnknown(entry, "stale", kStaleKeys);
      }
    }
    if (stale.keys.empty()) Fail(node, "stale needs keys: a list of patterns");
  }

  // --- ttl_jitter ---

  void ReadTtlJitter(const ConfigNode& node, TtlJitterOptions& jitter) {
    if (!context_.ExpectMap(node, "ttl_jitter")) return;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        jitter.mode = ReadMode(entry);
      } else if (entry.key == "keys") {
        ReadKindsOfKeys(entry, jitter.keys, jitter.learned);
      } else if (entry.key == "share") {
        jitter.share_percent = ReadNumber(entry, kJitterShareMax);
      } else if (entry.key == "per-second") {
        jitter.per_second = ReadNumber(entry, kJitterPerSecondMax);
      } else {
        FailUnknown(entry, "ttl_jitter", kTtlJitterKeys);
      }
    }
    if (!jitter.any()) Fail(node, "ttl_jitter needs keys: a list of patterns, or learned");
  }

  // --- negative_cache, bloom ---

  // "nil", "observe", {sentinel: "null"}, {error: "NOSUCH item"}
  AbsentAnswer ReadAbsentAnswer(const ConfigNode& entry, OnAbsent least) {
    AbsentAnswer answer{.kind = least};
    const std::span<const std::string_view> names(
        kOnAbsentNames.begin() + static_cast<size_t>(least), kOnAbsentNames.end());
    const ConfigNode& node = entry.is_map() && entry.items.size() == 1 ? entry.items[0] : entry;
    const std::string name = &node == &entry ? context_.ScalarOf(entry) : node.key;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end())
      answer.kind = static_cast<OnAbsent>(found - names.begin() + static_cast<int>(least));
    const bool has_text = answer.kind == OnAbsent::kSentinel || answer.kind == OnAbsent::kError;
    if (found == names.end() || has_text != (&node != &entry)) {
      Fail(entry, "'" + entry.key + "' must be " + (least == OnAbsent::kNil ? "" : "observe, ") +
                      "nil, {sentinel: text} or {error: text}");
      return answer;
    }
    if (!has_text) return answer;
    answer.text = context_.ScalarOf(node);
    if (answer.text.size() > kAbsentTextBytesMax) {
      Fail(node, "the text has more than " + std::to_string(kAbsentTextBytesMax) + " bytes");
    }
    if (answer.kind == OnAbsent::kError && answer.text.find_first_of("\r\n") != std::string::npos)
      Fail(node, "the text of an error is one line");
    return answer;
  }

  std::chrono::milliseconds ReadTime(const ConfigNode& entry, std::chrono::milliseconds least,
                                     std::chrono::milliseconds most) {
    const std::optional<std::chrono::milliseconds> time = ParseDuration(context_.ScalarOf(entry));
    if (time && *time >= least && *time <= most) return *time;
    Fail(entry, "'" + entry.key + "' must be a time with a unit, from " + PrintDuration(least) +
                    " to " + PrintDuration(most));
    return most;
  }

  void ReadNegativeCache(const ConfigNode& node, NegativeCacheOptions& negative) {
    if (!context_.ExpectMap(node, "negative_cache")) return;
    negative.any = true;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        negative.mode = ReadMode(entry);
      } else if (entry.key == "ttl") {
        negative.ttl = ReadTime(entry, kNegativeTtlMin, kNegativeTtlMax);
      } else if (entry.key == "keys-max") {
        negative.keys_max = ReadNumber(entry, kNegativeKeysMax);
      } else if (entry.key == "answer") {
        negative.answer = ReadAbsentAnswer(entry, OnAbsent::kNil);
      } else {
        FailUnknown(entry, "negative_cache", kNegativeCacheKeys);
      }
    }
  }

  void ReadBloom(const ConfigNode& node, BloomOptions& bloom) {
    if (!context_.ExpectMap(node, "bloom")) return;
    bloom.any = true;
    for (const ConfigNode& entry : node.items) {
      if (entry.key == "mode") {
        bloom.mode = ReadMode(entry);
      } else if (entry.key == "file") {
        bloom.file = context_.ScalarOf(entry);
        if (entry.is_scalar() && bloom.file.empty()) Fail(entry, "'file' must be a path");
      } else if (entry.key == "scripts") {
        bloom.scripts_name_keys = ReadName<int>(entry, kScriptsNames) != 0;
      } else if (entry.key == "on-absent") {
        bloom.on_absent = ReadAbsentAnswer(entry, OnAbsent::kObserve);
      } else if (entry.key == "spare") {
        bloom.spare = ReadName<int>(entry, kNoYesNames) != 0;
      } else if (entry.key == "rebuild") {
        bloom.rebuild = ReadTime(entry, kBloomRebuildMin, kBloomRebuildMax);
      } else if (entry.key == "scan-rate") {
        bloom.scan_rate = ReadNumber(entry, kBloomScanRateMax);
      } else {
        FailUnknown(entry, "bloom", kBloomKeys);
      }
    }
    if (bloom.spare && bloom.on_absent.kind == OnAbsent::kObserve)
      Fail(node, "'spare: yes' needs on-absent: what absent keys get");
  }

  YamlContext& context_;
};

std::optional<std::chrono::seconds> PeriodOf(std::string_view unit) {
  if (unit == "s") return std::chrono::seconds(1);
  if (unit == "m") return std::chrono::minutes(1);
  if (unit == "h") return std::chrono::hours(1);
  return std::nullopt;
}

}  // namespace

std::optional<Rate> ParseRate(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<int64_t> requests = ParseInt64(text.substr(0, slash));
  const std::optional<std::chrono::seconds> period = PeriodOf(text.substr(slash + 1));
  if (!requests || !period || *requests < 1) return std::nullopt;
  if (*requests > kRatePerSecondMax * period->count()) return std::nullopt;
  return Rate{.requests = *requests, .period = *period};
}

std::string PrintRate(const Rate& rate) {
  const char unit = rate.period >= std::chrono::hours(1)     ? 'h'
                    : rate.period >= std::chrono::minutes(1) ? 'm'
                                                             : 's';
  return ToText(rate.requests) + "/" + unit;
}

int64_t BurstOf(const Rate& rate) {
  return std::max<int64_t>(1, rate.requests / rate.period.count() / 4);
}

RoutePriority ReadYamlPriority(YamlContext& context, const ConfigNode& entry) {
  return PolicyReader(context).ReadName<RoutePriority>(entry, kRoutePriorityNames);
}

RoutePolicyOptions ReadYamlPolicies(YamlContext& context, const ConfigNode& node) {
  return PolicyReader(context).Read(node);
}

}  // namespace tidegate
