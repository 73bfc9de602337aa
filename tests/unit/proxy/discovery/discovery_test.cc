// The control plane against servers that lie, stop in the middle of a reply, or never answer.
#include "proxy/discovery/discovery.h"

#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/upstream/upstream_topology.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_redis.h"

namespace tidegate::discovery {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

const std::string kPong = "+PONG\r\n";

HostPort PlaceOf(const FakeRedis& server) { return {"127.0.0.1", server.port()}; }

// A cluster with short times, so that tests are.
ClusterOptions OptionsOf(ClusterKind kind, const std::vector<const FakeRedis*>& servers) {
  ClusterOptions options{.name = "c", .kind = kind};
  for (const FakeRedis* server : servers) options.nodes.push_back({.address = PlaceOf(*server)});
  options.connect_timeout = milliseconds(150);
  options.health_check_interval = milliseconds(100);
  options.refresh_interval = milliseconds(500);
  return options;
}

// Discovery of one cluster and what it published.
class Watched final {
 public:
  explicit Watched(ClusterOptions options)
      : discovery_(std::vector{std::move(options)},
                   [this](size_t, std::shared_ptr<const UpstreamTopology> topology) {
                     const std::lock_guard lock(mutex_);
                     published_.push_back(std::move(topology));
                   }) {
    discovery_.Start();
  }

  Discovery& operator*() { return discovery_; }
  Discovery* operator->() { return &discovery_; }
  std::shared_ptr<const UpstreamTopology> Now() const { return discovery_.cluster(0).latest(); }
  std::vector<std::shared_ptr<const UpstreamTopology>> Published() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }
  std::string Problem() const { return Now()->problem; }
  // The port of the primary; 0: none.
  uint16_t PrimaryPort() const {
    const auto now = Now();
    return now->primary ? now->nodes[*now->primary].address.port : 0;
  }
  uint64_t refreshes() const { return discovery_.cluster(0).counters().refreshes.Get(); }

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const UpstreamTopology>> published_;
  Discovery discovery_;
};

std::string OnlyPing(const std::string& command) {
  return command == "PING" ? kPong : "-ERR unknown command\r\n";
}

// --- nodes of the configuration alone ---

TEST(DiscoveryOfNodes, UsableUntilThreeFailuresAndAgainAfterOneSuccess) {
  FakeRedis server(OnlyPing);
  Watched watched(OptionsOf(ClusterKind::kRedis, {&server}));
  EXPECT_TRUE(Eventually([&] { return watched.Now()->version == 1; }));
  EXPECT_TRUE(watched.Now()->nodes[0].is_usable);
  EXPECT_EQ(watched.PrimaryPort(), server.port());
  EXPECT_TRUE(Eventually([&] { return server.asked() > 0; }));
  server.Close();
  EXPECT_TRUE(Eventually([&] { return !watched.Now()->nodes[0].is_usable; }));
  EXPECT_THAT(watched.Now()->nodes[0].why_not, HasSubstr("connect: Connection refused"));
  server.Reopen();
  EXPECT_TRUE(Eventually([&] { return watched.Now()->nodes[0].is_usable; }));
  EXPECT_EQ(watched.Published().size(), 3U);
}

TEST(DiscoveryOfNodes, ThatAcceptsAndNeverAnswers) {
  FakeRedis silent([](const std::string&) { return ""; });
  FakeRedis good(OnlyPing);
  Watched watched(OptionsOf(ClusterKind::kRing, {&silent, &good}));
  EXPECT_TRUE(Eventually(
      [&] { return watched.Now()->version >= 1 && !watched.Now()->nodes[0].is_usable; }));
  EXPECT_EQ(watched.Now()->nodes[0].why_not, "no answer within 150ms");
  EXPECT_TRUE(watched.Now()->nodes[1].is_usable);
}

