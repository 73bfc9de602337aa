// ScoreIndex against std::set: every operation in random order, over kinds of scores and members.
#include "storage/value/score_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

using Pair = std::pair<double, std::string>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Pair> Contents(const ScoreIndex& index) {
  std::vector<Pair> out;
  for (auto it = index.Begin(); !it.at_end(); it.Next()) out.emplace_back(it.score(), it.member());
  return out;
}

// The index and the model, changed together.
class Both final {
 public:
  void Insert(double score, const std::string& member) {
    if (!model_.emplace(score, member).second) return;
    index_.Insert(score, member);
  }
  void Erase(double score, const std::string& member) {
    EXPECT_EQ(index_.Erase(score, member), model_.erase({score, member}) == 1);
  }
  void Update(const Pair& pair, double score) {
    if (score != pair.first && model_.count({score, pair.second}) != 0) return;
    EXPECT_EQ(index_.Update(pair.first, pair.second, score), model_.erase(pair) == 1);
    model_.emplace(score, pair.second);
  }
  void EraseByRank(uint64_t rank, uint64_t count) {
    auto from = std::next(model_.begin(), static_cast<std::ptrdiff_t>(rank));
    while (count > 0) {
      const uint64_t n =
          index_.EraseSomeByRank(rank, count, [&](double score, std::string_view member) {
            ASSERT_EQ(*from, Pair(score, member));
            from = model_.erase(from);
          });
      ASSERT_GT(n, 0u);
      count -= n;
    }
  }

  void ExpectSame() const {
    index_.Check();
    ASSERT_EQ(index_.size(), model_.size());
    ASSERT_TRUE(std::equal(model_.begin(), model_.end(), Contents(index_).begin()));
  }
  // Ranks, positions and bounds around a pair that need not be there.
  void ExpectSameAround(const Pair& pair) const {
    const std::vector<Pair> sorted(model_.begin(), model_.end());
    const auto same = [&](const ScoreIndex::Iterator& it, std::vector<Pair>::const_iterator at) {
      ASSERT_EQ(it.at_end(), at == sorted.end());
      ASSERT_EQ(index_.Rank(it), static_cast<uint64_t>(at - sorted.begin()));
      if (!it.at_end()) {
        ASSERT_EQ(Pair(it.score(), it.member()), *at);
      }
    };
    const auto lower = std::lower_bound(sorted.begin(), sorted.end(), pair);
    const bool found = lower != sorted.end() && *lower == pair;
    same(index_.LowerBound(pair.first, pair.second), lower);
    same(index_.UpperBound(pair.first, pair.second), found ? lower + 1 : lower);
    same(index_.Find(pair.first, pair.second), found ? lower : sorted.end());
    const auto less = [](const Pair& a, const Pair& b) { return a.first < b.first; };
    same(index_.LowerBound(pair.first), std::lower_bound(sorted.begin(), sorted.end(), pair, less));
    same(index_.UpperBound(pair.first), std::upper_bound(sorted.begin(), sorted.end(), pair, less));
    const auto rank = static_cast<uint64_t>(lower - sorted.begin());
    if (found) {
      ASSERT_EQ(index_.Rank(pair.first, pair.second), rank);
    }
    same(index_.At(rank), lower);
    ScoreIndex::Iterator it = index_.At(rank);
    it.Previous();
    same(it, lower == sorted.begin() ? sorted.end() : lower - 1);
  }

  const std::set<Pair>& model() const { return model_; }
  ScoreIndex& index() { return index_; }
  Pair Any(std::mt19937& random) const {
    // By the index's rank, which ExpectSameAround has checked; the set would need a walk.
    const ScoreIndex::Iterator it = index_.At(random() % model_.size());
    return {it.score(), std::string(it.member())};
  }

 private:
  ScoreIndex index_;
  std::set<Pair> model_;
};

struct Shape {
  const char* name;
  std::function<double(std::mt19937&, int)> score;
  std::function<std::string(std::mt19937&, int)> member;
  int steps;
};

