#include "hotkey/space_saving.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <string>

namespace tidegate::hotkey {
namespace {

uint64_t Scatter(uint64_t number) { return (number + 1) * 0x9e3779b97f4a7c15ull; }

void AddKey(SpaceSaving& summary, uint64_t number) {
  summary.Add(Scatter(number), {}, "key:" + std::to_string(number));
}

std::map<KeyId, SpaceSaving::Entry> EntriesOf(const SpaceSaving& summary) {
  std::map<KeyId, SpaceSaving::Entry> entries;
  summary.ForEach([&](const SpaceSaving::Entry& entry) { entries[entry.id] = entry; });
  return entries;
}

TEST(SpaceSavingTest, CountsExactlyWhileThereAreCountersForAll) {
  SpaceSaving summary(4);
  for (uint64_t key = 0; key < 4; ++key) {
    for (uint64_t i = 0; i <= key; ++i) AddKey(summary, key);
  }
  const auto entries = EntriesOf(summary);
  ASSERT_EQ(entries.size(), 4u);
  for (uint64_t key = 0; key < 4; ++key) {
    EXPECT_EQ(entries.at(Scatter(key)).count, key + 1);
    EXPECT_EQ(entries.at(Scatter(key)).error, 0u);
  }
  EXPECT_EQ(summary.total(), 10u);
}

TEST(SpaceSavingTest, TheHighestComeFirst) {
  SpaceSaving summary(8);
  for (const uint64_t key : {1, 2, 2, 3, 3, 3, 4, 4, 4}) AddKey(summary, key);
  std::vector<uint32_t> counts;
  summary.ForEach([&](const SpaceSaving::Entry& entry) { counts.push_back(entry.count); });
  EXPECT_EQ(counts, (std::vector<uint32_t>{3, 3, 2, 1}));
}

TEST(SpaceSavingTest, ANewcomerTakesTheLowestCounterAndItsCountAsError) {
  SpaceSaving summary(2);
  for (const uint64_t key : {1, 1, 1, 2, 2, 3}) AddKey(summary, key);
  const auto entries = EntriesOf(summary);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries.at(Scatter(1)).count, 3u);
  EXPECT_EQ(entries.at(Scatter(3)).count, 3u);
  EXPECT_EQ(entries.at(Scatter(3)).error, 2u);
  EXPECT_EQ(entries.at(Scatter(3)).at_least(), 1u);
}

TEST(SpaceSavingTest, ANameIsKeptFromTheSecondAccessOn) {
  SpaceSaving summary(2);
  AddKey(summary, 7);
  EXPECT_EQ(EntriesOf(summary).at(Scatter(7)).name->view(), "");
  AddKey(summary, 7);
  EXPECT_EQ(EntriesOf(summary).at(Scatter(7)).name->view(), "key:7");
  // Whoever takes the counter over does not have the other's name.
  AddKey(summary, 8);
  AddKey(summary, 8);
  AddKey(summary, 8);
  AddKey(summary, 9);
  EXPECT_EQ(EntriesOf(summary).at(Scatter(9)).name->view(), "");
}

TEST(SpaceSavingTest, LongNamesAreCutAndSayHowLongTheyWere) {
  SpaceSaving summary(2);
  const std::string name(1000, 'n');
  summary.Add(1, {}, name);
  summary.Add(1, {}, name);
  const KeptName& kept = *EntriesOf(summary).at(1).name;
  EXPECT_EQ(kept.view(), std::string(kNameBytesMax, 'n'));
  EXPECT_EQ(kept.whole_bytes(), 1000u);
}

TEST(SpaceSavingTest, WeightsCountAsSoManyAccesses) {
  SpaceSaving weighted(4);
  SpaceSaving single(4);
  std::mt19937_64 random(3);
  for (int i = 0; i < 3000; ++i) {
    const uint64_t key = random() % 3;
    const auto weight = static_cast<uint32_t>(1 + random() % 50);
    weighted.Add(Scatter(key), {}, "k", weight);
    for (uint32_t j = 0; j < weight; ++j) single.Add(Scatter(key), {}, "k");
  }
  EXPECT_EQ(weighted.total(), single.total());
  const auto expected = EntriesOf(single);
  for (const auto& [id, entry] : EntriesOf(weighted)) {
    EXPECT_EQ(entry.count, expected.at(id).count);
    EXPECT_EQ(entry.error, expected.at(id).error);
  }
}

TEST(SpaceSavingTest, ANameThatIsNotKnownYetIsTakenLater) {
  SpaceSaving summary(2);
  summary.Add(1, {}, "", 10);
  summary.Add(1, {}, "", 10);
  EXPECT_EQ(EntriesOf(summary).at(1).name->view(), "");
  summary.Add(1, {}, "name");
  EXPECT_EQ(EntriesOf(summary).at(1).name->view(), "name");
}

TEST(SpaceSavingTest, ClearForgetsEverything) {
  SpaceSaving summary(4);
  for (uint64_t key = 0; key < 100; ++key) AddKey(summary, key % 7);
  summary.Clear();
  EXPECT_EQ(summary.size(), 0u);
  EXPECT_EQ(summary.total(), 0u);
  EXPECT_TRUE(EntriesOf(summary).empty());
  AddKey(summary, 3);
  EXPECT_EQ(EntriesOf(summary).at(Scatter(3)).count, 1u);
}

TEST(SpaceSavingTest, DatabasesAndClustersAreToldApart) {
  const uint64_t hash = Scatter(5);
  EXPECT_NE(IdOf(hash, {.cluster = 0, .database = 0}), IdOf(hash, {.cluster = 0, .database = 1}));
  EXPECT_NE(IdOf(hash, {.cluster = 1, .database = 0}), IdOf(hash, {.cluster = 0, .database = 1}));
  EXPECT_EQ(IdOf(hash, {}), hash);
}

// The true count of each key lies in its band, nobody above total/capacity is missing, and counts
// add up: over skewed and even streams, with weights, with ids that all collide in the index.
TEST(SpaceSavingTest, KeepsItsPromisesOverRandomStreams) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    const size_t capacity = 2 + random() % 64;
    const uint64_t keys = 1 + random() % 300;
    const bool collide = seed % 4 == 0;
    const bool weighted = seed % 3 == 0;
    const double skew = 1.0 + static_cast<double>(random() % 30) / 10;
    SpaceSaving summary(capacity);
    std::map<KeyId, uint32_t> truth;
    for (int i = 0; i < 20'000; ++i) {
      const double uniform = std::generate_canonical<double, 53>(random);
      const auto number =
          static_cast<uint64_t>(std::pow(uniform, skew) * static_cast<double>(keys));
      const KeyId id = collide ? number << 32 : Scatter(number);
      const auto weight = static_cast<uint32_t>(weighted ? 1 + random() % 20 : 1);
      truth[id] += weight;
      summary.Add(id, {}, "k", weight);
    }
    const auto total = static_cast<uint32_t>(summary.total());
    uint64_t sum = 0;
    const auto entries = EntriesOf(summary);
    for (const auto& [id, entry] : entries) {
      sum += entry.count;
      ASSERT_LE(truth[id], entry.count) << "seed " << seed;
      ASSERT_GE(truth[id], entry.at_least()) << "seed " << seed;
    }
    EXPECT_EQ(sum, total) << "seed " << seed;
    EXPECT_EQ(entries.size(), std::min(capacity, truth.size())) << "seed " << seed;
    for (const auto& [id, count] : truth) {
      if (count > total / capacity) {
        EXPECT_TRUE(entries.contains(id)) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace tidegate::hotkey
