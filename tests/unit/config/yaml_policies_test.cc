// Policies of routes, as the YAML file writes them.
#include "config/yaml_policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/loader.h"

namespace tidegate {
namespace {

using ::testing::StartsWith;

Result<Options> Parse(const std::string& rest) {
  return ParseYaml("routes: [{match: \"*\", cluster: local, " + rest + "}]\n", "f");
}

std::string ErrorOf(const std::string& rest) {
  Result<Options> options = Parse(rest);
  return options.ok() ? "" : options.error().message;
}

TEST(YamlPolicies, RateLimits) {
  Result<Options> options = Parse(
      "policies: {rate_limit: {mode: enforce, rules: ["
      "{per: key, match: \"item:<int>\", rate: 90/m, burst: 7, access: reads, park: 20ms, over: "
      "nil}, "
      "{per: client, rate: 1000/s}, {preset: hot-reads}, {preset: hot-reads, over: error}]}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  const RateLimitOptions& limit = options->routes[0].policies.rate_limit;
  EXPECT_EQ(limit.mode, PolicyMode::kEnforce);
  ASSERT_EQ(limit.rules.size(), 4);
  EXPECT_EQ(limit.rules[0], (RateLimitRule{.per = RatePer::kKey,
                                           .match = "item:<int>",
                                           .rate = {90, std::chrono::minutes(1)},
                                           .burst = 7,
                                           .access = PolicyAccess::kReads,
                                           .park = std::chrono::milliseconds(20),
                                           .over = PolicyAnswer::kNil}));
  EXPECT_EQ(limit.rules[1],
            (RateLimitRule{
                .per = RatePer::kClient, .rate = {1000, std::chrono::seconds(1)}, .burst = 250}));
  const RateLimitRule preset{.per = RatePer::kHotKey,
                             .rate = {400, std::chrono::seconds(1)},
                             .burst = 100,
                             .access = PolicyAccess::kReads,
                             .over = PolicyAnswer::kBlank};
  EXPECT_EQ(limit.rules[2], preset);
  EXPECT_EQ(limit.rules[3].over, PolicyAnswer::kError);
  EXPECT_EQ(limit.rules[3].rate, preset.rate);
}

TEST(YamlPolicies, ShapesBigKeysAndPriority) {
  Result<Options> options = Parse(
      "priority: high, policies: {key_shape: {mode: observe, allow: [\"a:<int>\", b], deny: "
      "[\"*'*\"], "
      "key-bytes-max: 1kb, answer: blank}, big_key: {mode: enforce, unlink: off, keys: refuse, "
      "elements-max: 1000, bytes-max: 1mb, whole-reads: cap}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  const RouteOptions& route = options->routes[0];
  EXPECT_EQ(route.priority, RoutePriority::kHigh);
  EXPECT_EQ(route.policies.key_shape, (KeyShapeOptions{.mode = PolicyMode::kObserve,
                                                       .allow = {"a:<int>", "b"},
                                                       .deny = {"*'*"},
                                                       .key_bytes_max = 1_KiB,
                                                       .answer = PolicyAnswer::kBlank}));
  EXPECT_EQ(route.policies.big_key, (BigKeyOptions{.mode = PolicyMode::kEnforce,
                                                   .unlink = PolicyMode::kOff,
                                                   .refuse_keys = true,
                                                   .elements_max = 1000,
                                                   .bytes_max = 1_MiB,
                                                   .whole_reads = WholeReads::kCap}));
}

TEST(YamlPolicies, KeptRepliesAndLoads) {
  Result<Options> options = Parse(
      "policies: {local_cache: {mode: observe, keys: [\"item:<int>\", b], ttl-max: 2s, "
      "entry-bytes-max: 1kb}, single_flight: {mode: enforce, keys: [\"item:*\"], lease-max: 5s, "
      "wait-max: 500ms, over: error}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  const RoutePolicyOptions& policies = options->routes[0].policies;
  EXPECT_EQ(policies.local_cache, (LocalCacheOptions{.said = true,
                                                     .mode = PolicyMode::kObserve,
                                                     .hot = false,
                                                     .patterns = {"item:<int>", "b"},
                                                     .ttl_max = std::chrono::seconds(2),
                                                     .entry_bytes_max = 1_KiB}));
  EXPECT_EQ(policies.single_flight, (SingleFlightOptions{.mode = PolicyMode::kEnforce,
                                                         .keys = {"item:*"},
                                                         .lease_max = std::chrono::seconds(5),
                                                         .wait_max = std::chrono::milliseconds(500),
                                                         .over = PolicyAnswer::kError}));
  options = Parse("policies: {local_cache: {keys: hot}, single_flight: {keys: learned}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->routes[0].policies.local_cache, LocalCacheOptions{.said = true});
  EXPECT_EQ(options->routes[0].policies.single_flight, SingleFlightOptions{.learned = true});
}

TEST(YamlPolicies, TimesToLive) {
  Result<Options> options = Parse(
      "policies: {ttl_jitter: {mode: enforce, keys: [\"item:*\"], share: 20, per-second: 5}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(
      options->routes[0].policies.ttl_jitter,
      (TtlJitterOptions{
          .mode = PolicyMode::kEnforce, .keys = {"item:*"}, .share_percent = 20, .per_second = 5}));
  options = Parse("policies: {ttl_jitter: {keys: learned}, single_flight: {keys: learned}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->routes[0].policies.ttl_jitter, TtlJitterOptions{.learned = true});
}

TEST(YamlPolicies, KeysThatDoNotExist) {
  Result<Options> options = Parse(
      "policies: {negative_cache: {mode: enforce, ttl: 2s, keys-max: 1000, answer: {sentinel: "
      "\"null\"}}, bloom: {mode: enforce, file: /tmp/keys, scripts: named-keys, on-absent: "
      "{error: NOSUCH}, spare: yes, rebuild: 1h, scan-rate: 5}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  const RoutePolicyOptions& policies = options->routes[0].policies;
  const AbsentAnswer sentinel{.kind = OnAbsent::kSentinel, .text = "null"};
  EXPECT_EQ(policies.negative_cache, (NegativeCacheOptions{.any = true,
                                                           .mode = PolicyMode::kEnforce,
                                                           .ttl = std::chrono::seconds(2),
                                                           .keys_max = 1000,
                                                           .answer = sentinel}));
  const AbsentAnswer error{.kind = OnAbsent::kError, .text = "NOSUCH"};
  EXPECT_EQ(policies.bloom, (BloomOptions{.any = true,
                                          .mode = PolicyMode::kEnforce,
                                          .file = "/tmp/keys",
                                          .scripts_name_keys = true,
                                          .on_absent = error,
                                          .spare = true,
                                          .rebuild = std::chrono::hours(1),
                                          .scan_rate = 5}));
  options = Parse("policies: {negative_cache: {}, bloom: {on-absent: nil}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->routes[0].policies.negative_cache, NegativeCacheOptions{.any = true});
  EXPECT_EQ(options->routes[0].policies.bloom,
            (BloomOptions{.any = true, .on_absent = {.kind = OnAbsent::kNil}}));
}

TEST(YamlPolicies, ReadsReplicaFanout) {
  const std::string head =
      "clusters: [{name: set, kind: replicas, nodes: [\"10.0.0.1:6379\"]}, {name: one, kind: "
      "redis, "
      "nodes: [\"10.0.0.9:6379\"]}]\nroutes: [{match: \"*\", cluster: ";
  const auto parse = [&head](const std::string& route) {
    return ParseYaml(head + route + "}]\n", "f");
  };
  Result<Options> options = parse(
      "set, policies: {replica_fanout: {mode: enforce, keys: [\"item:*\"], nodes: replicas, near: "
      "[\"10.0.1.*\"], own-writes: no}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->routes[0].policies.replica_fanout,
            (ReplicaFanoutOptions{.said = true,
                                  .mode = PolicyMode::kEnforce,
                                  .hot = false,
                                  .patterns = {"item:*"},
                                  .nodes = FanoutNodes::kReplicas,
                                  .near = {"10.0.1.*"},
                                  .own_writes = false}));
  EXPECT_TRUE(options->clusters[0].fans_out);
  EXPECT_FALSE(options->clusters[1].fans_out);
  options = parse("set, policies: {replica_fanout: {mode: off}}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_FALSE(options->clusters[0].fans_out);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"one, policies: {replica_fanout: {}}",
       "replica_fanout needs a cluster of kind replicas, sentinel or redis_cluster, and 'one' is "
       "of "
       "kind redis"},
      {"set, mirror: {cluster: one}, policies: {replica_fanout: {}}",
       "replica_fanout is not for routes with strip-prefix, add-prefix, mirror or move-from"},
      {"set, policies: {replica_fanout: {keys: cold}}",
       "'keys' must be hot, or a list of patterns"},
      {"set, policies: {replica_fanout: {nodes: some}}", "'nodes' must be one of all, replicas"},
      {"set, policies: {replica_fanout: {lag: 1s}}", "unknown key 'lag' in replica_fanout"}};
  for (const auto& [route, message] : cases) {
    const Result<Options> refused = parse(route);
    ASSERT_FALSE(refused.ok()) << route;
    EXPECT_THAT(refused.error().message, ::testing::HasSubstr(message)) << route;
  }
}

TEST(YamlPolicies, RefusesGuardsThatMakeNoSense) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"local_cache: {keys: cold}", "f:1: 'keys' must be hot, or a list of patterns"},
      {"local_cache: {keys: []}", "f:1: 'keys' must have 1 to 64 patterns"},
      {"local_cache: {ttl-max: 5}", "f:1: 'ttl-max' must be a time with a unit, from 10ms to 1h"},
      {"local_cache: {ttl-max: 2h}", "f:1: 'ttl-max' must be a time with a unit, from 10ms to 1h"},
      {"local_cache: {entry-bytes-max: 2mb}",
       "f:1: 'entry-bytes-max' must be a size from 1 to 1mb"},
      {"local_cache: {ttl: 1s}", "f:1: unknown key 'ttl' in local_cache"},
      {"single_flight: {}", "f:1: single_flight needs keys: a list of patterns, or learned"},
      {"single_flight: {keys: hot}", "f:1: 'keys' must be a list of patterns, or learned"},
      {"single_flight: {keys: learned, wait-max: 2s}",
       "f:1: 'wait-max' must be a time with a unit, from 1ms to 1500ms"},
      {"single_flight: {keys: learned, over: blank}", "f:1: 'over' must be one of error, nil"},
      {"ttl_jitter: {}", "f:1: ttl_jitter needs keys: a list of patterns, or learned"},
      {"ttl_jitter: {keys: learned}",
       "f:1: ttl_jitter of learned keys needs single_flight with 'keys: learned'"},
      {"ttl_jitter: {keys: [a], share: 51}", "f:1: 'share' must be a number from 1 to 50"},
      {"ttl_jitter: {keys: [a], per-second: 0}",
       "f:1: 'per-second' must be a number from 1 to 10000000"},
      {"negative_cache: {ttl: 1ms}", "f:1: 'ttl' must be a time with a unit, from 100ms to 1h"},
      {"negative_cache: {keys-max: 0}", "f:1: 'keys-max' must be a number from 1 to 10000000"},
      {"negative_cache: {answer: observe}",
       "f:1: 'answer' must be nil, {sentinel: text} or {error: text}"},
      {"negative_cache: {answer: sentinel}",
       "f:1: 'answer' must be nil, {sentinel: text} or {error: text}"},
      {"negative_cache: {answer: {error: \"a\\nb\"}}", "f:1: the text of an error is one line"},
      {"negative_cache: {answer: {sentinel: " + std::string(1025, 'x') + "}}",
       "f:1: the text has more than 1024 bytes"},
      {"bloom: {spare: yes}", "f:1: 'spare: yes' needs on-absent: what absent keys get"},
      {"bloom: {scripts: some}", "f:1: 'scripts' must be one of any-keys, named-keys"},
      {"bloom: {file: \"\"}", "f:1: 'file' must be a path"},
      {"bloom: {rebuild: 1ms}", "f:1: 'rebuild' must be a time with a unit, from 1s to "},
      {"bloom: {on-absent: {nil: x}}",
       "f:1: 'on-absent' must be observe, nil, {sentinel: text} or {error: text}"}};
  for (const auto& [text, error] : cases)
    EXPECT_THAT(ErrorOf("policies: {" + text + "}"), StartsWith(error)) << text;
}

TEST(YamlPolicies, RefusesWhatMakesNoSense) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"priority: highest", "f:1: 'priority' must be one of low, normal, high"},
      {"policies: 7", "f:1: policies must be a map of keys and values"},
      {"policies: {rate_limits: {}}", "f:1: unknown key 'rate_limits' in policies (did you mean"},
      {"policies: {rate_limit: {mode: on}}", "f:1: 'mode' must be one of off, observe, enforce"},
      {"policies: {rate_limit: {mode: off}}",
       "f:1: rate_limit needs rules: a list with at least one"},
      {"policies: {rate_limit: {rules: 1}}", "f:1: 'rules' must be a list"},
      {"policies: {rate_limit: {rules: [{rate: 1/s}]}}",
       "f:1: a rule needs 'per': key, hot-key, route, client, user"},
      {"policies: {rate_limit: {rules: [{per: key}]}}", "f:1: a rule needs a rate, as 400/s"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 0/s}]}}",
       "f:1: 'rate' must be requests per s, m or h, as 400/s, up to 10000000/s"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 400}]}}", "f:1: 'rate' must be requests"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 10000001/s}]}}",
       "f:1: 'rate' must be requests"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 1/s, burst: 0}]}}",
       "f:1: 'burst' must be a number from 1 to 1000000000"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 1/s, park: 2s}]}}",
       "f:1: 'park' must be a time with a unit, as 20ms, up to 1s"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 1/s, over: nil}]}}",
       "f:1: 'over: nil' is for rules with 'access: reads'"},
      {"policies: {rate_limit: {rules: [{per: key, rate: 1/s, match: \"<x>\"}]}}",
       "f:1: pattern '<x>': '<x>' is none of <int>, <hex>, <word>, <uuid>"},
      {"policies: {rate_limit: {rules: [{preset: hot}]}}",
       "f:1: 'preset' must be one of hot-reads"},
      {"policies: {key_shape: {mode: enforce}}",
       "f:1: key_shape needs allow, deny or key-bytes-max"},
      {"policies: {key_shape: {key-bytes-max: 0}}",
       "f:1: 'key-bytes-max' must be a size above 0, as 512 or 1mb"},
      {"policies: {big_key: {keys: no}}", "f:1: 'keys' must be one of allow, refuse"},
      {"policies: {big_key: {whole-reads: cap}}", "f:1: 'whole-reads: cap' needs elements-max"},
      {"policies: {big_key: {elements: 5}}", "f:1: unknown key 'elements' in big_key"},
  };
  for (const auto& [rest, error] : cases) EXPECT_THAT(ErrorOf(rest), StartsWith(error)) << rest;
}

