// A cluster of several nodes behind the server: every reply to its request, in order, whatever
// moves, lies or breaks behind it.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "proxy/commands/families.h"
#include "proxy/topology/slot_map_builder.h"
#include "proxy/upstream/redirections.h"
#include "proxy/upstream/upstream_cluster.h"
#include "tests/support/fake_cluster.h"
#include "tests/support/resp_value.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::function<void(Options&)> InFrontOf(ReadFrom read_from = ReadFrom::kPrimary) {
  return [read_from](Options& options) {
    options.clusters.push_back({.name = "cache",
                                .kind = ClusterKind::kRedisCluster,
                                .nodes = {{.address = {"127.0.0.1", 1}}},
                                .connect_timeout = std::chrono::milliseconds(500),
                                .request_timeout = std::chrono::milliseconds(2000),
                                .read_from = read_from});
    options.routes = {{"near:*", "local"}, {"*", "cache"}};
  };
}

// Whatever the control thread finds out about these nodes, which tell it nothing, is older.
constexpr uint64_t kNewest = 1'000'000;

// Every worker knows it when this returns.
void Publish(TestServer& server, const std::shared_ptr<const UpstreamTopology>& topology) {
  std::atomic<size_t> taken{0};
  for (const auto& worker : server->workers()) {
    worker->Post([&taken, topology](Worker& w) {
      w.upstreams()[0]->SetTopology(topology);
      ++taken;
    });
  }
  EXPECT_TRUE(Eventually([&] { return taken == server->workers().size(); }));
}

testing::RespValue ReadValue(TestClient& client) {
  std::string bytes;
  while (true) {
    const std::string more = client.ReadSome();
    if (more.empty()) return {};
    bytes += more;
    testing::RespValue value = testing::ParseResp(bytes);
    if (value.type != 0) return value;
  }
}

class ClusterNodes : public ::testing::Test {
 protected:
  ClusterNodes() : cluster_(3, seed_), server_(ProxyCommandFamilies(), InFrontOf()) {
    Publish(server_, cluster_.Topology(kNewest));
  }

  const unsigned seed_ = std::random_device{}();
  FakeCluster cluster_;
  TestServer server_;
};

TEST_F(ClusterNodes, RepliesOfSeveralNodesAreInOrder) {
  TestClient client(server_.port());
  std::string sent;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key:" + std::to_string(i);
    sent.append("SET ").append(key).append(" v").append(key).append("\r\nGET ");
    sent.append(key).append("\r\n");
    expected.append("+OK\r\n").append(Bulk("v" + key));
    if (i % 50 != 0) continue;
    sent += "PING\r\n";
    expected += "+PONG\r\n";
  }
  client.Send(sent);
  EXPECT_EQ(client.Read(expected.size()), expected);
  EXPECT_EQ(cluster_.redirects(), 0);
}

TEST_F(ClusterNodes, RedisOwnErrors) {
  TestClient client(server_.port());
  const std::string cross = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
  EXPECT_EQ(client.Ask("RENAME a b\r\n", cross), cross);
  const std::string select = "-ERR SELECT is not allowed in cluster mode\r\n";
  EXPECT_EQ(client.Ask("SELECT 1\r\n", select), select);
  EXPECT_EQ(client.Ask("SELECT 0\r\nSET {t}a 1\r\n", "+OK\r\n+OK\r\n"), "+OK\r\n+OK\r\n");
}

TEST_F(ClusterNodes, CommandsOverSeveralNodesAreSplit) {
  TestClient client(server_.port());
  std::string mset = "MSET";
  std::string mget = "MGET";
  std::string del = "DEL none";
  std::string values = "*201\r\n";
  for (int i = 0; i < 200; ++i) {
    const std::string key = " key:" + std::to_string(i);
    mset += key + " v" + std::to_string(i);
    mget += key;
    del += key;
    values += Bulk("v" + std::to_string(i));
  }
  const std::string expected = "+OK\r\n" + values + "$-1\r\n:200\r\n:200\r\n+PONG\r\n";
  client.Send(mset + "\r\n" + mget + " none\r\nDBSIZE\r\n" + del + "\r\nPING\r\n");
  EXPECT_EQ(client.Read(expected.size()), expected);
}

