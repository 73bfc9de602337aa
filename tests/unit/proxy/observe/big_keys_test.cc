// Big keys of upstreams: what requests and replies say of sizes, and what BIGKEYS then lists.
#include "proxy/observe/big_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/shown_text.h"
#include "proxy/admin/big_keys_page.h"
#include "proxy/commands/families.h"
#include "proxy/observe/long_keys.h"
#include "proxy/observe/size_roles.h"
#include "proxy/upstream/bulk_lengths.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds kTimeout{3000};
const std::string kLargeText(100'000, 'x');
const std::string kHugeText(600'000, 'x');
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
  if (command == "MGET small large huge none") {
    return "*4\r\n" + Bulk("small") + Bulk(kLargeText) + Bulk(kHugeText) + "$-1\r\n";
  }
  if (command == "MGET small large") return "*2\r\n" + Bulk("small") + Bulk(kLargeText);
  if (command.starts_with("EVAL ")) return Bulk(kLargeText);
  if (command == "MULTI") return "+OK\r\n";
  if (command == "EXEC") return "*3\r\n+OK\r\n:7000\r\n" + Bulk(kLargeText);
  if (command.starts_with("SCAN 0")) return "*2\r\n$1\r\n7\r\n*2\r\n$5\r\nalpha\r\n$4\r\nbeta\r\n";
  if (command.starts_with("SCAN 7")) return "*2\r\n$1\r\n0\r\n*1\r\n$5\r\ngamma\r\n";
  if (command == "MEMORY USAGE alpha SAMPLES 5") return ":200100\r\n";
  if (command == "MEMORY USAGE gamma SAMPLES 5") return ":80000\r\n";
  if (command.starts_with("MEMORY USAGE ")) return ":64\r\n";
  if (command == "TYPE alpha") return "+string\r\n";
  if (command == "TYPE gamma") return "+hash\r\n";
  if (command == "STRLEN alpha") return ":200000\r\n";
  if (command == "HLEN gamma") return ":6001\r\n";
  if (command.starts_with("INCR ")) return ":70000\r\n";
  if (command.starts_with("DEL ")) return ":1\r\n";
  return "+OK\r\n";
}

// Inline commands have no room for large values.
std::string Encoded(const std::string& command) {
  std::string arguments;
  size_t count = 0;
  for (size_t begin = 0; begin <= command.size(); ++count) {
    const size_t end = std::min(command.find(' ', begin), command.size());
    arguments += Bulk(command.substr(begin, end - begin));
    begin = end + 1;
  }
  return "*" + std::to_string(count) + "\r\n" + arguments;
}

class BigKeysTest : public ::testing::Test {
 protected:
  BigKeysTest()
      : node_(Answer),
        server_(ProxyCommandFamilies(), InFrontOf(node_.port())),
        client_(server_.port()) {}

  // Sends a command and waits for its reply, which is so long, and no error.
  void Do(const std::string& command, size_t reply_bytes) {
    client_.Send(Encoded(command));
    const std::string reply = client_.Read(reply_bytes);
    ASSERT_EQ(reply.size(), reply_bytes);
    ASSERT_NE(reply.front(), '-') << reply;
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

TEST_F(BigKeysTest, AReplyToMgetTellsTheSizeOfEachKey) {
  Do("MGET small large", ("*2\r\n" + Bulk("small") + Bulk(kLargeText)).size());
  auto keys = Listed();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].name, "large");
  EXPECT_EQ(keys[0].bytes, kLargeText.size());
  // One that is so large that it is handed on in pieces.
  Do("MGET small large huge none", Answer("MGET small large huge none").size());
  keys = Listed();
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].name, "huge");
  EXPECT_EQ(keys[0].bytes, kHugeText.size());
  EXPECT_EQ(keys[0].type, "string");
}

TEST_F(BigKeysTest, AScriptWithOneKeyTellsWhatThatHoldsAtLeast) {
  Do("EVAL s 2 one two", Bulk(kLargeText).size());
  EXPECT_TRUE(Listed().empty());
  Do("EVAL s 1 one", Bulk(kLargeText).size());
  ASSERT_EQ(Listed().size(), 1u);
  EXPECT_EQ(Listed()[0].name, "one");
  EXPECT_GE(Listed()[0].bytes, kLargeText.size());
}

TEST_F(BigKeysTest, ATransactionTellsOfEachOfItsCommands) {
  client_.Send("MULTI\r\n*3\r\n$3\r\nSET\r\n$7\r\nwritten\r\n" + Bulk(kLargeText) +
               "LLEN list\r\nGET large\r\n");
  const std::string begin = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n";
  ASSERT_EQ(client_.Read(begin.size()), begin);
  EXPECT_TRUE(Listed().empty());
  Do("EXEC", Answer("EXEC").size());
  const auto keys = Listed();
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[0].bytes, kLargeText.size());
  EXPECT_EQ(keys[1].bytes, kLargeText.size());
  EXPECT_EQ(keys[2].name, "list");
  EXPECT_EQ(keys[2].elements, 7000u);
}

