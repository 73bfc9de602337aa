// CLUSTER SLOTS, SHARDS, NODES and INFO in the forms of several servers, and what is refused.
#include "proxy/topology/cluster_replies.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/proxy/topology/reply_notation.h"

namespace tidegate::topology {
namespace {

const AskedNode kAsked{.address = {.host = "10.0.0.9", .port = 7000}};

// The whole map in one text: "0-5460 10.0.0.1:7000 < 10.0.0.4:7000; …".
std::string Show(const SlotMap& map) {
  std::string text;
  for (size_t shard = 1; shard < map.shards().size(); ++shard) {
    for (const SlotRange& range : map.RangesOf(static_cast<uint16_t>(shard))) {
      text += ToText(range.first) + "-" + ToText(range.last) + " ";
    }
    const Shard& members = map.shards()[shard];
    text += members.primary == kNoNode ? "nobody" : map.nodes()[members.primary].address.ToText();
    for (const NodeIndex replica : members.replicas) {
      text += " < " + map.nodes()[replica].address.ToText();
    }
    text += "; ";
  }
  return text;
}

std::string Shown(const Result<SlotMap>& map) {
  return map.ok() ? Show(map.value()) : "error: " + map.error().message;
}

std::string Slots(std::string_view notation, Protocol protocol = Protocol::kResp2) {
  return Shown(ParseClusterSlots(ReplyOf(notation, protocol), kAsked));
}

std::string Shards(std::string_view notation, Protocol protocol = Protocol::kResp2) {
  return Shown(ParseClusterShards(ReplyOf(notation, protocol), kAsked));
}

std::string Nodes(std::string_view text) {
  return Shown(ParseClusterNodes(TextReply(text), kAsked));
}

// Redis 6.2: no names behind the id.
constexpr std::string_view kSlots62 =
    "[ [ 0 5460 [ 10.0.0.1 7000 aaa ] [ 10.0.0.4 7000 ddd ] ]"
    "  [ 5461 10922 [ 10.0.0.2 7000 bbb ] [ 10.0.0.5 7000 eee ] ]"
    "  [ 10923 16383 [ 10.0.0.3 7000 ccc ] [ 10.0.0.6 7000 fff ] ] ]";
constexpr std::string_view kThreeShards =
    "0-5460 10.0.0.1:7000 < 10.0.0.4:7000; 5461-10922 10.0.0.2:7000 < 10.0.0.5:7000; "
    "10923-16383 10.0.0.3:7000 < 10.0.0.6:7000; ";

TEST(ClusterSlotsTest, Redis62) {
  Result<SlotMap> map = ParseClusterSlots(ReplyOf(kSlots62), kAsked);
  ASSERT_TRUE(map.ok()) << map.error().message;
  EXPECT_EQ(Show(*map), kThreeShards);
  EXPECT_TRUE(map->is_complete());
  EXPECT_EQ(map->nodes().size(), 6U);
  ASSERT_NE(map->PrimaryOf(6000), nullptr);
  EXPECT_EQ(map->PrimaryOf(6000)->id, "bbb");
  EXPECT_TRUE(map->PrimaryOf(6000)->is_primary);
  const Shard& shard = map->OfSlot(16383);
  ASSERT_EQ(shard.replicas.size(), 1U);
  EXPECT_EQ(map->nodes()[shard.replicas[0]].id, "fff");
}

TEST(ClusterSlotsTest, EndpointsAsTheServerPrefers) {
  // Redis 7.0 by cluster-preferred-endpoint-type: ip, hostname, unknown-endpoint.
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    EXPECT_EQ(Slots("[ [ 0 16383 [ 10.0.0.1 7000 aaa { hostname a.example } ] ] ]", protocol),
              "0-16383 10.0.0.1:7000; ");
    EXPECT_EQ(Slots("[ [ 0 16383 [ a.example 7000 aaa { ip 10.0.0.1 } ] ] ]", protocol),
              "0-16383 a.example:7000; ");
    EXPECT_EQ(Slots("[ [ 0 16383 [ _ 7001 aaa { ip 10.0.0.1 } ] ] ]", protocol),
              "0-16383 10.0.0.9:7001; ");
    EXPECT_EQ(Slots("[ [ 0 16383 [ ? 7001 aaa { ip 10.0.0.1 } ] ] ]", protocol),
              "0-16383 10.0.0.1:7001; ");
  }
  // A node that has not met another does not know its own address.
  EXPECT_EQ(Slots("[ [ 0 16383 [ '' 7000 aaa [ ] ] ] ]"), "0-16383 10.0.0.9:7000; ");
  EXPECT_EQ(Slots("[ [ 0 16383 [ fd00::1 7000 aaa [ ] ] ] ]"), "0-16383 [fd00::1]:7000; ");
  // Valkey 8 may tell more about a node; before 4.0 there was no id.
  EXPECT_EQ(Slots("[ [ 0 9 [ 10.0.0.1 7000 aaa { hostname h availability-zone z } x ] ] ]"),
            "0-9 10.0.0.1:7000; ");
  EXPECT_EQ(Slots("[ [ 0 9 [ 10.0.0.1 7000 ] [ 10.0.0.4 7000 ] ] ]"),
            "0-9 10.0.0.1:7000 < 10.0.0.4:7000; ");

