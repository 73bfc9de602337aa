// Shapes of keys: what matches, what does not, and that no key takes long.
#include "base/key_pattern.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

namespace tidegate {
namespace {

bool Matches(std::string_view pattern, std::string_view key) {
  const Result<KeyPattern> parsed = KeyPattern::Parse(pattern);
  EXPECT_TRUE(parsed.ok()) << pattern;
  return parsed.ok() && parsed.value().Matches(key);
}

TEST(KeyPattern, MatchesWholeKeys) {
  const std::vector<std::tuple<std::string, std::string, bool>> cases = {
      {"item", "item", true},
      {"item", "items", false},
      {"item", "ite", false},
      {"item:*", "item:", true},
      {"item:*", "item:7", true},
      {"item:*", "atem:7", false},
      {"*", "", true},
      {"a*b*c", "axxbyyc", true},
      {"a*b*c", "axxbyy", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"item:<int>", "item:0123456789", true},
      {"item:<int>", "item:", false},
      {"item:<int>", "item:-1", false},
      {"item:<int>", "item:1 OR 1=1", false},
      {"item:<int>:<word>", "item:12:big_one-2", true},
      {"item:<int>:<word>", "item:12:", false},
      {"s:<hex>", "s:00ffAA", true},
      {"s:<hex>", "s:00fg", false},
      {"u:<uuid>", "u:123e4567-e89b-12d3-a456-426614174000", true},
      {"u:<uuid>", "u:123e4567-e89b-12d3-a456-42661417400", false},
      {"[a-c]x", "bx", true},
      {"[a-c]x", "dx", false},
      {"[^a-c]x", "dx", true},
      {"\\*x\\<", "*x<", true},
      {"*\\*", "ab*", true},
      {"*\\*", "ab", false},
      {"<int><int>", "1", false},
      {"<int><int>", "12", true},
  };
  for (const auto& [pattern, key, expected] : cases)
    EXPECT_EQ(Matches(pattern, key), expected) << pattern << " " << key;
}

TEST(KeyPattern, BytesOfAnyKind) {
  EXPECT_TRUE(Matches("a*", std::string("a\0\xff\r\n", 5)));
  EXPECT_FALSE(Matches("<word>", std::string("a\0", 2)));
  EXPECT_TRUE(Matches("[\xf0-\xff]", "\xfe"));
}

TEST(KeyPattern, RefusesWhatItCannotKeep) {
  const auto error_of = [](std::string_view pattern) {
    const Result<KeyPattern> parsed = KeyPattern::Parse(pattern);
    return parsed.ok() ? "" : parsed.error().message;
  };
  EXPECT_EQ(error_of(""), "a pattern of keys is not empty");
  EXPECT_EQ(error_of("a<float>"), "'<float>' is none of <int>, <hex>, <word>, <uuid>");
  EXPECT_EQ(error_of("a<int"), "'<' without '>'; a literal one is \\<");
  EXPECT_EQ(error_of("[ab"), "'[' without ']'");
  EXPECT_EQ(error_of("*" + std::string(63, 'x')),
            "a pattern has at most 63 parts behind its literal beginning");
  EXPECT_EQ(error_of("*" + std::string(62, 'x')), "");
  EXPECT_EQ(error_of(std::string(1000, 'x') + "*"), "");
  EXPECT_EQ(error_of(std::string(1025, 'x')), "a pattern has at most 1024 bytes");
}

// A matcher that tries places one after the other would take hours for this.
TEST(KeyPattern, ManyStarsOnALongKey) {
  std::string pattern;
  for (int i = 0; i < 30; ++i) pattern += "*a";
  EXPECT_FALSE(Matches(pattern + "b", std::string(1 << 20, 'a')));
  EXPECT_TRUE(Matches(pattern, std::string(1 << 20, 'a')));
}

}  // namespace
}  // namespace tidegate
