// SORT: the sort itself against the standard library's, calls that take many turns, and what each
// call locks. Options and error texts are in tests/golden/keys/sort*.txt.
#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/commands/sort_arguments.h"
#include "storage/commands/sort_elements.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/resp_value.h"

namespace tidegate {
namespace {

using testing::Integer;
using testing::ParseResp;
using testing::RespValue;
using testing::TestEngine;

std::vector<std::string> Texts(const RespValue& reply) {
  std::vector<std::string> texts;
  for (const RespValue& item : reply.items) texts.push_back(item.is_null() ? "(nil)" : item.text);
  return texts;
}

std::vector<std::string> Sorted(SortElements& elements, const SortElements::Order& order,
                                size_t steps) {
  while (!elements.SortSome(order, steps)) {
  }
  std::vector<std::string> texts;
  for (size_t i = 0; i < elements.size(); ++i) texts.emplace_back(elements.text(i));
  return texts;
}

TEST(SortElementsTest, AgreesWithTheStandardLibrary) {
  std::mt19937_64 random(7);
  for (const size_t size : {0u, 1u, 2u, 2047u, 2048u, 2049u, 4096u, 10000u, 40000u}) {
    for (const bool descending : {false, true}) {
      SortElements elements;
      std::vector<int> expected;
      for (size_t i = 0; i < size; ++i) {
        expected.push_back(static_cast<int>(random() % 5000) - 2500);
        elements.Add(std::to_string(expected.back()));
        ASSERT_TRUE(elements.ScoreByItself(i));
      }
      std::sort(expected.begin(), expected.end());
      if (descending) std::reverse(expected.begin(), expected.end());
      const auto texts = Sorted(elements, {SortElements::By::kScore, descending}, 1000);
      ASSERT_EQ(texts.size(), size);
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(texts[i], std::to_string(expected[i])) << i;
    }
  }
}

TEST(SortElementsTest, KeepsTheOrderOfEqualWeights) {
  std::mt19937_64 random(8);
  constexpr size_t kSize = 9000;
  SortElements elements;
  std::vector<int> weights;
  for (size_t i = 0; i < kSize; ++i) {
    elements.Add(std::to_string(i));
    weights.push_back(static_cast<int>(random() % 4));
    weights[i] == 0 ? elements.WeighBy(i, std::nullopt)
                    : elements.WeighBy(i, std::to_string(weights[i]));
  }
  std::vector<size_t> expected(kSize);
  std::iota(expected.begin(), expected.end(), size_t{0});
  std::stable_sort(expected.begin(), expected.end(),
                   [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  const auto texts = Sorted(elements, {SortElements::By::kWeightText, true}, 1);
  for (size_t i = 0; i < kSize; ++i) ASSERT_EQ(texts[i], std::to_string(expected[i]));
}

TEST(SortElementsTest, ComparesBytesAsUnsigned) {
  SortElements elements;
  for (const std::string_view text : {"\xff", "a", "", "Z", "a\x01"}) elements.Add(text);
  EXPECT_THAT(Sorted(elements, {SortElements::By::kText, false}, 100),
              ::testing::ElementsAre("", "Z", "a", "a\x01", "\xff"));
}

TEST(SortCommandTest, LocksWhatItNeeds) {
  TestEngine engine;
  const CommandSpec& sort = *engine.table().Find("SORT")->spec;
  const auto scope = [&](std::vector<std::string_view> args) { return ScopeOfCall(sort, args); };
  EXPECT_EQ(scope({"SORT", "k"}), Scope::kManyKeys);
  EXPECT_EQ(scope({"SORT", "k", "BY", "nosort", "GET", "#", "STORE", "d"}), Scope::kManyKeys);
  EXPECT_EQ(scope({"SORT", "k", "BOGUS", "BY", "w_*"}), Scope::kManyKeys);
  EXPECT_EQ(scope({"SORT", "k", "BY", "w_*"}), Scope::kSlotBySlot);
  EXPECT_EQ(scope({"SORT", "k", "GET", "o_*->f"}), Scope::kSlotBySlot);
  EXPECT_EQ(scope({"SORT", "k", "GET", "o_*", "STORE", "d"}), Scope::kWholeKeyspace);
}

// Fills a list with 0 … n-1 in an order of chance; their weights are turned round.
constexpr int kMany = 30'000;
void FillList(TestEngine& engine) {
  std::vector<int> numbers(kMany);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937_64(9));
  std::vector<std::string> push = {"RPUSH", "l"};
  std::vector<std::string> weights = {"MSET"};
  for (const int number : numbers) {
    push.push_back(std::to_string(number));
    weights.push_back("w_" + std::to_string(number));
    weights.push_back(std::to_string(-number));
  }
  engine.RunWords(push);
  engine.RunWords(weights);
}

TEST(SortCommandTest, ALargeSortTakesManyTurns) {
  TestEngine engine;
  FillList(engine);
  const auto ascending = Texts(ParseResp(engine.Run("SORT l")));
  ASSERT_EQ(ascending.size(), static_cast<size_t>(kMany));
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(ascending[static_cast<size_t>(i)], std::to_string(i));
  const auto reversed = Texts(ParseResp(engine.Run("SORT l BY w_* GET # GET w_* GET none")));
  ASSERT_EQ(reversed.size(), static_cast<size_t>(3 * kMany));
  for (int i = 0; i < kMany; ++i) {
    const auto at = static_cast<size_t>(3 * i);
    const std::string number = std::to_string(kMany - 1 - i);
    ASSERT_EQ(reversed[at], number);
    ASSERT_EQ(reversed[at + 1], number == "0" ? "0" : "-" + number);
    ASSERT_EQ(reversed[at + 2], "(nil)");
  }
  EXPECT_EQ(engine.client().continuation, nullptr);
}

TEST(SortCommandTest, ALargeSortIsStoredAtOnce) {
  TestEngine engine;
  FillList(engine);
  EXPECT_EQ(engine.Run("SORT l BY w_* STORE l"), Integer(kMany));
  EXPECT_EQ(Texts(ParseResp(engine.Run("LRANGE l 0 1"))),
            (std::vector<std::string>{std::to_string(kMany - 1), std::to_string(kMany - 2)}));
  EXPECT_EQ(engine.Run("LLEN l"), Integer(kMany));
}

// In the middle of a sort another client changes the list: what was collected is what is sorted.
TEST(SortCommandTest, ASortThatGoesOnDoesNotNeedItsKey) {
  TestEngine engine;
  FillList(engine);
  const std::vector<std::string_view> args = {"SORT", "l", "LIMIT", "0", "3"};
  const KeyRef keys[] = {KeyRef::Of("l")};
  const Request request = {.command = engine.table().Find("SORT"), .args = args, .keys = keys};
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  ClientState client;
  const auto turn = [&] {
    engine.engine().BeginBatch(engine.thread(), engine.now_ms());
    const ExecStatus status = engine.engine().Execute(engine.thread(), request, client, reply);
    engine.engine().EndBatch(engine.thread());
    return status;
  };
  ASSERT_EQ(turn(), ExecStatus::kSuspended);
  // Being collected, with the slot kept.
  while (client.long_command != nullptr) ASSERT_EQ(turn(), ExecStatus::kSuspended);
  ASSERT_NE(client.continuation, nullptr);
  EXPECT_EQ(engine.Run("DEL l"), Integer(1));
  int turns = 1;
  while (turn() == ExecStatus::kSuspended) ++turns;
  EXPECT_GT(turns, 5);
  EXPECT_EQ(out.CopyFrom(0), "*3\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n");
  EXPECT_EQ(client.continuation, nullptr);
}

TEST(SortCommandTest, WhatIsStoredServesWhoWaits) {
  TestEngine engine;
  engine.Run("RPUSH l 2 1");
  const std::vector<std::string_view> args = {"BLPOP", "d", "0"};
  const KeyRef keys[] = {KeyRef::Of("d")};
  const Request request = {.command = engine.table().Find("BLPOP"), .args = args, .keys = keys};
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter reply(out);
  ClientState client;
  for (const std::string_view sort : {"SORT l STORE d", "SORT l BY w_* STORE d"}) {
    engine.engine().BeginBatch(engine.thread(), engine.now_ms());
    ASSERT_EQ(engine.engine().Execute(engine.thread(), request, client, reply),
              ExecStatus::kSuspended);
    engine.engine().EndBatch(engine.thread());
    EXPECT_EQ(engine.Run(sort), Integer(2));
    engine.engine().BeginBatch(engine.thread(), engine.now_ms());
    ASSERT_EQ(engine.engine().Execute(engine.thread(), request, client, reply), ExecStatus::kDone);
    engine.engine().EndBatch(engine.thread());
    EXPECT_EQ(out.CopyFrom(0), "*2\r\n$1\r\nd\r\n$1\r\n1\r\n");
    out.Clear();
    EXPECT_EQ(engine.Run("LLEN d"), Integer(1));
    engine.Run("DEL d");
  }
}

TEST(SortCommandTest, StoreNeedsRoom) {
  TestEngine engine;
  engine.Run("RPUSH l 2 1");
  engine.engine().settings().maxmemory_bytes = 1;
  for (const std::string_view sort : {"SORT l STORE d", "SORT l BY w_* STORE d", "SORT l"})
    EXPECT_THAT(engine.Run(sort), ::testing::StartsWith("-OOM"));
  EXPECT_THAT(engine.Run("SORT_RO l"), ::testing::StartsWith("*2"));
}

}  // namespace
}  // namespace tidegate
