// Which reads are to find nothing before their key expires, and what is known of its end.
#include "policy/early_refresh/early_refresh.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "policy/ttl_jitter/ttl_jitter.h"
#include "tests/support/called_request.h"

namespace tidegate {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(ExpiryTimes, KnowsWhatItIsTold) {
  ExpiryTimes times;
  constexpr hotkey::KeyId kKey = 0x123456789abcdef0u;
  EXPECT_FALSE(times.RemainingMs(kKey, 0));
  times.Set(kKey, 1000, 500);
  EXPECT_EQ(times.RemainingMs(kKey, 1000), 500);
  EXPECT_EQ(times.RemainingMs(kKey, 1499), 1);
  EXPECT_FALSE(times.RemainingMs(kKey, 1500));
  times.Set(kKey, 1000, -1);
  EXPECT_EQ(times.RemainingMs(kKey, 1000), kKnownTtlMsMax);
  times.Set(kKey, 1000, INT64_MAX);
  EXPECT_EQ(times.RemainingMs(kKey, 1001), kKnownTtlMsMax - 1);
  times.Forget(kKey);
  EXPECT_FALSE(times.RemainingMs(kKey, 1000));
}

// The clock is of 32 bits there: it comes around, and a time that looks like one of the marks is
// still a time.
TEST(ExpiryTimes, TimesComeAround) {
  ExpiryTimes times;
  constexpr int64_t kRound = int64_t{1} << 32;
  for (const int64_t now_ms : {kRound - 10, kRound - 1, kRound, kRound + 1, 7 * kRound - 3}) {
    times.Set(5, now_ms, 100);
    EXPECT_NEAR(static_cast<double>(times.RemainingMs(5, now_ms).value_or(0)), 100, 3) << now_ms;
    times.Set(5, now_ms - 100, 100 + 2);
    EXPECT_TRUE(times.RemainingMs(5, now_ms)) << now_ms;
  }
}

TEST(ExpiryTimes, AsksOnceForAKeyThatIsReadAgain) {
  ExpiryTimes times;
  EXPECT_FALSE(times.ShouldAsk(7));
  EXPECT_TRUE(times.ShouldAsk(7));
  EXPECT_FALSE(times.ShouldAsk(7));
  EXPECT_FALSE(times.RemainingMs(7, 0));
  times.Set(7, 0, 100);
  EXPECT_EQ(times.RemainingMs(7, 0), 100);
  times.Forget(7);
  EXPECT_TRUE(times.ShouldAsk(7));
}

TEST(ExpiryTimes, TwoKeysOfOnePlaceAreNotMixedUp) {
  ExpiryTimes times;
  constexpr hotkey::KeyId kOne = uint64_t{1} << 40;
  constexpr hotkey::KeyId kOther = uint64_t{2} << 40;
  times.Set(kOne, 0, 100);
  EXPECT_FALSE(times.RemainingMs(kOther, 0));
  times.Forget(kOther);
  EXPECT_EQ(times.RemainingMs(kOne, 0), 100);
  times.Set(kOther, 0, 200);
  EXPECT_FALSE(times.RemainingMs(kOne, 0));
}

TEST(EarlyRefresh, DrawsWithXFetchsProbability) {
  const EarlyRefresh refresh({.any = true, .keys = {"item:*"}});
  const EarlyRefresh eager({.any = true, .keys = {"item:*"}, .beta_percent = 200});
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp): one sequence
  constexpr int kDraws = 200'000;
  constexpr int64_t kLoad = 100 * kMs;
  for (const int64_t remaining_ms : {1, 50, 100, 300, 700}) {
    int early = 0;
    int eagerly = 0;
    for (int i = 0; i < kDraws; ++i) {
      early += refresh.Draws(remaining_ms, kLoad, random()) ? 1 : 0;
      eagerly += eager.Draws(remaining_ms, kLoad, random()) ? 1 : 0;
    }
    const double expected = std::exp(-static_cast<double>(remaining_ms) / 100);
    EXPECT_NEAR(static_cast<double>(early) / kDraws, expected, 0.006) << remaining_ms;
    EXPECT_NEAR(static_cast<double>(eagerly) / kDraws, std::sqrt(expected), 0.006) << remaining_ms;
  }
  EXPECT_FALSE(refresh.Draws(4000, kLoad, 0));
  EXPECT_TRUE(refresh.Draws(3600, kLoad, 0));  // the smallest random number there is
  EXPECT_FALSE(refresh.Draws(1, kLoad, ~uint64_t{0}));
  EXPECT_FALSE(refresh.Draws(1, 0, 0));  // no load was seen
}

TEST(EarlyRefresh, SaysWhatItDoes) {
  EXPECT_EQ(
      EarlyRefresh({.any = true, .mode = PolicyMode::kEnforce, .keys = {"item:*"}}).Describe(),
      "early_refresh enforce: keys item:* beta 1.00");
  EXPECT_EQ(EarlyRefresh({.any = true, .keys = {"a", "b"}, .beta_percent = 105}).Describe(),
            "early_refresh observe: keys a b beta 1.05");
}

TEST(EarlyRefresh, KnowsTheTimeToLiveOfPlainWrites) {
  const std::unique_ptr<CommandTable> commands = CommandTable::Create(StorageCommandFamilies());
  const auto ttl = [&commands](const std::vector<std::string>& words,
                               const ShorterTtl* shorter = nullptr) {
    return WrittenTtlMs(testing::MakeCalledRequest(*commands, words)->request, shorter);
  };
  EXPECT_EQ(ttl({"set", "k", "v", "EX", "10"}), 10'000);
  EXPECT_EQ(ttl({"set", "k", "v", "px", "10"}), 10);
  EXPECT_EQ(ttl({"setex", "k", "10", "v"}), 10'000);
  EXPECT_EQ(ttl({"psetex", "k", "10", "v"}), 10);
  EXPECT_EQ(ttl({"setex", "k", "99999999999999", "v"}), kKnownTtlMsMax);
  for (const std::vector<std::string>& unknown :
       std::vector<std::vector<std::string>>{{"set", "k", "v"},
                                             {"set", "k", "v", "EX", "10", "NX"},
                                             {"set", "k", "v", "GET", "EX", "10"},
                                             {"set", "k", "v", "KEEPTTL"},
                                             {"set", "k", "v", "EX"},
                                             {"set", "k", "v", "EX", "x"},
                                             {"set", "k", "v", "EX", "-1"},
                                             {"set", "k", "v", "EXAT", "99999999999"},
                                             {"mset", "k", "v"},
                                             {"expire", "k", "10"}})
    EXPECT_EQ(ttl(unknown), 0) << unknown[0] << " " << unknown.size();
  const ShorterTtl shorter{.argument = 4, .value = 7};
  EXPECT_EQ(ttl({"set", "k", "v", "EX", "10"}, &shorter), 7'000);
}

}  // namespace
}  // namespace tidegate
