// Keys that are moved out of an old cluster when somebody wants them, over real sockets: into the
// engine, and into another upstream.
#include "proxy/session/route_move.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "proxy/commands/families.h"
#include "tests/support/ask.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

struct Moving {
  explicit Moving(const std::string& to, int workers = 1)
      : server(ProxyCommandFamilies(), [&, this](Options& options) {
          options.workers = workers;
          options.clusters.push_back(testing::NodeOptions("old", old.port()));
          options.clusters.push_back(testing::NodeOptions("new", target.port()));
          options.routes = {{.match = "*", .cluster = to, .move_from = "old"}};
        }) {}
  uint64_t Sum(WorkerCounter MoveCounters::*counter) {
    uint64_t sum = 0;
    for (const auto& worker : server->workers())
      sum += (worker->moves()[0]->counters().*counter).Get();
    return sum;
  }
  bool OldHas(const std::string& count) {
    return Eventually([&] {
      direct.Send("DBSIZE\r\n");
      return direct.ReadSome() == ":" + count + "\r\n";
    });
  }
  TestServer old{ProxyCommandFamilies()};
  TestServer target{ProxyCommandFamilies()};
  TestServer server;
  TestClient client{server.port()};
  TestClient direct{old.port()};
};

class RouteMoves : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(To, RouteMoves, ::testing::Values("local", "new"));

TEST_P(RouteMoves, TheFirstTouchMovesAKey) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "MSET s 1 n 5", "+OK\r\n");
  EXPECT_ASK(at.direct, "RPUSH l a b c", ":3\r\n");
  EXPECT_ASK(at.direct, "HSET h f v", ":1\r\n");
  EXPECT_ASK(at.client, "GET s", "$1\r\n1\r\n");
  EXPECT_ASK(at.client, "INCR n", ":6\r\n");
  EXPECT_ASK(at.client, "LPUSH l x", ":4\r\n");
  EXPECT_ASK(at.client, "HLEN h", ":1\r\n");
  EXPECT_ASK(at.client, "GET none", "$-1\r\n");
  EXPECT_TRUE(at.OldHas("0"));
  EXPECT_EQ(at.Sum(&MoveCounters::keys), 4u);
  EXPECT_EQ(at.Sum(&MoveCounters::absent), 1u);
  EXPECT_GT(at.Sum(&MoveCounters::bytes), 0u);
  EXPECT_EQ(at.Sum(&MoveCounters::failures), 0u);
}

TEST_P(RouteMoves, WhatIsDeletedDoesNotComeBack) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "MSET a 1 b 2 c 3", "+OK\r\n");
  EXPECT_ASK(at.client, "DEL a", ":1\r\n");
  EXPECT_ASK(at.client, "GET a", "$-1\r\n");
  EXPECT_ASK(at.client, "GETDEL b", "$1\r\n2\r\n");
  EXPECT_ASK(at.client, "EXISTS b", ":0\r\n");
  EXPECT_ASK(at.client, "RENAME c d", "+OK\r\n");
  EXPECT_ASK(at.client, "MGET a b c d", "*4\r\n$-1\r\n$-1\r\n$-1\r\n$1\r\n3\r\n");
  EXPECT_TRUE(at.OldHas("0"));
}

TEST_P(RouteMoves, TimesToLiveComeAlong) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "SET a 1 EX 1000", "+OK\r\n");
  EXPECT_ASK(at.direct, "SET b 1", "+OK\r\n");
  at.client.Send("TTL a\r\n");
  const std::string ttl = at.client.ReadSome();
  EXPECT_TRUE(ttl == ":1000\r\n" || ttl == ":999\r\n") << ttl;
  EXPECT_ASK(at.client, "TTL b", ":-1\r\n");
}

TEST_P(RouteMoves, WhatIsInBothPlacesStaysAsItIsNow) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "SET a old", "+OK\r\n");
  TestClient target(at.target.port());
  if (std::string(GetParam()) == "new") {
    EXPECT_ASK(target, "SET a new", "+OK\r\n");
    EXPECT_ASK(at.client, "GET a", "$3\r\nnew\r\n");
    EXPECT_EQ(at.Sum(&MoveCounters::superseded), 1u);
  } else {
    EXPECT_ASK(at.client, "GET a", "$3\r\nold\r\n");
  }
  EXPECT_TRUE(at.OldHas("0"));
}

TEST_P(RouteMoves, TransactionsHaveTheirKeys) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "MSET a 1 b 2", "+OK\r\n");
  EXPECT_ASK(at.client, "WATCH a", "+OK\r\n");
  EXPECT_ASK(at.client, "MULTI\r\nINCR a\r\nINCR b\r\nINCR c\r\nEXEC",
             "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:2\r\n:3\r\n:1\r\n");
  EXPECT_TRUE(at.OldHas("0"));
}

TEST_P(RouteMoves, BlockingCommandsAndPipelines) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "RPUSH l a", ":1\r\n");
  EXPECT_ASK(at.direct, "MSET x 1 y 2", "+OK\r\n");
  EXPECT_ASK(at.client, "BLPOP none l 0\r\nGET x\r\nINCR y\r\nGET y\r\nPING",
             "*2\r\n$1\r\nl\r\n$1\r\na\r\n$1\r\n1\r\n:3\r\n$1\r\n3\r\n+PONG\r\n");
}

TEST_P(RouteMoves, OtherDatabases) {
  Moving at(GetParam());
  EXPECT_ASK(at.direct, "SET a 0\r\nSELECT 2\r\nSET a 2", "+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_ASK(at.client, "SELECT 2\r\nGET a\r\nSELECT 0\r\nGET a",
             "+OK\r\n$1\r\n2\r\n+OK\r\n$1\r\n0\r\n");
}

