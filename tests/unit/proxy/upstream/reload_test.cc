// A reload that changes clusters and routes while clients are at work, over real sockets, with the
// signal that makes it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/option_table.h"
#include "proxy/commands/families.h"
#include "proxy/upstream/worker_upstreams.h"
#include "proxy/upstream_control.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

ClusterOptions ClusterAt(std::string name, uint16_t port) {
  return {.name = std::move(name),
          .kind = ClusterKind::kRedis,
          .nodes = {{.address = {"127.0.0.1", port}}},
          .connect_timeout = std::chrono::milliseconds(2000),
          .request_timeout = std::chrono::milliseconds(5000)};
}

// A server whose clusters and routes a test changes. The engine is always there.
class Reloaded {
 public:
  Reloaded(std::vector<ClusterOptions> clusters, std::vector<RouteOptions> routes)
      : server_(
            ProxyCommandFamilies(),
            [&](Options& options) {
              options.workers = 2;
              options.port = 0;  // what a reload compares, and what is open, are the same
              options.extra_listeners = options.listeners;
              Set(options, std::move(clusters), std::move(routes));
            },
            [this](Server& server) {
              server.OnReload([this, &server] {
                Options wanted = Wanted();
                EXPECT_EQ(FinishOptions(wanted), std::nullopt);
                const Status status = server.Reload(std::move(wanted));
                answer_.set_value(status.ok() ? "" : status.error().message);
              });
            }) {
    // The signal is for the server's threads: it would interrupt what clients wait in.
    sigset_t hup;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hup, &mask_);
  }
  ~Reloaded() { pthread_sigmask(SIG_SETMASK, &mask_, nullptr); }
  Reloaded(const Reloaded&) = delete;
  Reloaded& operator=(const Reloaded&) = delete;

  uint16_t port() const { return server_.port(); }
  Server& operator*() { return *server_; }

  using Adjust = std::function<void(Options&)>;

  // Reads other settings; returns why it does not take them in.
  std::string Read(
      std::vector<ClusterOptions> clusters, std::vector<RouteOptions> routes,
      const Adjust& adjust = [](Options&) {}) {
    std::future<std::string> answer;
    {
      const std::lock_guard lock(mutex_);
      next_ = *server_->config().Snapshot();
      Set(*next_, std::move(clusters), std::move(routes));
      adjust(*next_);
      answer_ = {};
      answer = answer_.get_future();
    }
    kill(getpid(), SIGHUP);
    return answer.get();
  }
  void Reload(
      std::vector<ClusterOptions> clusters, std::vector<RouteOptions> routes,
      const Adjust& adjust = [](Options&) {}) {
    EXPECT_EQ(Read(std::move(clusters), std::move(routes), adjust), "");
    // Every worker has it.
    EXPECT_TRUE(Eventually([this] {
      size_t there = 0;
      for (const auto& worker : server_->workers()) {
        std::vector<std::string> names;
        for (const auto& figures : worker->worker_upstreams().Figures()) {
          if (!figures->leaving()) names.push_back(figures->name);
        }
        if (names == Names(*next_) && HasRoutes(*worker)) ++there;
      }
      return there == server_->workers().size();
    }));
  }

  // Of clusters that have left, some may still be there.
  size_t leaving() {
    size_t count = 0;
    for (const auto& worker : server_->workers()) {
      for (const auto& figures : worker->worker_upstreams().Figures())
        count += figures->leaving() ? 1 : 0;
    }
    return count;
  }
  uint64_t Sum(const std::string& cluster, WorkerCounter UpstreamCounters::*value) {
    uint64_t sum = 0;
    for (const auto& worker : server_->workers()) {
      for (const auto& figures : worker->worker_upstreams().Figures()) {
        if (figures->name != cluster) continue;
        for (const auto& node : figures->nodes()) sum += (node->counters.*value).Get();
      }
    }
    return sum;
  }

 private:
  // Asked by the server's thread, which a signal tells; that orders nothing between threads.
  Options Wanted() {
    const std::lock_guard lock(mutex_);
    return *next_;
  }
  static void Set(Options& options, std::vector<ClusterOptions> clusters,
                  std::vector<RouteOptions> routes) {
    options.clusters = {{.name = "local"}};
    for (ClusterOptions& cluster : clusters) options.clusters.push_back(std::move(cluster));
    options.routes = std::move(routes);
  }
  static std::vector<std::string> Names(const Options& options) {
    std::vector<std::string> names;
    for (const ClusterOptions& cluster : options.clusters) {
      if (cluster.is_upstream()) names.push_back(cluster.name);
    }
    return names;
  }
  bool HasRoutes(Worker& worker) {
    std::promise<bool> has;
    worker.Post([&](Worker& at) {
      std::vector<std::string> there;
      for (const Route& route : at.router().routes()) there.push_back(route.match + route.cluster);
      std::vector<std::string> wanted;
      for (const RouteOptions& route : next_->routes) wanted.push_back(route.match + route.cluster);
      std::sort(there.begin(), there.end());
      std::sort(wanted.begin(), wanted.end());
      bool same = there == wanted;
      for (const ClusterOptions& cluster : next_->clusters) {
        const UpstreamCluster* const known = at.worker_upstreams().Find(cluster.name);
        if (cluster.is_upstream()) same = same && known != nullptr && known->options() == cluster;
      }
      has.set_value(same);
    });
    return has.get_future().get();
  }

  sigset_t mask_;  // of the test's thread
  std::mutex mutex_;
  std::optional<Options> next_;  // written under it
  std::promise<std::string> answer_;
  TestServer server_;
};

