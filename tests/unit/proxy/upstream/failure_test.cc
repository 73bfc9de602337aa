// Nodes that fail, in every way in which servers do: what it costs those whose requests they have,
// and that it costs nobody else anything. The nodes are scripts; that others do not wait is seen by
// the order of events and not by a clock.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/commands/families.h"
#include "proxy/upstream/concurrency_limit.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using std::chrono::milliseconds;
using Respond = FakeRedis::Respond;

// Nothing in these tests is to end because this time is over.
constexpr milliseconds kLong{60'000};

bool IsOfClient(const std::string& command) {
  return command.starts_with("GET ") || command.starts_with("SET ");
}

// What the node has for every key is its own name.
Respond Good(std::string name) {
  return [name = std::move(name)](const std::string& command) {
    if (command.starts_with("GET ")) return Bulk(name);
    return std::string(command == "PING" ? "+PONG\r\n" : "+OK\r\n");
  };
}

// The same, but for requests of clients.
Respond Answering(std::string reply) {
  return [reply = std::move(reply)](const std::string& command) {
    return IsOfClient(command) ? reply : std::string("+OK\r\n");
  };
}

Respond HangingUp() { return Answering(std::string(FakeRedis::kHangUp)); }

class UpstreamFailure : public ::testing::Test {
 protected:
  UpstreamFailure() {
    for (size_t i = 0; i < nodes_.size(); ++i)
      nodes_[i] = std::make_unique<FakeRedis>(Good("n" + std::to_string(i)));
  }

  ClusterOptions Cluster(ClusterKind kind, size_t nodes) const {
    ClusterOptions cluster{.name = "cache",
                           .kind = kind,
                           .connect_timeout = kLong,
                           .request_timeout = kLong,
                           .health_check_interval = milliseconds(0)};
    for (size_t i = 0; i < nodes; ++i)
      cluster.nodes.push_back({.address = {"127.0.0.1", nodes_[i]->port()}});
    return cluster;
  }
  void Start(const ClusterOptions& cluster) {
    server_ = std::make_unique<TestServer>(ProxyCommandFamilies(), [&cluster](Options& options) {
      options.workers = 1;
      options.clusters.push_back(cluster);
      options.routes = {{"*", "cache"}};
    });
  }
  // A set whose primary is that node, which every worker knows when this returns.
  void Publish(size_t primary) {
    auto topology = std::make_shared<UpstreamTopology>();
    topology->version = version_++;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      topology->nodes.push_back(
          {.address = {"127.0.0.1", nodes_[i]->port()}, .is_primary = i == primary});
    }
    topology->primary = primary;
    std::atomic<bool> taken{false};
    (*server_)->workers()[0]->Post([&taken, topology](Worker& worker) {
      worker.upstreams()[0]->SetTopology(topology);
      taken = true;
    });
    EXPECT_TRUE(Eventually([&] { return taken.load(); }));
  }
  void StartReplicas(ClusterOptions cluster) {
    cluster.read_from = ReadFrom::kPreferReplica;
    Start(cluster);
    Publish(0);
  }

  std::string Ask(TestClient& client, const std::string& command) {
    client.Send(command + "\r\n");
    return client.ReadSome();
  }
  std::string Ask(const std::string& command) {
    TestClient client(server_->port());
    return Ask(client, command);
  }
  // A key that this node has.
  std::string KeyAt(size_t node) {
    for (int i = 0;; ++i) {
      std::string key = std::to_string(i) + ":a:key:of:some:length";
      if (Ask("GET " + key) == Bulk("n" + std::to_string(node))) return key;
    }
  }
  uint64_t Count(size_t node, WorkerCounter UpstreamCounters::*value) {
    for (const auto& figures : (*server_)->workers()[0]->upstreams()[0]->Figures()) {
      if (figures->address == nodes_[node]->address()) return (figures->counters.*value).Get();
    }
    return 0;
  }

  std::array<std::unique_ptr<FakeRedis>, 3> nodes_;
  std::unique_ptr<TestServer> server_;
  // Whatever the control thread finds out about these nodes is older.
  uint64_t version_ = 1'000'000;
};

// --- others neither fail nor wait ---

TEST_F(UpstreamFailure, ANodeThatNeverAnswersDelaysNobodyElse) {
  Start(Cluster(ClusterKind::kRing, 3));
  const std::array<std::string, 3> keys = {KeyAt(0), KeyAt(1), KeyAt(2)};
  nodes_[0]->Set(Answering(""));
  TestClient waiting(server_->port());
  waiting.Send("GET " + keys[0] + "\r\n");
  EXPECT_TRUE(Eventually([&] { return Count(0, &UpstreamCounters::in_flight) == 1; }));
  TestClient client(server_->port());
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(Ask(client, "GET " + keys[1]), Bulk("n1"));
    EXPECT_EQ(Ask(client, "GET " + keys[2]), Bulk("n2"));
  }
  EXPECT_EQ(waiting.ReadSome(0), "");
  nodes_[0]->Push(Bulk("late"));
  EXPECT_EQ(waiting.ReadSome(), Bulk("late"));
}

