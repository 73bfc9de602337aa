// What a worker keeps of its upstreams' replies, and when it stops to give it: in front of nodes
// that are scripts and tell, or do not tell, which keys change. That a reply was given from here is
// seen by the counters and by what the node has by then, and not by a clock.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "policy/local_cache_store.h"
#include "proxy/commands/families.h"
#include "proxy/topology/slot_map_builder.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using std::chrono::milliseconds;

// Nothing in these tests is to end because this time is over.
constexpr milliseconds kLong{60'000};
// Whatever the control thread finds out about these nodes is older.
constexpr uint64_t kNewest = 1'000'000;

// A node whose keys all have one value, and which says so when it changes if it is told to.
class TrackingNode final {
 public:
  TrackingNode() : redis_([this](const std::string& command) { return Answer(command); }) {}

  uint16_t port() const { return redis_.port(); }
  std::string address() const { return redis_.address(); }
  // The reply to reads, in RESP3; and what PTTL says.
  void SetValue(std::string reply, int64_t ttl_ms = -1) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(reply);
    ttl_ms_ = ttl_ms;
  }
  void Invalidate(std::string_view key) {
    redis_.Push(">2\r\n$10\r\ninvalidate\r\n*1\r\n" + Bulk(key));
  }
  void InvalidateAll() { redis_.Push(">2\r\n$10\r\ninvalidate\r\n_\r\n"); }
  // Commands that begin so get this reply from now on; what is longer comes first.
  void Reply(std::string begin, std::string reply) {
    const std::lock_guard lock(mutex_);
    replies_.emplace_back(std::move(begin), std::move(reply));
  }
  // Fetches are not answered, nor is PING: what clients say is.
  void FallSilent() {
    const std::lock_guard lock(mutex_);
    silent_ = true;
  }
  void Close() { redis_.Close(); }
  void Reopen() { redis_.Reopen(); }
  // Reads outside of a fetch; and commands that begin so.
  int reads() const { return reads_; }
  int Heard(std::string_view begin) {
    const std::lock_guard lock(mutex_);
    int heard = 0;
    for (const std::string& command : heard_) heard += command.starts_with(begin) ? 1 : 0;
    return heard;
  }

 private:
  std::string Answer(const std::string& command) {
    const std::lock_guard lock(mutex_);
    heard_.push_back(command);
    for (auto reply = replies_.rbegin(); reply != replies_.rend(); ++reply) {
      if (command.starts_with(reply->first)) return reply->second;
    }
    if (command == "MULTI") {
      in_fetch_ = true;
    } else if (command == "EXEC") {
      in_fetch_ = false;
      return silent_ ? "" : "*3\r\n+OK\r\n:" + std::to_string(ttl_ms_) + "\r\n" + value_;
    } else if (in_fetch_) {
      return silent_ ? "" : "+QUEUED\r\n";
    } else if (command.starts_with("GET ")) {
      ++reads_;
      return value_;
    } else if (command == "PING") {
      return silent_ ? "" : "+PONG\r\n";
    } else if (command.starts_with("HELLO")) {
      return "%1\r\n+server\r\n+redis\r\n";
    }
    return silent_ && command.starts_with("CLIENT CACHING") ? "" : "+OK\r\n";
  }

  std::mutex mutex_;
  std::string value_ = Bulk("old");
  int64_t ttl_ms_ = -1;
  bool silent_ = false;
  bool in_fetch_ = false;
  std::vector<std::pair<std::string, std::string>> replies_;
  std::vector<std::string> heard_;
  std::atomic<int> reads_{0};
  FakeRedis redis_;
};

