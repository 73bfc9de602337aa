// Upstream clusters, over real sockets: one server of ours in front of another, and in front of
// scripts that answer what they like.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

// Everything but "near:*" is at 127.0.0.1:port.
std::function<void(Options&)> InFrontOf(uint16_t port) {
  return [port](Options& options) {
    options.clusters.push_back({.name = "cache",
                                .kind = ClusterKind::kRedis,
                                .nodes = {{.address = {"127.0.0.1", port}}},
                                .connect_timeout = std::chrono::milliseconds(300),
                                .request_timeout = std::chrono::milliseconds(300)});
    options.routes = {{"near:*", "local"}, {"*", "cache"}};
  };
}

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

TEST(Upstream, RequestsGoWhereTheirKeysAre) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient client(server.port());
  TestClient direct(node.port());
  EXPECT_EQ(client.Ask("SET far 1\r\nSET near:k 2\r\nGET far\r\nGET near:k\r\n",
                       "+OK\r\n+OK\r\n$1\r\n1\r\n$1\r\n2\r\n"),
            "+OK\r\n+OK\r\n$1\r\n1\r\n$1\r\n2\r\n");
  EXPECT_EQ(direct.Ask("EXISTS far\r\nEXISTS near:k\r\n", ":1\r\n:0\r\n"), ":1\r\n:0\r\n");
}

struct Pipeline {
  std::string sent;
  std::string expected;
};

// Random requests over both places, each with a value of its own.
Pipeline MakePipeline(std::mt19937& random, const std::string& client, int round) {
  Pipeline pipeline;
  const int requests = static_cast<int>(random() % 600) + 1;
  for (int i = 0; i < requests; ++i) {
    const std::string value = client + "." + std::to_string(round * 1000 + i);
    // Not the keys of the round before: what a client that left had sent may still be executed.
    const std::string key =
        (random() % 10 == 0 ? "near:" : "far:") + client + "." + std::to_string(round);
    for (const std::string_view part :
         {"SET ", key.c_str(), " ", value.c_str(), "\r\nGET ", key.c_str(), "\r\n"})
      pipeline.sent += part;
    pipeline.expected.append("+OK\r\n").append(Bulk(value));
    if (random() % 20 != 0) continue;
    pipeline.sent.append("ECHO ").append(value).append("\r\n");
    pipeline.expected += Bulk(value);
  }
  return pipeline;
}

// Sends pipelines, each over a connection of its own; returns how many were answered wrongly. Of
// some it does not wait for the replies.
int CountWrong(uint16_t port, unsigned seed, int number) {
  std::mt19937 random(seed + static_cast<unsigned>(number));
  int wrong = 0;
  for (int round = 0; round < 40; ++round) {
    TestClient client(port);
    const Pipeline pipeline = MakePipeline(random, std::to_string(number), round);
    client.Send(pipeline.sent);
    if (random() % 4 == 0) continue;
    if (client.Read(pipeline.expected.size()) != pipeline.expected) ++wrong;
  }
  return wrong;
}

// Clients that leave with replies in flight among others: whoever stays gets what is his, in order.
TEST(Upstream, NoReplyReachesAnotherRequest) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int n = 0; n < 6; ++n)
    clients.emplace_back([&, n] { wrong += CountWrong(server.port(), seed, n); });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
  for (const auto& worker : server->workers()) {
    const auto figures = worker->upstreams()[0]->Figures();
    ASSERT_EQ(figures.size(), 1u);
    const UpstreamCounters& counters = figures[0]->counters;
    EXPECT_TRUE(Eventually([&] { return counters.in_flight.Get() == 0; }));
    EXPECT_EQ(counters.garbage.Get(), 0u);
    EXPECT_LE(counters.connects.Get(), 1u);
  }
}

TEST(Upstream, ANodeThatIsNotThereIsAnErrorAtOnce) {
  uint16_t port = 0;
  {
    TestServer node(ProxyCommandFamilies());
    port = node.port();
  }
  TestServer server(ProxyCommandFamilies(), InFrontOf(port));
  TestClient client(server.port());
  client.Send("GET a\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("-ERR upstream cluster 'cache', 127.0.0.1:"));
  client.Send("GET a\r\nPING\r\n");
  const std::string replies = client.ReadSome();
  EXPECT_TRUE(replies.ends_with("+PONG\r\n")) << replies;
  TestServer node(ProxyCommandFamilies(),
                  [port](Options& options) { options.listeners[0].port = port; });
  EXPECT_TRUE(Eventually([&] {
    client.Send("SET a 1\r\n");
    return client.ReadSome() == "+OK\r\n";
  }));
}

// The server ends with requests in flight, and with a connection that never came about.
TEST(Upstream, TheServerEndsWithRequestsInFlight) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient pause(node.port());
  EXPECT_EQ(pause.Ask("CLIENT PAUSE 100000 ALL\r\n", "+OK\r\n"), "+OK\r\n");
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    clients.back()->Send("GET a\r\nGET b\r\n");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  server.Stop(true);
  node.Stop(true);
}

TEST(Upstream, AReplyThatIsLateIsAnErrorAndGoesToNobody) {
  TestServer node(ProxyCommandFamilies());
  TestServer server(ProxyCommandFamilies(), InFrontOf(node.port()));
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET a 1\r\n", "+OK\r\n"), "+OK\r\n");
  TestClient pause(node.port());
  EXPECT_EQ(pause.Ask("CLIENT PAUSE 600 ALL\r\n", "+OK\r\n"), "+OK\r\n");
  client.Send("GET a\r\nECHO x\r\n");
  const std::string replies = client.Read(~size_t{0} >> 1, 500);
  EXPECT_NE(replies.find("no reply within the request-timeout"), std::string::npos) << replies;
  EXPECT_TRUE(replies.ends_with("$1\r\nx\r\n")) << replies;
  EXPECT_TRUE(Eventually([&] {
    client.Send("STRLEN a\r\n");
    return client.ReadSome() == ":1\r\n";
  }));
}

}  // namespace
}  // namespace tidegate
