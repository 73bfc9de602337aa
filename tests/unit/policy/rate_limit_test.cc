// Rates: what passes over time, what a transaction pays, what is forgotten, and several threads.
#include "policy/rate_limit/rate_limit.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

namespace tidegate {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMillisecond = 1'000'000;

// Requests for one key, in time that the test makes.
class RateLimitTest : public ::testing::Test {
 protected:
  void Use(std::vector<RateLimitRule> rules, PolicyMode mode = PolicyMode::kEnforce) {
    options_ = {.mode = mode, .rules = std::move(rules)};
    limit_ = std::make_unique<RateLimit>(options_, mode, counters_, nullptr);
  }
  // Whether it may go.
  bool Ask(std::string_view key, DataAccess access = DataAccess::kRead, uint64_t client = 1) {
    const std::array<KeyRef, 1> keys = {KeyRef::Of(key)};
    charges_.Begin(false);
    const auto over = limit_->Take(RequestFor(keys, access, client), charges_);
    if (over) charges_.GiveBack();
    wait_ns_ = over ? over->wait_ns : charges_.wait_ns();
    return !over.has_value();
  }
  RatedRequest RequestFor(std::span<const KeyRef> keys, DataAccess access, uint64_t client) const {
    return {.access = access, .keys = keys, .client = client, .user = 1, .now_ns = now_ns_};
  }
  // How many of requests at so many per second are let in, for so long.
  int64_t Pass(int64_t per_second, int64_t seconds) {
    int64_t passed = 0;
    for (int64_t i = 0; i < per_second * seconds; ++i) {
      passed += Ask("k") ? 1 : 0;
      now_ns_ += kSecond / per_second;
    }
    return passed;
  }

  int64_t now_ns_ = 5 * kSecond;
  int64_t wait_ns_ = 0;
  PolicyCounters counters_;
  RateLimitOptions options_;
  std::unique_ptr<RateLimit> limit_;
  RateCharges charges_;
};

RateLimitRule PerKey(int64_t rate, int64_t burst) {
  return {.per = RatePer::kKey, .rate = {.requests = rate}, .burst = burst};
}

TEST_F(RateLimitTest, TenSecondsAreExactToTheBurst) {
  for (const int64_t rate : {3, 400, 7'000}) {
    Use({PerKey(rate, 10)});
    const int64_t passed = Pass(10 * rate, 10);
    EXPECT_GE(passed, 10 * rate) << rate;
    EXPECT_LE(passed, 10 * rate + 10) << rate;
  }
}

TEST_F(RateLimitTest, BelowTheRateEverythingPasses) {
  Use({PerKey(400, 1)});
  EXPECT_EQ(Pass(399, 10), 3990);
}

TEST_F(RateLimitTest, ABurstAfterAPause) {
  Use({PerKey(400, 100)});
  int passed = 0;
  for (int i = 0; i < 1000; ++i) passed += Ask("k") ? 1 : 0;
  EXPECT_EQ(passed, 100);
  EXPECT_EQ(wait_ns_, kSecond / 400);
  now_ns_ += wait_ns_;
  EXPECT_TRUE(Ask("k"));
  EXPECT_FALSE(Ask("k"));
  EXPECT_TRUE(Ask("other"));
}

TEST_F(RateLimitTest, OnlyWhatARuleCovers) {
  RateLimitRule rule = PerKey(1, 1);
  rule.access = PolicyAccess::kWrites;
  rule.match = "item:<int>";
  Use({rule});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Ask("item:1", DataAccess::kRead));
    EXPECT_TRUE(Ask("item:x", DataAccess::kWrite));
    EXPECT_EQ(Ask("item:1", DataAccess::kWrite), i == 0);
    EXPECT_TRUE(Ask("item:1", DataAccess::kNone));
  }
}

TEST_F(RateLimitTest, PerClientAndPerRoute) {
  Use({{.per = RatePer::kClient, .rate = {.requests = 1}, .burst = 2},
       {.per = RatePer::kRoute, .rate = {.requests = 1}, .burst = 3}});
  EXPECT_TRUE(Ask("a", DataAccess::kRead, 1));
  EXPECT_TRUE(Ask("b", DataAccess::kRead, 1));
  EXPECT_FALSE(Ask("c", DataAccess::kRead, 1));
  EXPECT_TRUE(Ask("c", DataAccess::kRead, 2));
  EXPECT_FALSE(Ask("d", DataAccess::kRead, 3));
}

// The client's rate is not charged for what the route's rate refuses.
TEST_F(RateLimitTest, WhatIsRefusedIsChargedNowhere) {
  Use({{.per = RatePer::kClient, .rate = {.requests = 1}, .burst = 1},
       {.per = RatePer::kRoute, .rate = {.requests = 1000}, .burst = 1}});
  EXPECT_TRUE(Ask("a", DataAccess::kRead, 1));
  EXPECT_FALSE(Ask("a", DataAccess::kRead, 2));
  now_ns_ += 2 * kMillisecond;
  EXPECT_TRUE(Ask("a", DataAccess::kRead, 2));
}

TEST_F(RateLimitTest, ParkedInTheOrderTheyCame) {
  RateLimitRule rule = PerKey(100, 1);
  rule.park = std::chrono::milliseconds(25);
  Use({rule});
  EXPECT_TRUE(Ask("k"));
  EXPECT_EQ(wait_ns_, 0);
  EXPECT_TRUE(Ask("k"));
  EXPECT_EQ(wait_ns_, 10 * kMillisecond);
  EXPECT_TRUE(Ask("k"));
  EXPECT_EQ(wait_ns_, 20 * kMillisecond);
  EXPECT_FALSE(Ask("k"));
}

