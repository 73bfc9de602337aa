// Table against a map: every operation in random order, at sizes from one bucket to many segments.
#include "storage/keyspace/table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

Entry* MakeEntry(const std::string& key) {
  const size_t bytes = Entry::BytesFor(key.size(), 0, false, false);
  return Entry::Format(MemoryAllocate(bytes), key, ValueType::kString, Encoding::kEmbedded, 0,
                       false);
}

class TableTest : public ::testing::Test {
 protected:
  ~TableTest() override {
    for (auto& [key, entry] : model_) DestroyEntry(entry);
    table_.Release();
  }
  void Add(const std::string& key) {
    Entry* entry = MakeEntry(key);
    table_.Insert(KeyHash(key), entry);
    model_[key] = entry;
  }
  void Remove(const std::string& key) {
    Entry* entry = model_.at(key);
    table_.Remove(KeyHash(key), entry);
    DestroyEntry(entry);
    model_.erase(key);
  }
  void ExpectSame() {
    ASSERT_EQ(table_.count(), model_.size());
    for (const auto& [key, entry] : model_) ASSERT_EQ(table_.Find(KeyHash(key), key), entry) << key;
  }

  Table table_;
  std::map<std::string, Entry*> model_;
};

TEST_F(TableTest, EmptyFindsNothing) {
  EXPECT_EQ(table_.Find(KeyHash("a"), "a"), nullptr);
  EXPECT_EQ(table_.Visit(0, 10, [](Entry&) { FAIL(); }), 0u);
}

TEST_F(TableTest, BringsNothingNearForAHashThatLooksLikeAnEmptyWord) {
  // Its tag is 0, and so is that of the empty words of its home bucket.
  table_.PrefetchValue(0);
  Add("a");
  table_.PrefetchEntry(0);
  table_.PrefetchValue(0);
  ExpectSame();
}

TEST_F(TableTest, GrowsThroughSegmentsAndShrinksBack) {
  constexpr int kKeys = 40000;
  for (int i = 0; i < kKeys; ++i) Add("key:" + std::to_string(i));
  ExpectSame();
  EXPECT_EQ(table_.Find(KeyHash("absent"), "absent"), nullptr);
  const size_t grown = table_.memory_bytes();
  for (int i = 0; i < kKeys; i += 1) {
    if (i % 50 != 0) Remove("key:" + std::to_string(i));
  }
  ExpectSame();
  EXPECT_LT(table_.memory_bytes(), grown / 8);
  for (int i = 0; i < kKeys; i += 50) Remove("key:" + std::to_string(i));
  EXPECT_EQ(table_.memory_bytes(), 0u);
}

TEST_F(TableTest, RandomOperationsAgreeWithMap) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const int range : {5, 30, 300, 6000}) {
    for (int step = 0; step < 30000; ++step) {
      const std::string key = std::to_string(random() % static_cast<unsigned>(range));
      const auto found = model_.find(key);
      ASSERT_EQ(table_.Find(KeyHash(key), key), found == model_.end() ? nullptr : found->second);
      if (found == model_.end()) {
        if (random() % 100 < 60) Add(key);
      } else if (random() % 100 < 50) {
        Remove(key);
      } else {
        Entry* fresh = MakeEntry(key);
        table_.Replace(KeyHash(key), found->second, fresh);
        DestroyEntry(found->second);
        found->second = fresh;
      }
    }
    ExpectSame();
  }
}

TEST_F(TableTest, AverageLoadStaysHighAtAnySize) {
  double sum = 0;
  int samples = 0;
  for (int i = 0; i < 1800; ++i) {
    Add("load:" + std::to_string(i));
    if (i < 64) continue;
    const double load =
        static_cast<double>(table_.count() * 8) / static_cast<double>(table_.memory_bytes());
    EXPECT_GT(load, 0.6) << i;
    sum += load;
    ++samples;
  }
  EXPECT_GT(sum / samples, 0.79);
}

// What was there all the time is visited, whatever is added or removed between two steps.
TEST_F(TableTest, VisitKeepsItsGuaranteeWhileTheTableChanges) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const int keys : {3, 50, 500, 9000}) {
    for (int i = 0; i < keys; ++i) Add("stay:" + std::to_string(i));
    std::set<std::string> seen;
    std::vector<std::string> added;
    uint32_t position = 0;
    int steps = 0;
    do {
      position = table_.Visit(position, 10, [&](Entry& entry) { seen.emplace(entry.key()); });
      for (int i = 0; i < 40; ++i) {
        if (steps % 200 < 100 || added.empty()) {
          added.push_back("extra:" + std::to_string(random()));
          if (model_.count(added.back()) != 0) {
            added.pop_back();
          } else {
            Add(added.back());
          }
        } else {
          Remove(added.back());
          added.pop_back();
        }
      }
      ASSERT_LT(++steps, 200000);
    } while (position != 0);
    for (int i = 0; i < keys; ++i) EXPECT_EQ(seen.count("stay:" + std::to_string(i)), 1u) << i;
    while (!model_.empty()) Remove(model_.begin()->first);
  }
}

TEST_F(TableTest, VisitWithoutChangesSeesEachKeyOnce) {
  for (int i = 0; i < 12000; ++i) Add("once:" + std::to_string(i));
  std::map<std::string, int> seen;
  uint32_t position = 0;
  do {
    position = table_.Visit(position, 7, [&](Entry& entry) { ++seen[std::string(entry.key())]; });
  } while (position != 0);
  EXPECT_EQ(seen.size(), 12000u);
  for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << key;
}

}  // namespace
}  // namespace tidegate