// The handshake's answers, and those of a script.
std::string Greet(const std::string& command) {
  return command.starts_with("SELECT") ? "+OK\r\n" : "";
}

TEST(UpstreamReload, MovesEverythingUnderTrafficWithoutAnError) {
  const auto echo = [](const std::string& command) {
    return command.starts_with("GET ") ? Bulk(command.substr(4)) : Greet(command);
  };
  FakeRedis a(echo);
  FakeRedis b(echo);
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> rounds{0};
  std::vector<std::thread> clients;
  for (int n = 0; n < 4; ++n) {
    clients.emplace_back([&, n] {
      TestClient client(server.port());
      for (int round = 0; !stop.load(); ++round) {
        std::string sent;
        std::string expected;
        for (int i = 0; i < 40; ++i) {
          const std::string key = std::to_string(n) + "." + std::to_string(round * 40 + i);
          sent += "GET " + key + "\r\n";
          expected += Bulk(key);
        }
        client.Send(sent);
        if (client.Read(expected.size()) != expected) ++wrong;
        ++rounds;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return rounds.load() > 20; }));
  for (int i = 0; i < 10; ++i) {
    const int before = rounds.load();
    if (i % 2 == 0) {
      server.Reload({ClusterAt("new", b.port())}, {{"*", "new"}});
    } else {
      server.Reload({ClusterAt("old", a.port())}, {{"*", "old"}});
    }
    EXPECT_TRUE(Eventually([&] { return rounds.load() > before + 8; }));
  }
  stop.store(true);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_GT(b.asked(), 100);
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
}

// The old node has a request when its cluster goes: it is answered, and what the client says next,
// which goes elsewhere, comes behind it.
TEST(UpstreamReload, WhatIsInFlightIsAnsweredFirst) {
  FakeRedis a(Greet);
  FakeRedis b([](const std::string& command) {
    return command.starts_with("GET ") ? "+new\r\n" : Greet(command);
  });
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  TestClient client(server.port());
  client.Send("GET k\r\n");
  EXPECT_TRUE(Eventually([&] { return server.Sum("old", &UpstreamCounters::sent_bytes) > 0; }));
  server.Reload({ClusterAt("new", b.port())}, {{"*", "new"}});
  client.Send("GET k\r\n");
  EXPECT_EQ(client.ReadSome(50), "");
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 1; }));  // on the client's worker
  a.Push("+old\r\n");
  EXPECT_EQ(client.Read(12), "+old\r\n+new\r\n");
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
}

TEST(UpstreamReload, WhatIsTheSameKeepsItsConnections) {
  TestServer node(ProxyCommandFamilies());
  Reloaded server({ClusterAt("same", node.port()), ClusterAt("other", node.port())},
                  {{"a:*", "same"}, {"*", "other"}});
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET a:1 x\r\nSET b 1\r\n", "+OK\r\n+OK\r\n"), "+OK\r\n+OK\r\n");
  ClusterOptions slower = ClusterAt("other", node.port());
  slower.request_timeout = std::chrono::milliseconds(7000);
  server.Reload({ClusterAt("same", node.port()), slower}, {{"a:*", "same"}, {"*", "other"}});
  EXPECT_EQ(client.Ask("GET a:1\r\nGET b\r\n", "$1\r\nx\r\n$1\r\n1\r\n"), "$1\r\nx\r\n$1\r\n1\r\n");
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
  EXPECT_EQ(server.Sum("same", &UpstreamCounters::connects), 1u);
  EXPECT_EQ(server.Sum("same", &UpstreamCounters::requests), 2u);
  EXPECT_EQ(server.Sum("other", &UpstreamCounters::requests), 1u);  // of the new one
}