TEST_F(RateLimitTest, ObserveCountsAndLetsEverythingPass) {
  Use({PerKey(10, 1)}, PolicyMode::kObserve);
  EXPECT_EQ(Pass(100, 1), 100);
  const uint64_t observed = counters_.of(PolicyKind::kRateLimit).observed.load();
  EXPECT_GE(observed, 88);
  EXPECT_LE(observed, 90);
  EXPECT_EQ(counters_.of(PolicyKind::kRateLimit).refused.load(), 0);
}

// One that is longer than a burst is executed, and those behind it pay.
TEST_F(RateLimitTest, ATransactionPaysForAllItsCommands) {
  Use({PerKey(100, 5)});
  const std::array<KeyRef, 1> keys = {KeyRef::Of("k")};
  charges_.Begin(true);
  for (int i = 0; i < 50; ++i)
    EXPECT_FALSE(limit_->Take(RequestFor(keys, DataAccess::kWrite, 1), charges_));
  EXPECT_FALSE(Ask("k"));
  EXPECT_EQ(wait_ns_, 46 * 10 * kMillisecond);
  charges_.Begin(true);
  EXPECT_TRUE(limit_->Take(RequestFor(keys, DataAccess::kWrite, 1), charges_));
}

TEST_F(RateLimitTest, ATransactionThatIsRefusedPaysNothing) {
  Use({PerKey(100, 5)});
  const std::array<KeyRef, 1> first = {KeyRef::Of("first")};
  const std::array<KeyRef, 1> full = {KeyRef::Of("full")};
  while (Ask("full")) continue;
  charges_.Begin(true);
  EXPECT_FALSE(limit_->Take(RequestFor(first, DataAccess::kWrite, 1), charges_));
  EXPECT_FALSE(limit_->Take(RequestFor(first, DataAccess::kWrite, 1), charges_));
  EXPECT_TRUE(limit_->Take(RequestFor(full, DataAccess::kWrite, 1), charges_));
  charges_.GiveBack();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Ask("first"));
  EXPECT_FALSE(Ask("first"));
}

TEST_F(RateLimitTest, AReloadKeepsRatesThatStay) {
  Use({PerKey(1, 1)});
  EXPECT_TRUE(Ask("k"));
  RateLimitOptions options = options_;
  options.rules.push_back({.per = RatePer::kUser, .rate = {.requests = 1'000}, .burst = 100});
  limit_ = std::make_unique<RateLimit>(options, PolicyMode::kEnforce, counters_, limit_.get());
  EXPECT_FALSE(Ask("k"));
}

TEST_F(RateLimitTest, AHotKeyRuleLeavesOthersAlone) {
  Use({{.per = RatePer::kHotKey, .rate = {.requests = 1}, .burst = 1}});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Ask("k"));
}

TEST_F(RateLimitTest, SaysWhichKeysAreAtTheirLimit) {
  Use({PerKey(400, 100)});
  const hotkey::KeyId id = hotkey::IdOf(KeyHash("k"), {});
  EXPECT_FALSE(limit_->IsPressed("k", id, now_ns_));
  for (int i = 0; i < 200; ++i) Ask("k");
  EXPECT_TRUE(limit_->IsPressed("k", id, now_ns_));
  EXPECT_FALSE(limit_->IsPressed("k", id, now_ns_ + kSecond));
}

// Somebody sends a new key with every request: memory does not grow, and what is at work stays as
// long as there is one at rest to take the place of.
TEST(GcraTable, ForgetsWhatIsAtRestFirst) {
  GcraTable table(64);
  const Gcra gcra({.requests = 1}, 1);
  bool forgotten = false;
  EXPECT_TRUE(gcra.Take(table.Of(7, kSecond, forgotten), kSecond, 0).taken);
  for (uint64_t i = 0; i < 100'000; ++i) {
    std::atomic<int64_t>& tat_ns = table.Of(i << 16 | 1, kSecond, forgotten);
    EXPECT_LE(tat_ns.load(), kSecond);
  }
  EXPECT_FALSE(gcra.Take(table.Of(7, kSecond, forgotten), kSecond, 0).taken);
  EXPECT_FALSE(forgotten);
  EXPECT_FALSE(table.Find(123456789).has_value());
}

TEST(GcraTable, SaysWhenSomethingAtWorkIsForgotten) {
  GcraTable table(4);
  const Gcra gcra({.requests = 1}, 1);
  bool forgotten = false;
  for (uint64_t id = 1; id <= 4; ++id) gcra.TakeAnyway(table.Of(id, kSecond, forgotten));
  EXPECT_FALSE(forgotten);
  table.Of(5, kSecond, forgotten);
  EXPECT_TRUE(forgotten);
}

// The limit is that of the process, whatever the number of workers.
TEST(GcraTable, WorkersShareARate) {
  GcraTable table(4);
  const Gcra gcra({.requests = 1'000'000}, 1'000);
  constexpr int kThreads = 4;
  constexpr int64_t kSteps = 250'000;
  std::array<int64_t, kThreads> passed{};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&table, &gcra, &passed, t] {
      bool forgotten = false;
      // All of them at one moment: a thousand pass, whoever asks.
      for (int64_t i = 0; i < kSteps; ++i)
        passed[static_cast<size_t>(t)] +=
            gcra.Take(table.Of(9, kSecond, forgotten), kSecond, 0).taken ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t sum = 0;
  for (const int64_t one : passed) sum += one;
  EXPECT_GE(sum, 1'000);
  EXPECT_LE(sum, 1'000 + kThreads);  // the cell may be taken by several at once, the first time
}

}  // namespace
}  // namespace tidegate
