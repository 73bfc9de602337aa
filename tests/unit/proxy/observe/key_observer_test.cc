// What the engine and upstreams say about keys, over real sockets: which accesses are counted, and
// which are not.
#include "proxy/observe/key_observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>

#include "proxy/commands/families.h"
#include "proxy/observe/hot_key_service.h"
#include "tests/support/ask.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

TEST(KeyObserver, RepliesThatSayThatNothingIsThere) {
  for (const char* reply : {"$-1\r\n", "_\r\n", "*-1\r\n", "*2\r\n$-1\r\n$-1\r\n", "*1\r\n_\r\n"})
    EXPECT_TRUE(SaysNothingIsThere(reply)) << reply;
  for (const char* reply : {"", "+OK\r\n", "$0\r\n\r\n", "*0\r\n", "*2\r\n$-1\r\n$1\r\na\r\n",
                            ":0\r\n", "-ERR x\r\n", "*1", "*1\r\n"})
    EXPECT_FALSE(SaysNothingIsThere(reply)) << reply;
}

// The report of a key; a key that is not hot has no reads and no writes.
hotkey::HotKey Find(Server& server, std::string_view name) {
  const auto report = server.hot_keys().Facts().report;
  for (const hotkey::HotKey& key : report->keys) {
    if (key.name == name) return key;
  }
  return {};
}

// Options under which a key with a few accesses is hot, and stays so while the test looks.
void MakeSensitive(Options& options) {
  options.workers = 1;
  options.hot_key_rate = 10;
  options.hot_key_share_rate = 10;
}

std::string Repeated(std::string_view command, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += command;
  return text;
}

// Asks so often that the key is hot, until the report has it.
bool BecomesHot(TestServer& server, TestClient& client, const std::string& command,
                const std::string& reply, std::string_view key) {
  return Eventually([&] {
    EXPECT_EQ(client.Ask(Repeated(command, 50), Repeated(reply, 50)), Repeated(reply, 50));
    return Find(*server, key).classes.any();
  });
}

// Asks on until that is so of the key: bytes of replies are counted from when a key is watched, so
// they are all there a second later.
bool BecomesTrue(TestServer& server, TestClient& client, const std::string& command,
                 const std::string& reply, std::string_view key,
                 const std::function<bool(const hotkey::HotKey&)>& is_true) {
  return Eventually([&] {
    EXPECT_EQ(client.Ask(Repeated(command, 50), Repeated(reply, 50)), Repeated(reply, 50));
    return is_true(Find(*server, key));
  });
}

// Bytes of a reply to one read of it.
double BytesOfARead(const hotkey::HotKey& key) {
  return key.reply_bytes / std::max(key.reads, 1.0);
}

TEST(KeyObserver, TheEnginesReads) {
  TestServer server(ProxyCommandFamilies(), MakeSensitive);
  TestClient client(server.port());
  EXPECT_ASK(client, "CLIENT SETNAME shop", "+OK\r\n");
  EXPECT_ASK(client, "SELECT 3", "+OK\r\n");
  EXPECT_ASK(client, "SET item 12345", "+OK\r\n");
  ASSERT_TRUE(BecomesHot(server, client, "GET item\r\n", "$5\r\n12345\r\n", "item"));
  EXPECT_TRUE(BecomesTrue(server, client, "GET item\r\n", "$5\r\n12345\r\n", "item",
                          [](const hotkey::HotKey& key) {
                            return !key.clients.empty() && key.clients[0].text.name == "shop" &&
                                   std::abs(BytesOfARead(key) - 11) < 0.5;
                          }));
  const hotkey::HotKey key = Find(*server, "item");
  EXPECT_EQ(key.keyspace.cluster, 0);
  EXPECT_EQ(key.keyspace.database, 3);
  EXPECT_TRUE(key.classes.Has(hotkey::HotClass::kReads));
  EXPECT_FALSE(key.classes.Has(hotkey::HotClass::kMisses));
  EXPECT_EQ(key.clients[0].text.user, "default");
  EXPECT_TRUE(key.clients[0].text.address.starts_with("127.0.0.1:"));
  EXPECT_EQ(key.misses, 0);
}

TEST(KeyObserver, TheEnginesWritesAndMisses) {
  TestServer server(ProxyCommandFamilies(), MakeSensitive);
  TestClient client(server.port());
  ASSERT_TRUE(BecomesHot(server, client, "SET w 1\r\n", "+OK\r\n", "w"));
  EXPECT_TRUE(Find(*server, "w").classes.Has(hotkey::HotClass::kWrites));
  ASSERT_TRUE(BecomesHot(server, client, "GET gone\r\n", "$-1\r\n", "gone"));
  EXPECT_TRUE(Eventually([&] {
    client.Ask(Repeated("GET gone\r\n", 50), Repeated("$-1\r\n", 50));
    return Find(*server, "gone").classes.Has(hotkey::HotClass::kMisses);
  }));
}

TEST(KeyObserver, CommandsOfTransactionsCountAsTheyExecute) {
  TestServer server(ProxyCommandFamilies(), MakeSensitive);
  TestClient client(server.port());
  ASSERT_TRUE(BecomesHot(server, client,
                         "MULTI\r\nINCR t\r\nDISCARD\r\nMULTI\r\nGET t1\r\nEXEC\r\n",
                         "+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n", "t1"));
  EXPECT_FALSE(Find(*server, "t").classes.any());
}