TEST(DiscoveryOfNodes, ThatIsLoadingOrSaysNonsense) {
  FakeRedis loading([](const std::string&) { return "-LOADING Redis is loading the dataset\r\n"; });
  FakeRedis nonsense([](const std::string&) { return "HTTP/1.1 400 Bad Request\r\n\r\n"; });
  FakeRedis hangs_up([](const std::string&) { return std::string(FakeRedis::kHangUp); });
  FakeRedis busy([](const std::string&) { return "-BUSY Redis is busy running a script\r\n"; });
  Watched watched(OptionsOf(ClusterKind::kRing, {&loading, &nonsense, &hangs_up, &busy}));
  EXPECT_TRUE(Eventually([&] {
    const auto now = watched.Now();
    return now->version > 0 && !now->nodes[0].is_usable && !now->nodes[1].is_usable &&
           !now->nodes[2].is_usable;
  }));
  EXPECT_THAT(watched.Now()->nodes[0].why_not, HasSubstr("it says LOADING"));
  EXPECT_THAT(watched.Now()->nodes[1].why_not, HasSubstr("it sent what is no reply"));
  EXPECT_THAT(watched.Now()->nodes[2].why_not, HasSubstr("it closed the connection"));
  EXPECT_TRUE(watched.Now()->nodes[3].is_usable);
}

TEST(DiscoveryOfNodes, SaysWhoItIsFirst) {
  std::atomic<bool> authenticated{false};
  FakeRedis server([&](const std::string& command) -> std::string {
    if (command == "AUTH app secret") {
      authenticated = true;
      return "+OK\r\n";
    }
    return command == "PING" && authenticated ? kPong : "-NOAUTH Authentication required.\r\n";
  });
  FakeRedis refuses([](const std::string& command) {
    return command.starts_with("AUTH") ? "-WRONGPASS invalid username-password pair\r\n" : kPong;
  });
  ClusterOptions options = OptionsOf(ClusterKind::kRing, {&server, &refuses});
  options.username = "app";
  options.password = "secret";
  Watched watched(options);
  EXPECT_TRUE(Eventually(
      [&] { return watched.Now()->version >= 1 && !watched.Now()->nodes[1].is_usable; }));
  EXPECT_THAT(watched.Now()->nodes[1].why_not, HasSubstr("it refused us: WRONGPASS"));
  EXPECT_TRUE(watched.Now()->nodes[0].is_usable);
}

TEST(DiscoveryLife, StopsWhileEverythingHangs) {
  FakeRedis silent([](const std::string&) { return ""; });
  for (const ClusterKind kind : {ClusterKind::kRedis, ClusterKind::kReplicas,
                                 ClusterKind::kSentinel, ClusterKind::kRedisCluster}) {
    ClusterOptions options = OptionsOf(kind, {&silent});
    options.sentinel.primary_name = "m";
    options.connect_timeout = std::chrono::seconds(60);
    Watched watched(options);
    EXPECT_TRUE(Eventually([&] { return silent.asked() > 0; }));
  }
  Discovery never_started(std::vector{OptionsOf(ClusterKind::kRedis, {&silent})},
                          [](size_t, const std::shared_ptr<const UpstreamTopology>&) {});
}

TEST(DiscoveryLife, ClustersComeAndGoWhileItRuns) {
  FakeRedis first(OnlyPing);
  FakeRedis second(OnlyPing);
  Watched watched(OptionsOf(ClusterKind::kRedis, {&first}));
  EXPECT_TRUE(Eventually([&] { return first.asked() > 1; }));
  const std::shared_ptr<WatchedCluster> added =
      watched->Add(OptionsOf(ClusterKind::kRedis, {&second}));
  EXPECT_EQ(added->number, 1U);
  EXPECT_TRUE(Eventually([&] { return added->publisher.was_asked() && second.asked() > 1; }));
  watched->Remove(1);
  EXPECT_EQ(watched->size(), 1U);
  // Nobody asks it any more; reports about it are for nobody.
  watched->Report(*added, {.kind = UpstreamReport::Kind::kNodeFailed});
  watched->Report(1, {.kind = UpstreamReport::Kind::kNodeFailed});
  int asked = second.asked();
  EXPECT_TRUE(Eventually([&] {
    const int before = std::exchange(asked, second.asked());
    const int others = first.asked();
    Eventually([&] { return first.asked() > others + 2; });
    return second.asked() == before;
  }));
  // A number is never given twice.
  EXPECT_EQ(watched->Add(OptionsOf(ClusterKind::kRedis, {&second}))->number, 2U);
}

// --- nodes that an operator drains ---

using Nodes = std::vector<KnownNode>;

UpstreamTopology TopologyWith(Nodes nodes) {
  UpstreamTopology topology;
  topology.nodes = std::move(nodes);
  return topology;
}

