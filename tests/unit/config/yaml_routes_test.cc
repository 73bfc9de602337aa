// Routes that do more than to name a cluster, as the YAML file writes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/loader.h"

namespace tidegate {
namespace {

using ::testing::StartsWith;

constexpr const char* kClusters =
    "clusters: [{name: local, kind: engine}, {name: old, kind: redis, nodes: [\"a:1\"]}, "
    "{name: new, kind: redis, nodes: [\"b:1\"]}]\n";

Result<Options> Parse(const std::string& route) {
  return ParseYaml(kClusters + ("routes: [" + route + "]\n"), "f");
}

std::string ErrorOf(const std::string& route) {
  Result<Options> options = Parse(route);
  return options.ok() ? "" : options.error().message;
}

TEST(YamlRoutes, Prefixes) {
  Result<Options> options =
      Parse("{match: \"app1:*\", cluster: old, strip-prefix: \"app1:\", add-prefix: \"t7:\"}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(
      options->routes[0],
      (RouteOptions{
          .match = "app1:*", .cluster = "old", .strip_prefix = "app1:", .add_prefix = "t7:"}));
}

TEST(YamlRoutes, MirrorAndMove) {
  Result<Options> options = Parse(
      "{match: \"a:*\", cluster: old, mirror: {cluster: new, percent: 25}}, "
      "{match: \"b:*\", cluster: local, mirror: {cluster: new}}, "
      "{match: \"*\", cluster: local, move-from: old}");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->routes[0].mirror, (MirrorOptions{"new", 25}));
  EXPECT_EQ(options->routes[1].mirror, (MirrorOptions{"new", 100}));
  EXPECT_EQ(options->routes[2].move_from, "old");
}

TEST(YamlRoutes, RefusesWhatMakesNoSense) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{match: \"a:*\", cluster: local, add-prefix: x}",
       "f:2: strip-prefix and add-prefix are for upstream clusters, and 'local' is the engine"},
      {"{match: \"*\", cluster: old, strip-prefix: \"a:\"}",
       "f:2: strip-prefix 'a:' must be the beginning of every key of the route: of its match, '*'"},
      {"{match: \"a*:\", cluster: old, strip-prefix: \"a:\"}", "f:2: strip-prefix 'a:' must be"},
      {"{match: \"a:*\", cluster: old, strip-prefix: \"\"}", "f:2: 'strip-prefix' is empty"},
      {"{match: \"a:*\", cluster: old, add-prefix: " + std::string(1025, 'x') + "}",
       "f:2: 'add-prefix' is longer than 1024 bytes"},
      {"{match: \"a:*\", cluster: old, strip_prefix: x}",
       "f:2: unknown key 'strip_prefix' in a route (did you mean 'strip-prefix'?)"},
      {"{match: \"a:*\", cluster: old, mirror: new}", "f:2: mirror must be a map"},
      {"{match: \"a:*\", cluster: old, mirror: {percent: 5}}", "f:2: a mirror needs a cluster"},
      {"{match: \"a:*\", cluster: old, mirror: {cluster: nwe}}",
       "f:2: no cluster has the name 'nwe' (did you mean 'new'?)"},
      {"{match: \"a:*\", cluster: old, mirror: {cluster: new, percent: 0}}",
       "f:2: 'percent' must be a number from 1 to 100"},
      {"{match: \"a:*\", cluster: old, mirror: {cluster: new, percent: 101}}",
       "f:2: 'percent' must be a number from 1 to 100"},
      {"{match: \"a:*\", cluster: old, mirror: {cluster: new, percnt: 5}}",
       "f:2: unknown key 'percnt' in a mirror (did you mean 'percent'?)"},
      {"{match: \"a:*\", cluster: old, mirror: {cluster: old}}",
       "f:2: mirror names the route's own cluster, 'old'"},
      {"{match: \"a:*\", cluster: old, mirror: {cluster: local}}",
       "f:2: mirror must be an upstream cluster, and 'local' is the engine"},
      {"{match: \"a:*\", cluster: local, move-from: lcoal}",
       "f:2: no cluster has the name 'lcoal'"},
      {"{match: \"a:*\", cluster: old, move-from: local}",
       "f:2: move-from must be an upstream cluster, and 'local' is the engine"},
      {"{match: \"a:*\", cluster: old, move-from: old}",
       "f:2: move-from names the route's own cluster, 'old'"},
      {"{match: \"a:*\", cluster: new, move-from: old, add-prefix: x}",
       "f:2: move-from is not for routes with strip-prefix or add-prefix"},
      {"{match: \"a:*\", cluster: local, move-from: old, mirror: {cluster: new}}",
       "f:2: move-from is not for routes with a mirror"},
  };
  for (const auto& [route, error] : cases) EXPECT_THAT(ErrorOf(route), StartsWith(error)) << route;
}

}  // namespace
}  // namespace tidegate
