// `commands` of the YAML file: key rules and the mistakes one makes in them.
#include "config/yaml_commands.h"

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
using Kind = KeyRuleOptions::Kind;

TEST(KeyRule, SaysWhereKeysStand) {
  const std::vector<std::pair<std::string, KeyRuleOptions>> cases = {
      {"1", {Kind::kRange, 1, 1, 1}},
      {"2", {Kind::kRange, 2, 2, 1}},
      {"1..-1", {Kind::kRange, 1, -1, 1}},
      {"1..-2/2", {Kind::kRange, 1, -2, 2}},
      {"2..4", {Kind::kRange, 2, 4, 1}},
      {"count@1", {Kind::kCounted, 1, 0, 0}},
      {"1,count@2", {Kind::kTargetAndCounted, 2, 0, 0}},
      {"none", {Kind::kNone, 0, 0, 0}},
  };
  for (const auto& [text, rule] : cases) EXPECT_EQ(ParseKeyRule(text), rule) << text;
}

TEST(KeyRule, RefusesWhatIsNone) {
  for (const char* text : {"", "0", "-1", "x", "1..0", "3..2", "1..", "..1", "1/0", "1/", "1..-1/x",
                           "count@0", "count@4", "count@", "1,count@1", "2,count@2", "101", "None"})
    EXPECT_EQ(ParseKeyRule(text), std::nullopt) << text;
}

Result<Options> Parse(const std::string& commands) {
  return ParseYaml("commands:\n" + commands, "f");
}

TEST(DeclaredCommands, AreRead) {
  Result<Options> options = Parse(
      "  - {name: \"json.*\", keys: 1}\n"
      "  - {name: JSON.MGET, keys: \"1..-2\", access: read}\n"
      "  - {name: FT.SEARCH, keys: none, access: read}\n");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_THAT(options->declared_commands,
              ElementsAre(DeclaredCommandOptions{"JSON.*", {Kind::kRange, 1, 1, 1}, false},
                          DeclaredCommandOptions{"JSON.MGET", {Kind::kRange, 1, -2, 1}, true},
                          DeclaredCommandOptions{"FT.SEARCH", {Kind::kNone, 0, 0, 0}, true}));
}

TEST(DeclaredCommands, MistakesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"  a: b\n", "f:1: 'commands' must be a list"},
      {"  - a\n", "f:2: a command must be a map"},
      {"  - {keys: 1}\n", "f:2: a command needs a name"},
      {"  - {name: A}\n", "f:2: a command needs keys"},
      {"  - {name: \"*\", keys: 1}\n", "f:2: the name of a command is letters"},
      {"  - {name: \"A*B\", keys: 1}\n", "f:2: the name of a command is letters"},
      {"  - {name: \"A B\", keys: 1}\n", "f:2: the name of a command is letters"},
      {"  - {name: " + std::string(32, 'A') + ", keys: 1}\n", "at most 31"},
      {"  - {name: A, keys: first}\n", "f:2: keys: 'first' says not where keys stand"},
      {"  - {name: A, keys: [1]}\n", "f:2: 'keys' needs a single value"},
      {"  - {name: A, keys: 1, access: both}\n", "f:2: access must be read or write"},
      {"  - {name: A, kyes: 1}\n", "unknown key 'kyes' in a command (did you mean 'keys'?)"},
      {"  - {name: a, keys: 1}\n  - {name: A, keys: 2}\n", "f:3: two commands have the name 'A'"},
  };
  for (const auto& [text, error] : cases) {
    Result<Options> options = Parse(text);
    ASSERT_FALSE(options.ok()) << text;
    EXPECT_THAT(options.error().message, HasSubstr(error)) << text;
  }
}

}  // namespace
}  // namespace tidegate