TEST(Draining, WhoMayBeDrained) {
  const topology::NodeAddress a{"a", 1};
  const topology::NodeAddress b{"b", 1};
  const auto ignore = [](const std::shared_ptr<const UpstreamTopology>&) {};
  TopologyPublisher one("c", ClusterKind::kRedis, ignore);
  EXPECT_THAT(one.Drain(a, true), HasSubstr("no such node"));
  one.Offer(TopologyWith({{.address = a}}));
  EXPECT_THAT(one.Drain(a, true), HasSubstr("the only node"));
  TopologyPublisher replicas("c", ClusterKind::kReplicas, ignore);
  replicas.Offer(TopologyWith({{.address = a}, {.address = b, .is_primary = false}}));
  EXPECT_THAT(replicas.Drain(a, true), HasSubstr("it is a primary"));
  EXPECT_EQ(replicas.Drain(b, false), "");
  TopologyPublisher ring("c", ClusterKind::kRing, ignore);
  ring.Offer(TopologyWith({{.address = a}, {.address = b}}));
  EXPECT_THAT(ring.Drain(a, false), HasSubstr("eject-after-failures"));
  EXPECT_EQ(ring.Drain(a, true), "");
  EXPECT_THAT(ring.Drain(b, true), HasSubstr("the last node"));
}

TEST(Draining, LastsUntilItIsTakenBack) {
  int published = 0;
  TopologyPublisher publisher(
      "c", ClusterKind::kReplicas,
      [&published](const std::shared_ptr<const UpstreamTopology>&) { ++published; });
  const topology::NodeAddress b{"b", 1};
  const Nodes nodes = {{.address = {"a", 1}}, {.address = b, .is_primary = false}};
  publisher.Offer(TopologyWith(nodes));
  EXPECT_FALSE(publisher.Undrain(b));
  EXPECT_EQ(publisher.Drain(b, false), "");
  EXPECT_EQ(publisher.Drain(b, false), "");
  EXPECT_EQ(published, 2);
  EXPECT_FALSE(publisher.Offer(TopologyWith(nodes)));  // the watcher knows nothing of it
  publisher.OfferProblem("p");
  const KnownNode node = publisher.latest()->nodes[1];
  EXPECT_TRUE(node.is_drained);
  EXPECT_FALSE(node.is_usable);
  EXPECT_EQ(node.why_not, "drained by an operator");
  EXPECT_TRUE(publisher.Undrain(b));
  EXPECT_TRUE(publisher.latest()->nodes[1].is_usable);
  EXPECT_EQ(publisher.latest()->problem, "p");
}

// --- a primary and its replicas ---

std::string PrimaryInfo(int64_t offset, const std::vector<const FakeRedis*>& replicas = {}) {
  std::string info =
      "# Replication\r\nrole:master\r\nconnected_slaves:" + std::to_string(replicas.size()) +
      "\r\n";
  for (size_t i = 0; i < replicas.size(); ++i) {
    info += "slave" + std::to_string(i) +
            ":ip=127.0.0.1,port=" + std::to_string(replicas[i]->port()) +
            ",state=online,offset=" + std::to_string(offset) + ",lag=0\r\n";
  }
  return Bulk(info + "master_repl_offset:" + std::to_string(offset) + "\r\n");
}

std::string ReplicaInfo(const FakeRedis& primary, int64_t offset) {
  return Bulk(
      "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:" + std::to_string(primary.port()) +
      "\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:0\r\n"
      "master_sync_in_progress:0\r\nslave_repl_offset:" +
      std::to_string(offset) + "\r\nmaster_repl_offset:" + std::to_string(offset) + "\r\n");
}

FakeRedis::Respond Says(std::string info) {
  return [info = std::move(info)](const std::string& command) -> std::string {
    if (command == "PING") return kPong;
    return command == "INFO replication" ? info : "-NOPERM no permissions\r\n";
  };
}

TEST(DiscoveryOfReplicas, FollowsAPromotion) {
  FakeRedis a(OnlyPing);
  FakeRedis b(OnlyPing);
  a.Set(Says(PrimaryInfo(100, {&b})));
  b.Set(Says(ReplicaInfo(a, 100)));
  Watched watched(OptionsOf(ClusterKind::kReplicas, {&a, &b}));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a.port(); }));
  EXPECT_EQ(watched.Problem(), "");
  b.Set(Says(PrimaryInfo(100)));
  a.Set(Says(ReplicaInfo(b, 100)));
  watched->Report(0, {.kind = UpstreamReport::Kind::kNotPrimary, .node = {"127.0.0.1", a.port()}});
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == b.port(); }));
  EXPECT_EQ(watched->cluster(0).counters().failovers.Get(), 1U);
}

