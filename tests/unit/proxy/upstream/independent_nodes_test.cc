// Clusters whose nodes know nothing of one another: a ring, and a primary with replicas as far as
// the data path is concerned. Each node is a server of ours, so that what is where can be asked.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/topology/ketama.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

// The hash that rings have by default hardly mixes the last bytes: these keys differ in front.
std::string KeyOf(int i) { return std::to_string(i) + ":a:key:of:some:length"; }

class IndependentNodes : public ::testing::Test {
 protected:
  IndependentNodes() {
    for (auto& node : nodes_) node = std::make_unique<TestServer>(ProxyCommandFamilies());
  }

  ClusterOptions Cluster(ClusterKind kind) const {
    ClusterOptions cluster{.name = "cache",
                           .kind = kind,
                           .connect_timeout = std::chrono::milliseconds(500),
                           .request_timeout = std::chrono::milliseconds(2000)};
    for (const auto& node : nodes_)
      cluster.nodes.push_back({.address = {"127.0.0.1", node->port()}});
    return cluster;
  }
  static std::function<void(Options&)> With(ClusterOptions cluster) {
    return [cluster = std::move(cluster)](Options& options) {
      options.workers = 1;
      options.clusters.push_back(cluster);
      options.routes = {{"*", "cache"}};
    };
  }
  // Asks a node itself.
  std::string At(size_t node, const std::string& command) {
    TestClient direct(nodes_[node]->port());
    direct.Send(command + "\r\n");
    return direct.ReadSome();
  }

  std::array<std::unique_ptr<TestServer>, 3> nodes_;
};

TEST_F(IndependentNodes, KeysAreWhereTwemproxyHasThem) {
  TestServer server(ProxyCommandFamilies(), With(Cluster(ClusterKind::kRing)));
  std::vector<topology::RingNode> names;
  for (const auto& node : nodes_)
    names.push_back({.name = topology::RingName("127.0.0.1", node->port())});
  const auto ring = topology::KetamaRing::Create({}, names);
  TestClient client(server.port());
  for (int i = 0; i < 200; ++i) {
    const std::string key = KeyOf(i);
    EXPECT_EQ(client.Ask("SET " + key + " v\r\n", "+OK\r\n"), "+OK\r\n");
    EXPECT_EQ(At(ring.value().NodeOf(key), "GET " + key), Bulk("v"));
  }
  EXPECT_EQ(client.Ask("DBSIZE\r\n", ":200\r\n"), ":200\r\n");
}

TEST_F(IndependentNodes, ARingSplitsByNode) {
  TestServer server(ProxyCommandFamilies(), With(Cluster(ClusterKind::kRing)));
  TestClient client(server.port());
  std::string mset = "MSET";
  std::string mget = "MGET";
  std::string expected = "+OK\r\n*100\r\n";
  for (int i = 0; i < 100; ++i) {
    const std::string key = " " + KeyOf(i);
    mset += key + " v" + std::to_string(i);
    mget += key;
    expected += Bulk("v" + std::to_string(i));
  }
  EXPECT_EQ(client.Ask(mset + "\r\n" + mget + "\r\n", expected), expected);
  client.Send("SUNION" + mget.substr(4) + "\r\n");
  EXPECT_EQ(client.ReadSome(), "-ERR keys of one command belong to different nodes\r\n");
}

// Keys of a node that fails go to the others, when it is configured so, and come back.
TEST_F(IndependentNodes, ANodeThatFailsIsEjectedForAWhile) {
  ClusterOptions cluster = Cluster(ClusterKind::kRing);
  cluster.ring.eject_after_failures = 1;
  cluster.ring.eject_time = std::chrono::milliseconds(300);
  TestServer server(ProxyCommandFamilies(), With(cluster));
  TestClient client(server.port());
  const uint16_t port = nodes_[1]->port();
  nodes_[1].reset();
  const auto set_all = [&client] {
    int failed = 0;
    for (int i = 0; i < 50; ++i) {
      client.Send("SET " + KeyOf(i) + " v\r\n");
      failed += client.ReadSome() == "+OK\r\n" ? 0 : 1;
    }
    return failed;
  };
  EXPECT_GT(set_all(), 0);
  EXPECT_EQ(set_all(), 0);
  nodes_[1] = std::make_unique<TestServer>(
      ProxyCommandFamilies(), [port](Options& options) { options.listeners[0].port = port; });
  EXPECT_TRUE(Eventually([&] { return set_all() == 0 && At(1, "DBSIZE") != ":0\r\n"; }));
}

TEST_F(IndependentNodes, ReadsGoToAReplicaAndWritesToThePrimary) {
  ClusterOptions cluster = Cluster(ClusterKind::kReplicas);
  cluster.read_from = ReadFrom::kPreferReplica;
  TestServer server(ProxyCommandFamilies(), With(cluster));
  auto topology = std::make_shared<UpstreamTopology>();
  topology->version = 1'000'000;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    topology->nodes.push_back(
        {.address = {"127.0.0.1", nodes_[i]->port()}, .is_primary = i == 0, .is_usable = i != 1});
    At(i, "SET where " + std::to_string(i));
  }
  topology->primary = 0;
  std::atomic<bool> taken{false};
  const auto publish = [&] {
    taken = false;
    server->workers()[0]->Post([&taken, known = topology](Worker& worker) {
      worker.upstreams()[0]->SetTopology(known);
      taken = true;
    });
    EXPECT_TRUE(Eventually([&] { return taken.load(); }));
  };
  publish();
  TestClient client(server.port());
  const std::string expected = Bulk("2") + "+OK\r\n" + Bulk("2") + ":0\r\n" + Bulk("2");
  client.Send("GET where\r\nSET other 1\r\nGET where\r\nEXISTS other\r\nGET where\r\n");
  EXPECT_EQ(client.Read(expected.size()), expected);
  EXPECT_EQ(At(0, "EXISTS other"), ":1\r\n");

  topology = std::make_shared<UpstreamTopology>(*topology);
  ++topology->version;
  topology->nodes[2].is_usable = false;
  publish();
  EXPECT_EQ(client.Ask("GET where\r\n", Bulk("0")), Bulk("0"));

  topology = std::make_shared<UpstreamTopology>(*topology);
  ++topology->version;
  topology->primary.reset();
  topology->problem = "nobody says that it is the primary";
  publish();
  client.Send("SET where 3\r\n");
  EXPECT_EQ(client.ReadSome(),
            "-ERR upstream cluster 'cache', nobody says that it is the primary\r\n");
}

}  // namespace
}  // namespace tidegate