TEST_F(ClusterNodes, AnErrorOfOnePartIsTheReply) {
  TestClient client(server_.port());
  cluster_.TryAgain(1000);
  client.Send("MGET a b c d e f g\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("-TRYAGAIN "));
}

TEST_F(ClusterNodes, ScanWalksOverAllNodes) {
  TestClient client(server_.port());
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    keys.insert("key:" + std::to_string(i));
    client.Send("SET key:" + std::to_string(i) + " 1\r\n");
    EXPECT_EQ(client.Read(5), "+OK\r\n");
  }
  std::set<std::string> seen;
  std::string cursor = "0";
  int pages = 0;
  do {
    client.Send("SCAN " + cursor + "\r\n");
    const testing::RespValue page = ReadValue(client);
    ASSERT_EQ(page.items.size(), 2u);
    cursor = page.items[0].text;
    for (const testing::RespValue& key : page.items[1].items) seen.insert(key.text);
    ++pages;
  } while (cursor != "0" && pages < 100);
  EXPECT_EQ(seen, keys);
  EXPECT_GT(pages, 6);
}

TEST_F(ClusterNodes, MovedIsFollowedAndRemembered) {
  TestClient client(server_.port());
  const uint16_t slot = KeySlot("k");
  cluster_.Give(slot, (cluster_.OwnerOf(slot) + 1) % cluster_.size());
  EXPECT_EQ(client.Ask("SET k 1\r\nSET k 2\r\nGET k\r\n", "+OK\r\n+OK\r\n$1\r\n2\r\n"),
            "+OK\r\n+OK\r\n$1\r\n2\r\n");
  const int redirects = cluster_.redirects();
  EXPECT_GE(redirects, 1);
  EXPECT_EQ(client.Ask("GET k\r\n", Bulk("2")), Bulk("2"));
  EXPECT_EQ(cluster_.redirects(), redirects);
}

TEST_F(ClusterNodes, AskIsFollowedAndNotRemembered) {
  TestClient client(server_.port());
  EXPECT_EQ(client.Ask("SET k 1\r\n", "+OK\r\n"), "+OK\r\n");
  const uint16_t slot = KeySlot("k");
  cluster_.BeginMove(slot, (cluster_.OwnerOf(slot) + 1) % cluster_.size());
  EXPECT_EQ(client.Ask("GET k\r\n", Bulk("1")), Bulk("1"));
  EXPECT_EQ(cluster_.redirects(), 0);
  cluster_.MoveKey("k");
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(client.Ask("GET k\r\n", Bulk("1")), Bulk("1"));
    EXPECT_EQ(cluster_.redirects(), i);
  }
}

