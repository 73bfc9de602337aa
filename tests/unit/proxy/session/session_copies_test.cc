// Clients that get copies of values (stale), and one that gets nil before the end (early_refresh),
// with real sessions and two workers: of the engine, and of upstreams.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "hotkey/key_id.h"
#include "policy/early_refresh/early_refresh.h"
#include "policy/policy_registry.h"
#include "policy/single_flight/single_flight.h"
#include "policy/stale/stale_copies.h"
#include "proxy/commands/families.h"
#include "tests/support/fake_redis.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

constexpr std::string_view kNil = "$-1\r\n";
constexpr std::string_view kValue = "$1\r\nv\r\n";
constexpr std::chrono::hours kLong{1};

StaleOptions Copies(StaleWhen when = StaleWhen::kBoth) {
  return {
      .any = true, .mode = PolicyMode::kEnforce, .keys = {"item:*"}, .when = when, .keep = kLong};
}

SingleFlightOptions Flight() {
  return {.mode = PolicyMode::kEnforce, .keys = {"item:*"}, .lease_max = kLong, .wait_max = kLong};
}

void ExpectReply(TestClient& client, std::string_view sent, std::string_view expected) {
  EXPECT_EQ(client.Ask(sent, expected), expected) << sent;
}

enum class Place : uint8_t { kEngine, kUpstream };

class Fixture {
 protected:
  void StartAt(uint16_t node, RoutePolicyOptions policies) {
    server_ = std::make_unique<TestServer>(ProxyCommandFamilies(), [&](Options& options) {
      if (node != 0) {
        options.clusters.push_back({.name = "cache",
                                    .kind = ClusterKind::kRedis,
                                    .nodes = {{.address = {"127.0.0.1", node}}}});
      }
      options.routes = {{.match = "*",
                         .cluster = node == 0 ? "local" : "cache",
                         .policies = std::move(policies)}};
    });
  }
  TestClient& Connect() {
    return *clients_.emplace_back(std::make_unique<TestClient>(server_->port()));
  }
  const PolicyCounters& counters() { return *(*server_)->policies().Counters().at(0).counters; }
  uint64_t CountOf(std::atomic<uint64_t> StaleFigures::*figure) {
    return (counters().stale.*figure).load();
  }
  RoutePolicies& policies() { return *(*server_)->policies().Now().at(0); }
  TestServer& server() { return *server_; }

 private:
  std::unique_ptr<TestServer> server_;
  std::vector<std::unique_ptr<TestClient>> clients_;
};

class SessionCopiesTest : public Fixture, public ::testing::TestWithParam<Place> {
 protected:
  void Start(RoutePolicyOptions policies) {
    if (GetParam() == Place::kUpstream)
      node_ = std::make_unique<TestServer>(ProxyCommandFamilies());
    StartAt(node_ == nullptr ? uint16_t{0} : node_->port(), std::move(policies));
  }
  // The key goes, and no client of ours has said so.
  void Expire(TestClient& client, std::string_view key) {
    const std::string name(key);
    if (node_ != nullptr) {
      TestClient direct(node_->port());
      ExpectReply(direct, "DEL " + name + "\r\n", ":1\r\n");
      return;
    }
    EXPECT_TRUE(Eventually([&] {
      client.Send("EXISTS " + name + "\r\n");
      return client.Read(4) == ":0\r\n";
    }));
  }
  bool HasCopy(std::string_view key) {
    return policies()
        .stale()
        ->Find({.name = key, .hash = KeyHash(key), .keyspace = Where()}, MonotonicNanos())
        .has_value();
  }
  static hotkey::Keyspace Where() {
    return {.cluster = static_cast<uint16_t>(GetParam() == Place::kEngine ? 0 : 1)};
  }
  // Written with so short a life that Expire sees its end; read before it, so that a copy is there.
  void Copy(TestClient& client, std::string_view key) {
    const std::string name(key);
    const std::string life = node_ != nullptr ? "100000" : "500";
    EXPECT_TRUE(Eventually([&] {
      ExpectReply(client, "SET " + name + " v PX " + life + "\r\n", "+OK\r\n");
      client.Send("GET " + name + "\r\n");
      const std::string reply = client.Read(kNil.size());
      return reply != kNil && client.Read(kValue.size() - kNil.size()) == "\r\n";
    }));
  }