TEST(DiscoveryOfReplicas, UsesReplicasThatOnlyThePrimaryNames) {
  FakeRedis a(OnlyPing);
  FakeRedis b(Says(""));
  FakeRedis gone(OnlyPing);
  gone.Close();
  a.Set(Says(PrimaryInfo(100, {&b, &gone})));
  b.Set(Says(ReplicaInfo(a, 100)));
  Watched watched(OptionsOf(ClusterKind::kReplicas, {&a}));
  EXPECT_TRUE(Eventually([&] { return watched.Now()->nodes.size() == 2; }));
  EXPECT_EQ(watched.Now()->nodes[1].address.port, b.port());
  EXPECT_TRUE(watched.Now()->nodes[1].is_usable);
  EXPECT_EQ(watched.Problem(), "");
}

// Servers call each other by address, the configuration by name: they are the same all the same.
TEST(DiscoveryOfReplicas, ConfiguredByName) {
  FakeRedis a(OnlyPing);
  FakeRedis b(OnlyPing);
  a.Set(Says(PrimaryInfo(100, {&b})));
  b.Set(Says(ReplicaInfo(a, 100)));
  ClusterOptions options = OptionsOf(ClusterKind::kReplicas, {&a, &b});
  for (UpstreamNodeOptions& node : options.nodes) node.address.host = "localhost";
  Watched watched(options);
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a.port(); }));
  const uint64_t refreshes = watched.refreshes();
  EXPECT_TRUE(Eventually([&] { return watched.refreshes() > refreshes; }));
  ASSERT_EQ(watched.Now()->nodes.size(), 2U);
  EXPECT_TRUE(watched.Now()->nodes[1].is_usable) << watched.Now()->nodes[1].why_not;
}

TEST(DiscoveryOfReplicas, AskedByRoleWhereInfoIsRefused) {
  FakeRedis a([](const std::string& command) -> std::string {
    if (command == "PING") return kPong;
    return command == "ROLE" ? "*3\r\n$6\r\nmaster\r\n:100\r\n*0\r\n" : "-NOPERM no\r\n";
  });
  Watched watched(OptionsOf(ClusterKind::kReplicas, {&a}));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a.port(); }));
}

TEST(DiscoveryOfReplicas, HalfAReplyKeepsWhatIsKnown) {
  FakeRedis a(OnlyPing);
  FakeRedis b(OnlyPing);
  a.Set(Says(PrimaryInfo(100, {&b})));
  b.Set(Says(ReplicaInfo(a, 100)));
  Watched watched(OptionsOf(ClusterKind::kReplicas, {&a, &b}));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a.port(); }));
  a.Set([](const std::string& command) -> std::string {
    return command == "PING" ? kPong : "$500\r\n# Replication\r\nrole:";
  });
  watched->Report(0, {.kind = UpstreamReport::Kind::kNodeFailed, .node = {"127.0.0.1", a.port()}});
  EXPECT_TRUE(Eventually([&] { return !watched.Problem().empty(); }));
  EXPECT_THAT(watched.Problem(), HasSubstr("does not answer: no answer within 150ms"));
  EXPECT_EQ(watched.PrimaryPort(), a.port());
}

// --- sentinels ---

struct SentinelWords {
  const FakeRedis* primary = nullptr;
  int64_t epoch = 1;
  std::vector<const FakeRedis*> replicas = {};
  std::vector<const FakeRedis*> sentinels = {};
};

std::string Fields(const std::vector<std::string>& words) {
  std::string reply = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) reply += Bulk(word);
  return reply;
}

std::string Servers(const std::vector<const FakeRedis*>& servers, const std::string& flags) {
  std::string reply = "*" + std::to_string(servers.size()) + "\r\n";
  for (const FakeRedis* server : servers) {
    reply += Fields({"name", server->address(), "ip", "127.0.0.1", "port",
                     std::to_string(server->port()), "flags", flags});
  }
  return reply;
}