TEST_F(ClusterNodes, ACircleOfRedirectionsEnds) {
  TestClient client(server_.port());
  for (int node = 0; node < 3; ++node) cluster_.MisleadTo(node, (node + 1) % 3);
  client.Send("GET k\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("-MOVED "));
  EXPECT_EQ(cluster_.redirects(), kRedirectionsMax + 1);
}

TEST_F(ClusterNodes, TryAgainIsTriedAgain) {
  TestClient client(server_.port());
  cluster_.TryAgain(3);
  EXPECT_EQ(client.Ask("SET k 1\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(cluster_.redirects(), 3);
  cluster_.TryAgain(1000);
  client.Send("SET k 1\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("-TRYAGAIN "));
  cluster_.TryAgain(0);
  EXPECT_EQ(client.Ask("GET k\r\n", Bulk("1")), Bulk("1"));
}

TEST(ClusterTopology, WithoutOneEveryRequestIsAnError) {
  TestServer server(ProxyCommandFamilies(), InFrontOf());
  TestClient client(server.port());
  client.Send("GET k\r\n");
  EXPECT_TRUE(client.ReadSome().starts_with("-ERR upstream cluster 'cache', "));
}

TEST_F(ClusterNodes, ANodeThatLeavesIsDroppedWhenItIsIdle) {
  TestClient client(server_.port());
  for (int i = 0; i < 64; ++i) {
    client.Send("SET k" + std::to_string(i) + " 1\r\n");
    EXPECT_EQ(client.Read(5), "+OK\r\n");
  }
  for (uint16_t slot = 0; slot < kSlotCount; ++slot) cluster_.Give(slot, 0);
  auto smaller = std::make_shared<UpstreamTopology>(*cluster_.Topology(kNewest + 1));
  topology::SlotMapBuilder builder;
  topology::ClusterNode only = smaller->slots->nodes()[0];
  Result<topology::NodeIndex> index = builder.AddNode(only);
  Result<uint16_t> shard = builder.ShardOfPrimary(*index);
  EXPECT_TRUE(builder.Assign(*shard, 0, kSlotCount - 1).ok());
  smaller->slots = std::make_shared<const topology::SlotMap>(std::move(builder).Build());
  smaller->nodes.resize(1);
  smaller->node_of_slot_map = {0};
  Publish(server_, smaller);
  for (const auto& worker : server_->workers()) {
    EXPECT_TRUE(Eventually([&] { return worker->upstreams()[0]->Figures().size() == 1; }));
  }
  EXPECT_EQ(client.Ask("GET k7\r\n", Bulk("1")), Bulk("1"));
}

// --- the hunt ---

// What a client may read from one of its keys.
using Values = std::set<std::string>;

constexpr int kHunters = 4;
constexpr int kRounds = 6;
constexpr unsigned kKeysOfRound = 6;

// Each round has keys of its own, because slots move only so often.
std::string KeyOf(int hunter, int round, unsigned key) {
  return std::to_string(hunter) + "." + std::to_string(round) + "." + std::to_string(key);
}

// One client that writes and reads keys of its own in long pipelines. Counts replies that cannot be
// those of their requests, and errors.
class Hunter {
 public:
  Hunter(uint16_t port, unsigned seed, int number)
      : port_(port), random_(seed + static_cast<unsigned>(number)), number_(number) {}

  void Run(int rounds) {
    for (int round = 0; round < rounds && wrong == 0; ++round) {
      TestClient client(port_);
      for (int pipelines = 0; pipelines < 3; ++pipelines) Pipeline(client, round);
    }
  }

  int wrong = 0;
  int errors = 0;
  int replies = 0;
  std::string first_wrong;

 private:
  struct Sent {
    bool writes;
    std::string key;
    std::string value;
  };

  void Pipeline(TestClient& client, int round) {
    std::vector<Sent> sent;
    std::string bytes;
    const int requests = static_cast<int>(random_() % 400) + 1;
    for (int i = 0; i < requests; ++i) {
      const bool near = random_() % 40 == 0;
      const std::string key = KeyOf(number_, round, random_() % kKeysOfRound);
      Sent one{random_() % 2 == 0, (near ? "near:" : "") + key, ""};
      one.value = one.key + "=" + std::to_string(++next_value_);
      bytes += one.writes ? "SET " + one.key + " " + one.value + "\r\n" : "GET " + one.key + "\r\n";
      sent.push_back(std::move(one));
    }
    SendInPieces(client, bytes);
    for (const Sent& one : sent) Check(one, ReadReply(client));
  }

  // So that requests come while earlier ones are on their way from node to node.
  void SendInPieces(TestClient& client, std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t piece = std::min<size_t>(1 + random_() % 600, bytes.size());
      client.Send(bytes.substr(0, piece));
      bytes.remove_prefix(piece);
      if (random_() % 4 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 1000));
    }
  }

  std::string ReadReply(TestClient& client) {
    while (true) {
      const size_t end = buffer_.find("\r\n");
      if (end != std::string::npos) {
        size_t size = end + 2;
        if (buffer_[0] == '$' && buffer_[1] != '-')
          size += std::stoul(buffer_.substr(1, end - 1)) + 2;
        if (buffer_.size() >= size) {
          std::string reply = buffer_.substr(0, size);
          buffer_.erase(0, size);
          return reply;
        }
      }
      const std::string more = client.ReadSome();
      if (more.empty()) return "";
      buffer_ += more;
    }
  }

  void Check(const Sent& sent, const std::string& reply) {
    ++replies;
    Values& values = values_[sent.key];
    const bool error = reply.starts_with("-ERR upstream cluster 'cache', ");
    errors += error ? 1 : 0;
    bool right = error;
    if (sent.writes) {
      if (!error) values.clear();
      values.insert(sent.value);
      right = right || reply == "+OK\r\n";
    } else if (!error) {
      right = values.empty() && reply == "$-1\r\n";
      for (const std::string& value : values) right = right || reply == Bulk(value);
      // A write that was lost may have been executed or not.
      right = right || (reply == "$-1\r\n" && lost_.contains(sent.key));
    }
    if (sent.writes && error) lost_.insert(sent.key);
    if (right) return;
    if (wrong++ == 0) first_wrong = (sent.writes ? "SET " : "GET ") + sent.key + ": " + reply;
  }

  const uint16_t port_;
  std::mt19937 random_;
  const int number_;
  int next_value_ = 0;
  std::string buffer_;
  std::map<std::string, Values> values_;
  std::set<std::string> lost_;
};

struct HuntResult {
  int wrong = 0;
  int errors = 0;
  int replies = 0;
  std::string first_wrong;
};

HuntResult Hunt(TestServer& server, unsigned seed, int rounds) {
  std::vector<Hunter> hunters;
  for (int i = 0; i < kHunters; ++i) hunters.emplace_back(server.port(), seed, i);
  std::vector<std::thread> threads;
  for (Hunter& hunter : hunters) threads.emplace_back([&hunter, rounds] { hunter.Run(rounds); });
  for (std::thread& thread : threads) thread.join();
  HuntResult result;
  for (const Hunter& hunter : hunters) {
    result.wrong += hunter.wrong;
    result.errors += hunter.errors;
    result.replies += hunter.replies;
    if (result.first_wrong.empty()) result.first_wrong = hunter.first_wrong;
  }
  return result;
}

// Slots of the hunters' keys move, at once or key by key, until `done`.
void MoveSlots(FakeCluster& cluster, unsigned seed, const std::atomic<bool>& done, bool breaks) {
  std::mt19937 random(seed);
  const auto any_key = [&random] {
    return KeyOf(static_cast<int>(random() % kHunters), static_cast<int>(random() % kRounds),
                 random() % kKeysOfRound);
  };
  while (!done) {
    const std::string key = any_key();
    const uint16_t slot = KeySlot(key);
    const int node = static_cast<int>(random() % static_cast<unsigned>(cluster.size()));
    switch (random() % 4) {
      case 0:
        cluster.Give(slot, node);
        break;
      case 1:
        cluster.BeginMove(slot, node);
        break;
      case 2:
        cluster.MoveKey(key);
        break;
      default:
        cluster.EndMove(slot);
        break;
    }
    if (breaks && random() % 50 == 0) cluster.Break(node);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
  }
}

TEST_F(ClusterNodes, NoRequestIsLostOrOvertakenWhileSlotsMove) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::atomic<bool> done{false};
  std::thread mover([&] { MoveSlots(cluster_, seed_, done, false); });
  const HuntResult result = Hunt(server_, seed_, kRounds);
  done = true;
  mover.join();
  EXPECT_EQ(result.wrong, 0) << result.first_wrong;
  EXPECT_EQ(result.errors, 0);
  EXPECT_GT(cluster_.redirects(), 0);
  RecordProperty("replies", result.replies);
  RecordProperty("redirects", cluster_.redirects());
}

TEST_F(ClusterNodes, NoReplyReachesAnotherRequestWhileNodesBreak) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::atomic<bool> done{false};
  std::thread mover([&] { MoveSlots(cluster_, seed_, done, true); });
  const HuntResult result = Hunt(server_, seed_, kRounds);
  done = true;
  mover.join();
  EXPECT_EQ(result.wrong, 0) << result.first_wrong;
  EXPECT_LT(result.errors, result.replies);
  RecordProperty("replies", result.replies);
  RecordProperty("errors", result.errors);
  for (const auto& worker : server_->workers()) {
    for (const auto& figures : worker->upstreams()[0]->Figures()) {
      EXPECT_TRUE(Eventually([&] { return figures->counters.in_flight.Get() == 0; }));
      EXPECT_EQ(figures->counters.garbage.Get(), 0u);
    }
  }
}

}  // namespace
}  // namespace tidegate
