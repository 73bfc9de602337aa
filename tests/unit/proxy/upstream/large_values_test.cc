// Large requests and replies beside small ones: nobody waits behind them who does not have to, what
// comes is handed on as it comes, and the order of what one client says and hears stays.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds kTimeout{3000};

ClusterOptions ClusterAt(const std::string& name, uint16_t port) {
  return {.name = name,
          .kind = ClusterKind::kRedis,
          .nodes = {{.address = {"127.0.0.1", port}}},
          .connect_timeout = kTimeout,
          .request_timeout = kTimeout,
          .health_check_interval = std::chrono::milliseconds(0)};
}

std::function<void(Options&)> InFrontOf(uint16_t port) {
  return [port](Options& options) {
    options.workers = 1;
    options.clusters.push_back(ClusterAt("cache", port));
    options.routes = {{"*", "cache"}};
  };
}

const std::string kLarge = Bulk(std::string(1 << 20, 'x'));
const std::string kHalf = kLarge.substr(0, kLarge.size() / 2);
const std::string kOtherHalf = kLarge.substr(kHalf.size());

// Large values come by half, the rest when the test pushes it; and what is behind them.
std::string AnswerByHalf(const std::string& command) {
  if (command == "GET large") return kHalf;
  if (command == "GET behind") return "";
  if (command.starts_with("GET ")) return Bulk(command.substr(4));
  return "+OK\r\n";
}

const UpstreamCounters& CountersOf(TestServer& server, size_t cluster = 0) {
  return server->workers()[0]->upstreams()[cluster]->Figures()[0]->counters;
}

TEST(LargeValues, AReplyIsHandedOnAsItComes) {
  FakeRedis node(AnswerByHalf);
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient client(server.port());
  client.Send("GET large\r\nGET behind\r\n");
  ASSERT_EQ(client.Read(kHalf.size()).size(), kHalf.size());
  const std::string rest = kOtherHalf + Bulk("behind");
  node.Push(rest);
  EXPECT_TRUE(client.Read(rest.size()) == rest);
  EXPECT_EQ(CountersOf(server).large_replies.Get(), 1u);
  EXPECT_EQ(CountersOf(server).in_flight.Get(), 0u);
}

TEST(LargeValues, OthersDoNotWaitBehindIt) {
  FakeRedis node(AnswerByHalf);
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient waits(server.port());
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("GET a\r\n", Bulk("a")), Bulk("a"));
  waits.Send("GET large\r\n");
  ASSERT_EQ(waits.Read(kHalf.size()).size(), kHalf.size());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Ask("GET b\r\n", Bulk("b")), Bulk("b"));
  EXPECT_EQ(node.accepted(), 2);
  EXPECT_EQ(CountersOf(server).superseded.Get(), 1u);
}

// As many as may be busy at once; further requests then wait.
TEST(LargeValues, ConnectionsComeBackAndAreNoMoreThanSoMany) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient direct(node.port());
  EXPECT_EQ(direct.Ask("SETRANGE large 1048575 x\r\n", ":1048576\r\n"), ":1048576\r\n");
  const size_t size = Bulk(std::string(1 << 20, 'x')).size();
  for (int i = 0; i < 50; ++i) {
    TestClient client(server.port());  // each is new, so nothing is known of it
    client.Send("GET large\r\n");
    EXPECT_EQ(client.Read(size).size(), size);
  }
  EXPECT_EQ(CountersOf(server).large_replies.Get(), 50u);
  EXPECT_LE(CountersOf(server).connects.Get(), kSupersededMax + 1);
}

TEST(LargeValues, WhoHadOneHasALane) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient direct(node.port());
  EXPECT_EQ(direct.Ask("SETRANGE large 1048575 x\r\n", ":1048576\r\n"), ":1048576\r\n");
  const size_t size = Bulk(std::string(1 << 20, 'x')).size();
  TestClient client(server.port());
  for (int i = 0; i < 10; ++i) {
    client.Send("GET large\r\n");
    EXPECT_EQ(client.Read(size).size(), size);
  }
  EXPECT_EQ(CountersOf(server).large_replies.Get(), 10u);
  EXPECT_EQ(CountersOf(server).superseded.Get(), 1u) << "the first came over the shared connection";
}

