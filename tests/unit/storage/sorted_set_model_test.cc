// Random sorted set commands against a map and a sorted vector, in each form that the set may have
// and across the change from one to the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/text.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::TestEngine;

using Words = std::vector<std::string>;
using Pair = std::pair<double, std::string>;

class Model final {
 public:
  std::map<std::string, double> scores;

  std::vector<Pair> Sorted() const {
    std::vector<Pair> sorted;
    for (const auto& [member, score] : scores) sorted.emplace_back(score, member);
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }
  // Takes the sorted elements [first, last) out.
  void Erase(size_t first, size_t last) {
    const std::vector<Pair> sorted = Sorted();
    for (size_t i = first; i < last && i < sorted.size(); ++i) scores.erase(sorted[i].second);
  }
};

std::string ReplyOf(const std::vector<Pair>& pairs) {
  std::string reply = "*" + std::to_string(2 * pairs.size()) + "\r\n";
  for (const auto& [score, member] : pairs) reply += Bulk(member) + Bulk(FormatDouble(score));
  return reply;
}

class Player final {
 public:
  Player(TestEngine& engine, uint32_t seed, uint32_t members)
      : engine_(engine), random_(seed), members_(members) {}

  void Step() {
    switch (Below(11)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Add();
      case 4:
        return Increment();
      case 5:
        return Remove();
      case 6:
        return RemoveRange();
      case 7:
        return Pop();
      case 8:
        return CheckRange();
      default:
        return CheckMember();
    }
  }
  void CheckAll() {
    ASSERT_EQ(engine_.Run("ZRANGE z 0 -1 WITHSCORES"), ReplyOf(model_.Sorted()));
    ASSERT_EQ(engine_.Run("ZCARD z"), Integer(static_cast<int64_t>(model_.scores.size())));
  }

 private:
  uint32_t Below(uint32_t n) { return random_() % n; }
  // Now an integer, now text, now long.
  std::string Member() {
    const uint32_t i = Below(members_);
    if (i % 3 == 0) return std::to_string(i);
    return "m" + std::to_string(i) + (i % 7 == 0 ? std::string(20, 'x') : "");
  }
  double Score() { return static_cast<double>(static_cast<int>(Below(200)) - 100) / 4; }

  void Add() {
    const std::string member = Member();
    const double score = Score();
    const auto found = model_.scores.find(member);
    const bool present = found != model_.scores.end();
    Words words = {"ZADD", "z"};
    bool applies = true;
    switch (Below(6)) {
      case 0:
        words.push_back("NX");
        applies = !present;
        break;
      case 1:
        words.push_back("XX");
        applies = present;
        break;
      case 2:
        words.push_back("GT");
        applies = !present || score > found->second;
        break;
      case 3:
        words.push_back("LT");
        applies = !present || score < found->second;
        break;
      default:
        break;
    }
    words.insert(words.end(), {"CH", FormatDouble(score), member});
    const bool changes = applies && (!present || found->second != score);
    if (applies) model_.scores[member] = score;
    ASSERT_EQ(engine_.RunWords(words), Integer(changes ? 1 : 0));
  }

  void Increment() {
    const std::string member = Member();
    const double by = Score();
    const double score = model_.scores[member] += by;
    ASSERT_EQ(engine_.RunWords({"ZINCRBY", "z", FormatDouble(by), member}),
              Bulk(FormatDouble(score)));
  }

  void Remove() {
    const std::string member = Member();
    ASSERT_EQ(engine_.RunWords({"ZREM", "z", member}),
              Integer(static_cast<int64_t>(model_.scores.erase(member))));
  }

  void RemoveRange() {
    const size_t size = model_.scores.size();
    if (Below(2) == 0) {
      const size_t first = Below(static_cast<uint32_t>(size) + 2);
      const size_t last = first + 1 + Below(3);
      model_.Erase(first, last);
      ASSERT_EQ(engine_.RunWords(
                    {"ZREMRANGEBYRANK", "z", std::to_string(first), std::to_string(last - 1)}),
                Integer(static_cast<int64_t>(size - model_.scores.size())));
      return;
    }
    const double min = Score();
    const double max = min + 1;
    const auto erased = std::erase_if(
        model_.scores, [&](const auto& pair) { return pair.second > min && pair.second <= max; });
    ASSERT_EQ(
        engine_.RunWords({"ZREMRANGEBYSCORE", "z", "(" + FormatDouble(min), FormatDouble(max)}),
        Integer(static_cast<int64_t>(erased)));
  }

