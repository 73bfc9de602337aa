// Replies and events of sentinels, as Redis 7.0.15 sends them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/topology/sentinel_event.h"
#include "proxy/topology/sentinel_view.h"
#include "tests/unit/proxy/topology/reply_notation.h"

namespace tidegate::topology {
namespace {

constexpr std::string_view kPrimary =
    "{ name mymaster ip 127.0.0.1 port '41637' runid ffe4171c flags master link-pending-commands "
    "'0' link-refcount '1' last-ping-sent '0' last-ok-ping-reply '933' last-ping-reply '933' "
    "down-after-milliseconds '1000' info-refresh '4044' role-reported master role-reported-time "
    "'4506' config-epoch '3' num-slaves '1' num-other-sentinels '2' quorum '2' failover-timeout "
    "'180000' parallel-syncs '1' }";
constexpr std::string_view kReplica =
    "{ name 127.0.0.1:33173 ip 127.0.0.1 port '33173' runid 816a26f8 flags slave "
    "last-ok-ping-reply '763' role-reported slave master-link-down-time '-1000' "
    "master-link-status err master-host 127.0.0.1 master-port '41637' slave-priority '90' "
    "slave-repl-offset '448' replica-announced '0' }";

std::vector<WatchedServer> Servers(std::string_view notation, Protocol protocol) {
  auto servers = ParseWatchedServers(ReplyOf(notation, protocol), "SENTINEL MASTERS");
  EXPECT_TRUE(servers.ok()) << servers.error().message;
  return servers.ok() ? std::move(*servers) : std::vector<WatchedServer>();
}

std::string ServersError(std::string_view notation) {
  auto servers = ParseWatchedServers(ReplyOf(notation), "SENTINEL REPLICAS");
  return servers.ok() ? "" : servers.error().message;
}

TEST(SentinelViewTest, Primaries) {
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    Result<WatchedServer> server = ParseWatchedServer(ReplyOf(kPrimary, protocol));
    ASSERT_TRUE(server.ok()) << server.error().message;
    EXPECT_EQ(server->name, "mymaster");
    EXPECT_EQ(server->address.ToText(), "127.0.0.1:41637");
    EXPECT_EQ(server->run_id, "ffe4171c");
    EXPECT_EQ(server->config_epoch, 3);
    EXPECT_EQ(server->quorum, 2);
    EXPECT_EQ(server->other_sentinels, 2);
    EXPECT_EQ(server->last_ok_ping_millis, 933);
    EXPECT_TRUE(server->is_usable());
    EXPECT_EQ(Servers("[ " + std::string(kPrimary) + " ]", protocol).size(), 1U);
  }
  Result<WatchedServer> down = ParseWatchedServer(ReplyOf(
      "{ name m ip a port '1' flags s_down,o_down,master,disconnected,failover_in_progress }"));
  ASSERT_TRUE(down.ok());
  EXPECT_TRUE(down->is_subjectively_down && down->is_objectively_down);
  EXPECT_TRUE(down->is_disconnected && down->is_failing_over);
  EXPECT_FALSE(down->is_usable());
  EXPECT_EQ(
      ParseWatchedServer(ParsedReply("-ERR No such master with that name\r\n")).error().message,
      "SENTINEL MASTER: ERR No such master with that name");
}

TEST(SentinelViewTest, Replicas) {
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    const auto servers = Servers("[ " + std::string(kReplica) +
                                     " { name new ip b port '7' flags slave master-host ? "
                                     "master-port '0' master-link-status ok } ]",
                                 protocol);
    ASSERT_EQ(servers.size(), 2U);
    EXPECT_EQ(servers[0].primary.ToText(), "127.0.0.1:41637");
    EXPECT_FALSE(servers[0].is_primary_link_up);
    EXPECT_EQ(servers[0].priority, 90);
    EXPECT_EQ(servers[0].offset, 448);
    EXPECT_FALSE(servers[0].is_announced);
    EXPECT_FALSE(servers[1].primary.is_known());
    EXPECT_TRUE(servers[1].is_primary_link_up);
    EXPECT_TRUE(servers[1].is_announced) << "6.2 does not say so";
  }
  EXPECT_TRUE(Servers("[ ]", Protocol::kResp3).empty());
  EXPECT_EQ(ServersError("[ x ]"), "SENTINEL REPLICAS: a server that is no map");
  EXPECT_EQ(ServersError("[ { name r ip a port '70000' } ]"),
            "SENTINEL REPLICAS: server r has no address");
  EXPECT_EQ(ServersError("[ { name r port '7' } ]"), "SENTINEL REPLICAS: server r has no address");
  EXPECT_EQ(ServersError("x"), "SENTINEL REPLICAS: a reply of another kind");
}

TEST(SentinelViewTest, AddressByName) {
  const auto parse = [](std::string_view notation, Protocol protocol = Protocol::kResp2) {
    auto address = ParsePrimaryAddress(ReplyOf(notation, protocol));
    if (!address.ok()) return "error: " + address.error().message;
    return address->has_value() ? (**address).ToText() : std::string("unknown");
  };
  EXPECT_EQ(parse("[ 127.0.0.1 '41637' ]"), "127.0.0.1:41637");
  EXPECT_EQ(parse("[ db.example '6379' ]"), "db.example:6379") << "resolve-hostnames";
  EXPECT_EQ(parse("_"), "unknown");
  EXPECT_EQ(parse("_", Protocol::kResp3), "unknown");
  EXPECT_FALSE(ParsePrimaryAddress(ParsedReply("*-1\r\n"))->has_value());
  const std::string error = "error: SENTINEL GET-MASTER-ADDR-BY-NAME: no host and port";
  EXPECT_EQ(parse("[ a ]"), error);
  EXPECT_EQ(parse("[ a '0' ]"), error);
  EXPECT_EQ(parse("[ a '65536' ]"), error);
  EXPECT_EQ(parse("[ '' '1' ]"), error);
  EXPECT_EQ(parse("[ a b ]"), error);
}