 private:
  std::unique_ptr<TestServer> node_;
};

INSTANTIATE_TEST_SUITE_P(Places, SessionCopiesTest,
                         ::testing::Values(Place::kEngine, Place::kUpstream),
                         [](const ::testing::TestParamInfo<Place>& info) {
                           return info.param == Place::kEngine ? "Engine" : "Upstream";
                         });

TEST_P(SessionCopiesTest, WhileOneLoadsTheOthersGetTheCopy) {
  Start({.single_flight = Flight(), .stale = Copies()});
  TestClient& leader = Connect();
  Copy(leader, "item:1");
  Expire(leader, "item:1");
  ExpectReply(leader, "GET item:1\r\n", kNil);
  for (int i = 0; i < 4; ++i) ExpectReply(Connect(), "GET item:1\r\n", kValue);
  ExpectReply(Connect(), "HELLO 3\r\nGET item:1\r\n", "%");
  EXPECT_GE(CountOf(&StaleFigures::loading), 4);
  EXPECT_EQ(counters().flight.parked.load(), 0);
  ExpectReply(leader, "SET item:1 w\r\n", "+OK\r\n");
  ExpectReply(Connect(), "GET item:1\r\n", "$1\r\nw\r\n");
}

TEST_P(SessionCopiesTest, WhatAClientDeletesDoesNotComeBack) {
  Start({.single_flight = Flight(), .stale = Copies()});
  constexpr std::array<std::array<std::string_view, 2>, 6> kDeletes = {{
      {"DEL item:1\r\n", ":1\r\n"},
      {"UNLINK item:1\r\n", ":1\r\n"},
      {"GETDEL item:1\r\n", kValue},
      {"MULTI\r\nDEL item:1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"},
      {"RENAME item:1 x\r\n", "+OK\r\n"},
      {"FLUSHALL\r\n", "+OK\r\n"},
  }};
  for (const auto& [deletes, reply] : kDeletes) {
    TestClient& leader = Connect();
    ExpectReply(leader, "SET item:1 v\r\n", "+OK\r\n");
    ExpectReply(leader, "GET item:1\r\n", kValue);
    EXPECT_TRUE(HasCopy("item:1")) << deletes;
    ExpectReply(leader, deletes, reply);
    EXPECT_FALSE(HasCopy("item:1")) << deletes;
    ExpectReply(leader, "GET item:1\r\n", kNil);
  }
  EXPECT_EQ(CountOf(&StaleFigures::loading), 0);
}

TEST_P(SessionCopiesTest, ObserveCountsAndGivesNothing) {
  StaleOptions stale = Copies();
  stale.mode = PolicyMode::kObserve;
  Start({.single_flight = Flight(), .stale = stale});
  TestClient& leader = Connect();
  Copy(leader, "item:1");
  Expire(leader, "item:1");
  ExpectReply(leader, "GET item:1\r\n", kNil);
  TestClient& waits = Connect();
  waits.Send("GET item:1\r\n");
  EXPECT_TRUE(Eventually([&] { return counters().flight.waiting.load() == 1; }));
  EXPECT_EQ(counters().of(PolicyKind::kStale).observed.load(), 1);
  EXPECT_EQ(CountOf(&StaleFigures::loading), 0);
  ExpectReply(leader, "SET item:1 w\r\n", "+OK\r\n");
  EXPECT_EQ(waits.Read(7), "$1\r\nw\r\n");
}