struct Misbehaviour {
  const char* what;
  std::string reply;
};

// Its own clients have an error, or their reply; those of others notice nothing.
TEST_F(UpstreamFailure, ANodeThatLiesHarmsNobodyElse) {
  Start(Cluster(ClusterKind::kRing, 3));
  const std::array<std::string, 3> keys = {KeyAt(0), KeyAt(1), KeyAt(2)};
  const Misbehaviour kinds[] = {
      {"answers twice", Bulk("bad") + Bulk("worse")},
      {"sends garbage", "?what\r\n"},
      {"stops in the middle of a reply", "$100\r\nhal"},
      {"hangs up", std::string(FakeRedis::kHangUp)},
  };
  TestClient other(server_->port());
  for (const Misbehaviour& kind : kinds) {
    SCOPED_TRACE(kind.what);
    nodes_[0]->Set(Answering(kind.reply));
    std::vector<std::unique_ptr<TestClient>> victims;
    for (int i = 0; i < 50; ++i) {
      victims.push_back(std::make_unique<TestClient>(server_->port()));
      victims.back()->Send("GET " + keys[0] + "\r\nECHO x\r\n");
      EXPECT_EQ(Ask(other, "GET " + keys[1]), Bulk("n1"));
      EXPECT_EQ(Ask(other, "GET " + keys[2]), Bulk("n2"));
    }
    // What hangs in the middle of a reply ends with its connection.
    nodes_[0]->Close();
    for (const auto& victim : victims) {
      std::string replies;
      for (int reads = 0; reads < 3 && !replies.ends_with(Bulk("x")); ++reads)
        replies += victim->ReadSome();
      ASSERT_TRUE(replies.ends_with(Bulk("x"))) << replies;
      const std::string first = replies.substr(0, replies.size() - Bulk("x").size());
      // Of two replies to one request the second is the next one's, if there is one: nobody can
      // tell.
      EXPECT_TRUE(first == Bulk("bad") || first == Bulk("worse") ||
                  first.starts_with("-ERR upstream cluster 'cache', "))
          << replies;
    }
    nodes_[0]->Set(Good("n0"));
    nodes_[0]->Reopen();
    EXPECT_TRUE(Eventually([&] { return Ask("GET " + keys[0]) == Bulk("n0"); }));
  }
}

// --- the breaker ---

TEST_F(UpstreamFailure, ABreakerOpensFailsAtOnceAndClosesAgain) {
  Start(Cluster(ClusterKind::kRedis, 1));
  nodes_[0]->Set(HangingUp());
  std::string reply;
  EXPECT_TRUE(Eventually([&] {
    reply = Ask("GET k");
    return reply.find("down, it closed the connection") != std::string::npos;
  })) << reply;
  EXPECT_EQ(Count(0, &UpstreamCounters::breakers_open), 1u);
  EXPECT_EQ(Count(0, &UpstreamCounters::breaker_opens), 1u);
  nodes_[0]->Set(Good("n0"));
  EXPECT_TRUE(Eventually([&] { return Ask("GET k") == Bulk("n0"); }));
  EXPECT_TRUE(Eventually([&] { return Count(0, &UpstreamCounters::breakers_open) == 0; }));
}

// Without a single request: the node asks by itself.
TEST_F(UpstreamFailure, ABreakerClosesWithoutRequests) {
  Start(Cluster(ClusterKind::kRedis, 1));
  nodes_[0]->Set(HangingUp());
  EXPECT_TRUE(Eventually([&] {
    (void)Ask("GET k");
    return Count(0, &UpstreamCounters::breakers_open) == 1;
  }));
  nodes_[0]->Set(Good("n0"));
  EXPECT_TRUE(Eventually([&] { return Count(0, &UpstreamCounters::breakers_open) == 0; }));
}

TEST_F(UpstreamFailure, WithoutABreakerEveryRequestIsTried) {
  ClusterOptions cluster = Cluster(ClusterKind::kRedis, 1);
  cluster.breaker_failures = 0;
  Start(cluster);
  nodes_[0]->Set(HangingUp());
  for (int i = 0; i < 20; ++i)
    EXPECT_NE(Ask("GET k").find(": it closed the connection"), std::string::npos);
  EXPECT_EQ(Count(0, &UpstreamCounters::refused), 0u);
}

