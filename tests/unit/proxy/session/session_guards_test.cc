// Policies and load shedding with real sessions and two workers: order, transactions, parking.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "policy/policy_registry.h"
#include "proxy/commands/families.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using Clock = std::chrono::steady_clock;

std::function<void(Options&)> With(RoutePolicyOptions policies) {
  return [policies](Options& options) {
    options.profile = Profile::kStrict;
    options.routes = {{.match = "*", .cluster = "local", .policies = policies}};
  };
}

RoutePolicyOptions Limited(RateLimitRule rule) {
  return {.rate_limit = {.rules = {std::move(rule)}}};
}

uint64_t CountOf(TestServer& server, PolicyKind kind,
                 std::atomic<uint64_t> PolicyFigures::*figure) {
  uint64_t sum = 0;
  for (const PolicyRegistry::Counted& route : server->policies().Counters())
    sum += (route.counters->of(kind).*figure).load();
  return sum;
}

TEST(SessionGuards, RefusesInOrderAndGoesOn) {
  TestServer server(ProxyCommandFamilies(),
                    With(Limited({.per = RatePer::kKey, .rate = {1}, .burst = 2})));
  TestClient client(server.port());
  const std::string error = "-THROTTLED 1/s per key (rate_limit of route '*'): retry after ";
  client.Send("SET a 1\r\nGET a\r\nGET a\r\nGET b\r\nPING\r\n");
  const std::string begin = "+OK\r\n$1\r\n1\r\n" + error;
  EXPECT_EQ(client.Read(begin.size()), begin);
  std::string rest;
  while (rest.find("+PONG\r\n") == std::string::npos && !client.ended()) {
    const std::string more = client.ReadSome();
    if (more.empty()) break;
    rest += more;
  }
  EXPECT_EQ(rest.substr(rest.find("\r\n")), "\r\n$-1\r\n+PONG\r\n");
  EXPECT_EQ(CountOf(server, PolicyKind::kRateLimit, &PolicyFigures::refused), 1);
}

TEST(SessionGuards, ExecIsWholeOrNotAtAll) {
  TestServer server(
      ProxyCommandFamilies(),
      With(Limited({.per = RatePer::kKey, .rate = {1, std::chrono::hours(1)}, .burst = 1})));
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("SET full 1\r\n", "+OK\r\n"), "+OK\r\n");
  client.Send("MULTI\r\nSET a 1\r\nSET full 2\r\nEXEC\r\n");
  const std::string begin =
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: THROTTLED ";
  EXPECT_EQ(client.Read(begin.size()), begin);
  EXPECT_EQ(client.ReadSome().substr(0, 4), "1/h ");
  // What was refused has charged nothing, and is no transaction any more.
  EXPECT_EQ(client.Ask("GET a\r\n", "$-1\r\n"), "$-1\r\n");
  const std::string whole = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n1\r\n";
  EXPECT_EQ(client.Ask("MULTI\r\nSET b 1\r\nGET b\r\nEXEC\r\n", whole), whole);
}

TEST(SessionGuards, ParksAndKeepsTheOrder) {
  TestServer server(ProxyCommandFamilies(),
                    With(Limited({.per = RatePer::kKey,
                                  .rate = {20},
                                  .burst = 1,
                                  .park = std::chrono::milliseconds(500)})));
  TestClient client(server.port());
  const auto begin = Clock::now();
  const std::string expected = ":1\r\n:2\r\n:3\r\n+PONG\r\n";
  EXPECT_EQ(client.Ask("INCR n\r\nINCR n\r\nINCR n\r\nPING\r\n", expected), expected);
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(99));
  EXPECT_EQ(CountOf(server, PolicyKind::kRateLimit, &PolicyFigures::delayed), 2);
  EXPECT_EQ(server->Totals().sessions_suspended, 0);
}

TEST(SessionGuards, AParkedClientMayLeave) {
  TestServer server(ProxyCommandFamilies(),
                    With(Limited({.per = RatePer::kKey,
                                  .rate = {60, std::chrono::minutes(1)},
                                  .burst = 1,
                                  .park = std::chrono::milliseconds(1000)})));
  {
    TestClient client(server.port());
    client.Send("INCR n\r\nINCR n\r\n");
    EXPECT_EQ(client.Read(4), ":1\r\n");
    EXPECT_TRUE(Eventually([&server] { return server->Totals().sessions_suspended == 1; }));
  }
  EXPECT_TRUE(Eventually([&server] { return server->Totals().sessions == 0; }));
  EXPECT_EQ(server->Totals().sessions_suspended, 0);
}

TEST(SessionGuards, NilAsIfThereWereNothing) {
  TestServer server(ProxyCommandFamilies(),
                    With({.key_shape = {.deny = {"bad*"}, .answer = PolicyAnswer::kNil}}));
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("GET bad\r\nMGET good bad\r\nHGETALL bad\r\n",
                       "$-1\r\n*2\r\n$-1\r\n$-1\r\n*0\r\n"),
            "$-1\r\n*2\r\n$-1\r\n$-1\r\n*0\r\n");
  const std::string denied =
      "-DENIED the key has a shape that is denied (key_shape of route '*')\r\n";
  EXPECT_EQ(client.Ask("SET bad 1\r\n", denied), denied);
}