TEST(YamlPolicies, RatesReadBackAsTheyArePrinted) {
  for (const char* text : {"400/s", "1/h", "600000000/m"}) {
    const std::optional<Rate> rate = ParseRate(text);
    ASSERT_TRUE(rate) << text;
    EXPECT_EQ(PrintRate(*rate), text);
  }
  EXPECT_EQ(BurstOf(*ParseRate("400/s")), 100);
  EXPECT_EQ(BurstOf(*ParseRate("10/h")), 1);
}

TEST(PolicyModes, FollowTheProfile) {
  EXPECT_EQ(ModeOf(std::optional<PolicyMode>(), Profile::kStandard), PolicyMode::kObserve);
  EXPECT_EQ(ModeOf(std::optional<PolicyMode>(), Profile::kStrict), PolicyMode::kEnforce);
  EXPECT_EQ(ModeOf(std::optional(PolicyMode::kOff), Profile::kStrict), PolicyMode::kOff);
  EXPECT_EQ(SafeModeOf({}, Profile::kObserve), PolicyMode::kObserve);
  EXPECT_EQ(SafeModeOf({}, Profile::kStandard), PolicyMode::kEnforce);
  EXPECT_EQ(ModeOf(LoadShedding::kAuto, Profile::kStandard), PolicyMode::kObserve);
  EXPECT_EQ(ModeOf(LoadShedding::kAuto, Profile::kStrict), PolicyMode::kEnforce);
  EXPECT_EQ(ModeOf(LoadShedding::kOff, Profile::kStrict), PolicyMode::kOff);
}

}  // namespace
}  // namespace tidegate