class LocalCache : public ::testing::Test {
 protected:
  void Start(PolicyMode mode = PolicyMode::kEnforce, ClusterKind kind = ClusterKind::kRedis) {
    // What a Redis Cluster consists of, StartCluster says.
    const uint16_t port = kind == ClusterKind::kRedis ? node_.port() : uint16_t{1};
    server_ = std::make_unique<TestServer>(ProxyCommandFamilies(), [&](Options& options) {
      options.workers = 1;
      options.clusters.push_back({.name = "cache",
                                  .kind = kind,
                                  .nodes = {{.address = {"127.0.0.1", port}}},
                                  .connect_timeout = kLong,
                                  .request_timeout = kLong,
                                  .health_check_interval = milliseconds(0)});
      RouteOptions route{.match = "*", .cluster = "cache"};
      route.policies.local_cache = {
          .said = true, .mode = mode, .hot = false, .patterns = {"k*"}, .ttl_max = kLong};
      options.routes = {route};
    });
    client_ = std::make_unique<TestClient>(server_->port());
    // So that what connections to the node have in common is a protocol with pushes.
    (void)Ask("HELLO 3");
  }
  // A cluster whose slots that node has.
  void StartCluster(const TrackingNode& owner) {
    Start(PolicyMode::kEnforce, ClusterKind::kRedisCluster);
    topology::SlotMapBuilder builder;
    auto topology = std::make_shared<UpstreamTopology>();
    topology->version = kNewest;
    topology::ClusterNode described;
    described.address = {"127.0.0.1", owner.port()};
    described.is_primary = true;
    topology->node_of_slot_map.push_back(0);
    topology->nodes.push_back({.address = described.address});
    Result<topology::NodeIndex> index = builder.AddNode(described);
    Result<uint16_t> shard = builder.ShardOfPrimary(*index);
    ASSERT_TRUE(builder.Assign(*shard, 0, kSlotCount - 1).ok());
    topology->slots = std::make_shared<const topology::SlotMap>(std::move(builder).Build());
    std::atomic<bool> taken{false};
    worker().Post([&taken, topology](Worker& w) {
      w.upstreams()[0]->SetTopology(topology);
      taken = true;
    });
    ASSERT_TRUE(Eventually([&] { return taken.load(); }));
  }

  Worker& worker() { return *(*server_)->workers()[0]; }
  uint64_t Figure(WorkerCounter LocalCacheFigures::*value) {
    return (worker().local_cache().figures().*value).Get();
  }
  uint64_t Hits() { return Figure(&LocalCacheFigures::hits); }
  uint64_t Failures() {
    uint64_t failures = 0;
    for (const auto& figures : worker().upstreams()[0]->Figures())
      failures += figures->counters.connect_failures.Get();
    return failures;
  }
  std::string Ask(const std::string& command) {
    client_->Send(command + "\r\n");
    return client_->ReadSome();
  }
  // Reads until a reply comes from here.
  bool Warm(const std::string& command = "GET k") {
    return Eventually([&] {
      const uint64_t before = Hits();
      (void)Ask(command);
      return Hits() > before;
    });
  }
  bool Reads(const std::string& expected) {
    return Eventually([&] { return Ask("GET k") == expected; });
  }

