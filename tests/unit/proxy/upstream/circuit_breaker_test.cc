// When a node's circuit breaker opens and closes, by a clock that the test holds.
#include "proxy/upstream/circuit_breaker.h"

#include <gtest/gtest.h>

#include "proxy/upstream/retry_budget.h"

namespace tidegate {
namespace {

using Failure = CircuitBreaker::Failure;
using State = CircuitBreaker::State;

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
// Pauses vary by a fifth.
constexpr double kLeast = 0.8;
constexpr double kMost = 1.2;

class BreakerTest : public ::testing::Test {
 protected:
  void Pass(int64_t nanos) { now_ns_ += nanos; }
  void Answer(int times = 1) {
    breaker_.recent().Advance(now_ns_);
    for (int i = 0; i < times; ++i) (void)breaker_.Answered();
  }
  bool Fail(Failure failure = Failure::kSilent, uint64_t requests = 1) {
    Pass(100 * kMillisecond);
    breaker_.recent().Advance(now_ns_);
    return breaker_.Failed(failure, requests, now_ns_);
  }
  void FailUntilOpen() {
    while (breaker_.closed()) (void)Fail();
  }
  double OpenFor() const {
    return static_cast<double>(breaker_.open_until_ns() - now_ns_) / static_cast<double>(kSecond);
  }
  void PassUntilAsked() {
    now_ns_ = breaker_.open_until_ns();
    breaker_.BeginAsking();
  }

  int64_t now_ns_ = 1000 * kSecond;
  CircuitBreaker breaker_{{.failures = 5, .error_percent = 50}, 1};
};

TEST_F(BreakerTest, FiveFailuresInARowOpenIt) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Fail());
  EXPECT_TRUE(breaker_.closed());
  EXPECT_TRUE(Fail());
  EXPECT_EQ(breaker_.state(), State::kOpen);
  EXPECT_FALSE(breaker_.Admit(now_ns_));
  EXPECT_GE(OpenFor(), kLeast);
  EXPECT_LE(OpenFor(), kMost);
}

TEST_F(BreakerTest, AReplyBetweenThemBeginsTheCountAnew) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Fail());
  Answer();
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Fail());
  EXPECT_EQ(breaker_.failures_in_a_row(), 4);
}

TEST_F(BreakerTest, ConnectionsThatFailInOneMomentAreOneFailure) {
  Answer(1000);
  for (int i = 0; i < 256; ++i) EXPECT_FALSE(breaker_.Failed(Failure::kBroken, 1, now_ns_));
  EXPECT_EQ(breaker_.failures_in_a_row(), 1);
}

TEST_F(BreakerTest, RepliesThatNobodyIsServedCountEach) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(breaker_.Failed(Failure::kNotServing, 1, now_ns_));
  EXPECT_TRUE(breaker_.Failed(Failure::kNotServing, 1, now_ns_));
}

TEST_F(BreakerTest, HalfOfTheRecentRequestsOpenIt) {
  Answer(150);
  EXPECT_FALSE(Fail(Failure::kBroken, 149));
  Answer(1);
  EXPECT_TRUE(Fail(Failure::kBroken, 2));
}

TEST_F(BreakerTest, AFewRequestsAreNoShare) { EXPECT_FALSE(Fail(Failure::kBroken, 49)); }