TEST_P(RouteMoves, WhatCannotBeRightIsRefused) {
  Moving at(GetParam());
  for (const std::string name : {"flushall", "flushdb"}) {
    EXPECT_ASK(at.client, name,
               "-ERR '" + name + "' is refused while a route moves keys from another cluster\r\n");
  }
  EXPECT_ASK(at.client, "MOVE a 1",
             "-ERR 'move' is refused while a route moves keys from another cluster\r\n");
  EXPECT_ASK(at.client, "SORT a BY w_*",
             "-ERR 'sort' with patterns of keys is refused while a route moves keys from another "
             "cluster\r\n");
}

// Many clients on all workers push to the same lists while they are moved: nothing is lost, nothing
// is there twice.
TEST_P(RouteMoves, NothingIsLostBetweenWorkers) {
  constexpr int kClients = 6;
  constexpr int kLists = 40;
  Moving at(GetParam(), 3);
  for (int i = 0; i < kLists; ++i)
    EXPECT_ASK(at.direct, "RPUSH l" + std::to_string(i) + " old1 old2", ":2\r\n");
  std::vector<std::thread> threads;
  for (int n = 0; n < kClients; ++n) {
    threads.emplace_back([&at, n] {
      TestClient client(at.server.port());
      std::mt19937 random(static_cast<unsigned>(n));
      for (int i = 0; i < kLists; ++i) {
        const std::string list = std::to_string((i + static_cast<int>(random() % 3)) % kLists);
        std::string requests = "RPUSH l";
        requests.append(list).append(" x\r\nLPOP gone").append(list).append("\r\n");
        client.Send(requests);
        std::string replies;
        while (!replies.ends_with("$-1\r\n")) {
          const std::string more = client.ReadSome();
          ASSERT_NE(more, "");
          replies += more;
        }
        EXPECT_EQ(replies.front(), ':') << replies;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int elements = 0;
  for (int i = 0; i < kLists; ++i) {
    at.client.Send("LLEN l" + std::to_string(i) + "\r\n");
    elements += std::stoi(at.client.ReadSome().substr(1));
  }
  EXPECT_EQ(elements, kLists * 2 + kClients * kLists);
  EXPECT_TRUE(at.OldHas("0"));
  EXPECT_EQ(at.Sum(&MoveCounters::keys), static_cast<uint64_t>(kLists));
}

TEST_P(RouteMoves, WithoutTheOldClusterItsKeysCannotBeHad) {
  Moving at(GetParam());
  EXPECT_ASK(at.client, "SET known 1", "+OK\r\n");
  at.old.Stop(true);
  EXPECT_TRUE(Eventually([&] {
    at.client.Send("GET b\r\n");
    const std::string reply = at.client.ReadSome();
    return reply.starts_with("-ERR moving the key from cluster 'old': upstream cluster 'old', ");
  }));
  EXPECT_ASK(at.client, "GET known", "$1\r\n1\r\n");
  at.client.Send("MULTI\r\nGET b\r\nEXEC\r\nPING\r\n");
  std::string replies;
  while (!replies.ends_with("+PONG\r\n")) {
    const std::string more = at.client.ReadSome();
    ASSERT_NE(more, "");
    replies += more;
  }
  EXPECT_TRUE(
      replies.starts_with("+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: "))
      << replies;
}

// The client goes while its key is on the way: the move ends as it should.
TEST_P(RouteMoves, TheClientMayLeave) {
  Moving at(GetParam());
  for (int i = 0; i < 50; ++i) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_ASK(at.direct, "SET " + key + " v", "+OK\r\n");
    TestClient leaves(at.server.port());
    leaves.Send("GET " + key + "\r\n");
  }
  for (int i = 0; i < 50; ++i) EXPECT_ASK(at.client, "GET k" + std::to_string(i), "$1\r\nv\r\n");
  EXPECT_TRUE(at.OldHas("0"));
}

// The old cluster does not let go of a key: it is asked again, and the client has it meanwhile.
TEST(RouteMove, AKeyThatIsNotRemovedIsTriedAgain) {
  std::atomic<int> unlinks{0};
  TestServer source(ProxyCommandFamilies());
  TestClient direct(source.port());
  EXPECT_ASK(direct, "SET a v", "+OK\r\n");
  direct.Send("DUMP a\r\n");
  const std::string dump = direct.ReadSome();
  FakeRedis old([&](const std::string& command) -> std::string {
    if (command.starts_with("DUMP")) return unlinks < 2 ? dump : "$-1\r\n";
    if (command.starts_with("PTTL")) return ":-1\r\n";
    if (command.starts_with("UNLINK")) return ++unlinks < 2 ? "-ERR not now\r\n" : ":1\r\n";
    return "+OK\r\n";
  });
  TestServer server(ProxyCommandFamilies(), [&](Options& options) {
    options.workers = 1;
    options.clusters.push_back(testing::NodeOptions("old", old.port()));
    options.routes = {{.match = "*", .cluster = "local", .move_from = "old"}};
  });
  TestClient client(server.port());
  EXPECT_ASK(client, "GET a\r\nDEL a\r\nGET a", "$1\r\nv\r\n:1\r\n$-1\r\n");
  EXPECT_TRUE(Eventually([&] { return unlinks.load() == 2; }));
  EXPECT_ASK(client, "GET a", "$-1\r\n");
}

}  // namespace
}  // namespace tidegate
