// Reads that wait for somebody else's load, with real sessions and two workers: of the engine, and
// of an upstream that is a server of ours.
//
// Leases and waits are longer than any test: what ends in time has ended for the reason that the
// test is about.
#include "proxy/session/session_flights.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy_registry.h"
#include "proxy/commands/families.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kNil = "$-1\r\n";
constexpr std::chrono::hours kLong{1};

enum class Place : uint8_t { kEngine, kUpstream };

class SessionFlightsTest : public ::testing::TestWithParam<Place> {
 protected:
  void Start(SingleFlightOptions flight, Profile profile = Profile::kStandard) {
    const bool is_here = GetParam() == Place::kEngine;
    if (!is_here) node_ = std::make_unique<TestServer>(ProxyCommandFamilies());
    server_ = std::make_unique<TestServer>(ProxyCommandFamilies(), [&](Options& options) {
      options.profile = profile;
      if (!is_here)
        options.clusters.push_back({.name = "cache",
                                    .kind = ClusterKind::kRedis,
                                    .nodes = {{.address = {"127.0.0.1", node_->port()}}}});
      options.routes = {{.match = "*",
                         .cluster = is_here ? "local" : "cache",
                         .policies = {.single_flight = std::move(flight)}}};
    });
  }
  void StartLong() { Start({.keys = {"item:*"}, .lease_max = kLong, .wait_max = kLong}); }

  TestClient& Connect() {
    return *clients_.emplace_back(std::make_unique<TestClient>(server_->port()));
  }
  uint64_t CountOf(std::atomic<uint64_t> FlightFigures::*figure) {
    return (counters().flight.*figure).load();
  }
  const PolicyCounters& counters() { return *(*server_)->policies().Counters().at(0).counters; }
  bool Waiting(uint64_t reads) {
    return Eventually([&] { return CountOf(&FlightFigures::waiting) == reads; });
  }
  // One client that is expected to load the key.
  TestClient& Lead(std::string_view key) {
    TestClient& leader = Connect();
    EXPECT_EQ(leader.Ask("GET " + std::string(key) + "\r\n", kNil), kNil);
    return leader;
  }
  // One that waits for it.
  TestClient& Park(std::string_view key) {
    TestClient& reader = Connect();
    const uint64_t before = CountOf(&FlightFigures::waiting);
    reader.Send("GET " + std::string(key) + "\r\n");
    EXPECT_TRUE(Waiting(before + 1));
    return reader;
  }

 private:
  std::unique_ptr<TestServer> node_;
  std::unique_ptr<TestServer> server_;
  std::vector<std::unique_ptr<TestClient>> clients_;
};

void ExpectReply(TestClient& client, std::string_view sent, std::string_view expected) {
  EXPECT_EQ(client.Ask(sent, expected), expected) << sent;
}

void ExpectRead(TestClient& client, std::string_view expected) {
  EXPECT_EQ(client.Read(expected.size()), expected);
}

INSTANTIATE_TEST_SUITE_P(Places, SessionFlightsTest,
                         ::testing::Values(Place::kEngine, Place::kUpstream),
                         [](const ::testing::TestParamInfo<Place>& info) {
                           return info.param == Place::kEngine ? "Engine" : "Upstream";
                         });

TEST_P(SessionFlightsTest, OneLoadsAndTheOthersGetItsValue) {
  StartLong();
  TestClient& leader = Lead("item:1");
  std::vector<TestClient*> readers;
  for (int i = 0; i < 8; ++i) readers.push_back(&Park("item:1"));
  ExpectReply(leader, "SET item:1 v\r\n", "+OK\r\n");
  for (TestClient* reader : readers) ExpectRead(*reader, "$1\r\nv\r\n");
  EXPECT_EQ(CountOf(&FlightFigures::leases), 1);
  EXPECT_EQ(CountOf(&FlightFigures::parked), 8);
  EXPECT_EQ(CountOf(&FlightFigures::released), 8);
  EXPECT_EQ(CountOf(&FlightFigures::waiting), 0);
  EXPECT_EQ(counters().of(PolicyKind::kSingleFlight).delayed.load(), 8);
}