TEST(SentinelViewTest, AgreementOnThePrimary) {
  const NodeAddress old{.host = "old", .port = 1};
  const NodeAddress fresh{.host = "new", .port = 1};
  const auto agree = [](std::vector<PrimaryOpinion> opinions) {
    const auto agreed = AgreeOnPrimary(opinions);
    if (!agreed) return std::string("none");
    return agreed->address.host + (agreed->is_disputed ? " disputed " : " ") +
           ToText(static_cast<int64_t>(agreed->votes));
  };
  EXPECT_EQ(agree({{old, 9}, {fresh, 1}, {fresh, 1}}), "new disputed 2");
  EXPECT_EQ(agree({{old, 1}, {fresh, 2}}), "new disputed 1");
  EXPECT_EQ(agree({{old}, {fresh}}), "old disputed 1");
  EXPECT_EQ(agree({{NodeAddress()}, {fresh, 1}, {NodeAddress()}}), "new 1");
  EXPECT_EQ(agree({{NodeAddress()}}), "none");
  EXPECT_EQ(agree({}), "none");
}

std::string Event(std::string_view channel, std::string_view message) {
  const auto event = ParseSentinelEvent(channel, message);
  if (!event) return "none";
  std::string text = std::string(event->primary_name) + "|" + event->address.ToText();
  if (event->new_address.is_known()) text += "|" + event->new_address.ToText();
  return text;
}

TEST(SentinelEventTest, AFailover) {
  using Kind = SentinelEvent::Kind;
  const struct {
    std::string_view channel;
    std::string_view message;
    Kind kind;
    std::string_view shown;
  } rows[] = {
      {"+sdown", "master mymaster 127.0.0.1 41637", Kind::kSubjectivelyDown,
       "mymaster|127.0.0.1:41637"},
      {"+odown", "master mymaster 127.0.0.1 41637 #quorum 1/1", Kind::kObjectivelyDown,
       "mymaster|127.0.0.1:41637"},
      {"+new-epoch", "1", Kind::kOther, "|:0"},
      {"+try-failover", "master mymaster 127.0.0.1 41637", Kind::kFailoverStarted,
       "mymaster|127.0.0.1:41637"},
      {"+vote-for-leader", "93e27a1962b08744834c397bf0a3b27c2ec39da6 1", Kind::kOther, "|:0"},
      {"+selected-slave", "slave 127.0.0.1:33173 127.0.0.1 33173 @ mymaster 127.0.0.1 41637",
       Kind::kOther, "mymaster|127.0.0.1:33173"},
      {"-role-change",
       "slave 127.0.0.1:33173 127.0.0.1 33173 @ mymaster 127.0.0.1 41637 new reported role is "
       "master",
       Kind::kRoleChanged, "mymaster|127.0.0.1:33173"},
      {"+failover-end", "master mymaster 127.0.0.1 41637", Kind::kFailoverEnded,
       "mymaster|127.0.0.1:41637"},
      {"+switch-master", "mymaster 127.0.0.1 41637 127.0.0.1 33173", Kind::kSwitchPrimary,
       "mymaster|127.0.0.1:41637|127.0.0.1:33173"},
      {"+slave", "slave 127.0.0.1:41637 127.0.0.1 41637 @ mymaster 127.0.0.1 33173",
       Kind::kReplicaFound, "mymaster|127.0.0.1:41637"},
      {"+sentinel", "sentinel 93e27a19 127.0.0.1 26379 @ mymaster 127.0.0.1 33173",
       Kind::kSentinelFound, "mymaster|127.0.0.1:26379"},
      {"+tilt", "#tilt mode entered", Kind::kTilt, "|:0"},
  };
  for (const auto& row : rows) {
    const auto event = ParseSentinelEvent(row.channel, row.message);
    ASSERT_TRUE(event) << row.channel;
    EXPECT_EQ(event->kind, row.kind) << row.channel;
    EXPECT_EQ(Event(row.channel, row.message), row.shown) << row.channel;
  }
  EXPECT_EQ(ParseSentinelEvent("+sdown", "slave n ::1 7 @ m ::1 8")->role, ServerRole::kReplica);
}

TEST(SentinelEventTest, WhatIsNoEvent) {
  EXPECT_EQ(Event("+switch-master", ""), "none");
  EXPECT_EQ(Event("+switch-master", "mymaster 127.0.0.1 41637"), "none");
  EXPECT_EQ(Event("+switch-master", "mymaster 127.0.0.1 41637 127.0.0.1 0"), "none");
  EXPECT_EQ(Event("+switch-master", "mymaster 127.0.0.1 x 127.0.0.1 1"), "none");
  EXPECT_EQ(Event("+sdown", "boss mymaster 127.0.0.1 41637"), "none");
  EXPECT_EQ(Event("+sdown", "master mymaster 127.0.0.1"), "none");
  EXPECT_EQ(Event("+sdown", "slave n 127.0.0.1 41637"), "none");
  EXPECT_EQ(Event("+sdown", "slave n 127.0.0.1 41637 @ "), "none");
  EXPECT_EQ(Event("", ""), "|:0");
}

}  // namespace
}  // namespace tidegate::topology
