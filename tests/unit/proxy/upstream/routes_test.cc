// Routes that do more than to name a cluster, over real sockets: names of keys that change on the
// way, and writes that go to a second cluster.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/upstream/route_mirror.h"
#include "tests/support/ask.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

// --- prefixes ---

// "app1:*" without its prefix and "app2:*" with another one at `node`, all else behind "t7:".
struct Renaming {
  Renaming()
      : server(ProxyCommandFamilies(), [this](Options& options) {
          options.workers = 1;
          options.clusters.push_back(testing::NodeOptions("cache", node.port()));
          options.routes = {{.match = "app1:*", .cluster = "cache", .strip_prefix = "app1:"},
                            {.match = "app2:*",
                             .cluster = "cache",
                             .strip_prefix = "app2:",
                             .add_prefix = "two:"},
                            {.match = "*", .cluster = "cache", .add_prefix = "t7:"}};
        }) {}
  TestServer node{ProxyCommandFamilies()};
  TestServer server;
  TestClient client{server.port()};
  TestClient direct{node.port()};
};

TEST(RoutePrefixes, AllKeysOfACommandAreRenamed) {
  Renaming at;
  EXPECT_ASK(at.client, "MSET app1:a 1 app2:a 2 a 3", "+OK\r\n");
  EXPECT_ASK(at.direct, "MGET a two:a t7:a", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
  EXPECT_ASK(at.client, "MGET app1:a app2:a a", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
  EXPECT_ASK(at.client, "BITOP OR app2:dest app1:a a", ":1\r\n");
  EXPECT_ASK(at.direct, "EXISTS two:dest", ":1\r\n");
  EXPECT_ASK(at.client, "RENAME app1:a app2:b", "+OK\r\n");
  EXPECT_ASK(at.direct, "EXISTS two:b a", ":1\r\n");
  EXPECT_ASK(at.client, "ZADD app1:z 1 m", ":1\r\n");
  EXPECT_ASK(at.client, "ZUNIONSTORE app2:z 1 app1:z", ":1\r\n");
  EXPECT_ASK(at.direct, "ZCARD two:z", ":1\r\n");
  EXPECT_ASK(at.client, "DEL app1:z app2:z app2:b", ":3\r\n");
}

TEST(RoutePrefixes, RepliesNameKeysAsTheClientDoes) {
  Renaming at;
  EXPECT_ASK(at.client, "RPUSH app1:l x y z", ":3\r\n");
  EXPECT_ASK(at.client, "LMPOP 2 app2:l app1:l LEFT", "*2\r\n$6\r\napp1:l\r\n*1\r\n$1\r\nx\r\n");
  EXPECT_ASK(at.client, "BLPOP app2:l app1:l 0", "*2\r\n$6\r\napp1:l\r\n$1\r\ny\r\n");
  EXPECT_ASK(at.client, "XADD app2:s 1-1 a b", "$3\r\n1-1\r\n");
  const std::string stream =
      "*1\r\n*2\r\n$6\r\napp2:s\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
  EXPECT_ASK(at.client, "XREAD STREAMS app1:s app2:s 0 0", stream);
  EXPECT_ASK(at.client, "XREAD BLOCK 0 STREAMS app1:s app2:s 0 0", stream);
  EXPECT_ASK(at.client, "BLPOP app2:none 0.01", "*-1\r\n");
}

TEST(RoutePrefixes, ABlockedClientIsToldItsOwnName) {
  Renaming at;
  at.client.Send("BLPOP app1:q app2:q 0\r\n");
  EXPECT_TRUE(Eventually([&] {
    at.direct.Send("RPUSH two:q v\r\n");
    return at.direct.ReadSome() == ":1\r\n" && !at.client.ReadSome(100).empty();
  }));
}

TEST(RoutePrefixes, Transactions) {
  Renaming at;
  EXPECT_ASK(at.client, "WATCH app1:t", "+OK\r\n");
  EXPECT_ASK(at.client, "MULTI\r\nRPUSH app1:t 1 2\r\nPING\r\nLMPOP 1 app1:t LEFT\r\nEXEC",
             "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:2\r\n+PONG\r\n*2\r\n$6\r\napp1:t\r\n*1"
             "\r\n$1\r\n1\r\n");
  EXPECT_ASK(at.direct, "LLEN t", ":1\r\n");
  EXPECT_ASK(at.client, "WATCH app1:t", "+OK\r\n");
  EXPECT_ASK(at.direct, "RPUSH t x", ":2\r\n");
  EXPECT_ASK(at.client, "MULTI\r\nSET app1:u 1\r\nEXEC", "+OK\r\n+QUEUED\r\n*-1\r\n");
}

TEST(RoutePrefixes, AllKeysOfTheCatchAll) {
  Renaming at;
  EXPECT_ASK(at.direct, "MSET t7:a 1 other 2", "+OK\r\n");
  EXPECT_ASK(at.client, "KEYS *", "*1\r\n$1\r\na\r\n");
  EXPECT_ASK(at.client, "SCAN 0 COUNT 1000", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
  EXPECT_ASK(at.client, "SCAN 0 COUNT 1000 MATCH b*", "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_ASK(at.client, "SCAN 0 MATCH", "-ERR syntax error\r\n");
}

TEST(RoutePrefixes, WhatWouldBeAboutOtherKeysIsRefused) {
  Renaming at;
  for (const std::string command : {"dbsize", "flushdb", "flushall", "randomkey"}) {
    EXPECT_ASK(at.client, command,
               "-ERR '" + command +
                   "' is refused: the route \"*\" adds a prefix to keys, and it would be about "
                   "keys of others\r\n");
  }
  EXPECT_ASK(at.client, "RPUSH app1:l 1", ":1\r\n");
  const std::string refused =
      "-ERR 'sort' with patterns of keys is refused: the route rewrites the names of keys\r\n";
  EXPECT_ASK(at.client, "SORT app1:l BY w_*", refused);
  EXPECT_ASK(at.client, "SORT app1:l GET v_*", refused);
  EXPECT_ASK(at.client, "SORT app1:l BY nosort GET # STORE app2:l", ":1\r\n");
  EXPECT_ASK(at.direct, "LLEN two:l", ":1\r\n");
  EXPECT_ASK(
      at.client, "MULTI\r\nSORT app1:l BY w_*\r\nEXEC",
      "+OK\r\n" + refused + "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

TEST(RoutePrefixes, EmptyNamesAndValues) {
  Renaming at;
  EXPECT_ASK(at.client, "MULTI\r\nSET \"\" \"\"\r\nSET app1: \"\"\r\nEXEC",
             "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
  EXPECT_ASK(at.direct, "MGET t7: \"\"", "*2\r\n$0\r\n\r\n$0\r\n\r\n");
}

// --- several nodes ---

ClusterOptions Ring(uint16_t a, uint16_t b) {
  ClusterOptions ring = testing::NodeOptions("pool", a);
  ring.kind = ClusterKind::kRing;
  ring.nodes.push_back({.address = {"127.0.0.1", b}});
  return ring;
}

// A ring behind three servers: one that knows it as it is, one that renames, one that mirrors.
struct OnARing {
  TestServer node_a{ProxyCommandFamilies()};
  TestServer node_b{ProxyCommandFamilies()};
  TestServer plain{ProxyCommandFamilies(), [this](Options& options) {
                     options.clusters.push_back(Ring(node_a.port(), node_b.port()));
                     options.routes = {{.match = "*", .cluster = "pool"}};
                   }};
  TestServer renaming{ProxyCommandFamilies(), [this](Options& options) {
                        options.clusters.push_back(Ring(node_a.port(), node_b.port()));
                        options.routes = {{.match = "*", .cluster = "pool", .add_prefix = "t7:"}};
                      }};
  TestServer mirroring{
      ProxyCommandFamilies(), [this](Options& options) {
        options.workers = 1;
        options.clusters.push_back(Ring(node_a.port(), node_b.port()));
        options.routes = {{.match = "*", .cluster = "local", .mirror = {.cluster = "pool"}}};
      }};
};

// The ring's hash leaves names that differ in their last characters beside one another.
std::string KeysOf(const std::string& prefix, const std::string& behind_each = "") {
  std::string keys;
  for (int i = 0; i < 30; ++i)
    keys.append(" ").append(prefix).append(std::to_string(i)).append("-spread").append(behind_each);
  return keys;
}

TEST(RoutesOnSeveralNodes, TheNewNamesDecideWhere) {
  OnARing at;
  TestClient client(at.renaming.port());
  TestClient plain(at.plain.port());
  EXPECT_ASK(client, "MSET" + KeysOf("k", " v"), "+OK\r\n");
  EXPECT_ASK(plain, "EXISTS" + KeysOf("t7:k"), ":30\r\n");
  EXPECT_ASK(client, "EXISTS" + KeysOf("k"), ":30\r\n");
  EXPECT_ASK(plain, "SET other 1", "+OK\r\n");
  EXPECT_ASK(client, "KEYS k7-*", "*1\r\n$9\r\nk7-spread\r\n");
  client.Send("KEYS *\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("*30\r\n$"));
  EXPECT_ASK(client, "DEL" + KeysOf("k"), ":30\r\n");
  EXPECT_ASK(client, "SCAN 0 COUNT 1000", "*2\r\n$1\r\n1\r\n*0\r\n");
}

TEST(RoutesOnSeveralNodes, MirroredCommandsAreSplit) {
  OnARing at;
  TestClient client(at.mirroring.port());
  TestClient plain(at.plain.port());
  const MirrorCounters& counters = at.mirroring->workers()[0]->mirrors()[0]->counters();
  EXPECT_ASK(client, "MSET" + KeysOf("k", " v"), "+OK\r\n");
  EXPECT_TRUE(Eventually([&] {
    plain.Send("DBSIZE\r\n");
    return plain.ReadSome() == ":30\r\n";
  }));
  // Keys of several nodes in one command that means them all together.
  EXPECT_ASK(client, "MSETNX" + KeysOf("n", " v"), ":1\r\n");
  EXPECT_EQ(counters.skipped.Get(), 1u);
  EXPECT_ASK(client, "FLUSHALL", "+OK\r\n");
  EXPECT_TRUE(Eventually([&] {
    plain.Send("DBSIZE\r\n");
    return plain.ReadSome() == ":0\r\n";
  }));
  EXPECT_EQ(counters.errors.Get(), 0u);
}

// --- mirrors ---

struct Mirrored {
  explicit Mirrored(const std::string& cluster = "cache", int percent = 100)
      : server(ProxyCommandFamilies(), [&, this](Options& options) {
          options.workers = 1;
          options.clusters.push_back(testing::NodeOptions("cache", node.port()));
          options.clusters.push_back(testing::NodeOptions("new", mirror.port()));
          options.routes = {{.match = "m:*",
                             .cluster = cluster,
                             .mirror = {.cluster = "new", .percent = percent}},
                            {.match = "*", .cluster = cluster}};
        }) {}
  const MirrorCounters& counters() { return server->workers()[0]->mirrors()[0]->counters(); }
  bool Shows(const std::string& command, const std::string& expected) {
    return Eventually([&] {
      direct.Send(command + "\r\n");
      return direct.ReadSome() == expected;
    });
  }
  TestServer node{ProxyCommandFamilies()};
  TestServer mirror{ProxyCommandFamilies()};
  TestServer server;
  TestClient client{server.port()};
  TestClient direct{mirror.port()};
};

TEST(RouteMirror, WritesOfTheRouteGoToBoth) {
  for (const char* cluster : {"cache", "local"}) {
    Mirrored at(cluster);
    EXPECT_ASK(at.client, "SET m:a 1", "+OK\r\n");
    EXPECT_ASK(at.client, "INCR m:a", ":2\r\n");
    EXPECT_ASK(at.client, "GET m:a", "$1\r\n2\r\n");
    EXPECT_ASK(at.client, "SET other 1", "+OK\r\n");
    EXPECT_TRUE(at.Shows("GET m:a", "$1\r\n2\r\n")) << cluster;
    EXPECT_ASK(at.direct, "DBSIZE", ":1\r\n");
    EXPECT_EQ(at.counters().sent.Get(), 2u) << cluster;
  }
}

TEST(RouteMirror, TransactionsAreUnits) {
  for (const char* cluster : {"cache", "local"}) {
    Mirrored at(cluster);
    EXPECT_ASK(at.client, "MULTI\r\nSET m:a 1\r\nGET m:a\r\nINCR m:a\r\nEXEC",
               "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n$1\r\n1\r\n:2\r\n");
    EXPECT_TRUE(at.Shows("GET m:a", "$1\r\n2\r\n")) << cluster;
    EXPECT_EQ(at.counters().sent.Get(), 2u) << cluster;
    // One that is not executed is not mirrored.
    EXPECT_ASK(at.client, "WATCH m:a", "+OK\r\n");
    TestClient other(at.server.port());
    EXPECT_ASK(other, "SET m:a 5", "+OK\r\n");
    EXPECT_ASK(at.client, "MULTI\r\nSET m:a 9\r\nEXEC", "+OK\r\n+QUEUED\r\n*-1\r\n");
    EXPECT_ASK(at.client, "SET m:b 1", "+OK\r\n");
    EXPECT_TRUE(at.Shows("MGET m:a m:b", "*2\r\n$1\r\n5\r\n$1\r\n1\r\n")) << cluster;
  }
}

TEST(RouteMirror, APercentageIsOfKeys) {
  Mirrored at("cache", 30);
  std::string sent;
  for (int i = 0; i < 1000; ++i) {
    for (int twice = 0; twice < 2; ++twice) sent += "INCR m:" + std::to_string(i) + "\r\n";
  }
  at.client.Send(sent + "PING\r\n");
  std::string replies;
  while (!replies.ends_with("+PONG\r\n")) {
    const std::string more = at.client.ReadSome();
    ASSERT_NE(more, "");
    replies += more;
  }
  const uint64_t mirrored = at.counters().sent.Get();
  EXPECT_GT(mirrored, 500u);
  EXPECT_LT(mirrored, 700u);
  // A key is mirrored always or never: both of its writes are there, or none.
  EXPECT_TRUE(at.Shows("DBSIZE", ":" + std::to_string(mirrored / 2) + "\r\n"));
}

TEST(RouteMirror, WhatWaitsOrIsOfTwoRoutesIsSkipped) {
  Mirrored at;
  EXPECT_ASK(at.client, "RPUSH m:l 1 2", ":2\r\n");
  EXPECT_ASK(at.client, "BLPOP m:l 0", "*2\r\n$3\r\nm:l\r\n$1\r\n1\r\n");
  EXPECT_ASK(at.client, "RENAME m:l other", "+OK\r\n");
  EXPECT_EQ(at.counters().sent.Get(), 1u);
  EXPECT_EQ(at.counters().skipped.Get(), 2u);
  EXPECT_TRUE(at.Shows("LLEN m:l", ":2\r\n"));
}

// A mirror that is silent, that is not there or that refuses delays nobody.
TEST(RouteMirror, ItsTroublesAreItsOwn) {
  FakeRedis mirror([](const std::string& command) -> std::string {
    if (command.starts_with("SELECT") || command.starts_with("HELLO")) return "+OK\r\n";
    return command.starts_with("SET") ? "-ERR no\r\n" : "";
  });
  TestServer server(ProxyCommandFamilies(), [&](Options& options) {
    options.workers = 1;
    options.clusters.push_back(testing::NodeOptions("new", mirror.port()));
    options.clusters.back().request_timeout = std::chrono::milliseconds(200);
    options.routes = {{.match = "*", .cluster = "local", .mirror = {.cluster = "new"}}};
  });
  const MirrorCounters& counters = server->workers()[0]->mirrors()[0]->counters();
  TestClient client(server.port());
  EXPECT_ASK(client, "SET a 1", "+OK\r\n");
  EXPECT_TRUE(Eventually([&] { return counters.errors.Get() == 1; }));
  EXPECT_ASK(client, "INCR a\r\nINCR a", ":2\r\n:3\r\n");
  EXPECT_TRUE(Eventually([&] { return counters.errors.Get() == 3; }));
  mirror.Close();
  EXPECT_TRUE(Eventually([&] {
    EXPECT_ASK(client, "SET a 1", "+OK\r\n");
    return counters.refused.Get() > 0;
  }));
}

}  // namespace
}  // namespace tidegate