TEST_P(SessionCopiesTest, WhoIsOverARateGetsTheCopy) {
  const RateLimitRule rule{.per = RatePer::kKey,
                           .rate = {.requests = 1, .period = std::chrono::hours(1)},
                           .burst = 1,
                           .access = PolicyAccess::kReads,
                           .stale = true};
  Start({.rate_limit = {.mode = PolicyMode::kEnforce, .rules = {rule}}, .stale = Copies()});
  TestClient& client = Connect();
  ExpectReply(client, "SET item:1 v\r\n", "+OK\r\n");
  for (int i = 0; i < 5; ++i) ExpectReply(client, "GET item:1\r\n", kValue);
  EXPECT_EQ(CountOf(&StaleFigures::limited), 4);
  ExpectReply(client, "SET item:1 w\r\n", "+OK\r\n");
  ExpectReply(client, "GET item:1\r\n", "-THROTTLED 1/h per key");
  EXPECT_EQ(CountOf(&StaleFigures::missing), 1);
}

TEST_P(SessionCopiesTest, OneClientFindsNothingBeforeTheEnd) {
  SingleFlightOptions flight = Flight();
  Start({.single_flight = flight,
         .early_refresh = {
             .any = true, .mode = PolicyMode::kEnforce, .keys = {"item:*"}, .beta_percent = 1000}});
  TestClient& leader = Connect();
  // A load is seen, which tells how long they take.
  ExpectReply(leader, "GET item:0\r\n", kNil);
  ExpectReply(leader, "SET item:0 v\r\n", "+OK\r\n");
  ExpectReply(leader, "SET item:1 v PX 100000\r\n", "+OK\r\n");
  ExpectReply(leader, "GET item:1\r\n", kValue);
  // Its end is near, as far as is known here.
  const hotkey::Keyspace keyspace{.cluster =
                                      static_cast<uint16_t>(GetParam() == Place::kEngine ? 0 : 1)};
  const hotkey::KeyId id = hotkey::IdOf(KeyHash("item:1"), keyspace);
  ExpiryTimes& expiries = policies().early_refresh()->expiries();
  EXPECT_TRUE(expiries.RemainingMs(id, MonotonicNanos() / 1'000'000));
  policies().single_flight()->NoteLoad(LoadTimes::PlaceOf("item:1"), 9'000'000'000);
  expiries.Set(id, MonotonicNanos() / 1'000'000, 1000);
  // Sooner or later one gets nil, and while it loads nobody else.
  TestClient& other = Connect();
  std::string reply;
  EXPECT_TRUE(Eventually([&] {
    expiries.Set(id, MonotonicNanos() / 1'000'000, 1000);
    other.Send("GET item:1\r\n");
    reply = other.Read(5);
    if (reply != kNil) reply += other.Read(2);
    return reply == kNil;
  }));
  EXPECT_EQ(counters().of(PolicyKind::kEarlyRefresh).refused.load(), 1);
  for (int i = 0; i < 50; ++i) ExpectReply(leader, "GET item:1\r\n", kValue);
  ExpectReply(other, "GET item:1\r\n", kValue);
  ExpectReply(other, "SET item:1 w PX 1000000\r\n", "+OK\r\n");
  for (int i = 0; i < 50; ++i) ExpectReply(leader, "GET item:1\r\n", "$1\r\nw\r\n");
  EXPECT_EQ(counters().of(PolicyKind::kEarlyRefresh).refused.load(), 1);
  EXPECT_GT(expiries.RemainingMs(id, MonotonicNanos() / 1'000'000).value_or(0), 100'000);
}

// Nobody has seen its write: it was there before.
TEST_P(SessionCopiesTest, TheEndOfAKeyIsAskedForWhenItIsReadAgain) {
  Start({.single_flight = Flight(),
         .early_refresh = {.any = true, .mode = PolicyMode::kEnforce, .keys = {"item:*"}}});
  TestClient& client = Connect();
  ExpectReply(client, "SET item:1 v\r\n", "+OK\r\n");
  ExpectReply(client, "EXPIRE item:1 1000\r\n", ":1\r\n");
  const hotkey::Keyspace keyspace{.cluster =
                                      static_cast<uint16_t>(GetParam() == Place::kEngine ? 0 : 1)};
  const hotkey::KeyId id = hotkey::IdOf(KeyHash("item:1"), keyspace);
  ExpiryTimes& expiries = policies().early_refresh()->expiries();
  EXPECT_FALSE(expiries.RemainingMs(id, MonotonicNanos() / 1'000'000));
  EXPECT_TRUE(Eventually([&] {
    ExpectReply(client, "GET item:1\r\n", kValue);
    return expiries.RemainingMs(id, MonotonicNanos() / 1'000'000).has_value();
  }));
  const int64_t remaining_ms = *expiries.RemainingMs(id, MonotonicNanos() / 1'000'000);
  EXPECT_LE(remaining_ms, 1'000'000);
  EXPECT_GT(remaining_ms, 500'000);
}

class DownTest : public Fixture, public ::testing::Test {
 protected:
  void Start(StaleWhen when = StaleWhen::kBoth) {
    StartAt(node_.port(), {.stale = Copies(when)});
    ExpectReply(client(), "GET item:1\r\n", kValue);
  }
  TestClient& client() { return client_ == nullptr ? *(client_ = &Connect()) : *client_; }

  FakeRedis node_{[](const std::string& command) {
    return command.starts_with("GET") ? std::string(kValue) : std::string("+OK\r\n");
  }};

 private:
  TestClient* client_ = nullptr;
};

TEST_F(DownTest, WhatANodeWouldNotSayIsACopy) {
  Start();
  for (const std::string_view error :
       {"-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is\r\n", "-CLUSTERDOWN The cluster is down\r\n"}) {
    node_.Set([error](const std::string&) { return std::string(error); });
    ExpectReply(client(), "GET item:1\r\n", kValue);
  }
  EXPECT_EQ(CountOf(&StaleFigures::down), 3);
  node_.Set([](const std::string&) { return std::string("-WRONGTYPE no\r\n"); });
  ExpectReply(client(), "GET item:1\r\n", "-WRONGTYPE no\r\n");
  EXPECT_EQ(CountOf(&StaleFigures::down), 3);
}

TEST_F(DownTest, ANodeThatIsGoneIsReadFromCopiesUntilItIsBack) {
  Start();
  node_.Close();
  for (int i = 0; i < 20; ++i) ExpectReply(client(), "GET item:1\r\n", kValue);
  EXPECT_EQ(CountOf(&StaleFigures::down), 20);
  ExpectReply(client(), "GET item:2\r\n", "-ERR upstream cluster 'cache'");
  EXPECT_GE(CountOf(&StaleFigures::missing), 1);
  node_.Set([](const std::string& command) {
    return command.starts_with("GET") ? std::string("$1\r\nw\r\n") : std::string("+OK\r\n");
  });
  node_.Reopen();
  EXPECT_TRUE(Eventually([&] {
    TestClient& other = Connect();
    return other.Ask("GET item:1\r\n", kValue) == "$1\r\nw\r\n";
  }));
}

// The client was told that its write failed: what it wanted to write over it is not given either.
TEST_F(DownTest, AWriteThatFailsDropsTheCopy) {
  Start();
  node_.Close();
  ExpectReply(client(), "GET item:1\r\n", kValue);
  ExpectReply(client(), "DEL item:1\r\n", "-ERR upstream cluster 'cache'");
  TestClient& other = Connect();
  ExpectReply(other, "GET item:1\r\n", "-ERR upstream cluster 'cache'");
}

TEST_F(DownTest, NothingIsGivenWhereTheRuleIsForLoadsAlone) {
  Start(StaleWhen::kLoading);
  node_.Close();
  ExpectReply(client(), "GET item:1\r\n", "-ERR upstream cluster 'cache'");
  EXPECT_EQ(CountOf(&StaleFigures::down), 0);
}

}  // namespace
}  // namespace tidegate
