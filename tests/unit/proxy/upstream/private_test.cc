// What a session has at an upstream for itself: transactions, watched keys, blocking commands,
// subscriptions, and the pool of connections for them. Over real sockets, in front of a server of
// ours and of scripts.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/session/session_private.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/ask.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

// Everything but "near:*" is at 127.0.0.1:port.
std::function<void(Options&)> InFrontOf(uint16_t port, int private_connections = 256,
                                        int private_queue = 1024) {
  return [=](Options& options) {
    options.workers = 1;
    options.clusters.push_back({.name = "cache",
                                .kind = ClusterKind::kRedis,
                                .nodes = {{.address = {"127.0.0.1", port}}},
                                .connect_timeout = std::chrono::milliseconds(300),
                                .request_timeout = std::chrono::milliseconds(400),
                                .private_connections = private_connections,
                                .private_queue = private_queue});
    options.routes = {{"near:*", "local"}, {"*", "cache"}};
  };
}

struct Pair {
  explicit Pair(int private_connections = 256, int private_queue = 1024)
      : server(ProxyCommandFamilies(), InFrontOf(node.port(), private_connections, private_queue)) {
  }
  const UpstreamCounters& counters() {
    return server->workers()[0]->upstreams()[0]->Figures()[0]->counters;
  }
  TestServer node{ProxyCommandFamilies()};
  TestServer server;
};

std::string Bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

TEST(PrivateTransaction, GoesAsOneUnit) {
  Pair pair;
  TestClient client(pair.server.port());
  const std::string expected = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n" + Bulk("2");
  EXPECT_EQ(client.Ask("MULTI\r\nSET far 1\r\nINCR far\r\nEXEC\r\nGET far\r\n", expected),
            expected);
  EXPECT_ASK(client, "DISCARD", "-ERR DISCARD without MULTI\r\n");
  EXPECT_ASK(client, "EXEC", "-ERR EXEC without MULTI\r\n");
}

TEST(PrivateTransaction, CommandsOfThisProcessAnswerInTheirPlaces) {
  Pair pair;
  TestClient client(pair.server.port());
  const std::string expected =
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+PONG\r\n+OK\r\n" + Bulk("x") +
      ":2\r\n";
  EXPECT_EQ(client.Ask("MULTI\r\nPING\r\nSET far 1\r\nECHO x\r\nINCR far\r\nEXEC\r\n", expected),
            expected);
}

TEST(PrivateTransaction, KeysOfTwoClustersAreRefused) {
  Pair pair;
  TestClient client(pair.server.port());
  const std::string mixed = "-ERR keys of one transaction belong to different clusters\r\n";
  const std::string aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  const std::string expected = "+OK\r\n+QUEUED\r\n" + mixed + aborted;
  for (const char* both : {"MULTI\r\nSET far 1\r\nSET near:1 1\r\nEXEC\r\n",
                           "MULTI\r\nSET near:1 1\r\nSET far 1\r\nEXEC\r\n"})
    EXPECT_EQ(client.Ask(both, expected), expected);
  EXPECT_EQ(client.Ask("WATCH near:1\r\nWATCH far\r\nUNWATCH\r\nWATCH far\r\nWATCH near:1\r\n",
                       "+OK\r\n-ERR watched keys belong to different clusters\r\n+OK\r\n+OK\r\n"
                       "-ERR watched keys belong to different clusters\r\n"),
            "+OK\r\n-ERR watched keys belong to different clusters\r\n+OK\r\n+OK\r\n"
            "-ERR watched keys belong to different clusters\r\n");
  const std::string watched = "+OK\r\n" + mixed + aborted;
  EXPECT_EQ(client.Ask("MULTI\r\nSET near:1 1\r\nEXEC\r\n", watched), watched);
}

TEST(PrivateTransaction, WhatTheNodeRefusesAbortsIt) {
  Pair pair;
  TestClient direct(pair.node.port());
  TestClient client(pair.server.port());
  EXPECT_ASK(client, "MULTI", "+OK\r\n");
  const std::string select =
      "+QUEUED\r\n-ERR 'select' is not supported in a transaction on an upstream cluster\r\n"
      "-EXECABORT Transaction discarded because of previous errors.\r\n";
  EXPECT_EQ(client.Ask("SET far 1\r\nSELECT 1\r\nEXEC\r\n", select), select);
  EXPECT_ASK(client, "EXISTS far", ":0\r\n");
}