  TrackingNode node_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(LocalCache, AReplyThatIsKeptCostsTheNodeNothing) {
  Start();
  ASSERT_TRUE(Warm());
  const auto reads = static_cast<uint64_t>(node_.reads());
  const uint64_t hits = Hits();
  constexpr uint64_t kReads = 100;
  for (uint64_t i = 0; i < kReads; ++i) EXPECT_EQ(Ask("GET k"), Bulk("old"));
  EXPECT_EQ(static_cast<uint64_t>(node_.reads()) - reads + Hits() - hits, kReads);
  EXPECT_GT(Hits(), hits);
  EXPECT_EQ(Figure(&LocalCacheFigures::connections), 1);
  EXPECT_EQ(Figure(&LocalCacheFigures::connections_down), 0);
}

TEST_F(LocalCache, WhatTheNodeSaysToHaveChangedIsReadAnew) {
  Start();
  ASSERT_TRUE(Warm());
  ASSERT_TRUE(Warm("GET k2"));
  const uint64_t fills = Figure(&LocalCacheFigures::fills);
  node_.Invalidate("k2");
  EXPECT_TRUE(Eventually([&] { return Figure(&LocalCacheFigures::invalidations) == 1; }));
  EXPECT_TRUE(Warm());
  EXPECT_EQ(Figure(&LocalCacheFigures::fills), fills);
  node_.SetValue(Bulk("new"));
  node_.Invalidate("k");
  EXPECT_TRUE(Reads(Bulk("new")));
  ASSERT_TRUE(Warm());
  node_.SetValue(Bulk("newer"));
  node_.InvalidateAll();
  EXPECT_TRUE(Reads(Bulk("newer")));
  EXPECT_GE(Figure(&LocalCacheFigures::flushes), 1);
}

TEST_F(LocalCache, AWriteOverTheProxyNeedsNoWordOfTheNode) {
  Start();
  for (const char* write : {"SET k 1", "DEL other k", "EVAL x 0", "FLUSHALL", "MSET k 1 l 2"}) {
    node_.SetValue(Bulk("old"));
    ASSERT_TRUE(Reads(Bulk("old"))) << write;
    ASSERT_TRUE(Warm()) << write;
    node_.SetValue(Bulk("new"));
    (void)Ask(write);
    EXPECT_EQ(Ask("GET k"), Bulk("new")) << write;
    (void)Ask("SET k 1");
  }
  ASSERT_TRUE(Warm());
  node_.SetValue(Bulk("new"));
  (void)Ask("SET another 1");
  EXPECT_TRUE(Warm());
}

TEST_F(LocalCache, ATransactionAndAClientThatWatchesAreNotAnsweredFromHere) {
  Start();
  ASSERT_TRUE(Warm());
  const uint64_t hits = Hits();
  EXPECT_EQ(Ask("WATCH k"), "+OK\r\n");
  const int reads = node_.reads();
  node_.SetValue(Bulk("new"));
  EXPECT_EQ(Ask("GET k"), Bulk("new"));
  EXPECT_EQ(node_.reads(), reads + 1);
  EXPECT_EQ(Ask("UNWATCH"), "+OK\r\n");
  EXPECT_EQ(Ask("MULTI"), "+OK\r\n");
  EXPECT_EQ(Ask("GET k"), "+QUEUED\r\n");
  EXPECT_EQ(Ask("DISCARD"), "+OK\r\n");
  EXPECT_EQ(Hits(), hits);
  EXPECT_TRUE(Warm());
}

TEST_F(LocalCache, AReadBehindOneThatIsUnderWayIsNoHit) {
  Start();
  ASSERT_TRUE(Warm());
  const uint64_t hits = Hits();
  const std::string both = Bulk("old") + Bulk("old");
  EXPECT_EQ(client_->Ask("GET other\r\nGET k\r\n", both), both);
  EXPECT_EQ(Hits(), hits);
}

TEST_F(LocalCache, NothingIsGivenThatIsOlderThanTheLastWordOfASilentNode) {
  Start();
  ASSERT_TRUE(Warm());
  node_.FallSilent();
  node_.SetValue(Bulk("new"));
  // Nobody says that it changed, and the connection stays.
  EXPECT_TRUE(Reads(Bulk("new")));
  EXPECT_EQ(Figure(&LocalCacheFigures::flushes), 0);
  const uint64_t hits = Hits();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Ask("GET k"), Bulk("new"));
  EXPECT_EQ(Hits(), hits);
}

TEST_F(LocalCache, ALostConnectionLeavesNothing) {
  Start();
  ASSERT_TRUE(Warm());
  node_.Close();
  EXPECT_TRUE(Eventually([&] { return Figure(&LocalCacheFigures::flushes) == 1; }));
  EXPECT_EQ(Figure(&LocalCacheFigures::connections), 0);
  EXPECT_EQ(Figure(&LocalCacheFigures::connections_down), 1);
  node_.SetValue(Bulk("new"));
  node_.Reopen();
  EXPECT_TRUE(Reads(Bulk("new")));
  EXPECT_TRUE(Warm());
  EXPECT_EQ(Figure(&LocalCacheFigures::connections), 1);
}

TEST_F(LocalCache, ANodeThatDoesNotKnowHello3IsNoWorseForIt) {
  node_.Reply("HELLO", "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n");
  Start();
  client_ = std::make_unique<TestClient>(server_->port());  // in RESP2, as the node's
  EXPECT_TRUE(Eventually([&] {
    (void)Ask("GET k");
    return node_.Heard("HELLO 3") >= 1;
  }));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(Ask("GET k"), Bulk("old"));
  EXPECT_EQ(node_.Heard("HELLO 3"), 1);
  EXPECT_EQ(Failures(), 0);
  EXPECT_EQ(Hits(), 0);
  const std::string explained = Ask("TIDEGATE EXPLAIN k");
  EXPECT_NE(explained.find("local_cache is off: keys cannot be tracked there: ERR unknown command"),
            std::string::npos)
      << explained;
}

