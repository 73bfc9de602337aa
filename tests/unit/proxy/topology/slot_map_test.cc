// SlotMap: agreement of several views, comparison, and what a redirection does to it.
#include "proxy/topology/slot_map.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/topology/cluster_agreement.h"
#include "proxy/topology/cluster_replies.h"
#include "proxy/topology/redirect.h"
#include "proxy/topology/slot_map_builder.h"
#include "proxy/topology/slot_map_diff.h"
#include "tests/unit/proxy/topology/reply_notation.h"

namespace tidegate::topology {
namespace {

SlotMap MapOf(std::string_view slots) {
  Result<SlotMap> map = ParseClusterSlots(ReplyOf(slots), AskedNode{});
  EXPECT_TRUE(map.ok()) << map.error().message;
  return map.ok() ? std::move(*map) : SlotMap();
}

SlotMap MapOfNodes(std::string_view nodes) {
  Result<SlotMap> map = ParseClusterNodes(TextReply(nodes), AskedNode{});
  EXPECT_TRUE(map.ok()) << map.error().message;
  return map.ok() ? std::move(*map) : SlotMap();
}

NodeAddress At(std::string host) { return {.host = std::move(host), .port = 1}; }

std::string OwnerOf(const SlotMap& map, uint16_t slot) {
  const ClusterNode* primary = map.PrimaryOf(slot);
  return primary == nullptr ? "nobody" : primary->address.host;
}

std::string ReplicasOf(const SlotMap& map, uint16_t slot) {
  std::string text;
  for (const NodeIndex replica : map.OfSlot(slot).replicas)
    text += map.nodes()[replica].address.host;
  return text;
}

ClusterAgreement Agreed(std::vector<ClusterView> views) {
  Result<ClusterAgreement> agreed = AgreeOnCluster(views);
  EXPECT_TRUE(agreed.ok()) << agreed.error().message;
  return agreed.ok() ? std::move(*agreed) : ClusterAgreement();
}

// a and its replica d, before and after d has taken over.
const std::string kBefore =
    "aaa a:1@2 master - 0 0 1 connected 0-99\nddd d:1@2 slave aaa 0 0 1 connected\n"
    "bbb b:1@2 master - 0 0 2 connected 100-199\n";
const std::string kAfter =
    "aaa a:1@2 master,fail - 0 0 1 connected\nddd d:1@2 master - 0 0 7 connected 0-99\n"
    "bbb b:1@2 master - 0 0 2 connected 100-199\n";

TEST(ClusterAgreementTest, MajorityWinsOverEpochs) {
  const ClusterView before{.map = MapOfNodes(kBefore)};
  const ClusterView after{.map = MapOfNodes(kAfter)};
  const ClusterAgreement old = Agreed({after, before, before});
  EXPECT_EQ(OwnerOf(old.map, 0), "a");
  EXPECT_EQ(OwnerOf(old.map, 100), "b");
  EXPECT_EQ(old.disputed_slots, 100U);
  const ClusterAgreement fresh = Agreed({before, after, after});
  EXPECT_EQ(OwnerOf(fresh.map, 99), "d");
  EXPECT_EQ(ReplicasOf(fresh.map, 99), "");
  EXPECT_EQ(fresh.disputed_slots, 100U);
}

TEST(ClusterAgreementTest, WithoutMajorityTheHighestEpoch) {
  const ClusterView before{.map = MapOfNodes(kBefore)};
  const ClusterView after{.map = MapOfNodes(kAfter)};
  EXPECT_EQ(OwnerOf(Agreed({before, after}).map, 0), "d");
  EXPECT_EQ(OwnerOf(Agreed({after, before}).map, 0), "d");
  // CLUSTER SLOTS has no epochs of nodes: that of the cluster as the node asked knows it.
  const ClusterView old{.map = MapOf("[ [ 0 99 [ a 1 aaa ] [ d 1 ddd ] ] ]"), .current_epoch = 6};
  const ClusterView fresh{.map = MapOf("[ [ 0 99 [ d 1 ddd ] ] ]"), .current_epoch = 7};
  EXPECT_EQ(OwnerOf(Agreed({old, fresh}).map, 0), "d");
  // No epoch either: who was asked first.
  const ClusterView one{.map = MapOf("[ [ 0 99 [ a 1 aaa ] ] ]")};
  const ClusterView other{.map = MapOf("[ [ 0 99 [ c 1 ccc ] ] ]")};
  EXPECT_EQ(OwnerOf(Agreed({one, other}).map, 0), "a");
  EXPECT_EQ(OwnerOf(Agreed({other, one}).map, 0), "c");
}

TEST(ClusterAgreementTest, WhoNamesNobodyAbstains) {
  const ClusterView empty{.map = SlotMap(), .current_epoch = 99};
  const ClusterView full{.map = MapOf("[ [ 0 16383 [ a 1 aaa ] [ d 1 ddd ] ] ]")};
  const ClusterAgreement agreed = Agreed({empty, empty, full});
  EXPECT_TRUE(agreed.map.is_complete());
  EXPECT_EQ(ReplicasOf(agreed.map, 5), "d");
  EXPECT_EQ(agreed.disputed_slots, 0U);
  EXPECT_EQ(Agreed({empty}).map.covered_slots(), 0U);
  EXPECT_EQ(AgreeOnCluster({}).error().message, "no node has told its view of the cluster");
  EXPECT_EQ(AgreeOnCluster(std::vector<ClusterView>(65, empty)).error().message,
            "more than 64 views");
}

TEST(ClusterAgreementTest, RolesThatViewsGiveDifferently) {
  // Slots 0-49 are agreed to be d's, whose own view has a as its replica; a still keeps 50-99.
  const ClusterView ours{.map = MapOf("[ [ 0 49 [ d 1 ddd ] [ a 1 aaa ] [ e 1 eee ] ] ]"),
                         .current_epoch = 9};
  const ClusterView theirs{.map = MapOf("[ [ 50 99 [ a 1 aaa ] [ d 1 ddd ] [ e 1 eee ] ] ]"),
                           .current_epoch = 5};
  const ClusterAgreement agreed = Agreed({theirs, ours});
  EXPECT_EQ(OwnerOf(agreed.map, 0), "d");
  EXPECT_EQ(OwnerOf(agreed.map, 99), "a");
  EXPECT_EQ(ReplicasOf(agreed.map, 0), "e") << "of the shard with the higher epoch";
  EXPECT_EQ(ReplicasOf(agreed.map, 99), "");
}

TEST(ClusterAgreementTest, MovesOfBothSidesAreOne) {
  const ClusterView source{.map = MapOfNodes("aaa a:1@2 master - 0 0 1 connected 0-9 [5->-bbb]\n"
                                             "bbb b:1@2 master - 0 0 2 connected 10\n")};
  const ClusterView target{.map = MapOfNodes("bbb b:1@2 master - 0 0 2 connected 10 [5-<-aaa]\n"
                                             "aaa a:1@2 master - 0 0 1 connected 0-9\n")};
  const SlotMap map = Agreed({source, target}).map;
  ASSERT_EQ(map.moves().size(), 1U);
  EXPECT_EQ(map.moves()[0].slot, 5);
  EXPECT_EQ(map.nodes()[map.moves()[0].from].id, "aaa");
  EXPECT_EQ(map.nodes()[map.moves()[0].to].id, "bbb");
}

TEST(SlotMapDiffTest, WhatMoved) {
  const SlotMap before = MapOf("[ [ 0 99 [ a 1 aaa ] [ d 1 ddd ] ] [ 100 199 [ b 1 bbb ] ] ]");
  const SlotMap after = MapOf("[ [ 0 49 [ d 1 ddd ] [ a 1 aaa ] ] [ 60 199 [ c 1 ccc ] ] ]");
  const SlotMapDiff diff = Compare(before, after);
  EXPECT_EQ(diff.moved, (std::vector<MovedRange>{{{0, 49}, At("a"), At("d")},
                                                 {{50, 59}, At("a"), {}},
                                                 {{60, 99}, At("a"), At("c")},
                                                 {{100, 199}, At("b"), At("c")}}));
  EXPECT_EQ(diff.moved_slots(), 200U);
  EXPECT_EQ(diff.added, std::vector<NodeAddress>{At("c")});
  EXPECT_EQ(diff.removed, std::vector<NodeAddress>{At("b")});
  EXPECT_EQ(diff.promoted, std::vector<NodeAddress>{At("d")});
  EXPECT_EQ(diff.demoted, std::vector<NodeAddress>{At("a")});
  EXPECT_EQ(diff.ToText(),
            "200 slots moved, 1 node added, 1 node removed, 1 node promoted, 1 node demoted");
  EXPECT_TRUE(Compare(after, after).is_empty());
  EXPECT_EQ(Compare(after, after).ToText(), "nothing changed");
}

TEST(SlotMapRedirectTest, OneSlotOrAWholeShard) {
  const SlotMap map = MapOf("[ [ 0 99 [ a 1 aaa ] [ d 1 ddd ] ] [ 100 199 [ b 1 bbb ] ] ]");
  // Resharding: one slot at a time, to a node that is known or not yet.
  Result<SlotMap> moved = WithRedirect(map, 7, At("b"));
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(OwnerOf(*moved, 7), "b");
  EXPECT_EQ(OwnerOf(*moved, 8), "a");
  moved = WithRedirect(*moved, 7, At("new"));
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(OwnerOf(*moved, 7), "new");
  EXPECT_EQ(moved->covered_slots(), 200U);
  EXPECT_EQ(moved->nodes().size(), 4U);
  EXPECT_EQ(OwnerOf(map, 7), "a") << "maps never change";
  // Failover: the replica of the slot's shard has all of its slots.
  moved = WithRedirect(map, 7, At("d"));
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(OwnerOf(*moved, 99), "d");
  EXPECT_EQ(ReplicasOf(*moved, 99), "a");
  EXPECT_TRUE(Compare(*WithRedirect(*moved, 7, At("d")), *moved).is_empty());
  // A replica of another shard is one no more.
  moved = WithRedirect(map, 150, At("d"));
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(OwnerOf(*moved, 150), "d");
  EXPECT_EQ(ReplicasOf(*moved, 0), "");
  EXPECT_EQ(OwnerOf(*WithRedirect(map, 9999, At("a")), 9999), "a") << "a slot that was not covered";
}

struct Expected {
  std::string_view message;
  TopologyError::Kind kind;
  uint16_t slot;
  std::string_view host;
  uint16_t port;
};

TEST(TopologyErrorTest, Forms) {
  using Kind = TopologyError::Kind;
  const Expected expected[] = {
      {"MOVED 3999 127.0.0.1:6381", Kind::kMoved, 3999, "127.0.0.1", 6381},
      {"-MOVED 8579 h5.example:48845", Kind::kMoved, 8579, "h5.example", 48845},
      {"MOVED 12706 :47391", Kind::kMoved, 12706, "", 47391},
      {"ASK 0 fd00::1:6381", Kind::kAsk, 0, "fd00::1", 6381},
      {"ASK 16383 [fd00::1]:6381", Kind::kAsk, 16383, "fd00::1", 6381},
      {"REDIRECT 10.0.0.2:6379", Kind::kRedirect, 0, "10.0.0.2", 6379},
      {"TRYAGAIN Multiple keys request during rehashing of slot", Kind::kTryAgain, 0, "", 0},
      {"CLUSTERDOWN Hash slot not served", Kind::kClusterDown, 0, "", 0},
      {"CLUSTERDOWN The cluster is down", Kind::kClusterDown, 0, "", 0},
      {"LOADING Redis is loading the dataset in memory", Kind::kLoading, 0, "", 0},
      {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
       Kind::kMasterDown, 0, "", 0},
      {"READONLY You can't write against a read only replica.", Kind::kReadOnly, 0, "", 0},
      {"ERR unknown command", Kind::kNone, 0, "", 0},
      {"MOVEDX 1 a:1", Kind::kNone, 0, "", 0},
      {"", Kind::kNone, 0, "", 0},
      {"MOVED", Kind::kBroken, 0, "", 0},
      {"MOVED 16384 a:1", Kind::kBroken, 0, "", 0},
      {"MOVED -1 a:1", Kind::kBroken, 0, "", 0},
      {"MOVED x a:1", Kind::kBroken, 0, "", 0},
      {"MOVED 1 a", Kind::kBroken, 0, "", 0},
      {"MOVED 1 a:65536", Kind::kBroken, 0, "", 0},
      {"MOVED 1 a:0", Kind::kBroken, 0, "", 0},
      {"MOVED 1 ?:6379", Kind::kBroken, 0, "", 0},
      {"REDIRECT ", Kind::kBroken, 0, "", 0},
  };
  for (const Expected& row : expected) {
    const TopologyError error = ParseTopologyError(row.message);
    EXPECT_EQ(error.kind, row.kind) << row.message;
    EXPECT_EQ(error.slot, row.slot) << row.message;
    EXPECT_EQ(error.host, row.host) << row.message;
    EXPECT_EQ(error.port, row.port) << row.message;
  }
  const NodeAddress asked{.host = "10.0.0.9", .port = 7000};
  EXPECT_EQ(ParseTopologyError("MOVED 1 :7001").AddressFrom(asked).ToText(), "10.0.0.9:7001");
  EXPECT_EQ(ParseTopologyError("MOVED 1 b:7001").AddressFrom(asked).ToText(), "b:7001");
}

}  // namespace
}  // namespace tidegate::topology