// Errors of requests are replies like others; those that say that nobody is served are not.
TEST_F(UpstreamFailure, OnlyErrorsThatServeNobodyOpenIt) {
  Start(Cluster(ClusterKind::kRedis, 1));
  for (const std::string error : {"-WRONGTYPE Operation against a key\r\n", "-OOM command\r\n"}) {
    nodes_[0]->Set(Answering(error));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(Ask("GET k"), error);
  }
  EXPECT_EQ(Count(0, &UpstreamCounters::breaker_opens), 0u);
  nodes_[0]->Set([](const std::string& command) -> std::string {
    return command == "SCRIPT KILL" ? "+OK\r\n" : "-BUSY Redis is busy running a script.\r\n";
  });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Ask("GET k").starts_with("-BUSY "));
  EXPECT_TRUE(Ask("GET k").find("down, it says BUSY ") != std::string::npos);
  EXPECT_EQ(Ask("SCRIPT KILL"), "+OK\r\n");
  nodes_[0]->Set(Good("n0"));
  EXPECT_TRUE(Eventually([&] { return Ask("GET k") == Bulk("n0"); }));
}

TEST_F(UpstreamFailure, ANodeWhoseHealthChecksFailIsDownBeforeTheFirstRequest) {
  ClusterOptions cluster = Cluster(ClusterKind::kRedis, 1);
  cluster.health_check_interval = milliseconds(100);
  cluster.connect_timeout = milliseconds(500);
  Start(cluster);
  nodes_[0]->Close();
  EXPECT_TRUE(Eventually([&] { return Count(0, &UpstreamCounters::breakers_open) == 1; }));
  EXPECT_NE(Ask("GET k").find("down, its health checks fail: "), std::string::npos);
  EXPECT_EQ(Count(0, &UpstreamCounters::connects), 0u);
  nodes_[0]->Reopen();
  EXPECT_TRUE(Eventually([&] { return Ask("GET k") == Bulk("n0"); }));
}

TEST_F(UpstreamFailure, ARingLeavesOutWhoseBreakerIsOpen) {
  ClusterOptions cluster = Cluster(ClusterKind::kRing, 2);
  cluster.ring.eject_after_failures = 1000;
  cluster.ring.eject_time = milliseconds(1);
  Start(cluster);
  const std::string key = KeyAt(0);
  nodes_[0]->Close();
  EXPECT_TRUE(Eventually([&] { return Ask("GET " + key) == Bulk("n1"); }));
  EXPECT_EQ(Count(0, &UpstreamCounters::breakers_open), 1u);
  nodes_[0]->Reopen();
  EXPECT_TRUE(Eventually([&] { return Ask("GET " + key) == Bulk("n0"); }));
}

// --- what a node may have in flight ---

TEST_F(UpstreamFailure, BeyondItsLimitANodeGetsNothing) {
  ClusterOptions cluster = Cluster(ClusterKind::kRedis, 1);
  cluster.max_in_flight = 10;
  cluster.connections = 8;  // together they have no more than one
  Start(cluster);
  nodes_[0]->Set(Answering(""));
  std::vector<std::unique_ptr<TestClient>> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.push_back(std::make_unique<TestClient>(server_->port()));
    waiting.back()->Send("GET k\r\n");
  }
  EXPECT_TRUE(Eventually([&] { return Count(0, &UpstreamCounters::in_flight) == 10; }));
  EXPECT_EQ(Ask("GET k"), "-ERR upstream cluster 'cache', " + nodes_[0]->address() +
                              ": too many requests wait for it\r\n");
  EXPECT_EQ(waiting[0]->ReadSome(0), "");
}

// max-in-flight: auto.
TEST_F(UpstreamFailure, ANodeThatDoesNotAnswerGetsNoMore) {
  ClusterOptions cluster = Cluster(ClusterKind::kRing, 2);
  cluster.max_in_flight = 0;
  Start(cluster);
  const std::string silent = KeyAt(0);
  const std::string well = KeyAt(1);
  nodes_[0]->Set(Answering(""));
  std::vector<std::unique_ptr<TestClient>> waiting;
  for (uint64_t i = 0; i < kConcurrencyStart; ++i) {
    waiting.push_back(std::make_unique<TestClient>(server_->port()));
    waiting.back()->Send("GET " + silent + "\r\n");
  }
  EXPECT_TRUE(
      Eventually([&] { return Count(0, &UpstreamCounters::in_flight) == kConcurrencyStart; }));
  EXPECT_EQ(Ask("GET " + silent), "-OVERLOADED upstream cluster 'cache', " + nodes_[0]->address() +
                                      ": more than 64 requests wait for it, which it does not "
                                      "answer in time: try again later\r\n");
  // Writes may have some more; and the other node has nothing to do with it.
  waiting[0]->Send("SET " + silent + " v\r\n");
  EXPECT_TRUE(
      Eventually([&] { return Count(0, &UpstreamCounters::in_flight) == kConcurrencyStart + 1; }));
  EXPECT_EQ(Ask("GET " + well), Bulk("n1"));
}

