#include "proxy/upstream/concurrency_limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace tidegate {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// A node, and clients that have as many requests there as the limit lets them, or `wanted`.
class Loaded {
 public:
  // So long a reply takes with so many in flight.
  using Latency = std::function<int64_t(uint64_t in_flight)>;

  void Windows(int count, uint64_t wanted, const Latency& latency) {
    for (int i = 0; i < count; ++i) {
      const uint64_t in_flight = std::min(wanted, limit_.limit());
      now_ns_ += kConcurrencyWindowNanos;
      for (size_t reply = 0; reply < kConcurrencyWindowReplies; ++reply)
        limit_.Replied(latency(in_flight), in_flight, now_ns_);
    }
  }
  uint64_t limit() const { return limit_.limit(); }

 private:
  ConcurrencyLimit limit_;
  int64_t now_ns_ = kConcurrencyWindowNanos;
};

int64_t Quick(uint64_t in_flight) { return static_cast<int64_t>(in_flight) * 10'000; }
int64_t Slow(uint64_t in_flight) { return static_cast<int64_t>(in_flight) * 2 * kMillisecond; }

TEST(ConcurrencyLimit, GrowsWhileRepliesAreQuick) {
  Loaded node;
  EXPECT_EQ(node.limit(), kConcurrencyStart);
  node.Windows(20, 10'000, Quick);
  EXPECT_EQ(node.limit(), kConcurrencyMax);
}

TEST(ConcurrencyLimit, StaysWhereItIsNotUsed) {
  Loaded node;
  node.Windows(100, kConcurrencyStart / 4, Quick);
  EXPECT_EQ(node.limit(), kConcurrencyStart);
}

// One thread serves one after another: more in flight only wait.
TEST(ConcurrencyLimit, FallsToWhatTheNodeAnswersInTime) {
  Loaded node;
  node.Windows(10, 2, Slow);
  node.Windows(200, 10'000, Slow);
  EXPECT_LE(node.limit(), 2 * kConcurrencyMin);
  const uint64_t limit = node.limit();
  node.Windows(2000, 10'000, Slow);  // and does not follow its own queue
  EXPECT_LE(node.limit(), limit + kConcurrencyMin);
}

TEST(ConcurrencyLimit, FallsNoFurtherThanItMay) {
  Loaded node;
  node.Windows(10, 2, Quick);
  node.Windows(16, 10'000, [](uint64_t) { return 3000 * kMillisecond; });
  EXPECT_EQ(node.limit(), kConcurrencyMin);
}

// A node that is slow for everybody alike is not slower for more: it is found out at the least
// limit, and may have as many again.
TEST(ConcurrencyLimit, LearnsThatTheNodeItselfIsSlower) {
  Loaded node;
  const auto far = [](uint64_t) { return 100 * kMillisecond; };
  node.Windows(10, 2, Quick);
  node.Windows(100, 10'000, far);
  node.Windows(500, 10'000, far);
  EXPECT_GE(node.limit(), kConcurrencyMax / 2);
}

TEST(ConcurrencyLimit, ComesBackWhenTheNodeIsWell) {
  Loaded node;
  node.Windows(100, 10'000, Slow);
  node.Windows(50, 10'000, Quick);
  EXPECT_EQ(node.limit(), kConcurrencyMax);
}

TEST(ConcurrencyLimit, FewRepliesSayNothing) {
  ConcurrencyLimit limit;
  for (size_t i = 0; i + 1 < kConcurrencyWindowReplies; ++i)
    EXPECT_FALSE(limit.Replied(10'000 * kMillisecond, 64, 1'000'000 * kMillisecond));
  EXPECT_EQ(limit.limit(), kConcurrencyStart);
}

}  // namespace
}  // namespace tidegate
