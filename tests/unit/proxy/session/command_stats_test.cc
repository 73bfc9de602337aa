// Latency buckets cover every duration without gaps, and are as fine as they promise.
#include "proxy/session/command_stats.h"

#include <gtest/gtest.h>

#include "proxy/session/client_pause.h"

namespace tidegate {
namespace {

TEST(LatencyHistogram, BucketsAreInOrderAndWithoutGaps) {
  int previous = 0;
  for (uint64_t nanos = 0; nanos < 300'000; ++nanos) {
    const int bucket = LatencyHistogram::BucketOf(nanos);
    ASSERT_LE(previous, bucket);
    ASSERT_LE(bucket - previous, 1);
    ASSERT_LE(nanos, LatencyHistogram::UpperBoundNanos(bucket));
    if (bucket > 0) ASSERT_GT(nanos, LatencyHistogram::UpperBoundNanos(bucket - 1));
    previous = bucket;
  }
}

TEST(LatencyHistogram, ABucketIsAtMostASixteenthWide) {
  for (int bucket = 2; bucket < LatencyHistogram::kBuckets - 1; ++bucket) {
    const uint64_t lowest = LatencyHistogram::UpperBoundNanos(bucket - 1) + 1;
    const uint64_t highest = LatencyHistogram::UpperBoundNanos(bucket);
    ASSERT_LE((highest - lowest + 1) * 16, lowest) << bucket;
  }
}

TEST(LatencyHistogram, ExtremesHaveTheirBuckets) {
  EXPECT_EQ(LatencyHistogram::BucketOf(0), 0);
  EXPECT_EQ(LatencyHistogram::BucketOf(63), 0);
  EXPECT_EQ(LatencyHistogram::BucketOf(64), 1);
  EXPECT_EQ(LatencyHistogram::BucketOf(~uint64_t{0}), LatencyHistogram::kBuckets - 1);
}

TEST(CommandStats, CountsByCommand) {
  CommandStats stats(3);
  stats.Record(1, 100, false, true);
  stats.Record(1, 100, true, true);
  stats.Record(2, 5, false, false);
  stats.Reject(0);
  EXPECT_EQ(stats.of(1).calls.Get(), 2u);
  EXPECT_EQ(stats.of(1).failed.Get(), 1u);
  EXPECT_EQ(stats.of(1).ticks.Get(), 200u);
  EXPECT_NE(stats.of(1).latency.load(), nullptr);
  EXPECT_EQ(stats.of(2).latency.load(), nullptr);
  EXPECT_EQ(stats.of(0).rejected.Get(), 1u);
}

TEST(ClientPause, IsNeitherShortenedNorWeakened) {
  ClientPause pause;
  EXPECT_FALSE(pause.possible());
  pause.Begin(PauseMode::kAll, 1000, 5000);
  pause.Begin(PauseMode::kWrite, 1100, 3000);
  EXPECT_EQ(pause.mode(4999), PauseMode::kAll);
  EXPECT_EQ(pause.mode(5000), PauseMode::kNone);
  pause.EndIfOver(4999);
  EXPECT_TRUE(pause.possible());
  pause.Begin(PauseMode::kWrite, 6000, 7000);  // the first one is over: its mode does not linger
  EXPECT_EQ(pause.mode(6500), PauseMode::kWrite);
  pause.EndIfOver(7000);
  EXPECT_FALSE(pause.possible());
}

TEST(ClientPause, HoldsWritesOrAll) {
  CommandSpec read;
  read.access = Access::kRead;
  CommandSpec write;
  write.access = Access::kWrite;
  CommandSpec publish;
  publish.access = Access::kNone;
  publish.flags = kMayReplicate;
  EXPECT_FALSE(ClientPause::Holds(PauseMode::kWrite, read));
  EXPECT_TRUE(ClientPause::Holds(PauseMode::kWrite, write));
  EXPECT_TRUE(ClientPause::Holds(PauseMode::kWrite, publish));
  EXPECT_TRUE(ClientPause::Holds(PauseMode::kAll, read));
  EXPECT_FALSE(ClientPause::Holds(PauseMode::kNone, write));
}

}  // namespace
}  // namespace tidegate