FakeRedis::Respond Tells(SentinelWords words) {
  return [words = std::move(words)](const std::string& command) -> std::string {
    if (command == "PING") return kPong;
    if (command.starts_with("SUBSCRIBE"))
      return "*3\r\n" + Bulk("subscribe") + Bulk(command.substr(10)) + ":1\r\n";
    if (command == "SENTINEL MASTER m") {
      return Fields({"name", "m", "ip", "127.0.0.1", "port", std::to_string(words.primary->port()),
                     "flags", "master", "config-epoch", std::to_string(words.epoch), "quorum", "2",
                     "num-other-sentinels", "2"});
    }
    if (command == "SENTINEL REPLICAS m") return Servers(words.replicas, "slave");
    if (command == "SENTINEL SENTINELS m") return Servers(words.sentinels, "sentinel");
    return "-ERR No such master with that name\r\n";
  };
}

ClusterOptions SentinelOptionsOf(const std::vector<const FakeRedis*>& sentinels) {
  ClusterOptions options = OptionsOf(ClusterKind::kSentinel, sentinels);
  options.sentinel.primary_name = "m";
  return options;
}

class DiscoveryOfSentinels : public testing::Test {
 protected:
  DiscoveryOfSentinels() {
    a_.Set(Says(PrimaryInfo(100, {&b_})));
    b_.Set(Says(ReplicaInfo(a_, 100)));
    for (FakeRedis* sentinel : {&s1_, &s2_, &s3_}) sentinel->Set(Tells(Of(a_, 1)));
  }

  SentinelWords Of(const FakeRedis& primary, int64_t epoch) {
    const FakeRedis& replica = &primary == &a_ ? b_ : a_;
    return {&primary, epoch, {&replica}, {&s1_, &s2_, &s3_}};
  }

  FakeRedis a_{OnlyPing}, b_{OnlyPing}, s1_{OnlyPing}, s2_{OnlyPing}, s3_{OnlyPing};
};

TEST_F(DiscoveryOfSentinels, FindsTheOtherSentinelsAndTheReplicas) {
  Watched watched(SentinelOptionsOf({&s1_}));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a_.port(); }));
  EXPECT_EQ(watched.Now()->nodes.size(), 2U);
  EXPECT_TRUE(Eventually([&] { return s2_.asked() > 0 && s3_.asked() > 0; }));
  s1_.Close();
  s2_.Set(Tells(Of(b_, 2)));
  s3_.Set(Tells(Of(b_, 2)));
  b_.Set(Says(PrimaryInfo(100)));
  a_.Set(Says(ReplicaInfo(b_, 100)));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == b_.port(); }));
}

TEST_F(DiscoveryOfSentinels, AMajorityThatLies) {
  Watched watched(SentinelOptionsOf({&s1_, &s2_, &s3_}));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a_.port(); }));
  s1_.Set(Tells(Of(b_, 9)));
  s2_.Set(Tells(Of(b_, 9)));
  EXPECT_TRUE(Eventually([&] { return !watched.Problem().empty(); }));
  EXPECT_THAT(watched.Problem(), HasSubstr("which says that it is none"));
  EXPECT_EQ(watched.PrimaryPort(), a_.port());
}

TEST_F(DiscoveryOfSentinels, AnEventIsFollowedAtOnce) {
  ClusterOptions options = SentinelOptionsOf({&s1_});
  options.refresh_interval = std::chrono::minutes(1);
  options.health_check_interval = milliseconds(0);
  s1_.Set(Tells({&a_, 1, {&b_}, {}}));
  Watched watched(options);
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == a_.port(); }));
  s1_.Set(Tells({&b_, 2, {&a_}, {}}));
  b_.Set(Says(PrimaryInfo(100)));
  a_.Set(Says(ReplicaInfo(b_, 100)));
  const std::string ports = std::to_string(a_.port()) + " 127.0.0.1 " + std::to_string(b_.port());
  EXPECT_TRUE(Eventually([&] { return s1_.accepted() >= 2; }));
  s1_.Push("*3\r\n" + Bulk("message") + Bulk("+switch-master") + Bulk("m 127.0.0.1 " + ports));
  EXPECT_TRUE(Eventually([&] { return watched.PrimaryPort() == b_.port(); }));
}

