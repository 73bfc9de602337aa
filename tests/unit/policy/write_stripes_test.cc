// When writes ended: what a reader of another thread may rely on.
#include "policy/write_stripes.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace tidegate {
namespace {

TEST(WriteStripes, TimesAreNotedFromWhenTheyAreWanted) {
  const auto stripes = std::make_unique<WriteStripes>();
  const StripeIndex stripe = WriteStripes::OfKey(77, 1);
  stripes->Begin(stripe);
  stripes->End(stripe);
  EXPECT_EQ(stripes->EndedNanos(stripe), 0);
  stripes->NoteTimes();
  stripes->NoteTimes();
  EXPECT_EQ(stripes->EndedNanos(stripe), 0);
  const int64_t before_ns = MonotonicNanos();
  stripes->Begin(stripe);
  EXPECT_EQ(stripes->EndedNanos(stripe), 0);
  EXPECT_FALSE(WriteStripes::IsQuiet(stripes->Read(stripe)));
  stripes->End(stripe);
  EXPECT_TRUE(WriteStripes::IsQuiet(stripes->Read(stripe)));
  EXPECT_GE(stripes->EndedNanos(stripe), before_ns);
  EXPECT_LE(stripes->EndedNanos(stripe), MonotonicNanos());
}

// Whoever ended one finds his time there, or a later one.
TEST(WriteStripes, TheLatestOfSeveralThreadsCounts) {
  const auto stripes = std::make_unique<WriteStripes>();
  stripes->NoteTimes();
  const StripeIndex stripe = WriteStripes::OfCluster(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 2000; ++n) {
        stripes->Begin(stripe);
        const int64_t before_ns = MonotonicNanos();
        stripes->End(stripe);
        if (stripes->EndedNanos(stripe) < before_ns) wrong.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_TRUE(WriteStripes::IsQuiet(stripes->Read(stripe)));
}

}  // namespace
}  // namespace tidegate