  Result<SlotMap> map = ParseClusterSlots(ReplyOf("[ [ 0 16383 [ ? 7001 aaa [ ] ] ] ]"), kAsked);
  ASSERT_TRUE(map.ok());
  EXPECT_FALSE(map->PrimaryOf(0)->address.is_known()) << "an owner that nobody can reach";
}

TEST(ClusterSlotsTest, RangesOfOnePrimaryAreOneShard) {
  EXPECT_EQ(Slots("[ [ 0 0 [ a 1 aaa ] [ d 1 ddd ] ] [ 1 1 [ b 1 bbb ] ]"
                  "  [ 2 99 [ a 1 aaa ] [ d 1 ddd ] [ e 1 eee ] ] ]"),
            "0-0 2-99 a:1 < d:1 < e:1; 1-1 b:1; ");
}

TEST(ClusterSlotsTest, HolesAreSlotsOfNobody) {
  Result<SlotMap> map = ParseClusterSlots(ReplyOf("[ [ 1 10 [ a 1 aaa ] ] ]"), kAsked);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->covered_slots(), 10U);
  EXPECT_FALSE(map->is_complete());
  EXPECT_EQ(map->PrimaryOf(0), nullptr);
  EXPECT_EQ(map->OfSlot(11).primary, kNoNode);
  EXPECT_TRUE(map->OfSlot(11).replicas.empty());
  EXPECT_EQ(map->RangesOf(0), (std::vector<SlotRange>{{0, 0}, {11, 16383}}));

  map = ParseClusterSlots(ReplyOf("[ ]"), kAsked);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->covered_slots(), 0U);
  EXPECT_EQ(map->PrimaryOf(16383), nullptr);
}

TEST(ClusterSlotsTest, ContradictionsAndNonsenseAreErrors) {
  EXPECT_EQ(Slots("[ [ 0 5 [ a 1 aaa ] ] [ 5 9 [ b 1 bbb ] ] ]"),
            "error: CLUSTER SLOTS: slot 5 is claimed by a:1 (aaa) and b:1 (bbb)");
  EXPECT_EQ(Slots("[ [ 0 5 [ a 1 aaa ] ] [ 6 9 [ b 1 bbb ] [ a 1 aaa ] ] ]"),
            "error: CLUSTER SLOTS: node a:1 (aaa) is a primary and a replica");
  EXPECT_EQ(Slots("[ [ 0 5 [ a 1 aaa ] [ a 1 aaa ] ] ]"),
            "error: CLUSTER SLOTS: node a:1 (aaa) is a primary and a replica");
  EXPECT_EQ(Slots("[ [ 0 5 [ a 1 aaa ] [ d 1 ddd ] ] [ 6 9 [ b 1 bbb ] [ d 1 ddd ] ] ]"),
            "error: CLUSTER SLOTS: node d:1 (ddd) belongs to two shards");
  EXPECT_EQ(Slots("[ [ 9 5 [ a 1 aaa ] ] ]"),
            "error: CLUSTER SLOTS: slots 9-5 are no range of 0-16383");
  EXPECT_EQ(Slots("[ [ 0 16384 [ a 1 aaa ] ] ]"),
            "error: CLUSTER SLOTS: slots 0-16384 are no range of 0-16383");
  EXPECT_EQ(Slots("[ [ -1 9223372036854775807 [ a 1 aaa ] ] ]"),
            "error: CLUSTER SLOTS: slots -1-9223372036854775807 are no range of 0-16383");
  EXPECT_EQ(Slots("[ [ 0 5 [ a 65536 aaa ] ] ]"), "error: CLUSTER SLOTS: a node without a port");
  EXPECT_EQ(Slots("[ [ 0 5 [ a -1 aaa ] ] ]"), "error: CLUSTER SLOTS: a node without a port");
  EXPECT_EQ(Slots("[ [ 0 5 [ [ ] 1 aaa ] ] ]"),
            "error: CLUSTER SLOTS: a node whose host is no text");
  EXPECT_EQ(Slots("[ [ 0 5 a ] ]"), "error: CLUSTER SLOTS: a node that is no list");
  EXPECT_EQ(Slots("[ [ 0 5 ] ]"), "error: CLUSTER SLOTS: a range that is no list");
  EXPECT_EQ(Slots("[ [ a 5 [ a 1 aaa ] ] ]"), "error: CLUSTER SLOTS: a range without slots");
  EXPECT_EQ(Slots("[ a ]"), "error: CLUSTER SLOTS: a range that is no list");
  EXPECT_EQ(Slots("a"), "error: CLUSTER SLOTS: a reply of another kind");
  EXPECT_EQ(Shown(ParseClusterSlots(
                ParsedReply("-ERR This instance has cluster support disabled\r\n"), kAsked)),
            "error: CLUSTER SLOTS: ERR This instance has cluster support disabled");
}

