// `hot-keys-predicted` of the YAML file, and the mistakes one makes there.
#include "config/yaml_hot_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/loader.h"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Moment, IsUtcOrUnixSeconds) {
  EXPECT_EQ(ParseMoment("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ParseMoment("2026-11-27T12:00:01Z"), 1795780801000);
  EXPECT_EQ(ParseMoment("2024-02-29T23:59:59Z"), 1709251199000);
  EXPECT_EQ(ParseMoment("1795780801"), 1795780801000);
  for (const char* text :
       {"", "noon", "-1", "2026-11-27", "2026-11-27T12:00:00", "2026-11-27 12:00:00Z",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "1969-12-31T23:59:59Z", "2026-1x-01T00:00:00Z", "100000000001"})
    EXPECT_EQ(ParseMoment(text), std::nullopt) << text;
}

Result<Options> Parse(const std::string& rows) {
  return ParseYaml("clusters:\n  - {name: main, kind: engine}\nhot-keys-predicted:\n" + rows, "f");
}

TEST(PredictedKeys, AreRead) {
  Result<Options> options = Parse(
      "  - {key: \"item:1\"}\n"
      "  - {key: sale, cluster: main, db: 2, from: 2026-11-27T12:00:01Z, until: 1795780802}\n");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_THAT(options->hot_keys_predicted,
              ElementsAre(PredictedKeyOptions{.key = "item:1", .cluster = ""},
                          PredictedKeyOptions{"sale", "main", 2, 1795780801000, 1795780802000}));
}

TEST(PredictedKeys, MistakesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"  a: b\n", "f:3: 'hot-keys-predicted' must be a list"},
      {"  - a\n", "f:4: a predicted key must be a map"},
      {"  - {db: 1}\n", "f:4: a predicted key needs a key: its name"},
      {"  - {key: a, db: -1}\n", "f:4: db must be between 0 and 65535"},
      {"  - {key: a, cluster: other}\n", "f:4: there is no cluster 'other'"},
      {"  - {key: a, from: noon}\n", "f:4: 'noon' is no time"},
      {"  - {key: a, from: 10, until: 10}\n", "f:4: 'until' must be behind 'from'"},
      {"  - {key: a, untill: 10}\n",
       "unknown key 'untill' in a predicted key (did you mean 'until'?)"},
  };
  for (const auto& [text, error] : cases) {
    Result<Options> options = Parse(text);
    ASSERT_FALSE(options.ok()) << text;
    EXPECT_THAT(options.error().message, HasSubstr(error)) << text;
  }
}

}  // namespace
}  // namespace tidegate
