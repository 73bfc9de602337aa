// The filter of keys that exist: how often it errs, when it may judge, and that it never calls a
// key absent that is there, while it is written to and built anew.
#include "policy/bloom/known_keys.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/text.h"

namespace tidegate {
namespace {

uint64_t HashOf(uint64_t number) { return KeyHash("key:" + std::to_string(number)); }

// Of the random tests: TIDEGATE_ABSENT_CHECKS, for long runs.
uint64_t Checks(uint64_t by_default) {
  const char* const said = std::getenv("TIDEGATE_ABSENT_CHECKS");
  return said == nullptr ? by_default : ParseUint64(said).value_or(by_default);
}

TEST(BlockedBloom, ErrsAsOftenAsTheorySays) {
  constexpr size_t kKeys = 1'000'000;
  BlockedBloom bloom(kKeys);
  for (uint64_t i = 0; i < kKeys; ++i) bloom.Add(HashOf(i));
  for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(bloom.MayHave(HashOf(i)));
  EXPECT_NEAR(static_cast<double>(bloom.size()), kKeys, kKeys * 0.005);
  size_t wrong = 0;
  for (uint64_t i = kKeys; i < 2 * kKeys; ++i) wrong += bloom.MayHave(HashOf(i)) ? 1 : 0;
  const double rate = static_cast<double>(wrong) / kKeys;
  const double theory = BloomErrorRate(kKeys, kKeys);
  EXPECT_GT(theory, 0.003);
  EXPECT_LT(theory, 0.007);
  EXPECT_NEAR(rate, theory, theory * 0.2);
}

TEST(BlockedBloom, TheoryKnowsEmptyAndHalfFull) {
  EXPECT_EQ(BloomErrorRate(0, 1000), 0);
  EXPECT_LT(BloomErrorRate(500'000, 1'000'000), BloomErrorRate(1'000'000, 1'000'000) / 10);
}

TEST(KnownKeys, JudgesOnlyWhenAllWasSeen) {
  using Answer = KnownKeys::Answer;
  KnownKeys keys;
  EXPECT_EQ(keys.Ask(HashOf(1), 0), Answer::kUnknown);
  keys.Add(HashOf(1));
  EXPECT_EQ(keys.Ask(HashOf(2), 0), Answer::kUnknown);
  EXPECT_TRUE(keys.WantsBuild());
  keys.BeginBuild(10);
  keys.AddFound(HashOf(1));
  keys.Add(HashOf(3));
  EXPECT_EQ(keys.Ask(HashOf(2), 0), Answer::kUnknown);
  EXPECT_TRUE(keys.EndBuild(7));
  EXPECT_EQ(keys.Ask(HashOf(1), 7), Answer::kMayExist);
  EXPECT_EQ(keys.Ask(HashOf(3), 7), Answer::kMayExist);
  EXPECT_EQ(keys.Ask(HashOf(2), 7), Answer::kAbsent);
  // It knows nothing of other clusters.
  EXPECT_EQ(keys.Ask(HashOf(2), 8), Answer::kUnknown);
  EXPECT_FALSE(keys.WantsBuild());
  EXPECT_EQ(keys.builds(), 1);
}

TEST(KnownKeys, WhatWasLostMeanwhileMakesABuildWorthless) {
  using Answer = KnownKeys::Answer;
  KnownKeys keys;
  keys.BeginBuild(10);
  keys.Lose();
  EXPECT_FALSE(keys.EndBuild(0));
  EXPECT_EQ(keys.Ask(HashOf(2), 0), Answer::kUnknown);
  keys.BeginBuild(10);
  EXPECT_TRUE(keys.EndBuild(0));
  EXPECT_EQ(keys.Ask(HashOf(2), 0), Answer::kAbsent);
  keys.Lose();
  EXPECT_EQ(keys.Ask(HashOf(2), 0), Answer::kUnknown);
  EXPECT_FALSE(keys.EndBuild(0));  // none was begun
  keys.BeginBuild(10);
  keys.DropBuild();
  EXPECT_FALSE(keys.EndBuild(0));
}

TEST(KnownKeys, AFullOneSaysNothing) {
  KnownKeys keys;
  keys.BeginBuild(1);
  EXPECT_TRUE(keys.EndBuild(0));
  const size_t capacity = keys.capacity();
  EXPECT_EQ(capacity, static_cast<size_t>(kBloomKeysMin * kBloomRoom));
  for (uint64_t i = 0; i < capacity * 2; ++i) keys.Add(HashOf(i));
  EXPECT_FALSE(keys.complete());
  EXPECT_EQ(keys.false_positive_rate(), 1);
  keys.BeginBuild(1);
  for (uint64_t i = 0; i < capacity * 2; ++i) keys.AddFound(HashOf(i));
  EXPECT_TRUE(keys.build_is_full());
  EXPECT_FALSE(keys.EndBuild(0));
  keys.BeginBuild(capacity * 2);
  for (uint64_t i = 0; i < capacity * 2; ++i) keys.AddFound(HashOf(i));
  EXPECT_FALSE(keys.build_is_full());
  EXPECT_TRUE(keys.EndBuild(0));
  EXPECT_LT(keys.false_positive_rate(), 0.01);
}

TEST(KnownKeys, ManyDeletionsWantABuild) {
  KnownKeys keys;
  keys.BeginBuild(10'000);
  for (uint64_t i = 0; i < 10'000; ++i) keys.AddFound(HashOf(i));
  EXPECT_TRUE(keys.EndBuild(0));
  keys.NoteDeleted(1900);
  EXPECT_FALSE(keys.WantsBuild());
  keys.NoteDeleted(200);
  EXPECT_TRUE(keys.WantsBuild());
  keys.BeginBuild(10'000);
  EXPECT_TRUE(keys.EndBuild(0));
  EXPECT_FALSE(keys.WantsBuild());
}

// One thread writes and deletes, the other asks and builds, a step of each in turn. A key is there
// for certain if it was acknowledged before the question, and not changed until after the answer.
TEST(KnownKeys, NeverCallsAbsentWhatIsThere) {
  constexpr uint64_t kNames = 4096;
  const uint64_t checks = Checks(3'000'000);
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::vector<uint64_t> hashes;
  for (uint64_t i = 0; i < kNames; ++i) hashes.push_back(HashOf(i));
  KnownKeys keys;
  // Even: it is not there, or being written; odd: it is.
  std::vector<std::atomic<uint64_t>> versions(kNames);
  std::vector<std::atomic<bool>> data(kNames);
  std::atomic<bool> ends{false};
  std::thread writer([&] {
    std::mt19937_64 random(seed);
    while (!ends.load(std::memory_order_relaxed)) {
      const uint64_t key = random() % kNames;
      const bool is_there = versions[key].load() % 2 == 1;
      keys.Add(hashes[key]);
      if (is_there) versions[key].fetch_add(1);
      data[key].store(!is_there);
      keys.Add(hashes[key]);
      if (!is_there) versions[key].fetch_add(1);
    }
  });
  std::mt19937_64 random(seed + 1);
  uint64_t at = kNames;
  uint64_t absent = 0;
  uint64_t wrong = 0;
  for (uint64_t check = 0; check < checks; ++check) {
    if (at == kNames) {
      keys.EndBuild(0);
      keys.BeginBuild(kNames);
      at = 0;
    } else if (data[at].load()) {
      keys.AddFound(hashes[at++]);
    } else {
      ++at;
    }
    const uint64_t key = random() % kNames;
    const uint64_t before = versions[key].load();
    const KnownKeys::Answer answer = keys.Ask(hashes[key], 0);
    if (answer != KnownKeys::Answer::kAbsent) continue;
    ++absent;
    if (before % 2 == 1 && versions[key].load() == before) ++wrong;
  }
  ends.store(true);
  writer.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(absent, 0);
  EXPECT_GT(keys.builds(), checks / kNames / 2);
}

}  // namespace
}  // namespace tidegate