// The limit is that of the process: connections are spread over two workers.
TEST(SessionGuards, TwoWorkersShareALimit) {
  constexpr int64_t kRate = 500;
  TestServer server(ProxyCommandFamilies(),
                    With(Limited({.per = RatePer::kKey, .rate = {kRate}, .burst = 10})));
  const auto begin = Clock::now();
  static constexpr auto kTime = std::chrono::milliseconds(2000);
  std::atomic<int64_t> passed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&server, &passed, begin] {
      TestClient client(server.port());
      while (Clock::now() - begin < kTime) {
        client.Send("INCR n\r\n");
        if (client.ReadSome().starts_with(':')) ++passed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  EXPECT_LE(static_cast<double>(passed.load()), kRate * seconds * 1.02 + 10);
  EXPECT_GT(passed.load(), 10);
}

// What waits for its turn in BLPOP is not asked about again when it is served.
TEST(SessionGuards, BlockedClientsPayOnce) {
  TestServer server(
      ProxyCommandFamilies(),
      With(Limited({.per = RatePer::kKey, .rate = {1, std::chrono::hours(1)}, .burst = 2})));
  TestClient waiter(server.port());
  TestClient pusher(server.port());
  waiter.Send("BLPOP l 0\r\n");
  EXPECT_TRUE(Eventually([&server] { return server->Totals().sessions_suspended == 1; }));
  EXPECT_EQ(pusher.Ask("RPUSH l x\r\n", ":1\r\n"), ":1\r\n");
  const std::string popped = "*2\r\n$1\r\nl\r\n$1\r\nx\r\n";
  EXPECT_EQ(waiter.Read(popped.size()), popped);
  EXPECT_EQ(CountOf(server, PolicyKind::kRateLimit, &PolicyFigures::refused), 0);
}

// --- load shedding ---

constexpr size_t kLongClients = 32;
constexpr std::string_view kLongSort = "SORT long ALPHA DESC LIMIT 0 1\r\n";
constexpr std::string_view kLongReply = "*1\r\n$5\r\n29999\r\n";

std::function<void(Options&)> Shedding(LoadShedding mode) {
  return [mode](Options& options) {
    options.workers = 1;
    options.load_shedding = mode;
    options.load_shedding_wait = std::chrono::milliseconds(10);
  };
}

// More elements than a command may go over within its turn.
void FillLong(TestClient& client) {
  std::string fill = "*20002\r\n$5\r\nRPUSH\r\n$4\r\nlong\r\n";
  for (int i = 0; i < 20'000; ++i) fill += "$5\r\n" + std::to_string(10'000 + i) + "\r\n";
  EXPECT_EQ(client.Ask(fill, ":20000\r\n"), ":20000\r\n");
}

// By itself.
bool IsServed(TestServer& server) {
  TestClient client(server.port());
  return client.Ask(kLongSort, kLongReply) == kLongReply;
}

// What each of many clients gets that ask for the same at once.
std::vector<std::string> AskLong(TestServer& server) {
  std::vector<std::unique_ptr<TestClient>> clients;
  for (size_t i = 0; i < kLongClients; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    EXPECT_EQ(clients.back()->Ask("PING\r\n", "+PONG\r\n"), "+PONG\r\n");
  }
  for (const auto& client : clients) client->Send(kLongSort);
  std::vector<std::string> replies;
  for (const auto& client : clients) {
    std::string reply;
    const auto is_whole = [&reply] {
      return reply.starts_with('-') ? reply.ends_with("\r\n") : reply.size() >= 15;
    };
    while (!is_whole()) {
      const std::string more = client->ReadSome(60'000);
      if (more.empty()) break;
      reply += more;
    }
    replies.push_back(std::move(reply));
  }
  return replies;
}

// They are read at once and have their turns side by side: nobody's bytes wait to be read.
TEST(SessionGuards, ShedsWhatIsBehindTooMuchWork) {
  TestServer server(ProxyCommandFamilies(), Shedding(LoadShedding::kEnforce));
  TestClient client(server.port());
  FillLong(client);
  size_t refused = 0;
  for (int round = 0; round < 100 && refused == 0; ++round) {
    size_t answered = 0;
    for (const std::string& reply : AskLong(server)) {
      answered += reply == kLongReply ? 1 : 0;
      refused += reply.starts_with("-OVERLOADED the request w") ? 1 : 0;
    }
    EXPECT_GE(answered, 1);
    ASSERT_EQ(answered + refused, kLongClients);
  }
  EXPECT_GE(refused, 1);
  EXPECT_EQ(CountOf(server, PolicyKind::kLoadShedding, &PolicyFigures::refused), refused);
  EXPECT_TRUE(Eventually([&server] { return IsServed(server); }));
}

TEST(SessionGuards, ShedsNothingWhenOff) {
  TestServer server(ProxyCommandFamilies(), Shedding(LoadShedding::kOff));
  TestClient client(server.port());
  FillLong(client);
  for (const std::string& reply : AskLong(server)) EXPECT_EQ(reply, kLongReply);
  EXPECT_EQ(CountOf(server, PolicyKind::kLoadShedding, &PolicyFigures::observed), 0);
}

// Who leaves in the middle takes what it counted for with it.
TEST(SessionGuards, ForgetsTheWorkOfWhoLeaves) {
  TestServer server(ProxyCommandFamilies(), Shedding(LoadShedding::kEnforce));
  TestClient client(server.port());
  FillLong(client);
  for (size_t i = 0; i < 4 * kLongClients; ++i) TestClient(server.port()).Send(kLongSort);
  ASSERT_TRUE(Eventually([&server] {
    const auto totals = server->Totals();
    return totals.connections_received == 1 + 4 * kLongClients && totals.sessions == 1;
  }));
  EXPECT_TRUE(Eventually([&server] { return IsServed(server); }));
}

}  // namespace
}  // namespace tidegate