TEST(LargeValues, ALargeRequestHasALane) {
  FakeRedis node(AnswerByHalf);
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient client(server.port());
  const std::string set = "*3\r\n" + Bulk("SET") + Bulk("k") + Bulk(std::string(70'000, 'y'));
  EXPECT_EQ(client.Ask("GET a\r\n", Bulk("a")), Bulk("a"));
  EXPECT_EQ(node.accepted(), 1);
  EXPECT_EQ(client.Ask(set, "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(node.accepted(), 2);
  EXPECT_EQ(client.Ask("GET a\r\n", Bulk("a")), Bulk("a"));
  EXPECT_EQ(client.Ask(set, "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(node.accepted(), 2);
}

TEST(LargeValues, ARestThatDoesNotComeEndsTheClient) {
  FakeRedis node(AnswerByHalf);
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient client(server.port());
  TestClient behind(server.port());
  client.Send("GET large\r\n");
  ASSERT_EQ(client.Read(kHalf.size()).size(), kHalf.size());
  node.Close();
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_TRUE(client.ended());
  behind.Send("GET a\r\n");
  EXPECT_TRUE(behind.ReadSome().starts_with("-ERR upstream cluster 'cache', 127.0.0.1:"));
  EXPECT_TRUE(Eventually([&] { return CountersOf(server).in_flight.Get() == 0; }));
}

TEST(LargeValues, OfAClientThatLeavesNothingIsLeft) {
  FakeRedis node(AnswerByHalf);
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  {
    TestClient client(server.port());
    client.Send("GET large\r\n");
    ASSERT_EQ(client.Read(kHalf.size()).size(), kHalf.size());
  }
  EXPECT_TRUE(Eventually([&] { return server->workers()[0]->counters().sessions.Get() == 0; }));
  node.Push(kOtherHalf);
  EXPECT_TRUE(Eventually([&] { return CountersOf(server).in_flight.Get() == 0; }));
  EXPECT_EQ(CountersOf(server).garbage.Get(), 0u);
  EXPECT_EQ(CountersOf(server).lost.Get(), 0u);
}

// A large reply that comes before the one in front of it is kept, as far as it has come.
TEST(LargeValues, ItsTurnComesInTheMiddle) {
  FakeRedis slow([](const std::string& command) -> std::string {
    return command.starts_with("GET ") ? "" : "+OK\r\n";
  });
  FakeRedis node(AnswerByHalf);
  TestServer server(ProxyCommandFamilies(), [&](Options& options) {
    options.workers = 1;
    options.clusters.push_back(ClusterAt("cache", node.port()));
    options.clusters.push_back(ClusterAt("slow", slow.port()));
    options.routes = {{"slow:*", "slow"}, {"*", "cache"}};
  });
  TestClient client(server.port());
  client.Send("GET slow:1\r\nGET large\r\n");
  EXPECT_TRUE(Eventually(
      [&] { return slow.asked() > 1 && CountersOf(server).received_bytes.Get() >= kHalf.size(); }));
  slow.Push(Bulk("1"));
  EXPECT_EQ(client.Read(Bulk("1").size()), Bulk("1"));
  node.Push(kOtherHalf);
  EXPECT_TRUE(client.Read(kLarge.size()) == kLarge);
}

// Random sizes on both sides of the limits, in pipelines of many clients over two connections.
TEST(LargeValues, NothingIsMixedUp) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), [&](Options& options) {
    InFrontOf(node.port())(options);
    options.workers = 2;
    options.clusters.back().request_timeout = std::chrono::milliseconds(60'000);
  });
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (unsigned number = 0; number < 5; ++number) {
    clients.emplace_back([&, number] {
      std::mt19937 random(seed + number);
      for (int round = 0; round < 8; ++round) {
        TestClient client(server.port());
        std::string sent;
        std::string expected;
        // Of its own: what one that left early has sent may be executed behind the next one's.
        const std::string key = "k" + std::to_string(number) + ":" + std::to_string(round);
        for (int i = 0; i < 30; ++i) {
          const bool large = random() % 5 == 0;
          const std::string value(random() % (large ? 700'000 : 200),
                                  static_cast<char>('a' + random() % 26));
          sent += "*3\r\n" + Bulk("SET") + Bulk(key) + Bulk(value) + "GET " + key + "\r\n";
          expected += "+OK\r\n" + Bulk(value);
        }
        std::thread sender([&] { client.Send(sent); });
        if (random() % 4 == 0) expected.resize(expected.size() / 3);  // it leaves early
        if (client.Read(expected.size(), 60'000) != expected) ++wrong;
        client.Shutdown();
        sender.join();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace tidegate
