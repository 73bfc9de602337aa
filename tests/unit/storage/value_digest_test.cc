// Digests: the same for the same data whichever way it is held and whenever it was made, different
// for different data.
#include "storage/commands/value_digest.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::TestEngine;

std::string DigestOf(TestEngine& engine, std::string_view key) {
  std::string hex;
  engine.WithDatabase(key, [&](Database& db, const KeyRef& ref) {
    hex = DigestOfValue(*db.Peek(ref), db.now_ms()).Hex();
  });
  return hex;
}

// Small limits, so that the same elements are held in tables and pages.
void UseLargeForms(TestEngine& engine) {
  EngineSettings& settings = engine.engine().settings();
  settings.hash_listpack_entries_max = 1;
  settings.set_listpack_entries_max = 1;
  settings.set_intset_entries_max = 1;
  settings.zset_listpack_entries_max = 1;
  settings.list_listpack_size = 1;
  settings.stream_node_entries_max = 1;
}

TEST(ValueDigestTest, DoesNotDependOnTheForm) {
  TestEngine small;
  TestEngine large;
  UseLargeForms(large);
  large.AdvanceMs(12345);
  std::set<std::string> digests;
  const std::vector<std::string> commands = {
      "RPUSH k 1 two 3 -4",
      "SADD k 3 1 2",
      "SADD k one 2 three",
      "ZADD k 1 a 2.5 b -inf c 1 d",
      "HSET k f v 1 2 name value",
      "XADD k 1-1 f v 2 3",
      "SET k 12345",
  };
  for (const std::string& command : commands) {
    for (TestEngine* engine : {&small, &large}) {
      engine->Run("DEL k");
      engine->Run(command);
    }
    EXPECT_EQ(DigestOf(small, "k"), DigestOf(large, "k")) << command;
    EXPECT_TRUE(digests.insert(DigestOf(small, "k")).second) << command;
  }
}

TEST(ValueDigestTest, DoesNotDependOnTheOrderOfWhatHasNone) {
  TestEngine engine;
  UseLargeForms(engine);
  const std::vector<std::vector<std::string>> pairs = {
      {"SADD a 1 2 x", "SADD b x 2 1"},
      {"HSET a f 1 g 2", "HSET b g 2 f 1"},
      {"ZADD a 1 x 2 y", "ZADD b 2 y 1 x"},
  };
  for (const auto& pair : pairs) {
    engine.Run("DEL a b");
    engine.Run(pair[0]);
    engine.Run(pair[1]);
    EXPECT_EQ(DigestOf(engine, "a"), DigestOf(engine, "b")) << pair[0];
  }
}

TEST(ValueDigestTest, DependsOnTheData) {
  TestEngine engine;
  const std::vector<std::vector<std::string>> pairs = {
      {"RPUSH a 1 2", "RPUSH b 2 1"},
      {"RPUSH a ab c", "RPUSH b a bc"},
      {"HSET a f g h i", "HSET b f i h g"},
      {"HSET a f gh", "HSET b fg h"},
      {"ZADD a 1 x 2 y", "ZADD b 2 x 1 y"},
      {"XADD a 1-1 f v", "XADD b 1-2 f v"},
      {"SET a x", "SET b x EX 10"},
      {"SET a x", "RPUSH b x"},
      {"SADD a x", "RPUSH b x"},
  };
  for (const auto& pair : pairs) {
    engine.Run("DEL a b");
    engine.Run(pair[0]);
    engine.Run(pair[1]);
    EXPECT_NE(DigestOf(engine, "a"), DigestOf(engine, "b")) << pair[0];
  }
}

TEST(ValueDigestTest, KnowsTheGroupsOfAStream) {
  TestEngine engine;
  engine.Run("XADD a 1-1 f v");
  engine.Run("COPY a b");
  EXPECT_EQ(DigestOf(engine, "a"), DigestOf(engine, "b"));
  engine.Run("XGROUP CREATE a g 0");
  engine.Run("XGROUP CREATE b g 0");
  EXPECT_EQ(DigestOf(engine, "a"), DigestOf(engine, "b"));
  engine.Run("XREADGROUP GROUP g c STREAMS a >");
  EXPECT_NE(DigestOf(engine, "a"), DigestOf(engine, "b"));
  engine.AdvanceMs(777);
  engine.Run("XREADGROUP GROUP g c STREAMS b >");
  EXPECT_EQ(DigestOf(engine, "a"), DigestOf(engine, "b"));
}

}  // namespace
}  // namespace tidegate