// Applications have pools: the value comes over another connection than the nil went to.
TEST_P(SessionFlightsTest, WhateverMakesTheKeyReleases) {
  StartLong();
  constexpr std::array<std::array<std::string_view, 2>, 4> kWrites = {{
      {"MSET item:9 v x:1 v\r\n", "+OK\r\n"},
      {"MULTI\r\nSET item:9 v\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
      {"COPY x:1 item:9\r\n", ":1\r\n"},
      {"SETEX item:9 100 v\r\n", "+OK\r\n"},
  }};
  TestClient& other = Connect();
  for (const auto& [write, reply] : kWrites) {
    Lead("item:9");
    TestClient& reader = Park("item:9");
    ExpectReply(other, write, reply);
    ExpectRead(reader, "$1\r\nv\r\n");
    ExpectReply(other, "DEL item:9\r\n", ":1\r\n");
  }
}

TEST_P(SessionFlightsTest, ALeaderThatGoesLeavesItToOneOfTheOthers) {
  StartLong();
  TestClient& leader = Lead("item:1");
  TestClient& next = Park("item:1");
  TestClient& last = Park("item:1");
  leader.Close();
  // Which of both it is depends on who was noticed first.
  EXPECT_TRUE(Waiting(1));
  EXPECT_EQ(CountOf(&FlightFigures::promoted), 1);
  EXPECT_EQ(CountOf(&FlightFigures::leases), 2);
  ExpectReply(Connect(), "SET item:1 v\r\n", "+OK\r\n");
  const std::string replies = next.Read(5) + last.Read(5);
  EXPECT_TRUE(replies == "$-1\r\n$1\r\nv" || replies == "$1\r\nv$-1\r\n") << replies;
}

TEST_P(SessionFlightsTest, ALeaseThatEndsLeavesItToTheNext) {
  Start({.keys = {"item:*"}, .lease_max = milliseconds(50), .wait_max = kLong});
  Lead("item:1");
  TestClient& next = Connect();
  // Nil, be it that it waited until the lease ended, or that it came when that was over.
  ExpectReply(next, "GET item:1\r\n", kNil);
  EXPECT_EQ(CountOf(&FlightFigures::leases), 2);
  EXPECT_EQ(CountOf(&FlightFigures::timed_out), 0);
}

TEST_P(SessionFlightsTest, TheLongestWaitEndsInNilOrAnError) {
  Start({.keys = {"item:*"}, .lease_max = kLong, .wait_max = milliseconds(30)});
  Lead("item:1");
  ExpectReply(Connect(), "GET item:1\r\n", kNil);
  EXPECT_EQ(CountOf(&FlightFigures::timed_out), 1);
  Start({.keys = {"item:*"},
         .lease_max = kLong,
         .wait_max = milliseconds(30),
         .over = PolicyAnswer::kError});
  Lead("item:1");
  ExpectReply(
      Connect(), "GET item:1\r\n",
      "-THROTTLED the key is being loaded (single_flight of route '*'): try again later\r\n");
  EXPECT_EQ(CountOf(&FlightFigures::timed_out), 1);
  EXPECT_EQ(counters().of(PolicyKind::kSingleFlight).refused.load(), 1);
}

TEST_P(SessionFlightsTest, WhoReadsAgainIsNotMadeToWaitForItself) {
  StartLong();
  TestClient& leader = Lead("item:1");
  ExpectReply(leader, "GET item:1\r\nGET item:1\r\n", "$-1\r\n$-1\r\n");
  EXPECT_EQ(CountOf(&FlightFigures::parked), 0);
}

TEST_P(SessionFlightsTest, WhatAClientWritesItselfItNeedNotWaitFor) {
  StartLong();
  Lead("item:1");
  ExpectReply(Connect(), "GET item:1\r\nSET item:1 x\r\nGET item:1\r\n",
              "$-1\r\n+OK\r\n$1\r\nx\r\n");
}

// Others may wait for what is behind the read.
TEST_P(SessionFlightsTest, APipelineIsNotStoppedForLong) {
  StartLong();
  Lead("item:1");
  ExpectReply(Connect(), "GET item:1\r\nPING\r\n", "$-1\r\n+PONG\r\n");
  std::string sent = "GET item:1\r\n";
  std::string expected(kNil);
  for (uint32_t i = 0; i < 4 * kUnansweredOfOne; ++i) {
    sent += "GET other\r\n";
    expected += kNil;
  }
  ExpectReply(Connect(), sent, expected);
  EXPECT_EQ(CountOf(&FlightFigures::timed_out), 2);
}

TEST_P(SessionFlightsTest, WhoLoadsOneKeyDoesNotWaitLongForAnother) {
  StartLong();
  TestClient& one = Lead("item:1");
  TestClient& two = Lead("item:2");
  ExpectReply(one, "GET item:2\r\n", kNil);
  ExpectReply(two, "GET item:1\r\n", kNil);
  EXPECT_EQ(CountOf(&FlightFigures::timed_out), 2);
}

TEST_P(SessionFlightsTest, TransactionsAndWatchersDoNotWait) {
  StartLong();
  Lead("item:1");
  TestClient& client = Connect();
  ExpectReply(client, "MULTI\r\nGET item:1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
  ExpectReply(client, "WATCH item:1\r\nGET item:1\r\nUNWATCH\r\n", "+OK\r\n$-1\r\n+OK\r\n");
  EXPECT_EQ(CountOf(&FlightFigures::parked), 0);
  Park("item:1");  // others still do
}

TEST_P(SessionFlightsTest, WhoWantsNoReplyDoesNotWait) {
  StartLong();
  Lead("item:1");
  TestClient& client = Connect();
  ExpectReply(client, "CLIENT REPLY OFF\r\nGET item:1\r\nCLIENT REPLY ON\r\n", "+OK\r\n");
  ExpectReply(client, "CLIENT REPLY SKIP\r\nGET item:1\r\nPING\r\n", "+PONG\r\n");
  EXPECT_EQ(CountOf(&FlightFigures::parked), 0);
}

TEST_P(SessionFlightsTest, NothingIsWrittenInTheFormOfTheClient) {
  StartLong();
  TestClient& leader = Lead("item:1");
  TestClient& reader = Connect();
  reader.Send("HELLO 3\r\n");
  ASSERT_TRUE(reader.ReadSome().starts_with('%'));
  reader.Send("ECHO ready\r\n");
  std::string rest;
  while (!rest.ends_with("ready\r\n") && !reader.ended()) rest += reader.ReadSome();
  reader.Send("GET item:1\r\n");
  EXPECT_TRUE(Waiting(1));
  leader.Close();
  ExpectRead(reader, "_\r\n");
}

TEST_P(SessionFlightsTest, AReadThatWaitsMayLeave) {
  StartLong();
  TestClient& leader = Lead("item:1");
  TestClient& gone = Park("item:1");
  TestClient& stays = Park("item:1");
  gone.Close();
  EXPECT_TRUE(Waiting(1));
  ExpectReply(leader, "SET item:1 v\r\n", "+OK\r\n");
  ExpectRead(stays, "$1\r\nv\r\n");
}

TEST_P(SessionFlightsTest, OtherKeysAndOtherTypesAreLeftAlone) {
  StartLong();
  Lead("other:1");
  ExpectReply(Connect(), "GET other:1\r\n", kNil);
  TestClient& leader = Lead("item:1");
  TestClient& reader = Park("item:1");
  ExpectReply(leader, "RPUSH item:1 x\r\n", ":1\r\n");
  const std::string wrong =
      "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
  ExpectRead(reader, wrong);
  EXPECT_EQ(CountOf(&FlightFigures::leases), 1);
}

TEST_P(SessionFlightsTest, ObserveCountsAndChangesNothing) {
  Start({.keys = {"item:*"}, .lease_max = kLong, .wait_max = kLong}, Profile::kObserve);
  Lead("item:1");
  ExpectReply(Connect(), "GET item:1\r\n", kNil);
  EXPECT_EQ(counters().of(PolicyKind::kSingleFlight).observed.load(), 1);
  EXPECT_EQ(counters().of(PolicyKind::kSingleFlight).delayed.load(), 0);
  EXPECT_EQ(CountOf(&FlightFigures::waiting), 0);
}

// Keys that are written with a time to live after they were missed are a cache's, until one of them
// is used for something else.
TEST_P(SessionFlightsTest, LearnsWhatACacheIs) {
  Start({.mode = PolicyMode::kEnforce, .learned = true, .lease_max = kLong, .wait_max = kLong});
  TestClient& client = Connect();
  for (uint32_t i = 0; i < kNilsMin; ++i) {
    const std::string key = "item:" + std::to_string(i);
    ExpectReply(client, "GET " + key + "\r\n", kNil);
    ExpectReply(client, "SET " + key + " v EX 100\r\n", "+OK\r\n");
  }
  TestClient& leader = Lead("item:new");
  TestClient& reader = Park("item:new");
  ExpectReply(leader, "SET item:new v\r\n", "+OK\r\n");
  ExpectRead(reader, "$1\r\nv\r\n");
  Lead("counter:1");
  ExpectReply(Connect(), "GET counter:1\r\n", kNil);
  ExpectReply(client, "INCR item:counter\r\n", ":1\r\n");
  Lead("item:other");
  ExpectReply(Connect(), "GET item:other\r\n", kNil);
}

}  // namespace
}  // namespace tidegate