std::string Bytes(std::mt19937& random, size_t n) {
  std::string out(n, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

const std::vector<Shape>& Shapes() {
  const auto uniform = [](std::mt19937& random, int) {
    return std::uniform_real_distribution<double>(-100, 100)(random);
  };
  const auto few = [](std::mt19937& random, int) { return double(random() % 5) - 2; };
  const auto equal = [](std::mt19937&, int) { return 1.5; };
  const auto up = [](std::mt19937&, int i) { return double(i); };
  const auto down = [](std::mt19937&, int i) { return -double(i) * 1e10; };
  const auto wild = [](std::mt19937& random, int) {
    const double kinds[] = {-kInfinity, kInfinity, 0.0, -0.0, 5e-324, -1e308, 1e308, 1};
    return kinds[random() % 8] * (random() % 3 == 0 ? double(random() % 9 + 1) : 1.0);
  };
  const auto twelve = [](std::mt19937& random, int) { return Bytes(random, 12); };
  const auto short_or_not = [](std::mt19937& random, int) { return Bytes(random, random() % 71); };
  const auto prefixed = [](std::mt19937& random, int) {
    return "a long common prefix:" + std::to_string(random() % 100'000);
  };
  const auto around_1k = [](std::mt19937& random, int) {
    return Bytes(random, 1024 - 3 + random() % 6);
  };
  const auto lengths = [](std::mt19937& random, int) {
    const size_t sizes[] = {0, 1, 7, 8, 9, 127, 128, 500, 1024, 1025, 5000};
    return std::string(sizes[random() % 11], static_cast<char>('a' + random() % 3)) +
           (random() % 2 == 0 ? "" : std::to_string(random() % 100));
  };
  static const std::vector<Shape> kShapes = {
      {"random", uniform, twelve, 20'000},        {"sizes 0 to 70", uniform, short_or_not, 12'000},
      {"few scores", few, short_or_not, 12'000},  {"equal", equal, twelve, 12'000},
      {"equal, prefix", equal, prefixed, 20'000}, {"ascending", up, twelve, 12'000},
      {"descending", down, prefixed, 12'000},     {"wild scores", wild, short_or_not, 12'000},
      {"1 KiB", few, around_1k, 1'500},           {"lengths", few, lengths, 3'000},
  };
  return kShapes;
}

void Step(Both& both, const Shape& shape, std::mt19937& random, int step) {
  // Grows in the first half, then shrinks.
  const unsigned inserts = step < shape.steps / 2 ? 70 : 25;
  const unsigned dice = random() % 100;
  if (dice < inserts || both.model().empty()) {
    const double score = shape.score(random, step);
    return both.Insert(score, shape.member(random, step));
  }
  const Pair pair = both.Any(random);
  if (dice % 3 != 0) return both.Erase(pair.first, pair.second);
  // Near, so that it often stays in its page, or anywhere.
  const bool near = random() % 2 == 0 && std::isfinite(pair.first);
  both.Update(pair, near ? pair.first + 0.01 : shape.score(random, step));
}

void EraseSome(Both& both, std::mt19937& random, uint64_t count_max) {
  const uint64_t rank = random() % both.model().size();
  both.EraseByRank(rank, std::min<uint64_t>(count_max, both.model().size() - rank));
}

void Live(const Shape& shape, unsigned seed) {
  SCOPED_TRACE(testing::Message() << shape.name << ", seed " << seed);
  std::mt19937 random(seed);
  Both both;
  for (int step = 0; step < shape.steps; ++step) {
    Step(both, shape, random, step);
    if (both.model().empty()) continue;
    if (step % 1009 == 0) EraseSome(both, random, random() % 300);
    if (step % 503 == 0) {
      both.ExpectSame();
      both.ExpectSameAround({shape.score(random, step), shape.member(random, step)});
      if (!both.model().empty()) both.ExpectSameAround(both.Any(random));
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  both.ExpectSame();
  while (!both.model().empty()) {
    EraseSome(both, random, 100);
    if (random() % 8 == 0) both.ExpectSame();
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_EQ(both.index().allocated_bytes(), 0u);
}

TEST(ScoreIndexTest, AgreesWithASet) {
  const uint64_t before = MemoryUsedBytes();
  std::random_device device;
  for (int round = 0; round < 3; ++round) {
    for (const Shape& shape : Shapes()) {
      Live(shape, device());
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST(ScoreIndexTest, EmptyFindsNothing) {
  ScoreIndex index;
  EXPECT_TRUE(index.Begin().at_end());
  EXPECT_TRUE(index.Last().at_end());
  EXPECT_TRUE(index.At(0).at_end());
  EXPECT_TRUE(index.LowerBound(-kInfinity).at_end());
  EXPECT_FALSE(index.Erase(1, "a"));
  EXPECT_FALSE(index.Update(1, "a", 2));
  EXPECT_EQ(index.EraseSomeByRank(0, 10, [](double, std::string_view) { FAIL(); }), 0u);
  EXPECT_EQ(index.allocated_bytes(), 0u);
}

TEST(ScoreIndexTest, OrderIsRedis) {
  ScoreIndex index;
  for (const double score : {kInfinity, 1.0, -0.0, -1.0, -kInfinity, 5e-324})
    index.Insert(score, "m");
  for (const char* member : {"", "a", "aa", "b", "\xff"}) index.Insert(0.0, member);
  const std::vector<Pair> expected = {{-kInfinity, "m"}, {-1, "m"}, {0, ""},         {0, "a"},
                                      {0, "aa"},         {0, "b"},  {0, "m"},        {0, "\xff"},
                                      {5e-324, "m"},     {1, "m"},  {kInfinity, "m"}};
  EXPECT_EQ(Contents(index), expected);
  // The two zeros are one score, but each is given back as it came.
  EXPECT_TRUE(std::signbit(index.Find(0.0, "m").score()));
  EXPECT_FALSE(std::signbit(index.Find(-0.0, "a").score()));
  EXPECT_EQ(index.Rank(index.UpperBound(-0.0)) - index.Rank(index.LowerBound(0.0)), 6u);
}

TEST(ScoreIndexTest, MembersOfAMebibyte) {
  const uint64_t before = MemoryUsedBytes();
  {
    ScoreIndex index;
    const std::string big(1 << 20, 'x');
    for (int i = 0; i < 20; ++i) index.Insert(i % 4, big + std::to_string(i));
    index.Check();
    EXPECT_GT(index.allocated_bytes(), 20u << 20);
    const ScoreIndex copy = index.Clone();
    for (int i = 0; i < 20; i += 2) EXPECT_TRUE(index.Erase(i % 4, big + std::to_string(i)));
    EXPECT_TRUE(index.Update(1, big + "1", 7));
    index.Check();
    copy.Check();
    EXPECT_LT(index.allocated_bytes(), 11u << 20);
    EXPECT_EQ(index.Last().member(), big + "1");
    EXPECT_EQ(copy.size(), 20u);
    EXPECT_EQ(copy.Find(0, big + "0").member().size(), big.size() + 1);
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST(ScoreIndexTest, AscendingAndDescendingFillWholePages) {
  for (const int sign : {1, -1}) {
    ScoreIndex index;
    for (int i = 0; i < 50'000; ++i) index.Insert(sign * i, "member:" + std::to_string(10'000 + i));
    index.Check();
    EXPECT_LT(index.allocated_bytes(), 50'000u * (8 + 12 + 4));
  }
}

TEST(ScoreIndexTest, RandomFillTakesEightBytesBeyondScoreAndMember) {
  ScoreIndex index;
  std::mt19937 random(3);
  constexpr uint64_t kCount = 60'000;
  for (uint64_t i = 0; i < kCount; ++i) index.Insert(double(random()), Bytes(random, 12));
  EXPECT_EQ(index.size(), kCount);
  EXPECT_LT(index.allocated_bytes(), kCount * (8 + 12 + 8));
}

TEST(ScoreIndexTest, GivesMemoryBackWhileItShrinks) {
  ScoreIndex index;
  for (int i = 0; i < 20'000; ++i) index.Insert(i, std::to_string(i));
  const uint64_t grown = index.allocated_bytes();
  for (int i = 0; i < 20'000; ++i) {
    if (i % 50 == 0) continue;
    EXPECT_TRUE(index.Erase(i, std::to_string(i)));
  }
  index.Check();
  EXPECT_LT(index.allocated_bytes(), grown / 20);
}

TEST(ScoreIndexTest, PagesCarryTheEpochOfTheirLastChange) {
  ScoreIndex index;
  for (int i = 0; i < 5'000; ++i) index.Insert(i, std::to_string(i));
  index.set_epoch(7);
  EXPECT_TRUE(index.Update(2'500, "2500", 2'500.5));
  uint32_t stamped = 0;
  for (auto it = index.Begin(); !it.at_end(); it.Next()) stamped += it.page_epoch() == 7 ? 1 : 0;
  EXPECT_EQ(index.Find(2'500.5, "2500").page_epoch(), 7u);
  EXPECT_GT(stamped, 0u);
  EXPECT_LT(stamped, 400u);
  const ScoreIndex copy = index.Clone();
  EXPECT_EQ(copy.Find(2'500.5, "2500").page_epoch(), 7u);
  EXPECT_EQ(copy.Begin().page_epoch(), 0u);
  index.set_epoch(8);
  EXPECT_TRUE(index.Erase(0, "0"));
  EXPECT_EQ(index.Begin().page_epoch(), 8u);
  index.set_epoch(9);
  index.Insert(0.5, "half");
  EXPECT_EQ(index.Begin().page_epoch(), 9u);
}

TEST(ScoreIndexTest, ACloneIsIndependentAndFreesInSlices) {
  const uint64_t before = MemoryUsedBytes();
  {
    ScoreIndex index;
    std::mt19937 random(11);
    for (int i = 0; i < 20'000; ++i) index.Insert(double(random() % 1000), Bytes(random, 20));
    const std::vector<Pair> contents = Contents(index);
    ScoreIndex copy = index.Clone();
    copy.Check();
    EXPECT_LE(copy.allocated_bytes(), index.allocated_bytes());
    index.EraseSomeByRank(100, 50, [](double, std::string_view) {});
    EXPECT_EQ(Contents(copy), contents);
    int slices = 1;
    while (!copy.FreeSome(10)) ++slices;
    EXPECT_GT(slices, 10);
    EXPECT_EQ(copy.allocated_bytes(), 0u);
    index.Check();
  }
  EXPECT_EQ(MemoryUsedBytes(), before);
}

TEST(ScoreIndexTest, WalksBothWaysOverTheEnd) {
  ScoreIndex index;
  for (int i = 0; i < 1'000; ++i) index.Insert(std::floor(i / 3.0), std::to_string(i + 1'000));
  std::vector<Pair> backward;
  for (auto it = index.Last(); !it.at_end(); it.Previous())
    backward.emplace_back(it.score(), it.member());
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(backward, Contents(index));
  ScoreIndex::Iterator it = index.UpperBound(kInfinity);
  EXPECT_TRUE(it.at_end());
  it.Previous();
  EXPECT_EQ(it.member(), "1999");
}

}  // namespace
}  // namespace tidegate
