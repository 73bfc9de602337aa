// Big keys of upstreams: what requests and replies say of sizes, and what BIGKEYS then lists.
#include "proxy/observe/big_keys.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/shown_text.h"
#include "proxy/admin/big_keys_page.h"
#include "proxy/commands/families.h"
#include "proxy/observe/long_keys.h"
#include "proxy/observe/size_roles.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds kTimeout{3000};
const std::string kLargeText(100'000, 'x');
const std::string kLongName(200, 'n');

std::function<void(Options&)> InFrontOf(uint16_t port) {
  return [port](Options& options) {
    options.workers = 1;
    options.clusters.push_back({.name = "shop",
                                .kind = ClusterKind::kRedis,
                                .nodes = {{.address = {"127.0.0.1", port}}},
                                .connect_timeout = kTimeout,
                                .request_timeout = kTimeout,
                                .health_check_interval = std::chrono::milliseconds(0)});
    options.routes = {{"*", "shop"}};
  };
}

std::string Answer(const std::string& command) {
  if (command.starts_with("GET ") && command.find("large") != std::string::npos)
    return Bulk(kLargeText);
  if (command.starts_with("GET " + kLongName)) return Bulk(kLargeText);
  if (command.starts_with("GET ")) return Bulk("small");
  if (command.starts_with("LLEN ")) return ":7000\r\n";
  if (command.starts_with("INCR ")) return ":70000\r\n";
  if (command.starts_with("DEL ")) return ":1\r\n";
  return "+OK\r\n";
}

class BigKeysTest : public ::testing::Test {
 protected:
  BigKeysTest()
      : node_(Answer),
        server_(ProxyCommandFamilies(), InFrontOf(node_.port())),
        client_(server_.port()) {}

  // Sends a command and waits for its reply, which is so long.
  void Do(const std::string& command, size_t reply_bytes) {
    client_.Send(command + "\r\n");
    ASSERT_EQ(client_.Read(reply_bytes).size(), reply_bytes);
  }
  std::vector<hotkey::BigKey> Listed() { return server_->big_keys().Facts(0).keys; }

  FakeRedis node_;
  TestServer server_;
  TestClient client_;
};

TEST_F(BigKeysTest, AReplyTellsTheExactSizeOfAString) {
  Do("GET large", Bulk(kLargeText).size());
  const auto keys = Listed();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].name, "large");
  EXPECT_EQ(keys[0].cluster, "shop");
  EXPECT_EQ(keys[0].type, "string");
  EXPECT_EQ(keys[0].bytes, kLargeText.size());
  EXPECT_EQ(keys[0].source, hotkey::BigKeySource::kReply);
  EXPECT_FALSE(keys[0].big);
}

TEST_F(BigKeysTest, ANameLongerThanWhatIsKeptWithARequestIsKnownAllTheSame) {
  Do("GET " + kLongName, Bulk(kLargeText).size());
  ASSERT_EQ(Listed().size(), 1u);
  EXPECT_EQ(Listed()[0].name, kLongName);
}

TEST_F(BigKeysTest, ARequestTellsWhatItSetsAndASmallOneTakesItBack) {
  Do("SET k " + kLargeText, 5);
  ASSERT_EQ(Listed().size(), 1u);
  EXPECT_EQ(Listed()[0].bytes, kLargeText.size());
  EXPECT_EQ(Listed()[0].source, hotkey::BigKeySource::kRequest);
  Do("SET k small", 5);
  EXPECT_TRUE(Listed().empty());
  Do("MSET a 1 k " + kLargeText, 5);
  ASSERT_EQ(Listed().size(), 1u);
  EXPECT_EQ(Listed()[0].name, "k");
  Do("DEL other k", 4);
  EXPECT_TRUE(Listed().empty());
}

TEST_F(BigKeysTest, ACountIsElementsAndACounterIsNot) {
  Do("INCR counter", 8);
  Do("LLEN list", 7);
  const auto keys = Listed();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].name, "list");
  EXPECT_EQ(keys[0].elements, 7000u);
  EXPECT_TRUE(keys[0].big);
}

