#include "hotkey/big_key_table.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace tidegate::hotkey {
namespace {

constexpr uint64_t kKib = 1024;
constexpr uint64_t kMib = 1024 * 1024;

BigKeySighting OfBytes(KeyId id, uint64_t bytes, bool exact = true) {
  return {.id = id,
          .name = "k",
          .cluster = "engine",
          .type = "string",
          .bytes = bytes,
          .elements = {},
          .exact = exact};
}

BigKeySighting OfElements(KeyId id, uint64_t elements, bool exact = true) {
  return {.id = id,
          .name = "c",
          .cluster = "shop",
          .type = "list",
          .bytes = {},
          .elements = elements,
          .exact = exact};
}

TEST(BigKeyTable, ListsFromTheLevelOfWarningsAndCallsBigFromTheNextOn) {
  BigKeyTable table;
  table.Note(OfBytes(1, 64 * kKib - 1), 0);
  table.Note(OfBytes(2, 64 * kKib), 0);
  table.Note(OfBytes(3, kMib), 0);
  table.Note(OfElements(4, 4999), 0);
  table.Note(OfElements(5, 5000), 0);
  const BigKeyCounts counts = table.Counts(0);
  EXPECT_EQ(counts.listed, 3u);
  EXPECT_EQ(counts.big, 2u);
  EXPECT_EQ(counts.detections, 3u);
  const std::vector<BigKey> keys = table.List(BigKeyOrder::kBytes, 10, 0);
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[0].bytes, kMib);
  EXPECT_TRUE(keys[0].big);
  EXPECT_FALSE(keys[1].big);
  EXPECT_EQ(keys[2].elements, 5000u);
  EXPECT_EQ(keys[2].cluster, "shop");
}

TEST(BigKeyTable, AnExactSizeReplacesAndAtLeastOnlyRaises) {
  BigKeyTable table;
  table.Note(OfBytes(1, 3 * kMib), 0);
  table.Note(OfBytes(1, 2 * kMib, false), 0);
  EXPECT_EQ(table.List(BigKeyOrder::kBytes, 1, 0)[0].bytes, 3 * kMib);
  table.Note(OfBytes(1, 4 * kMib, false), 0);
  EXPECT_EQ(table.List(BigKeyOrder::kBytes, 1, 0)[0].bytes, 4 * kMib);
  table.Note(OfBytes(1, 2 * kMib), 0);
  EXPECT_EQ(table.List(BigKeyOrder::kBytes, 1, 0)[0].bytes, 2 * kMib);
}

TEST(BigKeyTable, AKeyThatShrinksIsRemovedOrForgottenLeaves) {
  BigKeyTable table;
  table.Note(OfBytes(1, kMib), 0);
  table.Note(OfBytes(1, 10), 1);
  EXPECT_EQ(table.Counts(1).listed, 0u);

  table.Note(OfBytes(2, kMib), 1);
  table.Remove(2);
  EXPECT_EQ(table.Counts(1).listed, 0u);

  table.Note(OfBytes(3, kMib), 1);
  EXPECT_EQ(table.Counts(kBigKeyForgottenMs).listed, 1u);
  EXPECT_EQ(table.Counts(kBigKeyForgottenMs + 1).listed, 0u);

  table.Note(OfBytes(4, kMib), 1);
  table.Note(OfElements(5, 9000), 1);
  table.RemoveAll("engine", 7);
  EXPECT_EQ(table.Counts(1).listed, 2u);
  table.RemoveAll("engine", 0);
  EXPECT_EQ(table.Counts(1).listed, 1u);
  EXPECT_EQ(table.Counts(1).detections, 5u);
}

TEST(BigKeyTable, RanksByBytesElementsAndRate) {
  BigKeyTable table;
  table.Note(OfBytes(1, 9 * kMib), 0);
  table.Note(OfElements(2, 70'000), 0);
  BigKeySighting busy = OfBytes(3, 2 * kMib);
  busy.name = "busy";
  busy.moved_bytes = 2 * kMib;
  for (int i = 0; i < 6; ++i) table.Note(busy, 10'000 + i);
  EXPECT_EQ(table.List(BigKeyOrder::kBytes, 1, 10'010)[0].bytes, 9 * kMib);
  EXPECT_EQ(table.List(BigKeyOrder::kElements, 1, 10'010)[0].elements, 70'000u);
  const BigKey first = table.List(BigKeyOrder::kRate, 1, 10'010)[0];
  EXPECT_EQ(first.name, "busy");
  EXPECT_EQ(first.bytes_per_second, 12 * kMib);
}

TEST(BigKeyTable, AKeyThatMovesMuchIsBigForAsLongAsItDoes) {
  BigKeyTable table;
  BigKeySighting sighting = OfBytes(1, 100 * kKib);
  sighting.moved_bytes = 11 * kMib;
  table.Note(sighting, 5000);
  EXPECT_EQ(table.Counts(5000).big, 1u);
  EXPECT_EQ(table.Counts(5000 + 2 * kBigKeyWindowMs).big, 0u);
  EXPECT_EQ(table.Counts(5000 + 2 * kBigKeyWindowMs).listed, 1u);
}

TEST(BigKeyTable, WhenFullTheSmallestGivesWayToABiggerOne) {
  BigKeyTable table;
  for (size_t i = 0; i < kBigKeysMax; ++i) table.Note(OfBytes(i + 1, kMib + i), 0);
  table.Note(OfBytes(5000, kMib), 0);  // as small as the smallest
  EXPECT_EQ(table.Counts(0).refused, 1u);
  table.Note(OfBytes(5001, 3 * kMib), 0);
  EXPECT_EQ(table.Counts(0).listed, kBigKeysMax);
  const std::vector<BigKey> keys = table.List(BigKeyOrder::kBytes, kBigKeysMax, 0);
  EXPECT_EQ(keys.front().bytes, 3 * kMib);
  EXPECT_EQ(keys.back().bytes, kMib + 1);
}

TEST(BigKeyTable, NewThresholdsJudgeWhatIsListed) {
  BigKeyTable table;
  table.Note(OfBytes(1, 2 * kMib), 0);
  table.Note(OfBytes(2, 100 * kKib), 0);
  table.SetThresholds({.warn_bytes = kMib, .big_bytes = 4 * kMib});
  const BigKeyCounts counts = table.Counts(0);
  EXPECT_EQ(counts.listed, 1u);
  EXPECT_EQ(counts.big, 0u);
}

TEST(BigKeyTable, ANameIsKeptUpToALimit) {
  BigKeyTable table;
  const std::string name(3 * kBigKeyNameBytesMax, 'n');
  BigKeySighting sighting = OfBytes(1, kMib);
  sighting.name = name;
  table.Note(sighting, 0);
  EXPECT_EQ(table.List(BigKeyOrder::kBytes, 1, 0)[0].name, name.substr(0, kBigKeyNameBytesMax));
}

TEST(BigKeyTable, SeveralThreadsNoteAtOnce) {
  BigKeyTable table;
  std::vector<std::thread> threads;
  for (KeyId first = 0; first < 4; ++first) {
    threads.emplace_back([&table, first] {
      for (KeyId i = 0; i < 2000; ++i) table.Note(OfBytes(first + i * 4 + 1, kMib + i), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const BigKeyCounts counts = table.Counts(0);
  EXPECT_EQ(counts.listed, kBigKeysMax);
  EXPECT_EQ(table.List(BigKeyOrder::kBytes, 1, 0)[0].bytes, kMib + 1999);
}

}  // namespace
}  // namespace tidegate::hotkey