// From the engine alone to an upstream, and back.
TEST(UpstreamReload, TheFirstClusterAndTheLast) {
  TestServer node(ProxyCommandFamilies());
  Reloaded server({}, {{"*", "local"}});
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET k here\r\n", "+OK\r\n"), "+OK\r\n");
  server.Reload({ClusterAt("cache", node.port())}, {{"*", "cache"}});
  EXPECT_EQ(client.Ask("GET k\r\nSET k there\r\n", "$-1\r\n+OK\r\n"), "$-1\r\n+OK\r\n");
  server.Reload({}, {{"*", "local"}});
  EXPECT_EQ(client.Ask("GET k\r\n", "$4\r\nhere\r\n"), "$4\r\nhere\r\n");
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
}

TEST(UpstreamReload, AnOpenTransactionGoesWhereItsKeysGo) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  const std::vector<RouteOptions> routes = {{"*", "old"}};
  Reloaded server({ClusterAt("old", a.port())}, routes);
  TestClient moves(server.port());
  TestClient breaks(server.port());
  TestClient comes_home(server.port());
  const std::string queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
  EXPECT_EQ(moves.Ask("MULTI\r\nSET x 1\r\nINCR x\r\n", queued), queued);
  EXPECT_EQ(breaks.Ask("MULTI\r\nSET x 1\r\nSET near:x 1\r\n", queued), queued);
  EXPECT_EQ(comes_home.Ask("MULTI\r\nSET near:y 1\r\nINCR near:y\r\n", queued), queued);
  server.Reload({ClusterAt("new", b.port())}, {{"near:*", "local"}, {"*", "new"}});
  EXPECT_EQ(moves.Ask("EXEC\r\nGET x\r\n", "*2\r\n+OK\r\n:2\r\n$1\r\n2\r\n"),
            "*2\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
  const std::string aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  EXPECT_EQ(breaks.Ask("EXEC\r\n", aborted), aborted);
  EXPECT_EQ(comes_home.Ask("EXEC\r\n", "*2\r\n+OK\r\n:2\r\n"), "*2\r\n+OK\r\n:2\r\n");
  TestClient at_b(b.port());
  EXPECT_EQ(at_b.Ask("GET x\r\nDBSIZE\r\n", "$1\r\n2\r\n:1\r\n"), "$1\r\n2\r\n:1\r\n");
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
}

TEST(UpstreamReload, WatchedKeysAreAsIfChanged) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  TestClient before(server.port());
  TestClient open(server.port());
  EXPECT_EQ(before.Ask("WATCH k\r\n", "+OK\r\n"), "+OK\r\n");
  const std::string queued = "+OK\r\n+OK\r\n+QUEUED\r\n";
  EXPECT_EQ(open.Ask("WATCH k\r\nMULTI\r\nSET k 1\r\n", queued), queued);
  server.Reload({ClusterAt("new", b.port())}, {{"*", "new"}});
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
  EXPECT_EQ(open.Ask("SET k 2\r\nEXEC\r\nGET k\r\n", "+QUEUED\r\n*-1\r\n$-1\r\n"),
            "+QUEUED\r\n*-1\r\n$-1\r\n");
  EXPECT_EQ(before.Ask("MULTI\r\nSET k 3\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n"),
            "+OK\r\n+QUEUED\r\n*-1\r\n");
  // And from then on as ever.
  const std::string again = "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n";
  EXPECT_EQ(before.Ask("WATCH k\r\nMULTI\r\nSET k 4\r\nEXEC\r\n", again), again);
}

TEST(UpstreamReload, WhoWaitsIsUnblocked) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  TestClient client(server.port());
  client.Send("BLPOP list 0\r\n");
  EXPECT_TRUE(Eventually([&] { return server.Sum("old", &UpstreamCounters::sent_bytes) > 0; }));
  server.Reload({ClusterAt("new", b.port())}, {{"*", "new"}});
  const std::string unblocked = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
  EXPECT_EQ(client.Read(unblocked.size()), unblocked);
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
  EXPECT_EQ(client.Ask("RPUSH list 1\r\nBLPOP list 0\r\n", ":1\r\n*2\r\n$4\r\nlist\r\n$1\r\n1\r\n"),
            ":1\r\n*2\r\n$4\r\nlist\r\n$1\r\n1\r\n");
}