TEST(ClusterSlotsTest, ThousandsOfNodesAndSlotsEachOnItsOwn) {
  std::string text = "[";
  for (int slot = 0; slot < 16384; ++slot) {
    const std::string number = ToText(slot);
    for (const char* part : {" [ ", " ", " [ n", " 7000 id"}) (text += part) += number;
    text += " ] ]";
  }
  Result<SlotMap> map = ParseClusterSlots(ReplyOf(text + " ]"), kAsked);
  ASSERT_TRUE(map.ok()) << map.error().message;
  EXPECT_TRUE(map->is_complete());
  EXPECT_EQ(map->nodes().size(), 16384U);
  for (uint16_t slot = 0; slot < kSlotCount; ++slot) {
    ASSERT_EQ(map->PrimaryOf(slot)->id, "id" + ToText(slot));
  }
  EXPECT_EQ(Slots(text + " [ 0 0 [ n0 7000 id0 ] [ one-more 7000 more ] ] ]"),
            "error: CLUSTER SLOTS: more than 16384 nodes");
}

// Of Redis 7.0; `more` where a newer server has more to say.
std::string ShardsNode(std::string_view host, std::string_view id, std::string_view role,
                       std::string_view health = "online", std::string_view more = "") {
  return " { id " + std::string(id) + " port 7000 ip " + std::string(host) + " endpoint " +
         std::string(host) + " hostname '' role " + std::string(role) +
         " replication-offset 42 health " + std::string(health) + " " + std::string(more) + " }";
}

TEST(ClusterShardsTest, Redis70) {
  const std::string text = "[ { slots [ 0 99 200 299 ] nodes [" +
                           ShardsNode("10.0.0.4", "ddd", "replica", "loading") +
                           ShardsNode("10.0.0.1", "aaa", "master") + " ] } { slots [ ] nodes [" +
                           ShardsNode("10.0.0.2", "bbb", "master", "fail") + " ] } ]";
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    Result<SlotMap> map = ParseClusterShards(ReplyOf(text, protocol), kAsked);
    ASSERT_TRUE(map.ok()) << map.error().message;
    EXPECT_EQ(Show(*map), "0-99 200-299 10.0.0.1:7000 < 10.0.0.4:7000; 10.0.0.2:7000; ");
    const ClusterNode& replica = map->nodes()[map->OfSlot(0).replicas[0]];
    EXPECT_EQ(replica.health, NodeHealth::kLoading);
    EXPECT_EQ(replica.replication_offset, 42);
    EXPECT_FALSE(replica.is_primary);
    EXPECT_EQ(map->nodes()[map->FindNode({.host = "10.0.0.2", .port = 7000})].health,
              NodeHealth::kFailed);
  }
}

TEST(ClusterShardsTest, PortsAndEndpoints) {
  const std::string text =
      "[ { slots [ 0 9 ] nodes [ { id aaa port 7000 tls-port 7443 ip 10.0.0.1 endpoint a.example "
      "hostname a.example role master replication-offset 0 health online } ] id s1 } ]";
  EXPECT_EQ(Shards(text), "0-9 a.example:7000; ");
  AskedNode tls = kAsked;
  tls.tls = true;
  EXPECT_EQ(Shown(ParseClusterShards(ReplyOf(text), tls)), "0-9 a.example:7443; ");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [ { id aaa tls-port 7443 ip 10.0.0.1 endpoint _ "
                   "role master health online } ] } ]"),
            "0-9 10.0.0.9:7443; ");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [ { id aaa port 1 ip 10.0.0.1 endpoint '' "
                   "role master health online availability-zone z } ] } ]"),
            "0-9 10.0.0.9:1; ");
}

