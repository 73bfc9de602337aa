// early_refresh and stale of a route, and copies for who is over a rate, as the YAML file has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/loader.h"
#include "config/yaml_policies.h"

namespace tidegate {
namespace {

using ::testing::StartsWith;

Result<Options> Parse(const std::string& policies) {
  return ParseYaml("routes: [{match: \"*\", cluster: local, policies: {" + policies + "}}]\n", "f");
}

RoutePolicyOptions OptionsOf(const std::string& policies) {
  Result<Options> options = Parse(policies);
  EXPECT_TRUE(options.ok()) << policies << ": " << (options.ok() ? "" : options.error().message);
  return options.ok() ? options->routes[0].policies : RoutePolicyOptions{};
}

constexpr const char* kFlight = "single_flight: {keys: [\"item:*\"]}, ";

TEST(YamlRefresh, KeysAndHowEarly) {
  EXPECT_EQ(OptionsOf(std::string(kFlight) + "early_refresh: {keys: [\"item:*\"]}").early_refresh,
            (EarlyRefreshOptions{.any = true, .keys = {"item:*"}}));
  EXPECT_EQ(
      OptionsOf(std::string(kFlight) +
                "early_refresh: {mode: enforce, keys: [\"item:*\"], beta: 1.5}")
          .early_refresh,
      (EarlyRefreshOptions{
          .any = true, .mode = PolicyMode::kEnforce, .keys = {"item:*"}, .beta_percent = 150}));
}

TEST(YamlRefresh, CopiesAndTheirBounds) {
  EXPECT_EQ(OptionsOf("stale: {keys: [\"item:*\"]}").stale,
            (StaleOptions{.any = true, .keys = {"item:*"}}));
  EXPECT_EQ(OptionsOf("stale: {mode: enforce, keys: [\"item:*\"], when: down, keep: 1m, "
                      "after-delete: yes, scripts: named-keys, bytes-max: 2mb, "
                      "entry-bytes-max: 1kb}")
                .stale,
            (StaleOptions{.any = true,
                          .mode = PolicyMode::kEnforce,
                          .keys = {"item:*"},
                          .when = StaleWhen::kDown,
                          .keep = std::chrono::minutes(1),
                          .after_delete = true,
                          .scripts_name_keys = true,
                          .bytes_max = 2_MiB,
                          .entry_bytes_max = 1_KiB}));
}

TEST(YamlRefresh, CopiesForWhoIsOverARate) {
  const std::string rule =
      "rate_limit: {rules: [{per: key, rate: 10/s, access: reads, over: stale}]}";
  const RoutePolicyOptions policies = OptionsOf(rule + ", stale: {keys: [\"item:*\"]}");
  EXPECT_TRUE(policies.rate_limit.rules[0].stale);
  EXPECT_EQ(policies.rate_limit.rules[0].over, PolicyAnswer::kError);
  EXPECT_FALSE(OptionsOf("rate_limit: {rules: [{per: key, rate: 10/s, access: reads, over: nil}]}")
                   .rate_limit.rules[0]
                   .stale);
}

TEST(YamlRefresh, RefusesWhatMakesNoSense) {
  const std::string flight = kFlight;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"early_refresh: {keys: [\"item:*\"]}",
       "f:1: early_refresh needs single_flight, which knows who loads a key and for how long"},
      {flight + "early_refresh: {mode: enforce}",
       "f:1: early_refresh needs keys: a list of patterns"},
      {flight + "early_refresh: {keys: learned}", "f:1: 'keys' must be a list of patterns"},
      {flight + "early_refresh: {keys: [a], beta: 0}",
       "f:1: 'beta' must be a number from 0.1 to 10"},
      {flight + "early_refresh: {keys: [a], beta: nan}",
       "f:1: 'beta' must be a number from 0.1 to 10"},
      {flight + "early_refresh: {keys: [a], betta: 1}",
       "f:1: unknown key 'betta' in early_refresh (did you mean 'beta'?)"},
      {"stale: {mode: enforce}", "f:1: stale needs keys: a list of patterns"},
      {"stale: {keys: [a], when: never}", "f:1: 'when' must be one of both, loading, down"},
      {"stale: {keys: [a], keep: 99ms}", "f:1: 'keep' must be a time with a unit, from 100ms to "},
      {"stale: {keys: [a], keep: 25h}", "f:1: 'keep' must be a time with a unit"},
      {"stale: {keys: [a], after-delete: 1}", "f:1: 'after-delete' must be one of no, yes"},
      {"stale: {keys: [a], bytes-max: 1kb}", "f:1: 'bytes-max' must be a megabyte at least"},
      {"stale: {keys: [a], entry-bytes-max: 2mb}",
       "f:1: 'entry-bytes-max' must be a megabyte at most"},
      {"stale: {keys: [a], scripts: some}", "f:1: 'scripts' must be one of any-keys, named-keys"},
      {"rate_limit: {rules: [{per: key, rate: 10/s, access: reads, over: stale}]}",
       "f:1: 'over: stale' needs the policy stale, which keeps copies"},
      {"stale: {keys: [a]}, rate_limit: {rules: [{per: key, rate: 10/s, over: stale}]}",
       "f:1: 'over: stale' is for rules with 'access: reads'"},
      {"rate_limit: {rules: [{per: key, rate: 10/s, access: reads, over: copy}]}",
       "f:1: 'over' must be one of error, nil, blank, stale"},
  };
  for (const auto& [policies, error] : cases) {
    Result<Options> options = Parse(policies);
    ASSERT_FALSE(options.ok()) << policies;
    EXPECT_THAT(options.error().message, StartsWith(error)) << policies;
  }
}

}  // namespace
}  // namespace tidegate