TEST(KeyObserver, WhatIsRefusedIsNoAccess) {
  TestServer server(ProxyCommandFamilies(), MakeSensitive);
  TestClient client(server.port());
  constexpr std::string_view kWrongArity =
      "-ERR wrong number of arguments for 'get' command\r\n$-1\r\n";
  ASSERT_TRUE(BecomesHot(server, client, "GET refused x\r\nGET other\r\n", std::string(kWrongArity),
                         "other"));
  EXPECT_FALSE(Find(*server, "refused").classes.any());
}

TEST(KeyObserver, SeveralKeysShareTheBytes) {
  TestServer server(ProxyCommandFamilies(), MakeSensitive);
  TestClient client(server.port());
  EXPECT_ASK(client, "MSET a 1 b 2", "+OK\r\n");
  const std::string reply = "*2\r\n$1\r\n1\r\n$1\r\n2\r\n";
  ASSERT_TRUE(BecomesHot(server, client, "MGET a b\r\n", reply, "a"));
  EXPECT_TRUE(BecomesTrue(server, client, "MGET a b\r\n", reply, "a", [&](const auto& key) {
    return std::abs(BytesOfARead(key) - static_cast<double>(reply.size()) / 2) < 1;
  }));
  EXPECT_TRUE(Find(*server, "b").classes.any());
}

TEST(KeyObserver, NothingIsCountedWhenItIsOff) {
  TestServer server(ProxyCommandFamilies(), [](Options& options) {
    MakeSensitive(options);
    options.hot_keys = false;
  });
  TestClient client(server.port());
  client.Ask(Repeated("GET item\r\n", 100), Repeated("$-1\r\n", 100));
  EXPECT_FALSE(server->hot_keys().Facts().enabled);
  EXPECT_ASK(client, "CONFIG SET hot-keys yes", "+OK\r\n");
  EXPECT_TRUE(BecomesHot(server, client, "GET item\r\n", "$-1\r\n", "item"));
  EXPECT_ASK(client, "CONFIG SET hot-keys no", "+OK\r\n");
  EXPECT_TRUE(Eventually([&] {
    return !server->hot_keys().Facts().enabled && server->hot_keys().Facts().report->keys.empty();
  }));
}

// "far:*" at another server.
struct Forwarding {
  Forwarding()
      : server(ProxyCommandFamilies(), [this](Options& options) {
          MakeSensitive(options);
          options.clusters.push_back(testing::NodeOptions("cache", node.port()));
          options.routes = {{.match = "far:*", .cluster = "cache", .strip_prefix = "far:"},
                            {.match = "*", .cluster = "local"}};
        }) {}
  // Itself counts nothing.
  TestServer node{ProxyCommandFamilies(), [](Options& options) { options.hot_keys = false; }};
  TestServer server;
  TestClient client{server.port()};
};

TEST(KeyObserver, AnUpstreamsReads) {
  Forwarding at;
  EXPECT_ASK(at.client, "SET far:item 12345", "+OK\r\n");
  ASSERT_TRUE(BecomesHot(at.server, at.client, "GET far:item\r\n", "$5\r\n12345\r\n", "far:item"));
  const hotkey::HotKey key = Find(*at.server, "far:item");
  EXPECT_EQ(at.server->hot_keys().Facts().ClusterOf(key.keyspace), "cache");
  EXPECT_TRUE(key.classes.Has(hotkey::HotClass::kReads));
  EXPECT_EQ(key.misses, 0);
  EXPECT_TRUE(BecomesTrue(at.server, at.client, "GET far:item\r\n", "$5\r\n12345\r\n", "far:item",
                          [](const auto& one) { return std::abs(BytesOfARead(one) - 11) < 0.5; }));
}

TEST(KeyObserver, AnUpstreamsMissesAndKeysOfOneRequest) {
  Forwarding at;
  ASSERT_TRUE(
      BecomesHot(at.server, at.client, "MGET far:a far:b\r\n", "*2\r\n$-1\r\n$-1\r\n", "far:a"));
  EXPECT_TRUE(Eventually([&] {
    at.client.Ask(Repeated("MGET far:a far:b\r\n", 50), Repeated("*2\r\n$-1\r\n$-1\r\n", 50));
    return Find(*at.server, "far:a").classes.Has(hotkey::HotClass::kMisses) &&
           Find(*at.server, "far:b").classes.Has(hotkey::HotClass::kMisses);
  }));
}

TEST(KeyObserver, AnUpstreamsTransactions) {
  Forwarding at;
  ASSERT_TRUE(BecomesHot(at.server, at.client, "MULTI\r\nSET far:t 1\r\nEXEC\r\n",
                         "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", "far:t"));
  EXPECT_TRUE(Find(*at.server, "far:t").classes.Has(hotkey::HotClass::kWrites));
  EXPECT_TRUE(BecomesTrue(at.server, at.client, "MULTI\r\nSET far:t 1\r\nEXEC\r\n",
                          "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", "far:t",
                          [](const hotkey::HotKey& key) { return key.reply_bytes > 0; }));
}

TEST(KeyObserver, AnUpstreamsLargeRepliesMakeAKeyHot) {
  Forwarding at;
  EXPECT_ASK(at.client, "SETRANGE far:big 1999999 x", ":2000000\r\n");
  EXPECT_TRUE(Eventually([&] {
    for (int i = 0; i < 10; ++i) {
      at.client.Send("GET far:big\r\n");
      EXPECT_EQ(at.client.Read(2'000'012).size(), 2'000'012u);
    }
    return Find(*at.server, "far:big").classes.Has(hotkey::HotClass::kBytes);
  }));
}

}  // namespace
}  // namespace tidegate