// --- reads have a second chance ---

TEST_F(UpstreamFailure, AReadThatIsLostIsAnsweredByAnother) {
  ClusterOptions cluster = Cluster(ClusterKind::kReplicas, 3);
  cluster.retry_percent = 100;
  StartReplicas(cluster);
  for (const std::string& failure :
       {std::string(FakeRedis::kHangUp), std::string("?garbage\r\n"),
        std::string("-LOADING Redis is loading the dataset in memory\r\n"),
        std::string("-MASTERDOWN Link with MASTER is down\r\n")}) {
    nodes_[1]->Set(Answering(failure));
    nodes_[2]->Set(Good("n2"));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(Ask("GET k"), Bulk("n2"));
    nodes_[1]->Set(Good("n1"));
    // Either is used again, before the other one fails.
    EXPECT_TRUE(Eventually([&] { return Ask("GET k") == Bulk("n1"); }));
    nodes_[2]->Set(Answering(failure));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(Ask("GET k"), Bulk("n1"));
    nodes_[2]->Set(Good("n2"));
    EXPECT_TRUE(Eventually([&] { return Ask("GET k") == Bulk("n2"); }));
  }
  EXPECT_GT(Count(1, &UpstreamCounters::retries), 0u);
  EXPECT_GT(Count(2, &UpstreamCounters::retries), 0u);
}

TEST_F(UpstreamFailure, WithoutReplicasThePrimaryIsRead) {
  ClusterOptions cluster = Cluster(ClusterKind::kReplicas, 3);
  cluster.connect_timeout = milliseconds(1000);
  StartReplicas(cluster);
  nodes_[1]->Close();
  nodes_[2]->Close();
  TestClient client(server_->port());
  std::string pipeline;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    pipeline += "GET k\r\nSET k v\r\n";
    expected += Bulk("n0") + "+OK\r\n";
  }
  client.Send(pipeline);
  EXPECT_EQ(client.Read(expected.size()), expected);
}

TEST_F(UpstreamFailure, AReadThatIsLateIsAnsweredByAnother) {
  ClusterOptions cluster = Cluster(ClusterKind::kReplicas, 3);
  cluster.request_timeout = milliseconds(200);
  StartReplicas(cluster);
  nodes_[1]->Set(Answering(""));
  // Two clients have different nodes.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Ask("GET k"), Bulk("n2"));
  EXPECT_EQ(Count(1, &UpstreamCounters::retries), 1u);
}

// A read is sent twice, and not for ever.
TEST_F(UpstreamFailure, AReadThatFailsTwiceIsAnError) {
  StartReplicas(Cluster(ClusterKind::kReplicas, 3));
  for (const auto& node : nodes_) node->Set(HangingUp());
  EXPECT_NE(Ask("GET k").find("it closed the connection"), std::string::npos);
}

TEST_F(UpstreamFailure, WritesAndReadsOfThePrimaryAloneAreSentOnce) {
  Start(Cluster(ClusterKind::kReplicas, 3));
  Publish(0);
  nodes_[0]->Set(HangingUp());
  EXPECT_NE(Ask("GET k").find("it closed the connection"), std::string::npos);
  EXPECT_NE(Ask("SET k v").find("it closed the connection"), std::string::npos);
  EXPECT_EQ(Count(0, &UpstreamCounters::retries), 0u);
}

TEST_F(UpstreamFailure, WithoutABudgetNoReadIsSentAgain) {
  ClusterOptions cluster = Cluster(ClusterKind::kReplicas, 3);
  cluster.retry_percent = 0;
  StartReplicas(cluster);
  nodes_[1]->Set(HangingUp());
  nodes_[2]->Set(HangingUp());
  EXPECT_NE(Ask("GET k").find("it closed the connection"), std::string::npos);
}

// --- a primary that is none any more ---

TEST_F(UpstreamFailure, AWriteThatMeetsAReplicaGoesToTheNewPrimary) {
  Start(Cluster(ClusterKind::kReplicas, 3));
  Publish(0);
  const std::string readonly = "-READONLY You can't write against a read only replica.\r\n";
  nodes_[0]->Set(Answering(readonly));
  TestClient client(server_->port());
  client.Send("SET k v\r\nECHO x\r\n");
  EXPECT_TRUE(Eventually([&] { return Count(0, &UpstreamCounters::redirections) > 0; }));
  Publish(1);
  const std::string expected = "+OK\r\n" + Bulk("x");
  EXPECT_EQ(client.Read(expected.size()), expected);
  // Nobody becomes the primary: its client is told in the end.
  nodes_[1]->Set(Answering(readonly));
  EXPECT_EQ(Ask("SET k v"), readonly);
}

}  // namespace
}  // namespace tidegate