TEST(BigKeysOfTheEngine, HaveTheRateOfWhatTheirRequestsAndRepliesMove) {
  TestServer server(ProxyCommandFamilies(), [](Options& options) { options.workers = 1; });
  TestClient client(server.port());
  client.Ask("*3\r\n$3\r\nSET\r\n$4\r\ntext\r\n" + Bulk(kHugeText), "+OK\r\n");
  client.Ask("SET small value\r\n", "+OK\r\n");
  constexpr size_t kTimes = 30;
  for (size_t i = 0; i < kTimes; ++i) {
    client.Send("GET text\r\n");
    ASSERT_EQ(client.Read(Bulk(kHugeText).size()).size(), Bulk(kHugeText).size());
  }
  const auto keys = server->big_keys().table().List(hotkey::BigKeyOrder::kRate, 10, UnixMillis());
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].name, "text");
  EXPECT_EQ(keys[0].source, hotkey::BigKeySource::kEngine);
  // All of it within a second on a machine that is free; a part of it on any.
  EXPECT_GE(keys[0].bytes_per_second, kHugeText.size());
  EXPECT_LE(keys[0].bytes_per_second, (kTimes + 2) * (kHugeText.size() + 100));
}

TEST(BigKeysProbe, FindsWhatNobodyAskedFor) {
  FakeRedis node(Answer);
  TestServer server(ProxyCommandFamilies(), [&node](Options& options) {
    InFrontOf(node.port())(options);
    options.clusters.back().probe_big_keys = 100;
  });
  const auto listed = [&server] { return server->big_keys().Facts(UnixMillis()).keys; };
  EXPECT_TRUE(Eventually([&] { return listed().size() == 2; }));
  const auto keys = listed();
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].name, "alpha");
  EXPECT_EQ(keys[0].cluster, "shop");
  EXPECT_EQ(keys[0].type, "string");
  EXPECT_EQ(keys[0].bytes, 200'000u);  // the string, not what it takes with its key
  EXPECT_EQ(keys[0].source, hotkey::BigKeySource::kProbe);
  EXPECT_EQ(keys[1].name, "gamma");
  EXPECT_EQ(keys[1].bytes, 80'000u);
  EXPECT_EQ(keys[1].elements, 6001u);
  EXPECT_TRUE(keys[1].big);
}

TEST(BigKeysProbe, StopsAtAnError) {
  std::atomic<int> walks{0};
  FakeRedis node([&walks](const std::string& command) -> std::string {
    if (command.starts_with("SCAN ")) return ++walks, "-NOPERM this user may not\r\n";
    return Answer(command);
  });
  TestServer server(ProxyCommandFamilies(), [&node](Options& options) {
    InFrontOf(node.port())(options);
    options.clusters.back().probe_big_keys = 10'000;
  });
  EXPECT_TRUE(Eventually([&] { return walks > 0; }));
  const int asked = node.asked();
  // Not again before its pause is over: meanwhile the node answers others.
  TestClient client(server.port());
  for (int i = 0; i < 50; ++i) client.Ask("GET k\r\n", "$5\r\nsmall\r\n");
  EXPECT_EQ(walks, 1);
  EXPECT_GE(node.asked(), asked + 50);
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

TEST(LongKeys, TheNamesOfARequestAreFoundInOrderAsFarAsThereIsRoom) {
  LongKeys keys;
  const auto names_of = [&keys](uint32_t ticket) {
    std::vector<std::string> names;
    keys.ForEachInList(ticket, [&names](std::string_view name) {
      names.emplace_back(name);
      return true;
    });
    return names;
  };
  const std::vector<std::string> names = {"a", "", std::string(300, 'b'), "c"};
  std::vector<KeyRef> refs;
  for (const std::string& name : names) refs.push_back(KeyRef::Of(name));
  const uint32_t first = keys.KeepList(refs);
  EXPECT_EQ(names_of(first), names);
  const std::string long_name(kKeyListBytesMax - 6, 'x');
  const std::vector<KeyRef> much = {KeyRef::Of("a"), KeyRef::Of(long_name), KeyRef::Of("z")};
  EXPECT_EQ(names_of(keys.KeepList(much)), (std::vector<std::string>{"a", long_name}));
  for (size_t i = 0; i < kKeyListsKept; ++i) keys.KeepList({});
  EXPECT_TRUE(names_of(first).empty());
}

TEST(BulkLengths, AreFoundInPiecesOfAnySize) {
  const std::string reply =
      "*5\r\n" + Bulk("hello") + "$-1\r\n" + Bulk(std::string(9000, 'x')) + "_\r\n" + Bulk("");
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}, size_t{4096}, reply.size()}) {
    BulkLengths found;
    for (size_t at = 0; at < reply.size(); at += piece)
      found.Feed(std::string_view(reply).substr(at, piece));
    EXPECT_EQ(found.lengths(), (std::vector<uint64_t>{5, 0, 9000, 0, 0})) << piece;
  }
  BulkLengths other;
  other.Feed("*2\r\n:1\r\n" + Bulk("x"));
  EXPECT_TRUE(other.lengths().empty());
  BulkLengths error;
  error.Feed("-ERR no\r\n");
  EXPECT_TRUE(error.lengths().empty());
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
