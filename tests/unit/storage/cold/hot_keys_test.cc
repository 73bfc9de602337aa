// Which keys are sampled as the hottest, and the bytes in which they are kept.
#include "storage/cold/hot_keys.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::TestEngine;

class HotKeysTest : public ::testing::Test {
 protected:
  TestEngine engine_;
  HotKeySampler sampler_{engine_.engine()};
};

TEST_F(HotKeysTest, TheLastUsedComeFirst) {
  engine_.Run("SET cold 1");
  engine_.AdvanceMs(60'000);
  engine_.Run("SET warm 1");
  engine_.AdvanceMs(60'000);
  engine_.client().db = 3;
  engine_.Run("SET hot 1");
  const std::vector<HotKey> keys = sampler_.Sample(engine_.now_ms());
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[0].key, "hot");
  EXPECT_EQ(keys[0].database, engine_.engine().keyspace().database_map().IdOf(3));
  EXPECT_EQ(keys[1].key, "warm");
  EXPECT_EQ(keys[2].key, "cold");
}

TEST_F(HotKeysTest, TheMostUsedComeFirstWhereUsesAreCounted) {
  engine_.engine().settings().maxmemory_policy = EvictionPolicy::kAllKeysLfu;
  engine_.engine().settings().lfu_log_factor = 0;
  for (int i = 0; i < 30; ++i) engine_.Run("SET often 1");
  engine_.Run("SET once 1");
  const std::vector<HotKey> keys = sampler_.Sample(engine_.now_ms());
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].key, "often");
}

TEST_F(HotKeysTest, ThereAreNotMoreThanTheLimitAndNoVeryLongOnes) {
  engine_.Run("SET " + std::string(2000, 'k') + " 1");
  for (size_t i = 0; i < kHotKeysMax + 500; ++i) engine_.Run("SET k" + std::to_string(i) + " 1");
  EXPECT_EQ(sampler_.Sample(engine_.now_ms()).size(), kHotKeysMax);
  engine_.Run("FLUSHALL");
  EXPECT_TRUE(sampler_.Sample(engine_.now_ms()).empty());
}

TEST_F(HotKeysTest, TheListIsReadAsItWasWritten) {
  const std::vector<HotKey> keys = {{0, "a"}, {70'000, std::string("\0b", 2)}, {1, ""}};
  const std::string bytes = EncodeHotKeys(keys);
  Result<std::vector<HotKey>> read = ParseHotKeys(bytes);
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ((*read)[i].database, keys[i].database);
    EXPECT_EQ((*read)[i].key, keys[i].key);
  }
  EXPECT_TRUE(ParseHotKeys(EncodeHotKeys({})).ok());
  EXPECT_FALSE(ParseHotKeys("").ok());
  EXPECT_FALSE(ParseHotKeys("\x02").ok());
  for (size_t n = 2; n < bytes.size(); ++n) {
    const Result<std::vector<HotKey>> part = ParseHotKeys(std::string_view(bytes).substr(0, n));
    EXPECT_TRUE(!part.ok() || n == 10 || n == 20) << n;  // between two keys
  }
}

}  // namespace
}  // namespace tidegate