TEST(ClusterShardsTest, WhoIsThePrimary) {
  const std::string failed = ShardsNode("a", "aaa", "master", "failed");
  const std::string good = ShardsNode("b", "bbb", "master");
  const std::string replica = ShardsNode("c", "ccc", "replica");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [" + failed + good + " ] } ]"),
            "0-9 b:7000 < a:7000; ");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [" + good + failed + " ] } ]"),
            "0-9 b:7000 < a:7000; ");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [" + failed + replica + " ] } ]"),
            "0-9 a:7000 < c:7000; ");
  EXPECT_EQ(
      Shards("[ { slots [ 0 9 ] nodes [" + good + ShardsNode("d", "ddd", "master") + " ] } ]"),
      "error: CLUSTER SHARDS: a shard has two primaries, bbb and ddd");
  // Nobody takes writes, but replicas may still be read.
  Result<SlotMap> map =
      ParseClusterShards(ReplyOf("[ { slots [ 0 9 ] nodes [" + replica + " ] } ]"), kAsked);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(Show(*map), "0-9 nobody < c:7000; ");
  EXPECT_EQ(map->covered_slots(), 0U);
}

TEST(ClusterShardsTest, NonsenseIsAnError) {
  const std::string node = ShardsNode("a", "aaa", "master");
  EXPECT_EQ(Shards("[ { slots [ 0 ] nodes [" + node + " ] } ]"),
            "error: CLUSTER SHARDS: a shard without slots");
  EXPECT_EQ(Shards("[ { slots [ x y ] nodes [" + node + " ] } ]"),
            "error: CLUSTER SHARDS: slots that are no numbers");
  EXPECT_EQ(Shards("[ { nodes [" + node + " ] } ]"),
            "error: CLUSTER SHARDS: a shard without slots");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] } ]"), "error: CLUSTER SHARDS: a shard without nodes");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [ x ] } ]"),
            "error: CLUSTER SHARDS: a node that is no map");
  EXPECT_EQ(Shards("[ { slots [ 0 9 ] nodes [" + ShardsNode("a", "aaa", "boss") + " ] } ]"),
            "error: CLUSTER SHARDS: node aaa has no role");
  EXPECT_EQ(
      Shards("[ { slots [ 0 9 ] nodes [" + ShardsNode("a", "aaa", "master", "ill") + " ] } ]"),
      "error: CLUSTER SHARDS: node aaa has no health");
  EXPECT_EQ(Shards("[ 7 ]"), "error: CLUSTER SHARDS: a shard without nodes");
}

constexpr std::string_view kNodes70 =
    "ddd 10.0.0.4:7000@17000,d.example slave aaa 0 1795697447901 1 connected\n"
    "aaa 10.0.0.1:7000@17000,a.example myself,master - 0 1795697448005 1 connected 0-5460 "
    "[5460->-bbb] [5461-<-bbb]\n"
    "bbb 10.0.0.2:7000@17000,b.example,shard-id=69bc master - 0 1795697448106 2 connected "
    "5461-10921 10922\n"
    "eee 10.0.0.5:7000@17000,, slave,fail? bbb 1 1795697448000 2 disconnected\n"
    "ccc 10.0.0.3:7000@17000 master,fail - 0 1795697448004 3 connected 10923-16383\n"
    "fff 10.0.0.6:7000@17000 slave ccc 0 1795697447000 3 connected\n"
    "new :0@0 master,noaddr - 0 0 0 disconnected\n"
    "met 10.0.0.8:7000@17000 handshake - 0 0 0 connected\n";

TEST(ClusterNodesTest, Redis70) {
  Result<SlotMap> map = ParseClusterNodes(TextReply(kNodes70), kAsked);
  ASSERT_TRUE(map.ok()) << map.error().message;
  EXPECT_EQ(Show(*map), kThreeShards);
  EXPECT_EQ(map->nodes().size(), 6U) << "who is not in the cluster yet is left out";
  EXPECT_EQ(map->PrimaryOf(5461)->config_epoch, 2U);
  EXPECT_EQ(map->PrimaryOf(5461)->hostname, "b.example");
  EXPECT_EQ(map->PrimaryOf(16383)->health, NodeHealth::kFailed);
  EXPECT_EQ(map->nodes()[map->OfSlot(5461).replicas[0]].health, NodeHealth::kSuspected);
  const NodeIndex a = map->OfSlot(0).primary;
  const NodeIndex b = map->OfSlot(5461).primary;
  EXPECT_EQ(map->moves(), (std::vector<SlotMove>{{5460, a, b}, {5461, b, a}}));

  AskedNode by_name = kAsked;
  by_name.prefers_hostnames = true;
  map = ParseClusterNodes(TextReply(kNodes70), by_name);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->PrimaryOf(0)->address.host, "a.example");
  EXPECT_EQ(map->PrimaryOf(16383)->address.host, "10.0.0.3");
}