TEST_F(DiscoveryOfSentinels, NoSuchPrimary) {
  ClusterOptions options = SentinelOptionsOf({&s1_});
  options.sentinel.primary_name = "other";
  Watched watched(options);
  EXPECT_TRUE(Eventually([&] { return !watched.Problem().empty(); }));
  EXPECT_THAT(watched.Problem(), HasSubstr("no sentinel answers"));
  EXPECT_THAT(watched.Problem(), HasSubstr("No such master"));
}

// --- a Redis Cluster ---

const std::string kClusterOk = Bulk(
    "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:2\r\n"
    "cluster_current_epoch:1\r\n");

// CLUSTER SLOTS of two nodes: the first has the slots below `border`.
std::string Slots(const FakeRedis& low, const FakeRedis& high, int border) {
  const auto range = [](int first, int last, const FakeRedis& owner) {
    return "*3\r\n:" + std::to_string(first) + "\r\n:" + std::to_string(last) + "\r\n*3\r\n" +
           Bulk("127.0.0.1") + ":" + std::to_string(owner.port()) + "\r\n" +
           Bulk("id" + std::to_string(owner.port()));
  };
  return "*2\r\n" + range(0, border - 1, low) + range(border, 16383, high);
}

FakeRedis::Respond Shows(std::string slots) {
  return [slots = std::move(slots)](const std::string& command) -> std::string {
    if (command == "PING") return kPong;
    if (command == "CLUSTER INFO") return kClusterOk;
    return command == "CLUSTER SLOTS" ? slots : "-ERR unknown subcommand 'SHARDS'.\r\n";
  };
}

class DiscoveryOfCluster : public testing::Test {
 protected:
  DiscoveryOfCluster() { Show(8000); }

  void Show(int border) {
    a_.Set(Shows(Slots(a_, b_, border)));
    b_.Set(Shows(Slots(a_, b_, border)));
  }
  // Who has the slot; 0: nobody.
  static uint16_t OwnerOf(const Watched& watched, uint16_t slot) {
    const auto now = watched.Now();
    const topology::ClusterNode* node =
        now->slots == nullptr ? nullptr : now->slots->PrimaryOf(slot);
    return node == nullptr ? 0 : node->address.port;
  }

  FakeRedis a_{OnlyPing}, b_{OnlyPing};
};

TEST_F(DiscoveryOfCluster, FindsAllNodesFromOne) {
  Watched watched(OptionsOf(ClusterKind::kRedisCluster, {&a_}));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 9000) == b_.port(); }));
  EXPECT_EQ(OwnerOf(watched, 0), a_.port());
  EXPECT_EQ(watched.Problem(), "");
  EXPECT_EQ(watched.Now()->nodes.size(), 2U);
}

TEST_F(DiscoveryOfCluster, NodesOfTheLastMapAreAskedWhenTheConfiguredOnesAreGone) {
  Watched watched(OptionsOf(ClusterKind::kRedisCluster, {&a_}));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 9000) == b_.port(); }));
  a_.Close();
  b_.Set(Shows(Slots(b_, b_, 8000)));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 0) == b_.port(); }));
}

TEST_F(DiscoveryOfCluster, MovedIsPublishedAtOnceAndThenTheNodesAreAsked) {
  ClusterOptions options = OptionsOf(ClusterKind::kRedisCluster, {&a_, &b_});
  options.refresh_interval = std::chrono::minutes(1);
  Watched watched(options);
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 100) == a_.port(); }));
  const uint64_t before = watched.refreshes();
  watched->Report(
      0, {.kind = UpstreamReport::Kind::kMoved, .slot = 100, .target = {"127.0.0.1", b_.port()}});
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 100) == b_.port(); }));
  EXPECT_EQ(OwnerOf(watched, 101), a_.port());
  // Most nodes do not know of it yet; for a while MOVED counts more.
  EXPECT_TRUE(Eventually([&] { return watched.refreshes() > before; }));
  EXPECT_EQ(OwnerOf(watched, 100), b_.port());
}

TEST_F(DiscoveryOfCluster, AMovedStormIsNoRefreshStorm) {
  Watched watched(OptionsOf(ClusterKind::kRedisCluster, {&a_, &b_}));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 100) == a_.port(); }));
  const uint64_t refreshes = watched.refreshes();
  const int asked = a_.asked();
  const auto until = std::chrono::steady_clock::now() + milliseconds(1000);
  uint64_t reports = 0;
  while (std::chrono::steady_clock::now() < until) {
    watched->Report(0, {.kind = UpstreamReport::Kind::kMoved,
                        .slot = static_cast<uint16_t>(reports++ % 16384),
                        .target = {"127.0.0.1", b_.port()}});
  }
  EXPECT_GT(reports, 10'000U);
  EXPECT_LE(watched.refreshes() - refreshes, 12U);
  EXPECT_LE(a_.asked() - asked, 40);  // PINGs among them
  EXPECT_LE(watched->cluster(0).counters().reports.Get(), 22U * kReportsMax);
}