// The cluster stays, and only its keys go elsewhere: who waits there goes on. And who waits in the
// engine ends as it began.
TEST(UpstreamReload, WhoWaitsWhereNothingGoesAnyMore) {
  TestServer a(ProxyCommandFamilies());
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}, {"near:*", "local"}});
  TestClient at_node(server.port());
  TestClient at_engine(server.port());
  at_node.Send("BLPOP list 0\r\n");
  at_engine.Send("BLPOP near:list 0.3\r\n");
  EXPECT_TRUE(Eventually([&] { return (*server).Totals().sessions_suspended == 2; }));
  server.Reload({ClusterAt("old", a.port())}, {{"*", "local"}, {"near:*", "old"}});
  TestClient direct(a.port());
  EXPECT_EQ(direct.Ask("RPUSH list 1\r\n", ":1\r\n"), ":1\r\n");
  EXPECT_EQ(at_node.Read(21), "*2\r\n$4\r\nlist\r\n$1\r\n1\r\n");
  EXPECT_EQ(at_engine.Read(5), "*-1\r\n");
  EXPECT_EQ(at_engine.Ask("SET near:k 1\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(direct.Ask("GET near:k\r\n", "$1\r\n1\r\n"), "$1\r\n1\r\n");
  EXPECT_EQ((*server).Totals().sessions_suspended, 0u);
}

TEST(UpstreamReload, SubscriptionsFollow) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  TestClient client(server.port());
  const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n";
  EXPECT_EQ(client.Ask("SUBSCRIBE ch\r\n", subscribed), subscribed);
  server.Reload({ClusterAt("new", b.port())}, {{"*", "new"}});
  TestClient publisher(server.port());
  EXPECT_TRUE(
      Eventually([&] { return publisher.Ask("PUBLISH ch hello\r\n", ":1\r\n") == ":1\r\n"; }));
  const std::string message = "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$5\r\nhello\r\n";
  EXPECT_EQ(client.Read(message.size()), message);
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
  // Messages are in the engine now, where it has not subscribed: it is told by the end.
  server.Reload({ClusterAt("new", b.port())}, {{"*", "local"}});
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_TRUE(client.ended());
}

TEST(UpstreamReload, SubscribersOfTheEngineAreToldByTheEnd) {
  TestServer a(ProxyCommandFamilies());
  Reloaded server({}, {{"*", "local"}});
  TestClient client(server.port());
  const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n";
  EXPECT_EQ(client.Ask("SUBSCRIBE ch\r\n", subscribed), subscribed);
  server.Reload({ClusterAt("new", a.port())}, {{"near:*", "local"}, {"*", "new"}});
  client.ReadToEnd();
  EXPECT_TRUE(client.ended());
}

// Nobody answers at the new cluster: the switch comes all the same, after its time, and meanwhile
// everything goes on.
TEST(UpstreamReload, AClusterThatDoesNotAnswerHoldsUpNothing) {
  TestServer a(ProxyCommandFamilies());
  FakeRedis silent([](const std::string&) { return ""; });
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  TestClient client(server.port());
  ClusterOptions lost = ClusterAt("lost", silent.port());
  lost.kind = ClusterKind::kRedisCluster;
  std::thread reload([&] {
    server.Reload({ClusterAt("old", a.port()), lost}, {{"x:*", "lost"}, {"*", "old"}});
  });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Ask("SET k 1\r\n", "+OK\r\n"), "+OK\r\n");
  reload.join();
  client.Send("GET x:1\r\n");
  const std::string reply = client.ReadSome();
  EXPECT_TRUE(reply.starts_with("-ERR upstream cluster 'lost'")) << reply;
  EXPECT_EQ(client.Ask("GET k\r\n", "$1\r\n1\r\n"), "$1\r\n1\r\n");
}

// --- listeners ---

