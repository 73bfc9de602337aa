#include "proxy/discovery/slots_judge.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proxy/topology/slot_map_builder.h"

namespace tidegate::discovery {
namespace {

using topology::NodeAddress;

constexpr int64_t kSecond = 1'000'000'000;

NodeAddress At(const std::string& host) { return {host, 1}; }

topology::ClusterNode NodeOf(const std::string& host, bool is_primary = true) {
  topology::ClusterNode node;
  node.address = At(host);
  node.is_primary = is_primary;
  return node;
}

// `low` has the slots below `border`, `high` the others.
topology::SlotMap MapOf(const std::string& low, const std::string& high, int border) {
  topology::SlotMapBuilder builder;
  const auto add = [&builder](const std::string& host, int first, int last) {
    const auto node = builder.AddNode(NodeOf(host)).value();
    const uint16_t shard = builder.ShardOfPrimary(node).value();
    EXPECT_TRUE(builder.Assign(shard, first, last).ok());
  };
  add(low, 0, border - 1);
  add(high, border, 16383);
  return std::move(builder).Build();
}

CollectedView ViewOf(topology::SlotMap map, bool is_ok = true) {
  CollectedView view;
  view.from = At("asked");
  view.view.map = std::move(map);
  view.info.is_ok = is_ok;
  return view;
}

std::vector<CollectedView> Views(const std::string& low, const std::string& high, int border,
                                 int count = 3) {
  std::vector<CollectedView> views;
  for (int i = 0; i < count; ++i) views.push_back(ViewOf(MapOf(low, high, border)));
  return views;
}

std::string OwnerOf(const SlotsJudge& judge, uint16_t slot) {
  const topology::ClusterNode* node = judge.map()->PrimaryOf(slot);
  return node == nullptr ? "" : node->address.host;
}

TEST(SlotsJudgeTest, MovedCountsForTwoSeconds) {
  SlotsJudge judge;
  judge.Judge(Views("a", "b", 8000), false, 0);
  EXPECT_TRUE(judge.Redirect(5, At("b"), kSecond));
  EXPECT_EQ(OwnerOf(judge, 5), "b");
  EXPECT_EQ(OwnerOf(judge, 6), "a");
  EXPECT_FALSE(judge.Redirect(5, At("b"), kSecond));
  judge.Judge(Views("a", "b", 8000), true, 2 * kSecond);
  EXPECT_EQ(OwnerOf(judge, 5), "b");
  judge.Judge(Views("a", "b", 8000), true, 4 * kSecond);
  EXPECT_EQ(OwnerOf(judge, 5), "a");
}

TEST(SlotsJudgeTest, MovedToSomebodyUnknownIsOnlyAHint) {
  SlotsJudge judge;
  EXPECT_FALSE(judge.Redirect(5, At("b"), 0));
  judge.Judge(Views("a", "b", 8000), false, 0);
  EXPECT_FALSE(judge.Redirect(5, At("evil"), kSecond));
  EXPECT_EQ(OwnerOf(judge, 5), "a");
}

TEST(SlotsJudgeTest, NodesWithoutSlotsTakeNoneAway) {
  SlotsJudge judge;
  judge.Judge(Views("a", "b", 8000), false, 0);
  topology::SlotMapBuilder empty;
  EXPECT_TRUE(empty.AddNode(NodeOf("a", false)).ok());
  std::vector<CollectedView> views;
  views.push_back(ViewOf(std::move(empty).Build()));
  const SlotsJudge::Verdict verdict = judge.Judge(std::move(views), true, kSecond);
  EXPECT_EQ(verdict.problem, "the nodes that were asked know of no slots");
  EXPECT_FALSE(verdict.is_settled);
  EXPECT_EQ(OwnerOf(judge, 5), "a");
}

TEST(SlotsJudgeTest, AnotherClusterIsBelievedOnlyWhenNothingOfTheLastIsLeft) {
  SlotsJudge judge;
  judge.Judge(Views("a", "b", 8000), false, 0);
  EXPECT_EQ(judge.Judge(Views("x", "y", 100), true, kSecond).problem,
            "asked:1 is a node of another cluster");
  EXPECT_EQ(OwnerOf(judge, 5), "a");
  EXPECT_EQ(judge.Judge(Views("x", "y", 100), false, kSecond).problem, "");
  EXPECT_EQ(OwnerOf(judge, 5), "x");
}

TEST(SlotsJudgeTest, OneStrangerAmongThemIsLeftOut) {
  SlotsJudge judge;
  judge.Judge(Views("a", "b", 8000), false, 0);
  std::vector<CollectedView> views = Views("a", "b", 7000, 1);
  views.push_back(ViewOf(MapOf("x", "y", 1)));
  views.push_back(ViewOf(MapOf("x", "y", 1)));
  EXPECT_TRUE(judge.Judge(std::move(views), true, kSecond).is_settled);
  EXPECT_EQ(OwnerOf(judge, 7500), "b");
}

TEST(SlotsJudgeTest, WhatIsWrongIsSaid) {
  SlotsJudge judge;
  topology::SlotMapBuilder half;
  const auto node = half.AddNode(NodeOf("a")).value();
  EXPECT_TRUE(half.Assign(half.ShardOfPrimary(node).value(), 0, 99).ok());
  std::vector<CollectedView> views;
  views.push_back(ViewOf(std::move(half).Build()));
  EXPECT_EQ(judge.Judge(std::move(views), false, 0).problem, "16284 slots have no primary");
  views.clear();
  views.push_back(ViewOf(MapOf("a", "b", 50), false));
  EXPECT_EQ(judge.Judge(std::move(views), true, 0).problem,
            "its nodes say that the cluster's state is not ok");
  EXPECT_EQ(judge.Judge({}, true, 0).problem, "no node tells its slots");
}

}  // namespace
}  // namespace tidegate::discovery
