// single_flight of a route, as the YAML file writes it.
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

Result<Options> ParseFlight(const std::string& flight) {
  return ParseYaml(
      "routes: [{match: \"*\", cluster: local, policies: {single_flight: " + flight + "}}]\n", "f");
}

SingleFlightOptions OptionsOf(const std::string& flight) {
  Result<Options> options = ParseFlight(flight);
  EXPECT_TRUE(options.ok()) << flight << ": " << (options.ok() ? "" : options.error().message);
  return options.ok() ? options->routes[0].policies.single_flight : SingleFlightOptions{};
}

TEST(YamlSingleFlight, KeysAndTimes) {
  EXPECT_EQ(OptionsOf("{keys: [\"item:<int>\", \"page:*\"]}"),
            (SingleFlightOptions{.keys = {"item:<int>", "page:*"},
                                 .lease_max = std::chrono::seconds(3),
                                 .wait_max = std::chrono::milliseconds(1500),
                                 .over = PolicyAnswer::kNil}));
  EXPECT_EQ(
      OptionsOf("{mode: enforce, keys: learned, lease-max: 10s, wait-max: 20ms, over: error}"),
      (SingleFlightOptions{.mode = PolicyMode::kEnforce,
                           .learned = true,
                           .lease_max = std::chrono::seconds(10),
                           .wait_max = std::chrono::milliseconds(20),
                           .over = PolicyAnswer::kError}));
}

TEST(YamlSingleFlight, RefusesWhatMakesNoSense) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"7", "f:1: single_flight must be a map of keys and values"},
      {"{mode: enforce}", "f:1: single_flight needs keys: a list of patterns, or learned"},
      {"{keys: []}", "f:1: single_flight needs keys: a list of patterns, or learned"},
      {"{keys: hot}", "f:1: 'keys' must be a list of patterns, or learned"},
      {"{keys: [\"<x>\"]}", "f:1: pattern '<x>': '<x>' is none of <int>, <hex>, <word>, <uuid>"},
      {"{keys: learned, mode: on}", "f:1: 'mode' must be one of off, observe, enforce"},
      {"{keys: learned, lease-max: 49ms}", "f:1: 'lease-max' must be a time"},
      {"{keys: learned, lease-max: 11s}", "f:1: 'lease-max' must be a time"},
      {"{keys: learned, wait-max: 0}", "f:1: 'wait-max' must be a time"},
      {"{keys: learned, wait-max: 1501ms}", "f:1: 'wait-max' must be a time"},
      {"{keys: learned, over: blank}", "f:1: 'over' must be one of error, nil"},
      {"{keys: learned, lease_max: 1s}",
       "f:1: unknown key 'lease_max' in single_flight (did you mean 'lease-max'?)"},
  };
  for (const auto& [flight, error] : cases) {
    Result<Options> options = ParseFlight(flight);
    ASSERT_FALSE(options.ok()) << flight;
    EXPECT_THAT(options.error().message, StartsWith(error)) << flight;
  }
}

TEST(YamlSingleFlight, PatternsHaveABound) {
  std::string keys = "a0";
  for (size_t i = 1; i < kKeysPatternsMax; ++i) keys += ", a" + std::to_string(i);
  EXPECT_EQ(OptionsOf("{keys: [" + keys + "]}").keys.size(), kKeysPatternsMax);
  EXPECT_FALSE(ParseFlight("{keys: [" + keys + ", b]}").ok());
}

}  // namespace
}  // namespace tidegate
