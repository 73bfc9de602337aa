// What ttl_jitter makes of a million keys that are set in one second, and of those that it has to
// leave as they are.
#include "policy/ttl_jitter/ttl_jitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "proxy/commands/families.h"
#include "storage/command.h"

namespace tidegate {
namespace {

constexpr int64_t kNowMs = 1'800'000'000'500;

class TtlJitterTest : public ::testing::Test {
 protected:
  std::optional<ShorterTtl> Rule(TtlJitter& jitter, const std::vector<std::string_view>& args) {
    std::string name(args[0]);
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    lot_ = lot_ * 6364136223846793005u + 1;
    const Request request{.command = commands_->Find(name), .args = args, .keys = {}};
    return jitter.Rule(request, kNowMs, lot_);
  }
  // What a command that comes when its second is full has in place of its number.
  std::string Shortened(const std::vector<std::string_view>& args) {
    TtlJitter jitter({.keys = {"*"}, .per_second = 1}, PolicyMode::kEnforce);
    EXPECT_FALSE(Rule(jitter, args).has_value()) << "the first of its second";
    const std::optional<ShorterTtl> shorter = Rule(jitter, args);
    if (!shorter) return "";
    return std::to_string(shorter->argument) + ":" + std::to_string(shorter->value);
  }

  const std::unique_ptr<CommandTable> commands_ = CommandTable::Create(ProxyCommandFamilies());
  uint64_t lot_ = 1;
};

TEST_F(TtlJitterTest, OfAMillionInASecondNoSecondGetsMany) {
  TtlJitter jitter({.keys = {"*"}}, PolicyMode::kEnforce);
  std::map<int64_t, int> expiring;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::optional<ShorterTtl> shorter = Rule(jitter, {"SET", "k", "v", "EX", "3600"});
    const int64_t ttl = shorter ? shorter->value : 3600;
    ASSERT_GE(ttl, 3600 - 360);
    ASSERT_LE(ttl, 3600);
    ++expiring[ttl];
  }
  EXPECT_EQ(expiring[3600], 1000);
  for (const auto& [ttl, count] : expiring) EXPECT_LE(count, 5000) << ttl;
  EXPECT_EQ(jitter.CountOf(kNowMs / 1000 + 3600), 1000u);
}

TEST_F(TtlJitterTest, FewKeysKeepWhatTheyWereSet) {
  TtlJitter jitter({.keys = {"*"}}, PolicyMode::kEnforce);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(Rule(jitter, {"SETEX", "k", "100", "v"}).has_value());
  EXPECT_TRUE(Rule(jitter, {"SETEX", "k", "100", "v"}).has_value());
  EXPECT_FALSE(Rule(jitter, {"SETEX", "k", "200", "v"}).has_value()) << "another second";
}

// Ten percent of twenty seconds are two: one or two seconds less.
TEST_F(TtlJitterTest, EveryWayToSayIt) {
  const auto one_of = [](const std::string& found, const std::string& a, const std::string& b) {
    EXPECT_TRUE(found == a || found == b) << found << " instead of " << a << " or " << b;
  };
  one_of(Shortened({"SET", "k", "v", "EX", "20"}), "4:19", "4:18");
  one_of(Shortened({"set", "k", "v", "get", "px", "20000"}), "5:19000", "5:18000");
  one_of(Shortened({"SET", "k", "v", "EXAT", "1800000020"}), "4:1800000019", "4:1800000018");
  one_of(Shortened({"SET", "k", "v", "PXAT", "1800000020500"}), "4:1800000019500",
         "4:1800000018500");
  one_of(Shortened({"SETEX", "k", "20", "v"}), "2:19", "2:18");
  one_of(Shortened({"PSETEX", "k", "20000", "v"}), "2:19000", "2:18000");
  one_of(Shortened({"EXPIRE", "k", "20"}), "2:19", "2:18");
  one_of(Shortened({"PEXPIRE", "k", "20000"}), "2:19000", "2:18000");
  one_of(Shortened({"EXPIREAT", "k", "1800000020"}), "2:1800000019", "2:1800000018");
  one_of(Shortened({"PEXPIREAT", "k", "1800000020500"}), "2:1800000019500", "2:1800000018500");
  one_of(Shortened({"GETEX", "k", "EX", "20"}), "3:19", "3:18");
}

TEST_F(TtlJitterTest, WhatIsLeftAsItIs) {
  EXPECT_EQ(Shortened({"SET", "k", "v"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "KEEPTTL"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "EX", "20"}), "") << "the value is no option";
  EXPECT_EQ(Shortened({"SET", "k", "v", "EX", "9"}), "") << "too short to be shortened";
  EXPECT_EQ(Shortened({"SET", "k", "v", "EX", "0"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "EX", "-20"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "EX", "x"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "EX"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "EX", "9223372036854775807"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "PX", "9223372036854775807"}), "");
  EXPECT_EQ(Shortened({"SET", "k", "v", "PXAT", "1800000000000"}), "") << "it is over";
  EXPECT_EQ(Shortened({"EXPIRE", "k", "20", "GT"}), "");
  EXPECT_EQ(Shortened({"PERSIST", "k"}), "");
  EXPECT_EQ(Shortened({"GETEX", "k", "PERSIST"}), "");
  EXPECT_EQ(Shortened({"INCR", "k"}), "");
}

// Seconds as far apart as the wheel is long share a cell; the later one has it.
TEST_F(TtlJitterTest, SecondsThatShareACell) {
  TtlJitter jitter({.keys = {"*"}, .per_second = 1}, PolicyMode::kEnforce);
  const std::string far = std::to_string(100 + kExpiryWheelSeconds);
  EXPECT_FALSE(Rule(jitter, {"EXPIRE", "k", "100"}).has_value());
  EXPECT_FALSE(Rule(jitter, {"EXPIRE", "k", far}).has_value());
  EXPECT_EQ(jitter.CountOf(kNowMs / 1000 + 100), 0u);
  EXPECT_EQ(jitter.CountOf(kNowMs / 1000 + 100 + static_cast<int64_t>(kExpiryWheelSeconds)), 1u);
}

}  // namespace
}  // namespace tidegate
