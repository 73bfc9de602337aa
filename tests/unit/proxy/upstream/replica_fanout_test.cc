// Reads that replicas answer as well: who gets them, and when the primary alone does. The nodes
// are fakes that apply what was written when the test lets them.
#include "proxy/upstream/replica_fanout.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "proxy/commands/families.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/fake_replica_set.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr int kReads = 100;

ReplicaFanoutOptions AllKeys(PolicyMode mode = PolicyMode::kEnforce) {
  return {.said = true, .mode = mode, .hot = false, .patterns = {"*"}};
}

class ReplicaFanoutTest : public ::testing::Test {
 protected:
  void Start(const ReplicaFanoutOptions& fanout) {
    server_ = std::make_unique<TestServer>(ProxyCommandFamilies(), [&](Options& options) {
      set_.InFront(fanout)(options);
      options.workers = 1;
    });
    // The primary has been found when a write is taken.
    EXPECT_TRUE(Eventually([&] { return Ask("SET k 1") == "+OK\r\n"; }));
  }
  std::string Ask(const std::string& command) {
    TestClient client(server_->port());
    client.Send(command + "\r\n");
    return client.ReadSome();
  }
  // What each of so many reads of "k" gives.
  void ExpectReads(const std::string& value) {
    TestClient client(server_->port());
    const std::string expected = Bulk(value);
    for (int i = 0; i < kReads; ++i) ASSERT_EQ(client.Ask("GET k\r\n", expected), expected);
  }
  int64_t ReadsOfReplicas() { return set_.reads(1) + set_.reads(2); }
  // Reads of "k" reach a replica again.
  bool FansOut() {
    return Eventually([&] {
      const int64_t before = ReadsOfReplicas();
      Ask("GET k");
      return ReadsOfReplicas() > before;
    });
  }
  // And go there alone, so at least one has been asked since its connection was made.
  bool Settles() {
    return Eventually([&] {
      const int64_t before = set_.reads(0);
      for (int i = 0; i < 20; ++i) Ask("GET k");
      return set_.reads(0) == before;
    });
  }
  uint64_t Figure(WorkerCounter FanoutFigures::*value) {
    uint64_t sum = 0;
    for (const auto& worker : (*server_)->workers())
      sum += (worker->upstreams()[0]->figures()->fanout.*value).Get();
    return sum;
  }

  const unsigned seed_ = std::random_device{}();
  FakeReplicaSet set_{2, seed_};
  std::unique_ptr<TestServer> server_;
};

TEST_F(ReplicaFanoutTest, EveryNodeHasAShare) {
  Start(AllKeys());
  EXPECT_TRUE(FansOut());
  EXPECT_TRUE(Eventually([&] {
    Ask("GET k");
    return set_.reads(0) > 0 && set_.reads(1) > 0 && set_.reads(2) > 0;
  }));
  EXPECT_GT(Figure(&FanoutFigures::replica_reads), 0u);
  ExpectReads("1");
}

TEST_F(ReplicaFanoutTest, ReplicasAloneWhereTheRuleSaysSo) {
  ReplicaFanoutOptions options = AllKeys();
  options.nodes = FanoutNodes::kReplicas;
  Start(options);
  EXPECT_TRUE(FansOut());
  EXPECT_TRUE(Settles());
  ExpectReads("1");
}

TEST_F(ReplicaFanoutTest, NearNodesAreReadAloneWhileThereIsOne) {
  ReplicaFanoutOptions options = AllKeys();
  options.near = {set_.node(2).address()};
  Start(options);
  EXPECT_TRUE(FansOut());
  EXPECT_TRUE(Eventually([&] {
    const int64_t far = set_.reads(0) + set_.reads(1);
    ExpectReads("1");
    return set_.reads(0) + set_.reads(1) == far;
  }));
  set_.node(2).Close();
  ExpectReads("1");
}