TEST(PrivateWatch, AChangedKeyIsSeenAndTheConnectionGoesBackClean) {
  Pair pair;
  TestClient direct(pair.node.port());
  TestClient client(pair.server.port());
  EXPECT_ASK(client, "WATCH far", "+OK\r\n");
  EXPECT_ASK(direct, "SET far 1", "+OK\r\n");
  EXPECT_EQ(client.Ask("MULTI\r\nSET far 2\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n"),
            "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(pair.counters().private_in_use.Get(), 0u);
  EXPECT_EQ(pair.counters().private_idle.Get(), 1u);
  // DISCARD leaves nothing watched for the next session that gets the connection.
  EXPECT_EQ(client.Ask("WATCH far\r\nMULTI\r\nDISCARD\r\n", "+OK\r\n+OK\r\n+OK\r\n"),
            "+OK\r\n+OK\r\n+OK\r\n");
  TestClient other(pair.server.port());
  EXPECT_ASK(other, "WATCH other", "+OK\r\n");
  EXPECT_ASK(direct, "SET far 3", "+OK\r\n");
  EXPECT_EQ(other.Ask("MULTI\r\nGET far\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n3\r\n"),
            "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n3\r\n");
  EXPECT_EQ(pair.counters().private_idle.Get(), 1u);
}

// A session's own commands between WATCH and MULTI do not touch what it watches for itself.
TEST(PrivateWatch, OwnCommandsGoOverTheSameConnection) {
  Pair pair;
  TestClient client(pair.server.port());
  const std::string expected = "+OK\r\n+OK\r\n" + Bulk("1") + "+OK\r\n+QUEUED\r\n*-1\r\n";
  // As Redis: a client's own write to a watched key counts too.
  EXPECT_EQ(
      client.Ask("WATCH far\r\nSET far 1\r\nGET far\r\nMULTI\r\nSET far 2\r\nEXEC\r\n", expected),
      expected);
}

TEST(PrivateWatch, ALostConnectionIsAChangedKey) {
  auto node = std::make_unique<TestServer>(ProxyCommandFamilies());
  const uint16_t port = node->port();
  TestServer server(ProxyCommandFamilies(), InFrontOf(port));
  TestClient client(server.port());
  EXPECT_ASK(client, "WATCH far", "+OK\r\n");
  node.reset();
  node = std::make_unique<TestServer>(
      ProxyCommandFamilies(), [port](Options& options) { options.listeners[0].port = port; });
  const auto figures = server->workers()[0]->upstreams()[0]->Figures()[0];
  EXPECT_TRUE(Eventually([&] { return figures->counters.private_in_use.Get() == 0; }));
  EXPECT_EQ(client.Ask("MULTI\r\nSET far 2\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n"),
            "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(client.Ask("MULTI\r\nSET far 2\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"),
            "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
}

TEST(PrivateBlocking, WaitsLongerThanARequestMay) {
  Pair pair;
  TestClient direct(pair.node.port());
  TestClient client(pair.server.port());
  client.Send("BLPOP list 0\r\nECHO behind\r\n");
  EXPECT_EQ(client.ReadSome(700), "");
  EXPECT_ASK(direct, "RPUSH list v", ":1\r\n");
  const std::string expected = "*2\r\n" + Bulk("list") + Bulk("v") + Bulk("behind");
  EXPECT_EQ(client.Read(expected.size()), expected);
  EXPECT_ASK(client, "BLPOP list 0.05", "*-1\r\n");
  EXPECT_EQ(pair.counters().private_idle.Get(), 1u);
  EXPECT_EQ(pair.counters().timeouts.Get(), 0u);
}

// The connection comes back from WATCH with an UNWATCH in flight, whose deadline is not that of
// what comes behind it.
TEST(PrivateBlocking, HasItsTimeBehindOtherRequests) {
  Pair pair;
  TestClient direct(pair.node.port());
  TestClient client(pair.server.port());
  client.Send("WATCH a\r\nUNWATCH\r\nBLPOP list 0\r\n");
  EXPECT_EQ(client.Read(10), "+OK\r\n+OK\r\n");
  EXPECT_EQ(client.ReadSome(700), "");
  EXPECT_ASK(direct, "RPUSH list v", ":1\r\n");
  const std::string expected = "*2\r\n" + Bulk("list") + Bulk("v");
  EXPECT_EQ(client.Read(expected.size()), expected);
}

TEST(PrivateBlocking, NothingIsPoppedForAClientThatIsGone) {
  Pair pair;
  TestClient direct(pair.node.port());
  for (int round = 0; round < 20; ++round) {
    {
      TestClient client(pair.server.port());
      client.Send("BLPOP list 0\r\n");
      ASSERT_TRUE(Eventually([&] { return pair.counters().private_in_use.Get() == 1; }));
    }
    ASSERT_TRUE(Eventually([&] { return pair.counters().private_in_use.Get() == 0; }));
    ASSERT_TRUE(Eventually([&] {
      direct.Send("INFO clients\r\n");
      return direct.ReadSome().find("blocked_clients:0") != std::string::npos;
    }));
    EXPECT_ASK(direct, "RPUSH list v", ":1\r\n");
    EXPECT_ASK(direct, "LPOP list", "$1\r\nv\r\n");
  }
}

TEST(PrivateBlocking, ClientUnblockEndsIt) {
  Pair pair;
  TestClient client(pair.server.port());
  TestClient admin(pair.server.port());
  client.Send("CLIENT ID\r\n");
  const std::string id = client.ReadSome();
  const std::string number = id.substr(1, id.size() - 3);
  for (const auto& [how, expected] :
       {std::pair{"", "*-1\r\n"}, std::pair{" TIMEOUT", "*-1\r\n"},
        std::pair{" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"}}) {
    client.Send("BLPOP list 0\r\n");
    ASSERT_TRUE(Eventually([&] { return pair.counters().private_in_use.Get() == 1; }));
    EXPECT_EQ(admin.Ask("CLIENT UNBLOCK " + number + how + "\r\n", ":1\r\n"), ":1\r\n");
    EXPECT_EQ(client.Read(std::string_view(expected).size()), expected);
    EXPECT_EQ(admin.Ask("CLIENT UNBLOCK " + number + "\r\n", ":0\r\n"), ":0\r\n");
  }
}

TEST(PrivateBlocking, TheDeadlineIsItsOwnTimeAndThatOfARequest) {
  Pair pair;
  TestClient client(pair.server.port());
  TestClient pause(pair.node.port());
  EXPECT_ASK(client, "BLPOP list 0.01", "*-1\r\n");
  EXPECT_ASK(pause, "CLIENT PAUSE 2000 ALL", "+OK\r\n");
  client.Send("BLPOP list 0.2\r\n");
  EXPECT_EQ(client.ReadSome(400), "");
  EXPECT_NE(client.ReadSome(1000).find("no reply within the request-timeout"), std::string::npos);
}

TEST(PrivatePool, SessionsWaitInLineAndThenAreRefused) {
  Pair pair(1, 1);
  TestClient direct(pair.node.port());
  TestClient first(pair.server.port());
  TestClient second(pair.server.port());
  TestClient third(pair.server.port());
  first.Send("BLPOP a 0\r\n");
  ASSERT_TRUE(Eventually([&] { return pair.counters().private_in_use.Get() == 1; }));
  second.Send("BLPOP b 0\r\n");
  ASSERT_TRUE(Eventually([&] { return pair.counters().private_waits.Get() == 1; }));
  third.Send("BLPOP c 0\r\n");
  EXPECT_NE(third.ReadSome().find("too many wait for a private connection"), std::string::npos);
  EXPECT_ASK(direct, "RPUSH a 1", ":1\r\n");
  const std::string a = "*2\r\n" + Bulk("a") + Bulk("1");
  EXPECT_EQ(first.Read(a.size()), a);
  EXPECT_ASK(direct, "RPUSH b 2", ":1\r\n");
  const std::string b = "*2\r\n" + Bulk("b") + Bulk("2");
  EXPECT_EQ(second.Read(b.size()), b);
  first.Send("BLPOP a 0\r\n");
  ASSERT_TRUE(Eventually([&] { return pair.counters().private_in_use.Get() == 1; }));
  second.Send("BLPOP b 0\r\n");
  EXPECT_NE(second.ReadSome().find("all its private connections are in use"), std::string::npos);
  EXPECT_EQ(pair.counters().private_exhausted.Get(), 2u);
}

// Who leaves the line, or leaves with a promise, keeps nobody from coming.
TEST(PrivatePool, WhoLeavesTheLineIsForgotten) {
  Pair pair(1, 8);
  TestClient direct(pair.node.port());
  auto first = std::make_unique<TestClient>(pair.server.port());
  first->Send("BLPOP a 0\r\n");
  ASSERT_TRUE(Eventually([&] { return pair.counters().private_in_use.Get() == 1; }));
  auto second = std::make_unique<TestClient>(pair.server.port());
  second->Send("BLPOP b 0\r\n");
  ASSERT_TRUE(Eventually([&] { return pair.counters().private_waits.Get() == 1; }));
  TestClient third(pair.server.port());
  third.Send("BLPOP c 0\r\n");
  ASSERT_TRUE(Eventually([&] { return pair.counters().private_waits.Get() == 2; }));
  second.reset();
  first.reset();
  EXPECT_ASK(direct, "RPUSH c 3", ":1\r\n");
  const std::string c = "*2\r\n" + Bulk("c") + Bulk("3");
  EXPECT_EQ(third.Read(c.size()), c);
}

std::string Confirmed(std::string_view word, std::string_view name, int count) {
  return "*3\r\n" + Bulk(word) + Bulk(name) + ":" + std::to_string(count) + "\r\n";
}

TEST(PrivateSubscription, MessagesAndConfirmations) {
  Pair pair;
  TestClient direct(pair.node.port());
  TestClient client(pair.server.port());
  const std::string both = Confirmed("subscribe", "a", 1) + Confirmed("subscribe", "b", 2) +
                           Confirmed("psubscribe", "p*", 3);
  EXPECT_EQ(client.Ask("SUBSCRIBE a b\r\nPSUBSCRIBE p*\r\n", both), both);
  EXPECT_ASK(direct, "PUBLISH a hello", ":1\r\n");
  const std::string message = "*3\r\n" + Bulk("message") + Bulk("a") + Bulk("hello");
  EXPECT_EQ(client.Read(message.size()), message);
  const std::string pong = "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
  EXPECT_EQ(client.Ask("PING\r\n", pong), pong);
  client.Send("GET far\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("-ERR Can't execute 'get'"));
  const std::string none = Confirmed("unsubscribe", "a", 2) + Confirmed("unsubscribe", "b", 1) +
                           Confirmed("punsubscribe", "p*", 0) + "$-1\r\n";
  EXPECT_EQ(client.Ask("UNSUBSCRIBE a b\r\nPUNSUBSCRIBE\r\nGET far\r\n", none), none);
  EXPECT_TRUE(Eventually([&] { return pair.counters().private_idle.Get() == 1; }));
}

TEST(PrivateSubscription, IsMadeAgainWhenTheNodeComesBack) {
  auto node = std::make_unique<TestServer>(ProxyCommandFamilies());
  const uint16_t port = node->port();
  TestServer server(ProxyCommandFamilies(), InFrontOf(port));
  TestClient client(server.port());
  const std::string confirmed = Confirmed("subscribe", "a", 1) + Confirmed("psubscribe", "p*", 2);
  EXPECT_EQ(client.Ask("SUBSCRIBE a\r\nPSUBSCRIBE p*\r\n", confirmed), confirmed);
  node.reset();
  node = std::make_unique<TestServer>(
      ProxyCommandFamilies(), [port](Options& options) { options.listeners[0].port = port; });
  TestClient direct(port);
  EXPECT_TRUE(Eventually([&] {
    direct.Send("PUBSUB NUMPAT\r\n");
    return direct.ReadSome() == ":1\r\n";
  }));
  EXPECT_ASK(direct, "PUBLISH a again", ":1\r\n");
  const std::string message = "*3\r\n" + Bulk("message") + Bulk("a") + Bulk("again");
  EXPECT_EQ(client.Read(message.size()), message);
  const std::string left = Confirmed("unsubscribe", "a", 1);
  EXPECT_EQ(client.Ask("UNSUBSCRIBE\r\n", left), left);
}

TEST(PrivateSubscription, ANodeThatIsNotThereIsAnError) {
  uint16_t port = 0;
  {
    TestServer node(ProxyCommandFamilies());
    port = node.port();
  }
  TestServer server(ProxyCommandFamilies(), InFrontOf(port));
  TestClient client(server.port());
  for (const char* command : {"SUBSCRIBE a\r\n", "BLPOP a 0\r\n", "WATCH a\r\n"}) {
    client.Send(command);
    EXPECT_TRUE(client.ReadSome().starts_with("-ERR upstream cluster 'cache'")) << command;
  }
  EXPECT_ASK(client, "PING", "+PONG\r\n");
  EXPECT_ASK(client, "UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
}

TEST(PrivateSubscription, Resp3GoesOnWithOtherCommands) {
  Pair pair;
  TestClient direct(pair.node.port());
  TestClient client(pair.server.port());
  client.Send("HELLO 3\r\n");
  (void)client.ReadSome();
  std::string confirmed = Confirmed("subscribe", "a", 1);
  confirmed.front() = '>';
  const std::string expected = confirmed + "+OK\r\n" + Bulk("1") + "+PONG\r\n";
  EXPECT_EQ(client.Ask("SUBSCRIBE a\r\nSET far 1\r\nGET far\r\nPING\r\n", expected), expected);
  EXPECT_ASK(direct, "PUBLISH a m", ":1\r\n");
  const std::string message = ">3\r\n" + Bulk("message") + Bulk("a") + Bulk("m");
  EXPECT_EQ(client.Read(message.size()), message);
}

// The server ends with everything under way.
TEST(PrivateSubscription, TheServerEndsInTheMiddleOfAll) {
  Pair pair(3, 100);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (const char* command : {"SUBSCRIBE a\r\n", "WATCH a\r\n", "BLPOP a 0\r\n", "BLPOP b 0\r\n",
                              "WATCH b\r\n", "SUBSCRIBE b\r\n"}) {
    clients.push_back(std::make_unique<TestClient>(pair.server.port()));
    clients.back()->Send(command);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pair.server.Stop(true);
}

}  // namespace
}  // namespace tidegate