TEST_F(DiscoveryOfCluster, ContradictionsKeepTheLastGoodMap) {
  Watched watched(OptionsOf(ClusterKind::kRedisCluster, {&a_, &b_}));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 100) == a_.port(); }));
  const std::string twice =
      "*2\r\n" + Slots(a_, b_, 8000).substr(4, Slots(a_, b_, 8000).find("*3\r\n:8000") - 4) +
      Slots(b_, a_, 8000).substr(4, Slots(b_, a_, 8000).find("*3\r\n:8000") - 4);
  a_.Set(Shows(twice));
  b_.Set(Shows(twice));
  EXPECT_TRUE(Eventually([&] { return !watched.Problem().empty(); }));
  EXPECT_THAT(watched.Problem(), HasSubstr("no node tells its slots"));
  EXPECT_EQ(OwnerOf(watched, 100), a_.port());
  Show(50);
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 100) == b_.port(); }));
  EXPECT_EQ(watched.Problem(), "");
}

TEST_F(DiscoveryOfCluster, NodesOfAnotherClusterAreNotBelieved) {
  FakeRedis x(OnlyPing);
  FakeRedis y(OnlyPing);
  Watched watched(OptionsOf(ClusterKind::kRedisCluster, {&a_, &b_}));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 100) == a_.port(); }));
  a_.Set(Shows(Slots(x, y, 8000)));
  b_.Set(Shows(Slots(x, y, 8000)));
  EXPECT_TRUE(Eventually([&] { return !watched.Problem().empty(); }));
  EXPECT_THAT(watched.Problem(), HasSubstr("is a node of another cluster"));
  EXPECT_EQ(OwnerOf(watched, 100), a_.port());
}

// One shard of a primary and a replica, and the second node's replication as `replica` says.
FakeRedis::Respond ShowsShard(const FakeRedis& primary, const FakeRedis& replica,
                              std::string replication) {
  std::string slots = "*1\r\n*4\r\n:0\r\n:16383\r\n";
  for (const FakeRedis* node : {&primary, &replica}) {
    slots += "*3\r\n" + Bulk("127.0.0.1") + ":" + std::to_string(node->port()) + "\r\n" +
             Bulk("id" + std::to_string(node->port()));
  }
  return [show = Shows(slots), replication = std::move(replication)](const std::string& command) {
    return command == "INFO replication" ? replication : show(command);
  };
}

TEST_F(DiscoveryOfCluster, ReplicasThatCopyAreNotRead) {
  const std::string copying =
      Bulk("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:" + std::to_string(a_.port()) +
           "\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:0\r\n");
  a_.Set(ShowsShard(a_, b_, PrimaryInfo(100)));
  b_.Set(ShowsShard(a_, b_, copying));
  ClusterOptions options = OptionsOf(ClusterKind::kRedisCluster, {&a_});
  options.read_from = ReadFrom::kPreferReplica;
  Watched watched(options);
  const auto why_not = [&] {
    const auto now = watched.Now();
    for (const KnownNode& node : now->nodes) {
      if (!node.is_primary) return node.is_usable ? std::string("usable") : node.why_not;
    }
    return std::string("no replica");
  };
  EXPECT_TRUE(Eventually([&] { return why_not() == "it copies its primary's data"; })) << why_not();
  b_.Set(ShowsShard(a_, b_, ReplicaInfo(a_, 100)));
  EXPECT_TRUE(Eventually([&] { return why_not() == "usable"; })) << why_not();
}

TEST_F(DiscoveryOfCluster, AHangingNodeDelaysNobody) {
  FakeRedis silent([](const std::string&) { return ""; });
  Watched watched(OptionsOf(ClusterKind::kRedisCluster, {&silent, &a_}));
  EXPECT_TRUE(Eventually([&] { return OwnerOf(watched, 9000) == b_.port(); }));
}

}  // namespace
}  // namespace tidegate::discovery
