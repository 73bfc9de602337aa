// PatternIndex against matching every pattern.
#include "proxy/pubsub/pattern_index.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <utility>

#include "base/text.h"

namespace tidegate {
namespace {

TEST(PatternIndexTest, BeginningsAndEnds) {
  EXPECT_EQ(PatternIndex::LiteralBeginning("news.*"), "news.");
  EXPECT_EQ(PatternIndex::LiteralBeginning("a\\*b"), "a");
  EXPECT_EQ(PatternIndex::LiteralBeginning("plain"), "plain");
  EXPECT_EQ(PatternIndex::LiteralEnd("*.end"), ".end");
  EXPECT_EQ(PatternIndex::LiteralEnd("x[abc]y"), "y");
  EXPECT_EQ(PatternIndex::LiteralEnd("x[abc"), "");
  EXPECT_EQ(PatternIndex::LiteralEnd("[^a-]]z"), "z");
  EXPECT_EQ(PatternIndex::LiteralEnd("*a\\b"), "");
  EXPECT_EQ(PatternIndex::LiteralEnd("*a\\"), "");
  EXPECT_EQ(PatternIndex::LiteralEnd("*"), "");
}

TEST(PatternIndexTest, FindsWhatMatchingEachFinds) {
  std::mt19937 random(3);
  const auto word = [&](std::string_view letters) {
    std::string text;
    for (size_t n = random() % 7; n > 0; --n) text += letters[random() % letters.size()];
    return text;
  };
  PatternIndex index;
  std::multiset<std::pair<std::string, int>> model;  // pattern and worker
  for (int i = 0; i < 20000; ++i) {
    if (model.size() < 300 || random() % 2 == 0) {
      const std::string pattern = word("aab*?[]\\^-");
      const int worker = static_cast<int>(random() % 2);
      index.Add(pattern, worker);
      model.emplace(pattern, worker);
    } else {
      const auto victim = std::next(model.begin(), static_cast<int>(random() % model.size()));
      index.Remove(victim->first, victim->second);
      model.erase(victim);
    }
    if (i % 20 != 0) continue;
    const std::string channel = word("aab^-\\");
    std::set<std::string> found;
    index.Match(channel, [&](const SubscribedPattern& pattern) { found.insert(pattern.text); });
    std::set<std::string> expected;
    for (const auto& [pattern, worker] : model) {
      if (GlobMatch(pattern, channel, false)) expected.insert(pattern);
    }
    ASSERT_EQ(found, expected) << channel;
  }
}

}  // namespace
}  // namespace tidegate