TEST_F(BreakerTest, AConnectionLostUnderLoadDoesNotOpenIt) {
  for (int second = 0; second < 20; ++second) {
    Answer(10'000);
    Pass(kSecond);
  }
  EXPECT_FALSE(Fail(Failure::kBroken, 500));
}

TEST_F(BreakerTest, WhatWasLongAgoIsNoPartOfTheShare) {
  Answer(10'000);
  Pass(6 * kSecond);
  EXPECT_TRUE(Fail(Failure::kBroken, 60));
}

TEST_F(BreakerTest, WithoutLimitsItStaysClosedAndConnectsWithPauses) {
  CircuitBreaker breaker({.failures = 0, .error_percent = 0}, 1);
  for (int i = 0; i < 100; ++i) {
    Pass(kSecond);
    EXPECT_FALSE(breaker.Failed(Failure::kSilent, 100, now_ns_));
  }
  EXPECT_TRUE(breaker.Admit(now_ns_));
  EXPECT_FALSE(breaker.MayConnect(now_ns_ + kSecond));
  EXPECT_TRUE(breaker.MayConnect(now_ns_ + kReconnectPauseNanosMax * 12 / 10));
}

TEST_F(BreakerTest, PausesBetweenConnectionsGrowAndEndWithAHandshake) {
  for (const int pause_ms : {50, 100, 200, 400}) {
    EXPECT_FALSE(Fail());
    EXPECT_FALSE(breaker_.spotless());
    EXPECT_FALSE(breaker_.MayConnect(now_ns_ + pause_ms * kMillisecond * 8 / 10 - 1));
    EXPECT_TRUE(breaker_.MayConnect(now_ns_ + pause_ms * kMillisecond * 12 / 10));
  }
  EXPECT_FALSE(breaker_.Connected());
  EXPECT_TRUE(breaker_.spotless());
  EXPECT_TRUE(breaker_.MayConnect(now_ns_));
}

TEST_F(BreakerTest, AConnectionThatWorkedMayBeMadeAnewAtOnce) {
  EXPECT_FALSE(Fail(Failure::kBroken));
  EXPECT_TRUE(breaker_.MayConnect(now_ns_));
}

TEST_F(BreakerTest, APingAndThenOneRequestCloseIt) {
  FailUntilOpen();
  PassUntilAsked();
  EXPECT_EQ(breaker_.state(), State::kHalfOpen);
  EXPECT_FALSE(breaker_.Admit(now_ns_));  // the PING is on its way
  EXPECT_FALSE(breaker_.Answered());
  EXPECT_TRUE(breaker_.WouldAdmit(now_ns_));
  EXPECT_TRUE(breaker_.Admit(now_ns_));
  EXPECT_FALSE(breaker_.Admit(now_ns_));  // one at a time
  EXPECT_FALSE(breaker_.NobodyCame());
  EXPECT_TRUE(breaker_.Answered());
  EXPECT_TRUE(breaker_.closed());
  EXPECT_FALSE(Fail());  // what was before is forgotten
}

TEST_F(BreakerTest, AHandshakeIsAsGoodAsAPing) {
  FailUntilOpen();
  PassUntilAsked();
  EXPECT_FALSE(breaker_.Connected());
  EXPECT_FALSE(breaker_.Answered());  // the PING behind it: nobody's request
  EXPECT_TRUE(breaker_.Admit(now_ns_));
  EXPECT_TRUE(breaker_.Answered());
}

TEST_F(BreakerTest, WhenNobodyComesThePingAloneClosesIt) {
  FailUntilOpen();
  PassUntilAsked();
  EXPECT_FALSE(breaker_.NobodyCame());
  EXPECT_FALSE(breaker_.Answered());
  EXPECT_TRUE(breaker_.NobodyCame());
  EXPECT_TRUE(breaker_.closed());
}

TEST_F(BreakerTest, ARequestWhoseClientIsGoneDoesNotHoldItOpen) {
  FailUntilOpen();
  PassUntilAsked();
  EXPECT_FALSE(breaker_.Answered());
  EXPECT_TRUE(breaker_.Admit(now_ns_));
  Pass(kBreakerTrialNanosMax);
  EXPECT_TRUE(breaker_.Admit(now_ns_));
}

TEST_F(BreakerTest, RepliesFromBeforeDoNotCloseIt) {
  FailUntilOpen();
  EXPECT_FALSE(breaker_.Answered());
  EXPECT_EQ(breaker_.state(), State::kOpen);
}

TEST_F(BreakerTest, EachFailedQuestionDoublesTheTimeUpToHalfAMinute) {
  FailUntilOpen();
  for (const double seconds : {1, 2, 4, 8, 16, 30, 30}) {
    EXPECT_GE(OpenFor(), seconds * kLeast);
    EXPECT_LE(OpenFor(), seconds * kMost);
    PassUntilAsked();
    Pass(-100 * kMillisecond);
    EXPECT_TRUE(Fail());
  }
  PassUntilAsked();
  EXPECT_FALSE(breaker_.Answered());
  EXPECT_TRUE(breaker_.NobodyCame());
  FailUntilOpen();
  EXPECT_LE(OpenFor(), kMost);
}

TEST_F(BreakerTest, WhoAnswersIsAskedEachSecond) {
  while (breaker_.closed()) (void)Fail(Failure::kNotServing);
  EXPECT_TRUE(breaker_.opened_by_replies());
  for (int i = 0; i < 10; ++i) {
    EXPECT_LE(OpenFor(), kMost);
    PassUntilAsked();
    EXPECT_TRUE(Fail(Failure::kNotServing));
  }
}

TEST_F(BreakerTest, HealthChecksOpenItUnlessAReplyCameJustNow) {
  Answer();
  Pass(kSecond);
  EXPECT_FALSE(breaker_.HealthFailed(now_ns_));
  EXPECT_TRUE(breaker_.closed());
  EXPECT_TRUE(Fail());  // one is enough now
  breaker_.HealthRecovered(now_ns_);
  EXPECT_EQ(breaker_.open_until_ns(), now_ns_);
}

TEST_F(BreakerTest, HealthChecksOpenAnIdleOne) {
  Answer();
  Pass(3 * kSecond);
  EXPECT_TRUE(breaker_.HealthFailed(now_ns_));
  EXPECT_FALSE(breaker_.HealthFailed(now_ns_));
  breaker_.HealthRecovered(now_ns_);
  PassUntilAsked();
  EXPECT_FALSE(breaker_.Answered());
  EXPECT_TRUE(breaker_.NobodyCame());
  EXPECT_FALSE(Fail());
}

TEST(RetryBudget, AShareOfTheRecentRequestsAndAFewInAnyCase) {
  RetryBudget budget(20);
  int64_t now_ns = kSecond;
  for (uint64_t i = 0; i < kRetriesMin; ++i) EXPECT_TRUE(budget.Take(0, now_ns));
  EXPECT_FALSE(budget.Take(0, now_ns));
  for (uint64_t i = kRetriesMin; i < 20; ++i) EXPECT_TRUE(budget.Take(100, now_ns));
  EXPECT_FALSE(budget.Take(100, now_ns));
  now_ns += kRetryBudgetNanos;
  EXPECT_TRUE(budget.Take(0, now_ns));
  RetryBudget none(0);
  EXPECT_FALSE(none.Take(1'000'000, now_ns));
}

}  // namespace
}  // namespace tidegate
