// Keys known to be absent: when they are, for how long, and that no write is ever missed.
#include "policy/negative_cache/negative_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace tidegate {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr hotkey::Keyspace kSpace{.cluster = 1, .database = 0};

class NegativeCacheTest : public ::testing::Test {
 protected:
  NegativeCache::Version VersionOf(const std::string& name) {
    NegativeCache::Version version;
    cache_.IsAbsent(KeyRef::Of(name), kSpace, now_ns_, version);
    return version;
  }
  bool IsAbsent(const std::string& name, hotkey::Keyspace keyspace = kSpace) {
    NegativeCache::Version version;
    return cache_.IsAbsent(KeyRef::Of(name), keyspace, now_ns_, version);
  }
  void Miss(const std::string& name, int times = 1) {
    for (int i = 0; i < times; ++i)
      cache_.Missed(name, KeyHash(name), kSpace, VersionOf(name), now_ns_);
  }

  int64_t now_ns_ = 100 * kSecond;
  NegativeCache cache_{1000, std::chrono::seconds(30)};
};

TEST_F(NegativeCacheTest, ThreeMissesInTenSeconds) {
  Miss("a", 2);
  EXPECT_FALSE(IsAbsent("a"));
  Miss("a");
  EXPECT_TRUE(IsAbsent("a"));
  EXPECT_FALSE(IsAbsent("b"));
  EXPECT_FALSE(IsAbsent("a", {.cluster = 1, .database = 1}));
  EXPECT_FALSE(IsAbsent("a", {.cluster = 2, .database = 0}));
  Miss("slow", 2);
  now_ns_ += kNegativeWindowNanos;
  Miss("slow");
  EXPECT_FALSE(IsAbsent("slow"));
  Miss("slow", 2);
  EXPECT_TRUE(IsAbsent("slow"));
}

TEST_F(NegativeCacheTest, ForATimeThatDiffers) {
  constexpr int kKeys = 200;
  for (int i = 0; i < kKeys; ++i) Miss("k" + std::to_string(i), 3);
  const auto left = [this] { return cache_.CountAbsent(now_ns_); };
  EXPECT_EQ(left(), kKeys);
  now_ns_ += 24 * kSecond - 1;
  EXPECT_EQ(left(), kKeys);
  now_ns_ += 6 * kSecond;
  EXPECT_LT(left(), kKeys * 3 / 4);
  EXPECT_GT(left(), kKeys / 4);
  now_ns_ += 6 * kSecond + 1;
  EXPECT_EQ(left(), 0);
}

TEST_F(NegativeCacheTest, AWriteEndsItAndWhatWasReadBefore) {
  Miss("a", 3);
  const NegativeCache::Version before = VersionOf("b");
  cache_.BeginWrite(KeyHash("a"));
  EXPECT_FALSE(IsAbsent("a"));
  Miss("a", 3);  // while it is under way: it may come before the write
  EXPECT_FALSE(IsAbsent("a"));
  const NegativeCache::Version during = VersionOf("a");
  cache_.EndWrite(KeyHash("a"));
  for (int i = 0; i < 3; ++i) cache_.Missed("a", KeyHash("a"), kSpace, during, now_ns_);
  EXPECT_FALSE(IsAbsent("a"));
  Miss("a", 3);
  EXPECT_TRUE(IsAbsent("a"));
  // Of another set nothing is forgotten.
  for (int i = 0; i < 3; ++i) cache_.Missed("b", KeyHash("b"), kSpace, before, now_ns_);
  EXPECT_TRUE(IsAbsent("b"));
}

TEST_F(NegativeCacheTest, AWriteOfAnyKeyEndsAll) {
  Miss("a", 3);
  Miss("b", 2);
  const NegativeCache::Version before = VersionOf("b");
  cache_.BeginWriteOfAny();
  EXPECT_FALSE(IsAbsent("a"));
  Miss("a", 3);
  EXPECT_FALSE(IsAbsent("a"));
  cache_.EndWriteOfAny();
  cache_.Missed("b", KeyHash("b"), kSpace, before, now_ns_);
  EXPECT_FALSE(IsAbsent("b"));
  EXPECT_EQ(cache_.CountAbsent(now_ns_), 0);
  Miss("a", 3);
  EXPECT_TRUE(IsAbsent("a"));
}

TEST_F(NegativeCacheTest, IsBoundedAndKeepsWhatIsKnown) {
  Miss("known", 3);
  for (int i = 0; i < 20'000; ++i) Miss("random" + std::to_string(i));
  EXPECT_TRUE(IsAbsent("known"));
  for (int i = 0; i < 20'000; ++i) Miss("known" + std::to_string(i), 3);
  EXPECT_LE(cache_.CountAbsent(now_ns_), cache_.keys_max());
  EXPECT_GE(cache_.keys_max(), 1000);
  const std::string longest(kNegativeKeyBytesMax, 'x');
  Miss(longest, 3);
  Miss(longest + "x", 3);
  EXPECT_TRUE(IsAbsent(longest));
  EXPECT_FALSE(IsAbsent(longest + "x"));
}

// Two threads: one writes and deletes, the other reads. A key may be called absent only if it was
// not there at some time between question and answer.
TEST(NegativeCacheRandom, NeverHidesWhatWasWritten) {
  constexpr uint64_t kNames = 32;
  constexpr int kReads = 1'000'000;
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  NegativeCache cache(64, std::chrono::hours(1));
  std::vector<std::string> names;
  std::vector<uint64_t> hashes;
  for (uint64_t i = 0; i < kNames; ++i) {
    names.push_back("key:" + std::to_string(i));
    hashes.push_back(KeyHash(names.back()));
  }
  // Odd: it is there, acknowledged.
  std::vector<std::atomic<uint64_t>> versions(kNames);
  std::vector<std::atomic<bool>> data(kNames);
  std::atomic<bool> ends{false};
  std::thread writer([&] {
    std::mt19937_64 random(seed);
    while (!ends.load()) {
      const uint64_t key = random() % kNames;
      const bool is_there = versions[key].load() % 2 == 1;
      const bool of_any = random() % 16 == 0;
      of_any ? cache.BeginWriteOfAny() : cache.BeginWrite(hashes[key]);
      if (is_there) versions[key].fetch_add(1);
      data[key].store(!is_there);
      of_any ? cache.EndWriteOfAny() : cache.EndWrite(hashes[key]);
      if (!is_there) versions[key].fetch_add(1);
      for (uint64_t pause = random() % 512; pause > 0; --pause) ends.load();
    }
  });
  std::mt19937_64 random(seed + 1);
  int absent = 0;
  int wrong = 0;
  for (int read = 0; read < kReads; ++read) {
    const uint64_t key = random() % kNames;
    const KeyRef name{names[key], hashes[key], 0};
    const uint64_t before = versions[key].load();
    NegativeCache::Version version;
    if (cache.IsAbsent(name, kSpace, kSecond, version)) {
      ++absent;
      if (before % 2 == 1 && versions[key].load() == before) ++wrong;
    } else if (!data[key].load()) {
      cache.Missed(name.name, name.hash, kSpace, version, kSecond);
    }
  }
  ends.store(true);
  writer.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(absent, 0);
}

}  // namespace
}  // namespace tidegate
