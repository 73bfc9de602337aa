#include "storage/value/intset.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "storage/value/packed_block.h"
#include "tests/support/moving_buffer.h"

namespace tidegate {
namespace {

using std::string_view_literals::operator""sv;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::vector<int64_t> Values(IntsetView view) {
  std::vector<int64_t> values;
  for (size_t i = 0; i < view.count(); ++i) values.push_back(view.At(i));
  return values;
}

// The bytes are what redis-server 7.0.15 has for SADD of these values: DUMP without its first three
// and last ten bytes.
TEST(IntsetTest, HasRedissBytes) {
  MovingBuffer buffer;
  Intset set(buffer);
  set.Create();
  EXPECT_EQ(buffer.bytes(), "\x02\0\0\0\0\0\0\0"sv);
  EXPECT_TRUE(set.Insert(5));
  EXPECT_TRUE(set.Insert(-1));
  EXPECT_TRUE(set.Insert(300));
  EXPECT_EQ(buffer.bytes(), "\x02\0\0\0\x03\0\0\0\xff\xff\x05\0\x2c\x01"sv);
  EXPECT_TRUE(set.Insert(-70'000));
  EXPECT_EQ(buffer.bytes(),
            "\x04\0\0\0\x04\0\0\0\x90\xee\xfe\xff\xff\xff\xff\xff\x05\0\0\0\x2c\x01\0\0"sv);
}

TEST(IntsetTest, InsertsInOrderAndOnlyOnce) {
  MovingBuffer buffer;
  Intset set(buffer);
  set.Create();
  for (const int64_t value : {5, 1, 9, 7}) EXPECT_TRUE(set.Insert(value));
  const size_t splices = buffer.splices();
  EXPECT_FALSE(set.Insert(7));
  EXPECT_EQ(buffer.splices(), splices);
  EXPECT_EQ(Values(set.view()), (std::vector<int64_t>{1, 5, 7, 9}));
  EXPECT_EQ(set.view().Min(), 1);
  EXPECT_EQ(set.view().Max(), 9);
  EXPECT_EQ(set.view().Find(7), std::optional<size_t>(2));
  EXPECT_FALSE(set.view().Contains(6));
}

TEST(IntsetTest, WidensInFrontAndBehindWithOneSplice) {
  for (const int64_t wide :
       {int64_t{40'000}, int64_t{-40'000}, int64_t{1} << 40, -(int64_t{1} << 40), kMin, kMax}) {
    MovingBuffer buffer;
    Intset set(buffer);
    set.Create();
    std::set<int64_t> model = {-32'768, -1, 0, 32'767};
    for (const int64_t value : model) set.Insert(value);
    EXPECT_EQ(set.view().width(), 2u);
    EXPECT_FALSE(set.view().Contains(wide));
    const size_t splices = buffer.splices();
    const size_t size = buffer.size();
    const size_t growth = set.GrowthFor(wide);
    EXPECT_TRUE(set.Insert(wide));
    EXPECT_EQ(buffer.splices(), splices + 1);
    EXPECT_EQ(buffer.size(), size + growth);
    model.insert(wide);
    EXPECT_EQ(Values(set.view()), std::vector<int64_t>(model.begin(), model.end()));
    EXPECT_TRUE(set.Erase(wide));
    EXPECT_EQ(set.view().width(), IntsetView::WidthFor(wide));  // stays wide
  }
}

TEST(IntsetTest, ErasesRanges) {
  MovingBuffer buffer;
  Intset set(buffer);
  set.Create();
  for (int64_t i = 0; i < 10; ++i) set.Insert(i);
  set.EraseAt(2, 5);
  EXPECT_EQ(Values(set.view()), (std::vector<int64_t>{0, 1, 7, 8, 9}));
  EXPECT_FALSE(set.Erase(2));
  set.EraseAt(0, 5);
  EXPECT_EQ(set.view().count(), 0u);
  EXPECT_FALSE(set.view().Contains(0));
  EXPECT_TRUE(set.Insert(3));
}

TEST(IntsetTest, ValidatesPayloads) {
  EXPECT_TRUE(IntsetView::Validate("\x02\0\0\0\x02\0\0\0\x01\0\x02\0"sv));
  EXPECT_FALSE(IntsetView::Validate(""sv));
  EXPECT_FALSE(IntsetView::Validate("\x02\0\0\0\0\0\0"sv));                  // no whole header
  EXPECT_FALSE(IntsetView::Validate("\x02\0\0\0\0\0\0\0"sv));                // empty
  EXPECT_FALSE(IntsetView::Validate("\x03\0\0\0\x01\0\0\0\x01\0\0"sv));      // no such width
  EXPECT_FALSE(IntsetView::Validate("\x02\0\0\0\x02\0\0\0\x01\0\x02"sv));    // too short
  EXPECT_FALSE(IntsetView::Validate("\x02\0\0\0\x01\0\0\0\x01\0\x02\0"sv));  // too long
  EXPECT_FALSE(IntsetView::Validate("\x02\0\0\0\x02\0\0\0\x02\0\x01\0"sv));  // not in order
  EXPECT_FALSE(IntsetView::Validate("\x02\0\0\0\x02\0\0\0\x01\0\x01\0"sv));  // twice the same
  EXPECT_FALSE(IntsetView::Validate("\x08\0\0\0\0\0\0\x20\x01\0\0\0"sv));    // 2^29 values of 8
  EXPECT_FALSE(IntsetView::Validate("\x08\0\0\0\x01\0\0\x20\1\0\0\0\0\0\0\0"sv));  // past 32 bits
}

TEST(IntsetTest, AgreesWithASet) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    PackedBlock* block = nullptr;
    PackedBlockBuffer buffer(block, 1);
    Intset set(buffer);
    set.Create();
    std::set<int64_t> model;
    for (int step = 0; step < 400; ++step) {
      // Few values of each width, so that many are met again.
      const int shift = step < 100 ? 57 : step < 200 ? 40 : static_cast<int>(random() % 58);
      const int64_t value = static_cast<int64_t>(random() & ~uint64_t{0} << 57) >> shift;
      if (random() % 3 != 0) {
        ASSERT_EQ(set.Insert(value), model.insert(value).second);
      } else {
        ASSERT_EQ(set.Erase(value), model.erase(value) == 1);
      }
      ASSERT_EQ(set.view().Contains(value), model.contains(value));
      ASSERT_EQ(set.view().LowerBound(value),
                static_cast<size_t>(std::distance(model.begin(), model.lower_bound(value))));
      ASSERT_EQ(Values(set.view()), std::vector<int64_t>(model.begin(), model.end()));
      ASSERT_EQ(IntsetView::Validate(buffer.bytes()), !model.empty());
    }
    PackedBlock::Destroy(block);
  }
}

}  // namespace
}  // namespace tidegate
