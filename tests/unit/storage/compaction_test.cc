// Compaction: memory goes back after most keys were deleted, and what is left is as it was.
#include "storage/compaction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "storage/memory/memory.h"
#include "tests/support/engine_fixture.h"

namespace tidegate::testing {
namespace {

#ifdef TIDEGATE_SANITIZE
constexpr bool kSlabs = false;  // each object is malloc's
#else
constexpr bool kSlabs = true;
#endif

uint64_t Wasted() {
  const SlabMemory slabs = ReadSlabMemory();
  return slabs.active_bytes - slabs.used_bytes;
}

class CompactionTest : public ::testing::Test {
 protected:
  // Values of many sizes, some of them collections.
  static std::string ValueOf(int i) {
    return std::string(static_cast<size_t>(20 + i % 61 * 40), static_cast<char>('a' + i % 26));
  }
  void Put(int i) {
    const std::string key = "k" + std::to_string(i);
    if (i % 3 == 0) {
      engine_.Run("RPUSH " + key + " " + ValueOf(i) + " x");
    } else {
      engine_.Run("SET " + key + " " + ValueOf(i) + (i % 2 == 0 ? " EX 1000" : ""));
    }
  }
  std::string Get(int i) {
    const std::string key = "k" + std::to_string(i);
    return engine_.Run(i % 3 == 0 ? "LINDEX " + key + " 0" : "GET " + key);
  }
  int Compact() {
    int rounds = 0;
    for (; rounds < 20; ++rounds) {
      if (!engine_.engine().CompactInBackground(engine_.thread(), engine_.now_ms())) break;
      while (engine_.engine().CompactInBackground(engine_.thread(), engine_.now_ms())) continue;
    }
    return rounds;
  }

  TestEngine engine_;
};

TEST_F(CompactionTest, DoesNothingWhereLittleIsWasted) {
  for (int i = 0; i < 1000; ++i) Put(i);
  for (int i = 0; i < 900; ++i) engine_.Run("DEL k" + std::to_string(i));
  EXPECT_FALSE(engine_.engine().CompactInBackground(engine_.thread(), engine_.now_ms()));
}

TEST_F(CompactionTest, GivesMemoryBackAndChangesNothing) {
  constexpr int kKeys = 60'000;
  for (int i = 0; i < kKeys; ++i) Put(i);
  for (int i = 0; i < kKeys; ++i) {
    if (i % 10 != 0) engine_.Run("DEL k" + std::to_string(i));
  }
  const uint64_t used = MemoryUsedBytes();
  const uint64_t wasted = Wasted();
  if (kSlabs) ASSERT_GT(wasted, Compaction::kWastedBytesMin.count);
  const int rounds = Compact();
  if (kSlabs) {
    EXPECT_GT(rounds, 0);
    EXPECT_LE(Wasted(), Compaction::kWastedBytesMin.count);
  }
  EXPECT_EQ(MemoryUsedBytes(), used);
  for (int i = 0; i < kKeys; i += 10) ASSERT_EQ(Get(i), Bulk(ValueOf(i))) << i;
  for (int i = 0; i < kKeys; i += 10) engine_.Run("DEL k" + std::to_string(i));
  EXPECT_EQ(engine_.Run("DBSIZE"), Integer(0));
}

TEST_F(CompactionTest, MovesPagesOfLargeCollections) {
  constexpr int kMembers = 60'000;
  const auto member = [](int i) {
    return "member:" + std::to_string(i * 7919) + std::string(40, 'm');
  };
  for (int i = 0; i < kMembers; ++i) {
    engine_.Run("HSET hash " + member(i) + " " + std::to_string(i));
    engine_.Run("ZADD zset " + std::to_string(i * 31 % kMembers) + " " + member(i));
    Put(i);  // so that the pages of the collections are spread over many slabs
  }
  for (int i = 0; i < kMembers; ++i) engine_.Run("DEL k" + std::to_string(i));
  const uint64_t used = MemoryUsedBytes();
  Compact();
  if (kSlabs) EXPECT_LE(Wasted(), std::max(Compaction::kWastedBytesMin.count, used / 7));
  EXPECT_EQ(MemoryUsedBytes(), used);
  for (int i = 0; i < kMembers; ++i) {
    ASSERT_EQ(engine_.Run("HGET hash " + member(i)), Bulk(std::to_string(i)));
    ASSERT_EQ(engine_.Run("ZSCORE zset " + member(i)), Bulk(std::to_string(i * 31 % kMembers)));
  }
  for (int rank = 0; rank < kMembers; rank += 1000) {
    const std::string reply =
        engine_.Run("ZRANGE zset " + std::to_string(rank) + " " + std::to_string(rank));
    EXPECT_NE(reply.find("member:"), std::string::npos);
  }
  engine_.Run("DEL hash zset");
}

TEST_F(CompactionTest, OtherDatabasesAndWritersInBetween) {
  constexpr int kKeys = 60'000;
  engine_.client().db = 3;
  for (int i = 0; i < kKeys; ++i) Put(i);
  for (int i = 0; i < kKeys; ++i) {
    if (i % 10 != 0) engine_.Run("DEL k" + std::to_string(i));
  }
  int next = 0;
  for (int step = 0; step < 5000; ++step) {
    engine_.engine().CompactInBackground(engine_.thread(), engine_.now_ms());
    // One that is there is changed, one comes and one goes.
    engine_.Run("DEL k" + std::to_string(next * 10));
    Put(next * 10 + 1);
    ++next;
    if (next * 10 >= kKeys) break;
  }
  for (int i = 0; i < kKeys; i += 10) {
    const bool gone = i < next * 10;
    ASSERT_EQ(Get(i), gone ? std::string(kNull) : Bulk(ValueOf(i))) << i;
    if (gone) ASSERT_EQ(Get(i + 1), Bulk(ValueOf(i + 1))) << i;
  }
}

}  // namespace
}  // namespace tidegate::testing