  void Pop() {
    std::vector<Pair> sorted = model_.Sorted();
    const bool max = Below(2) == 0;
    const size_t count = std::min<size_t>(Below(4), sorted.size());
    if (max) std::reverse(sorted.begin(), sorted.end());
    sorted.resize(count);
    for (const Pair& pair : sorted) model_.scores.erase(pair.second);
    ASSERT_EQ(engine_.RunWords({max ? "ZPOPMAX" : "ZPOPMIN", "z", std::to_string(count)}),
              ReplyOf(sorted));
  }

  void CheckRange() {
    const double min = Score();
    const double max = min + Below(20);
    std::vector<Pair> within;
    for (const Pair& pair : model_.Sorted()) {
      if (pair.first >= min && pair.first < max) within.push_back(pair);
    }
    const Words bounds = {FormatDouble(min), "(" + FormatDouble(max)};
    ASSERT_EQ(engine_.RunWords({"ZCOUNT", "z", bounds[0], bounds[1]}),
              Integer(static_cast<int64_t>(within.size())));
    ASSERT_EQ(engine_.RunWords({"ZRANGE", "z", bounds[0], bounds[1], "BYSCORE", "WITHSCORES"}),
              ReplyOf(within));
    std::reverse(within.begin(), within.end());
    ASSERT_EQ(engine_.RunWords({"ZREVRANGEBYSCORE", "z", bounds[1], bounds[0], "WITHSCORES"}),
              ReplyOf(within));
  }

  void CheckMember() {
    const std::string member = Member();
    const auto found = model_.scores.find(member);
    if (found == model_.scores.end()) {
      ASSERT_EQ(engine_.RunWords({"ZSCORE", "z", member}), testing::kNull);
      ASSERT_EQ(engine_.RunWords({"ZRANK", "z", member}), testing::kNull);
      return;
    }
    const std::vector<Pair> sorted = model_.Sorted();
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), Pair(found->second, member));
    const int64_t rank = at - sorted.begin();
    ASSERT_EQ(engine_.RunWords({"ZSCORE", "z", member}), Bulk(FormatDouble(found->second)));
    ASSERT_EQ(engine_.RunWords({"ZRANK", "z", member}), Integer(rank));
    ASSERT_EQ(engine_.RunWords({"ZREVRANK", "z", member}),
              Integer(static_cast<int64_t>(sorted.size()) - 1 - rank));
  }

  TestEngine& engine_;
  std::mt19937 random_;
  uint32_t members_;
  Model model_;
};

void Play(uint64_t entries_max, uint64_t value_bytes_max, uint32_t members, uint32_t seed) {
  SCOPED_TRACE("entries_max " + std::to_string(entries_max) + " members " +
               std::to_string(members) + " seed " + std::to_string(seed));
  constexpr int kSteps = 4000;
  TestEngine engine;
  engine.engine().settings().zset_listpack_entries_max = entries_max;
  engine.engine().settings().zset_listpack_value_bytes_max = value_bytes_max;
  Player player(engine, seed, members);
  for (int step = 0; step < kSteps && !::testing::Test::HasFatalFailure(); ++step) {
    player.Step();
    if (step % 16 == 0) player.CheckAll();
  }
  player.CheckAll();
}

TEST(SortedSetModelTest, Packed) {
  for (uint32_t seed = 1; seed <= 3; ++seed) Play(1000, 64, 60, seed);
}

TEST(SortedSetModelTest, PackedInABlockOfItsOwn) { Play(1000, 64, 400, 4); }

TEST(SortedSetModelTest, Large) {
  for (uint32_t seed = 5; seed <= 7; ++seed) Play(0, 64, 600, seed);
}

TEST(SortedSetModelTest, AcrossTheThresholds) {
  for (uint32_t seed = 8; seed <= 15; ++seed) Play(12, seed % 2 == 0 ? 64 : 10, 30, seed);
}

}  // namespace
}  // namespace tidegate