TEST(ClusterNodesTest, OtherForms) {
  // Before 4.0 without the bus; a node of its own; IPv6; \r\n; Valkey's words.
  EXPECT_EQ(Nodes("aaa 10.0.0.1:7000 myself,master - 0 0 1 connected 0-16383\n"),
            "0-16383 10.0.0.1:7000; ");
  EXPECT_EQ(Nodes("aaa :7000@17000 myself,master - 0 0 0 connected\r\n"), "10.0.0.9:7000; ");
  EXPECT_EQ(Nodes("aaa fd00::1:7000@17000 primary - 0 0 1 connected 7\n"
                  "bbb fd00::2:7000@17000 replica aaa 0 0 1 connected\n"),
            "7-7 [fd00::1]:7000 < [fd00::2]:7000; ");
  // A replica of a replica, one of nobody known, two of each other.
  EXPECT_EQ(Nodes("ccc c:1@2 slave bbb 0 0 1 connected\nbbb b:1@2 slave aaa 0 0 1 connected\n"
                  "aaa a:1@2 master - 0 0 1 connected 1\nddd d:1@2 slave zzz 0 0 1 connected\n"
                  "eee e:1@2 slave fff 0 0 1 connected\nfff f:1@2 slave eee 0 0 1 connected\n"),
            "1-1 a:1 < c:1 < b:1; ");
  EXPECT_EQ(Nodes(""), "");
}

TEST(ClusterNodesTest, NonsenseIsAnError) {
  EXPECT_EQ(Nodes("hello\n"), "error: CLUSTER NODES: a line that is no node's");
  EXPECT_EQ(Nodes("aaa a:1@2 master - 0 0 x connected\n"),
            "error: CLUSTER NODES: a line that is no node's");
  EXPECT_EQ(Nodes("aaa a@2 master - 0 0 1 connected\n"),
            "error: CLUSTER NODES: node aaa has no address");
  EXPECT_EQ(Nodes("aaa a:99999@2 master - 0 0 1 connected\n"),
            "error: CLUSTER NODES: node aaa has no address");
  EXPECT_EQ(Nodes("aaa a:1@2 noflags - 0 0 1 connected\n"),
            "error: CLUSTER NODES: node aaa is neither primary nor replica");
  EXPECT_EQ(Nodes("aaa a:1@2 master,slave - 0 0 1 connected\n"),
            "error: CLUSTER NODES: node aaa is neither primary nor replica");
  const std::string good = "aaa a:1@2 master - 0 0 1 connected 0-5\n";
  EXPECT_EQ(Nodes(good + good), "error: CLUSTER NODES: node aaa has two lines");
  EXPECT_EQ(Nodes(good + "bbb b:1@2 master - 0 0 2 connected 5\n"),
            "error: CLUSTER NODES: slot 5 is claimed by a:1 (aaa) and b:1 (bbb)");
  for (const char* slots : {"x", "5-", "-", "1-x"}) {
    EXPECT_EQ(Nodes("aaa a:1@2 master - 0 0 1 connected " + std::string(slots) + "\n").substr(0, 5),
              std::string_view(slots) == "5-" ? "5-5 a" : "error")
        << slots;
  }
  for (const char* move : {"[", "[]", "[5", "[5]", "[5-]", "[5->]", "[99999->-b]", "[x->-b]"}) {
    EXPECT_EQ(Nodes("aaa a:1@2 master - 0 0 1 connected " + std::string(move) + "\n"),
              "error: CLUSTER NODES: a slot on the move that is none")
        << move;
  }
}

TEST(ClusterInfoTest, Fields) {
  Result<ClusterInfo> info = ParseClusterInfo(
      TextReply("cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n"
                "cluster_known_nodes:6\r\ncluster_current_epoch:9\r\ncluster_my_epoch:1\r\n"));
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->is_ok);
  EXPECT_EQ(info->assigned_slots, 16384);
  EXPECT_EQ(info->known_nodes, 6);
  EXPECT_EQ(info->current_epoch, 9U);
  EXPECT_FALSE(ParseClusterInfo(TextReply("cluster_state:fail\r\n"))->is_ok);
  EXPECT_EQ(ParseClusterInfo(TextReply("hello")).error().message,
            "CLUSTER INFO: no cluster_state in it");
}

}  // namespace
}  // namespace tidegate::topology
