// FieldTable: SCAN's guarantee while the table changes, iteration, and how even random fields are.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/value/field_table.h"

namespace tidegate {
namespace {

struct Destroyer {
  void operator()(FieldTable* table) const { FieldTable::Destroy(table); }
};
using Owned = std::unique_ptr<FieldTable, Destroyer>;

uint64_t TwoHashes(std::string_view field) {
  return KeyHash(field) % 2 == 0 ? 0x1234 : 0xffffffffffff0000;
}
uint64_t SharedPrefix(std::string_view field) { return 0xabcdef1230000000 | KeyHash(field) >> 28; }

class FieldTableWalkTest : public ::testing::TestWithParam<FieldHash> {
 protected:
  void Fill(int fields) {
    for (int i = 0; i < fields; ++i) table_->Add("stay:" + std::to_string(i));
  }
  Owned table_{FieldTable::Create(FieldValues::kNone, GetParam())};
};

TEST_P(FieldTableWalkTest, ScanWithoutChangesVisitsEachFieldOnce) {
  for (const int fields : {0, 1, 10, 100, 5000}) {
    Fill(fields);
    for (const size_t count : {size_t{1}, size_t{10}, size_t{1000}, ~size_t{0}}) {
      std::map<std::string, int> seen;
      uint64_t cursor = 0;
      do {
        cursor = table_->Scan(cursor, count,
                              [&](const FieldView& field) { ++seen[std::string(field.field())]; });
        ASSERT_LT(cursor, uint64_t{1} << 48);
      } while (cursor != 0);
      ASSERT_EQ(seen.size(), table_->size());
      for (const auto& [name, times] : seen) ASSERT_EQ(times, 1) << name;
    }
  }
}

// What was there all the time is visited, whatever is added or removed between two calls.
TEST_P(FieldTableWalkTest, ScanKeepsItsGuaranteeWhileTheTableChanges) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (const int fields : {3, 50, 500, 4000}) {
    Fill(fields);
    for (int round = 0; round < 4; ++round) {
      std::set<std::string> seen;
      std::vector<std::string> added;
      uint64_t cursor = 0;
      int steps = 0;
      do {
        cursor = table_->Scan(cursor, 1 + random() % 50,
                              [&](const FieldView& field) { seen.emplace(field.field()); });
        const bool growing = (steps / 20 + round) % 2 == 0;
        for (int i = 0; i < 300; ++i) {
          if (growing && added.size() < 8000) {
            added.push_back("extra:" + std::to_string(random()));
            if (!table_->Add(added.back())) added.pop_back();
          } else if (!added.empty()) {
            std::swap(added.back(), added[random() % added.size()]);
            ASSERT_TRUE(table_->Erase(added.back()));
            added.pop_back();
          }
        }
        ASSERT_LT(++steps, 100000);
      } while (cursor != 0);
      for (int i = 0; i < fields; ++i) ASSERT_EQ(seen.count("stay:" + std::to_string(i)), 1u) << i;
      for (const std::string& name : added) ASSERT_TRUE(table_->Erase(name));
    }
    for (int i = 0; i < fields; ++i) ASSERT_TRUE(table_->Erase("stay:" + std::to_string(i)));
    ASSERT_EQ(table_->size(), 0u);
  }
}

TEST_P(FieldTableWalkTest, IterationCanGoOnAfterAChange) {
  Fill(5000);
  std::set<std::string> seen;
  uint64_t cursor = 0;
  int added = 0;
  do {
    FieldTable::Iterator it(*table_, cursor);
    while (const FieldView field = it.Next()) {
      seen.emplace(field.field());
      if (it.AtPageEnd()) break;
    }
    cursor = it.cursor();
    for (int i = 0; i < 50; ++i) table_->Add("new:" + std::to_string(added++));
  } while (cursor != 0);
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(seen.count("stay:" + std::to_string(i)), 1u) << i;
}

TEST_P(FieldTableWalkTest, RandomFindsAllFields) {
  EXPECT_FALSE(static_cast<bool>(table_->Random([] { return uint64_t{0}; })));
  Fill(300);
  std::mt19937_64 random(std::random_device{}());
  std::set<std::string> seen;
  for (int i = 0; i < 20000; ++i) seen.emplace(table_->Random([&] { return random(); }).field());
  EXPECT_EQ(seen.size(), 300u);
}

INSTANTIATE_TEST_SUITE_P(Hashes, FieldTableWalkTest,
                         ::testing::Values(KeyHash, TwoHashes, SharedPrefix));

TEST(FieldTableScanTest, HonoursCount) {
  const Owned table(FieldTable::Create(FieldValues::kNone));
  for (int i = 0; i < 30000; ++i) table->Add(std::to_string(i));
  for (const size_t count : {1u, 10u, 100u, 1000u}) {
    uint64_t cursor = 0;
    do {
      size_t seen = 0;
      cursor = table->Scan(cursor, count, [&](const FieldView&) { ++seen; });
      ASSERT_LE(seen, count + 3);
      if (cursor != 0) {
        ASSERT_GE(seen, count);
      }
    } while (cursor != 0);
  }
}

TEST(FieldTableScanTest, ExpiringFieldsOnly) {
  const Owned table(FieldTable::Create(FieldValues::kBytes));
  std::set<std::string> wanted;
  for (int i = 0; i < 30000; ++i) {
    const std::string name = std::to_string(i);
    table->Set(name, "value");
    if (i % 500 != 0) continue;
    table->SetExpiry(name, i);
    wanted.insert(name);
  }
  EXPECT_EQ(table->expires(), wanted.size());
  std::set<std::string> seen;
  uint64_t cursor = 0;
  int calls = 0;
  do {
    cursor = table->ScanExpiring(cursor, 10, [&](const FieldView& field) {
      EXPECT_TRUE(field.has_expiry());
      seen.emplace(field.field());
    });
    ++calls;
  } while (cursor != 0);
  EXPECT_EQ(seen, wanted);
  EXPECT_LT(calls, 60);
}

// Pearson's chi-square: draws must be as even as draws are. The limit is ten standard deviations.
void ExpectEven(const FieldTable& table, std::mt19937_64& random, double calls_max) {
  const size_t draws = static_cast<size_t>(table.size()) * 10;
  std::unordered_map<std::string, int> times;
  size_t calls = 0;
  for (size_t i = 0; i < draws; ++i) {
    const FieldView field = table.Random([&] {
      ++calls;
      return random();
    });
    ++times[std::string(field.field())];
  }
  const double expected = 10;
  double chi = static_cast<double>(table.size() - times.size()) * expected;
  for (const auto& [name, n] : times) chi += (n - expected) * (n - expected) / expected;
  const double freedom = static_cast<double>(table.size()) - 1;
  EXPECT_LT(std::abs(chi - freedom), 10 * std::sqrt(2 * freedom)) << table.size();
  EXPECT_LT(static_cast<double>(calls) / static_cast<double>(draws), calls_max) << table.size();
}

TEST(FieldTableRandomTest, IsEvenWhileGrowingAndAfterRemovals) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const Owned table(FieldTable::Create(FieldValues::kNone));
  int next = 0;
  for (const int fields : {10, 1000, 30000, 60000}) {
    while (next < fields) table->Add(std::to_string(next++));
    ExpectEven(*table, random, 10);
  }
  // Evenly thinned out.
  for (int i = 0; i < next; ++i) {
    if (i % 10 != 0) table->Erase(std::to_string(i));
  }
  ExpectEven(*table, random, 20);
}

// Whoever removes what SCAN returns empties the table from one end of the hash to the other.
TEST(FieldTableRandomTest, IsEvenAfterRemovalInTheOrderOfScan) {
  std::mt19937_64 random(std::random_device{}());
  const Owned table(FieldTable::Create(FieldValues::kNone));
  for (int i = 0; i < 100000; ++i) table->Add(std::to_string(i));
  uint64_t cursor = 0;
  for (const size_t left : {size_t{50000}, size_t{3000}, size_t{100}, size_t{5}}) {
    while (table->size() > left) {
      std::vector<std::string> found;
      const size_t count = std::min<size_t>(100, table->size() - left);
      cursor = table->Scan(cursor, count,
                           [&](const FieldView& field) { found.emplace_back(field.field()); });
      for (const std::string& name : found) table->Erase(name);
    }
    ExpectEven(*table, random, 70);
  }
}

}  // namespace
}  // namespace tidegate