TEST_F(ReplicaFanoutTest, AWrittenKeyStaysAtThePrimaryUntilAReplicaHasTheWrite) {
  ReplicaFanoutOptions options = AllKeys();
  options.nodes = FanoutNodes::kReplicas;
  Start(options);
  EXPECT_TRUE(FansOut());
  set_.SetApplying(0);
  EXPECT_EQ(Ask("SET k 2"), "+OK\r\n");
  const int64_t before = ReadsOfReplicas();
  ExpectReads("2");
  EXPECT_EQ(ReadsOfReplicas(), before);
  EXPECT_GE(Figure(&FanoutFigures::written_reads), static_cast<uint64_t>(kReads));
  // A key that is not written meanwhile is no concern of that.
  set_.SetApplying(100);
  EXPECT_TRUE(Settles());
  set_.SetApplying(0);
  EXPECT_EQ(Ask("SET another 1"), "+OK\r\n");
  const int64_t then = ReadsOfReplicas();
  ExpectReads("2");
  EXPECT_GT(ReadsOfReplicas(), then);
}

TEST_F(ReplicaFanoutTest, WhatMayWriteAnyKeyHoldsAllBack) {
  Start(AllKeys());
  EXPECT_TRUE(FansOut());
  set_.SetApplying(0);
  EXPECT_EQ(Ask("SET another 1"), "+OK\r\n");
  EXPECT_EQ(Ask("FLUSHALL"), "+OK\r\n");
  const int64_t before = ReadsOfReplicas();
  ExpectReads("1");
  EXPECT_EQ(ReadsOfReplicas(), before);
}

TEST_F(ReplicaFanoutTest, WithoutOwnWritesAReplicaMayBeLate) {
  ReplicaFanoutOptions options = AllKeys();
  options.own_writes = false;
  options.nodes = FanoutNodes::kReplicas;
  Start(options);
  EXPECT_TRUE(FansOut());
  EXPECT_TRUE(Eventually([&] { return Ask("GET k") == Bulk("1"); }));
  set_.SetApplying(0);
  EXPECT_EQ(Ask("SET k 2"), "+OK\r\n");
  EXPECT_TRUE(Eventually([&] { return Ask("GET k") != Bulk("2"); }));
}

TEST_F(ReplicaFanoutTest, ObserveCountsAndChangesNothing) {
  Start(AllKeys(PolicyMode::kObserve));
  EXPECT_TRUE(Eventually([&] {
    Ask("GET k");
    return Figure(&FanoutFigures::observed) > 0;
  }));
  EXPECT_EQ(ReadsOfReplicas(), 0);
  EXPECT_EQ(Figure(&FanoutFigures::replica_reads), 0u);
}

TEST_F(ReplicaFanoutTest, AReplicaWithoutALinkIsNotRead) {
  Start(AllKeys());
  EXPECT_TRUE(FansOut());
  set_.SetLinkUp(1, false);
  EXPECT_TRUE(Eventually([&] {
    const int64_t before = set_.reads(1);
    ExpectReads("1");
    return set_.reads(1) == before;
  }));
  set_.SetLinkUp(1, true);
  EXPECT_TRUE(Eventually([&] {
    const int64_t before = set_.reads(1);
    ExpectReads("1");
    return set_.reads(1) > before;
  }));
}

TEST_F(ReplicaFanoutTest, AReplicaThatIsLostFailsNoRead) {
  Start(AllKeys());
  EXPECT_TRUE(FansOut());
  set_.node(1).Close();
  ExpectReads("1");
  set_.node(2).Close();
  ExpectReads("1");
}

// Each read sees the write in front of it, whoever answers.
TEST_F(ReplicaFanoutTest, PipelinesKeepTheirOrder) {
  Start(AllKeys());
  EXPECT_TRUE(FansOut());
  set_.SetApplying(30);
  TestClient client(server_->port());
  std::string sent;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key:" + std::to_string(i % 3);
    const std::string value = std::to_string(i);
    sent.append("SET " + key + " " + value + "\r\nGET " + key + "\r\nGET k\r\n");
    expected.append("+OK\r\n" + Bulk(value) + Bulk("1"));
  }
  client.Send(sent);
  EXPECT_EQ(client.Read(expected.size(), 30'000), expected) << "seed " << seed_;
}

}  // namespace
}  // namespace tidegate
