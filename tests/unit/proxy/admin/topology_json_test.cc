#include "proxy/admin/topology_json.h"

#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/topology/slot_map_builder.h"

namespace tidegate {
namespace {

using testing::HasSubstr;

std::string JsonOf(const discovery::TopologyPublisher& cluster) {
  JsonWriter json;
  json.BeginObject();
  WriteTopology(json, cluster);
  json.EndObject();
  return json.Take();
}

TEST(TopologyJson, NothingIsKnownYet) {
  const discovery::TopologyPublisher cluster("c", ClusterKind::kSentinel, [](const auto&) {});
  EXPECT_EQ(JsonOf(cluster), R"({"topology":{"version":0,"problem":"","failovers":0,"nodes":[]}})");
}

TEST(TopologyJson, RolesAndWhyNot) {
  discovery::TopologyPublisher cluster("c", ClusterKind::kReplicas, [](const auto&) {});
  UpstreamTopology topology;
  topology.nodes = {{.address = {"10.0.0.1", 1}, .is_primary = true},
                    {.address = {"::1", 2},
                     .is_primary = false,
                     .is_usable = false,
                     .why_not = "it copies its primary's data"}};
  topology.primary = 0;
  topology.problem = "something";
  cluster.Offer(topology);
  EXPECT_THAT(JsonOf(cluster), HasSubstr(R"("version":1,"problem":"something")"));
  EXPECT_THAT(JsonOf(cluster),
              HasSubstr(R"({"node":"10.0.0.1:1","role":"primary","usable":true})"));
  EXPECT_THAT(
      JsonOf(cluster),
      HasSubstr(R"({"node":"[::1]:2","role":"replica","usable":false,"why_not":"it copies)"));
  EXPECT_EQ(cluster.counters().usable_nodes.Get(), 1U);
  cluster.RefreshEnded(true);
  EXPECT_THAT(JsonOf(cluster), HasSubstr(R"("answer_age_seconds":)"));
}

TEST(TopologyJson, Slots) {
  discovery::TopologyPublisher cluster("c", ClusterKind::kRedisCluster, [](const auto&) {});
  topology::ClusterNode primary;
  primary.address = {"a", 1};
  primary.is_primary = true;
  topology::SlotMapBuilder builder;
  const auto node = builder.AddNode(primary).value();
  const auto shard = builder.ShardOfPrimary(node).value();
  ASSERT_TRUE(builder.Assign(shard, 0, 5).ok());
  ASSERT_TRUE(builder.Assign(shard, 7, 7).ok());
  UpstreamTopology topology;
  topology.slots = std::make_shared<const topology::SlotMap>(std::move(builder).Build());
  topology.nodes = {{.address = {"a", 1}}};
  topology.node_of_slot_map = {0};
  cluster.Offer(topology);
  EXPECT_THAT(JsonOf(cluster), HasSubstr(R"("covered_slots":7)"));
  EXPECT_THAT(JsonOf(cluster), HasSubstr(R"("usable":true,"slots":["0-5","7"]})"));
}

}  // namespace
}  // namespace tidegate