TEST_F(BigKeysTest, TheCommandListsThemAndKnowsItsArguments) {
  Do("GET large", Bulk(kLargeText).size());
  Do("LLEN list", 7);
  client_.Send("BIGKEYS COUNT 1 BY elements\r\n");
  const std::string list = client_.Read(8);
  EXPECT_TRUE(list.starts_with("*1\r\n*20")) << list;
  TestClient other(server_.port());
  other.Ask("BIGKEYS COUNT 0\r\n", "-ERR COUNT should be greater than 0\r\n");
  EXPECT_EQ(other.Ask("BIGKEYS BY size\r\n", "-ERR syntax error\r\n"), "-ERR syntax error\r\n");
  EXPECT_EQ(other.Ask("BIGKEYS COUNT\r\n", "-ERR syntax error\r\n"), "-ERR syntax error\r\n");
}

TEST_F(BigKeysTest, OffNothingIsListed) {
  Do("GET large", Bulk(kLargeText).size());
  Do("CONFIG SET big-keys no", 5);
  Do("GET large", Bulk(kLargeText).size());
  EXPECT_TRUE(Listed().empty());
  EXPECT_TRUE(client_.Ask("BIGKEYS\r\n", "-ERR big keys").starts_with("-ERR big keys"));
}

TEST(SizeInReply, SaysWhatARoleMakesOfIt) {
  EXPECT_EQ(SizeInReply(SizeRole::kString, "$70000\r\nxx", 70'009)->bytes, 70'000u);
  EXPECT_TRUE(SizeInReply(SizeRole::kString, "$70000\r\nxx", 70'009)->exact);
  EXPECT_EQ(SizeInReply(SizeRole::kPairs, "*14000\r\n", 90'000)->elements, 7000u);
  EXPECT_EQ(SizeInReply(SizeRole::kPairs, "%7000\r\n", 90'000)->elements, 7000u);
  EXPECT_EQ(SizeInReply(SizeRole::kElements, "~7000\r\n", 90'000)->elements, 7000u);
  EXPECT_FALSE(SizeInReply(SizeRole::kSomeElements, "*9\r\n", 90'000)->exact);
  EXPECT_EQ(SizeInReply(SizeRole::kOther, "*3\r\n", 90'000)->bytes, 90'000u);
  EXPECT_FALSE(SizeInReply(SizeRole::kOther, ":90000\r\n", 8).has_value());
  EXPECT_FALSE(SizeInReply(SizeRole::kCount, "-ERR 123\r\n", 10).has_value());
  EXPECT_FALSE(SizeInReply(SizeRole::kString, "$-1\r\n", 5).has_value());
  EXPECT_FALSE(SizeInReply(SizeRole::kString, "$", 1).has_value());
}

TEST(LongKeys, ANameIsFoundUntilTheRingIsRound) {
  LongKeys keys;
  const uint32_t first = keys.Keep("first");
  EXPECT_EQ(keys.Find(first), "first");
  for (size_t i = 0; i < kLongKeysKept; ++i) keys.Keep("another");
  EXPECT_EQ(keys.Find(first), "");
  EXPECT_EQ(keys.Keep(std::string(kLongKeyBytesMax + 1, 'x')), 0u);
  EXPECT_EQ(keys.Find(0), "");
}

TEST(BigKeysPage, NamesOfAnyBytesAreTextAndExact) {
  BigKeyFacts facts;
  facts.enabled = true;
  facts.counts = {.listed = 1, .big = 1};
  facts.keys.push_back({.name = std::string("a\"\n\xff", 4),
                        .cluster = "engine",
                        .database = 3,
                        .type = "hash",
                        .bytes = 12,
                        .elements = {},
                        .seen_ms = 5,
                        .big = true});
  EXPECT_EQ(BigKeysJson(facts, 7),
            "{\"at_ms\":7,\"enabled\":true,\"big\":1,\"listed\":1,\"keys\":[{\"key\":"
            "\"a\\\"\\\\x0a\\\\xff\",\"key_base64\":\"YSIK/w==\",\"cluster\":\"engine\",\"db\":3,"
            "\"type\":\"hash\",\"bytes\":12,\"elements\":null,\"bytes_per_second\":0,"
            "\"source\":\"reply\",\"seen_ms\":5,\"big\":true}]}\n");
}

}  // namespace
}  // namespace tidegate