TEST_F(LocalCache, ANodeWithoutTrackingIsAskedOnce) {
  node_.Reply("CLIENT TRACKING", "-ERR Unknown subcommand or wrong number of arguments\r\n");
  Start();
  EXPECT_TRUE(Eventually([&] {
    (void)Ask("GET k");
    return node_.Heard("CLIENT TRACKING") >= 1;
  }));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(Ask("GET k"), Bulk("old"));
  EXPECT_EQ(node_.Heard("CLIENT TRACKING"), 1);
  EXPECT_EQ(Failures(), 0);
  EXPECT_EQ(Figure(&LocalCacheFigures::connections_down), 1);
  EXPECT_NE(Ask("TIDEGATE EXPLAIN k").find("local_cache is off: keys cannot be tracked there"),
            std::string::npos);
}

TEST_F(LocalCache, ErrorsAreNotKept) {
  node_.SetValue("-ERR it is not well\r\n");
  Start();
  EXPECT_TRUE(Eventually([&] {
    (void)Ask("GET k");
    return Figure(&LocalCacheFigures::discarded) >= 1;
  }));
  EXPECT_EQ(Figure(&LocalCacheFigures::fills), 0);
  EXPECT_EQ(Ask("GET k"), "-ERR it is not well\r\n");
}

TEST_F(LocalCache, ObserveOnlyCounts) {
  Start(PolicyMode::kObserve);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Ask("GET k"), Bulk("old"));
  EXPECT_EQ(Figure(&LocalCacheFigures::observed), 10);
  EXPECT_EQ(node_.reads(), 10);
  EXPECT_EQ(node_.Heard("CLIENT TRACKING"), 0);
}

TEST_F(LocalCache, ARedirectionDropsWhatIsKeptOfTheCluster) {
  TrackingNode other;
  other.SetValue(Bulk("new"));
  StartCluster(node_);
  ASSERT_TRUE(Warm());
  const std::string slot = std::to_string(KeySlot("elsewhere"));
  node_.Reply("GET elsewhere", "-ASK " + slot + " " + other.address() + "\r\n");
  const auto before = Figure(&LocalCacheFigures::flushes);  // by slots that were found out
  EXPECT_EQ(Ask("GET elsewhere"), Bulk("new"));
  EXPECT_EQ(Figure(&LocalCacheFigures::flushes), before);
  node_.Reply("GET elsewhere", "-MOVED " + slot + " " + other.address() + "\r\n");
  EXPECT_EQ(Ask("GET elsewhere"), Bulk("new"));
  EXPECT_GT(Figure(&LocalCacheFigures::flushes), before);
  EXPECT_TRUE(Warm());
}

TEST_F(LocalCache, AKeyThatIsElsewhereIsNotKept) {
  TrackingNode other;
  other.SetValue(Bulk("new"));
  StartCluster(node_);
  ASSERT_TRUE(Warm());
  const std::string asks = "-ASK " + std::to_string(KeySlot("k")) + " " + other.address() + "\r\n";
  node_.Reply("GET k", asks);
  node_.Reply("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
  node_.Invalidate("k");
  EXPECT_TRUE(Reads(Bulk("new")));
  const uint64_t hits = Hits();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Ask("GET k"), Bulk("new"));
  EXPECT_EQ(Hits(), hits);
}

// While a slot moves, a key that is made where it goes is a change that its node does not tell.
TEST_F(LocalCache, OfAClusterThatAKeyIsNotThereIsNotKept) {
  node_.SetValue("_\r\n", -2);
  StartCluster(node_);
  EXPECT_TRUE(Eventually([&] {
    (void)Ask("GET k");
    return Figure(&LocalCacheFigures::discarded) >= 1;
  }));
  EXPECT_EQ(Figure(&LocalCacheFigures::fills), 0);
}

TEST_F(LocalCache, OfOneNodeThatAKeyIsNotThereIsKept) {
  node_.SetValue("_\r\n", -2);
  Start();
  EXPECT_TRUE(Warm());
}

}  // namespace
}  // namespace tidegate