// Bound, and so nobody else's, as long as it lives.
class TakenPort {
 public:
  TakenPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { Free(); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;

  uint16_t port() const { return port_; }
  void Free() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
  uint16_t port_ = 0;
};

ListenerOptions ListenerAt(uint16_t port, std::string cluster = "") {
  return {.name = "more",
          .addresses = {{"127.0.0.1", false}},
          .port = port,
          .cluster = std::move(cluster)};
}

bool Accepts(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return connected;
}

TEST(UpstreamReload, ListenersComeAndGo) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  TakenPort port;
  const std::vector<ClusterOptions> both = {ClusterAt("a", a.port()), ClusterAt("b", b.port())};
  Reloaded server(both, {{"*", "a"}});
  port.Free();
  server.Reload(both, {{"*", "a"}}, [&](Options& options) {
    options.extra_listeners.push_back(ListenerAt(port.port(), "b"));
  });
  EXPECT_TRUE(Eventually([&] { return Accepts(port.port()); }));
  TestClient at_new(port.port());
  TestClient at_old(server.port());
  EXPECT_EQ(at_new.Ask("SET k b\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(at_old.Ask("SET k a\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(at_new.Ask("GET k\r\n", "$1\r\nb\r\n"), "$1\r\nb\r\n");

  // It goes, and who is connected stays where he is.
  server.Reload(both, {{"*", "a"}}, [](Options& options) { options.extra_listeners.pop_back(); });
  EXPECT_TRUE(Eventually([&] { return !Accepts(port.port()); }));
  EXPECT_EQ(at_new.Ask("GET k\r\n", "$1\r\nb\r\n"), "$1\r\nb\r\n");
  // Until his cluster goes too.
  server.Reload({both[0]}, {{"*", "a"}});
  EXPECT_EQ(at_new.ReadToEnd(), "");
  EXPECT_TRUE(at_new.ended());
  EXPECT_EQ(at_old.Ask("GET k\r\n", "$1\r\na\r\n"), "$1\r\na\r\n");
}

TEST(UpstreamReload, ClientsFollowTheClusterOfTheirListener) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  const std::vector<ClusterOptions> both = {ClusterAt("a", a.port()), ClusterAt("b", b.port())};
  Reloaded server(both, {{"*", "a"}});
  TestClient client(server.port());
  TestClient subscriber(server.port());
  EXPECT_EQ(client.Ask("SET k a\r\n", "+OK\r\n"), "+OK\r\n");
  const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n";
  EXPECT_EQ(subscriber.Ask("SUBSCRIBE ch\r\n", subscribed), subscribed);
  server.Reload(both, {{"*", "a"}},
                [](Options& options) { options.extra_listeners[0].cluster = "b"; });
  EXPECT_TRUE(Eventually([&] {
    client.Send("GET k\r\n");
    return client.ReadSome() == "$-1\r\n";
  }));
  EXPECT_TRUE(Eventually([&] { return client.Ask("PUBLISH ch x\r\n", ":1\r\n") == ":1\r\n"; }));
  TestClient direct(b.port());
  EXPECT_EQ(direct.Ask("PUBLISH ch y\r\n", ":1\r\n"), ":1\r\n");
}

TEST(UpstreamReload, AnAddressThatIsTakenRefusesTheWhole) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  Reloaded server({ClusterAt("old", a.port())}, {{"*", "old"}});
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET k a\r\n", "+OK\r\n"), "+OK\r\n");
  const std::string place = "listen on 127.0.0.1:" + std::to_string(a.port());
  EXPECT_EQ(server.Read(
                {ClusterAt("new", b.port())}, {{"*", "new"}},
                [&](Options& options) { options.extra_listeners.push_back(ListenerAt(a.port())); }),
            place + ": Address already in use");
  EXPECT_EQ(client.Ask("GET k\r\n", "$1\r\na\r\n"), "$1\r\na\r\n");
  EXPECT_TRUE(Accepts(server.port()));
  // A listener twice is no listener either.
  const std::string twice =
      server.Read({ClusterAt("old", a.port())}, {{"*", "old"}}, [&](Options& options) {
        options.extra_listeners.push_back(ListenerAt(1));
        options.extra_listeners.push_back(ListenerAt(1));
      });
  EXPECT_NE(twice, "");
}

// --- mirrors and moves ---

RouteOptions Everything(std::string cluster) {
  return {.match = "*", .cluster = std::move(cluster)};
}

TEST(UpstreamReload, MirrorsComeChangeAndGo) {
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  TestServer c(ProxyCommandFamilies());
  const std::vector<ClusterOptions> all = {ClusterAt("a", a.port()), ClusterAt("b", b.port()),
                                           ClusterAt("c", c.port())};
  const auto mirrored = [](const std::string& to) {
    RouteOptions route = Everything("a");
    route.mirror.cluster = to;
    return std::vector<RouteOptions>{route};
  };
  Reloaded server(all, {Everything("a")});
  TestClient client(server.port());
  TestClient at_b(b.port());
  TestClient at_c(c.port());
  const auto ask = [](TestClient& client, const std::string& key) {
    client.Send("GET " + key + "\r\n");
    return client.ReadSome();
  };
  EXPECT_EQ(client.Ask("SET before 1\r\n", "+OK\r\n"), "+OK\r\n");
  for (int round = 0; round < 3; ++round) {
    const std::string value = "$1\r\n" + std::to_string(round) + "\r\n";
    const std::string set = " " + std::to_string(round) + "\r\n";
    server.Reload(all, mirrored("b"));
    EXPECT_TRUE(Eventually([&] {
      EXPECT_EQ(client.Ask("SET to-b" + set, "+OK\r\n"), "+OK\r\n");
      return ask(at_b, "to-b") == value;
    }));
    server.Reload(all, mirrored("c"));
    EXPECT_TRUE(Eventually([&] {
      EXPECT_EQ(client.Ask("SET to-c" + set, "+OK\r\n"), "+OK\r\n");
      return ask(at_c, "to-c") == value;
    }));
    server.Reload(all, {Everything("a")});
  }
  // The mirror's cluster goes with it.
  server.Reload(all, mirrored("c"));
  EXPECT_EQ(client.Ask("SET k 1\r\n", "+OK\r\n"), "+OK\r\n");
  server.Reload({all[0]}, {Everything("a")});
  EXPECT_EQ(client.Ask("GET k\r\n", "$1\r\n1\r\n"), "$1\r\n1\r\n");
  EXPECT_TRUE(Eventually([&] { return server.leaving() == 0; }));
  EXPECT_EQ(ask(at_b, "before"), "$-1\r\n");
}

// Clients count all the while, as the keys are moved from one server to the next: each increment
// counts once, and none of them sees an error.
TEST(UpstreamReload, KeysMoveOnUnderTraffic) {
  constexpr int kKeys = 40;
  constexpr int kClients = 4;
  TestServer a(ProxyCommandFamilies());
  TestServer b(ProxyCommandFamilies());
  TestServer c(ProxyCommandFamilies());
  const std::vector<ClusterOptions> all = {ClusterAt("a", a.port()), ClusterAt("b", b.port()),
                                           ClusterAt("c", c.port())};
  Reloaded server(all, {Everything("a")});
  std::atomic<bool> stop{false};
  std::atomic<int> rounds{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int n = 0; n < kClients; ++n) {
    clients.emplace_back([&, n] {
      TestClient client(server.port());
      while (!stop.load()) {
        std::string sent;
        for (int i = 0; i < kKeys; ++i)
          sent += "INCR n" + std::to_string((i * 7 + n) % kKeys) + "\r\n";
        client.Send(sent);
        std::string replies;
        while (std::count(replies.begin(), replies.end(), '\n') < kKeys) {
          const std::string some = client.ReadSome();
          if (some.empty()) break;
          replies += some;
        }
        if (std::count(replies.begin(), replies.end(), ':') != kKeys) ++wrong;
        ++rounds;
      }
    });
  }
  const auto go_on = [&] {
    const int before = rounds.load();
    EXPECT_TRUE(Eventually([&] { return rounds.load() > before + 2 * kClients; }));
  };
  std::vector<std::string> names = {"a", "b", "c"};
  for (int step = 0; step < 6; ++step) {
    RouteOptions moving = Everything(names[(step + 1) % 3]);
    moving.move_from = names[step % 3];
    go_on();
    server.Reload(all, {moving});
    go_on();  // every key is wanted
    server.Reload(all, {Everything(moving.cluster)});
  }
  go_on();
  stop.store(true);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
  TestClient direct(a.port());
  std::string sent;
  std::string expected;
  const std::string total = std::to_string(rounds.load());
  for (int i = 0; i < kKeys; ++i) {
    sent += "GET n" + std::to_string(i) + "\r\n";
    expected += Bulk(total);
  }
  EXPECT_EQ(direct.Ask(sent, expected), expected);
  for (TestServer* other : {&b, &c}) {
    TestClient at(other->port());
    EXPECT_EQ(at.Ask("DBSIZE\r\n", ":0\r\n"), ":0\r\n");
  }
}

}  // namespace
}  // namespace tidegate
