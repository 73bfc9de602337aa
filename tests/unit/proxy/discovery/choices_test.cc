// Who is the primary, which replicas may be read, when to ask again: what the control plane decides
// out of answers, without a socket.
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/discovery/offset_history.h"
#include "proxy/discovery/primary_choice.h"
#include "proxy/discovery/refresh_pace.h"
#include "proxy/discovery/replica_states.h"
#include "proxy/discovery/sentinel_choice.h"
#include "proxy/discovery/upstream_report.h"

namespace tidegate::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using topology::NodeAddress;
using topology::ReplicationState;
using topology::ServerRole;

constexpr int64_t kSecond = 1'000'000'000;

NodeAddress At(const std::string& host) { return {host, 1}; }

Sight Primary(const std::string& host, int64_t offset = 100) {
  Sight sight;
  sight.report.address = At(host);
  sight.report.state = ReplicationState{};
  sight.report.state->offset = offset;
  sight.health.Succeeded();
  return sight;
}

Sight Replica(const std::string& host, const std::string& primary, int64_t offset = 100) {
  Sight sight = Primary(host, offset);
  sight.report.state->role = ServerRole::kReplica;
  sight.report.state->primary = At(primary);
  sight.report.state->is_link_up = true;
  return sight;
}

Sight Silent(const std::string& host, int failures = 1) {
  Sight sight;
  sight.report.address = At(host);
  sight.health.Succeeded();
  for (int i = 0; i < failures; ++i) sight.health.Failed("connect: Connection refused");
  return sight;
}

// Whom a choice names, or "nobody".
std::string Chosen(const auto& choice, const std::vector<Sight>& sights) {
  return choice.primary ? sights[*choice.primary].report.address.host : "nobody";
}

class PrimaryChoiceTest : public testing::Test {
 protected:
  std::string Choose(const std::vector<Sight>& sights) {
    choice_ = chooser_.Choose(sights);
    return Chosen(choice_, sights);
  }

  PrimaryChoice chooser_;
  PrimaryChoice::Choice choice_;
};

TEST_F(PrimaryChoiceTest, WhoSaysSo) {
  EXPECT_EQ(Choose({Replica("a", "b"), Primary("b")}), "b");
  EXPECT_EQ(choice_.problem, "");
  EXPECT_TRUE(choice_.is_settled);
}

TEST_F(PrimaryChoiceTest, NobodyAtTheStart) {
  EXPECT_EQ(Choose({Replica("a", "b"), Silent("b")}), "nobody");
  EXPECT_EQ(choice_.problem, "none of its nodes is known to be the primary");
  EXPECT_FALSE(choice_.is_settled);
}

TEST_F(PrimaryChoiceTest, ThatDoesNotAnswerStaysUntilSomebodyHasProof) {
  Choose({Primary("a"), Replica("b", "a")});
  EXPECT_EQ(Choose({Silent("a"), Replica("b", "a")}), "a");
  EXPECT_THAT(choice_.problem, HasSubstr("the primary a:1 does not answer: connect: Connection"));
  EXPECT_FALSE(choice_.is_settled);
  // Its replica was promoted: that is proof at the first missed answer.
  EXPECT_EQ(Choose({Silent("a"), Primary("b")}), "b");
  EXPECT_EQ(choice_.problem, "");
}

TEST_F(PrimaryChoiceTest, AStrangerDoesNotTakeOverFromASlowPrimary) {
  Choose({Primary("a"), Silent("b")});
  EXPECT_EQ(Choose({Silent("a"), Primary("b")}), "a");
  EXPECT_THAT(choice_.problem, HasSubstr("b:1 says that it is the primary, but was not its"));
  EXPECT_EQ(Choose({Silent("a", 3), Primary("b")}), "b");
}

TEST_F(PrimaryChoiceTest, ARivalNeverTakesOverWithoutReplicas) {
  EXPECT_EQ(Choose({Primary("a", 500), Primary("b", 20), Replica("c", "a")}), "a");
  EXPECT_EQ(choice_.problem, "b:1 says that it is the primary, as a:1 does");
  EXPECT_EQ(Choose({Silent("a", 3), Primary("b", 900), Replica("c", "a")}), "a");
  EXPECT_EQ(Choose({Silent("a", 3), Primary("b", 900), Replica("c", "b")}), "b");
}

TEST_F(PrimaryChoiceTest, TheOldPrimaryThatComesBackIsNotTaken) {
  Choose({Primary("a"), Replica("b", "a")});
  Choose({Silent("a"), Primary("b")});
  EXPECT_EQ(Choose({Primary("a", 100000), Primary("b", 100)}), "b");
  EXPECT_EQ(choice_.problem, "a:1 says that it is the primary, as b:1 does");
  EXPECT_EQ(Choose({Replica("a", "b"), Primary("b")}), "b");
  EXPECT_EQ(choice_.problem, "");
}

TEST_F(PrimaryChoiceTest, TwoWhoSaySoDoNotChangePlacesByTheirOffsets) {
  EXPECT_EQ(Choose({Primary("a", 10), Primary("b", 5)}), "a");
  EXPECT_EQ(Choose({Primary("a", 10), Primary("b", 500)}), "a");
  EXPECT_EQ(Choose({Primary("a", 10), Primary("b", 500), Replica("c", "b")}), "b");
}

TEST_F(PrimaryChoiceTest, DemotedWithoutASuccessor) {
  Choose({Primary("a"), Replica("b", "a")});
  EXPECT_EQ(Choose({Replica("a", "b"), Replica("b", "a")}), "nobody");
  EXPECT_EQ(choice_.problem, "none of its nodes says that it is the primary");
  EXPECT_EQ(Choose({Replica("a", "b"), Primary("b")}), "b");
}

// --- what the others are good for ---

std::string WhyNot(const UpstreamTopology& topology, size_t node) {
  EXPECT_EQ(topology.nodes[node].is_usable, topology.nodes[node].why_not.empty());
  return topology.nodes[node].why_not;
}

TEST(ReplicaStatesTest, WhatReplicasAreGoodFor) {
  ReplicaStates states(seconds(10));
  std::vector<Sight> sights = {Primary("a"),      Replica("b", "a"), Replica("c", "b"),
                               Replica("d", "x"), Primary("e"),      Silent("f", 3),
                               Replica("g", "a"), Replica("h", "a")};
  sights[6].report.state->is_syncing = true;
  sights[7].report.state->is_link_up = false;
  sights[7].report.state->link_down_seconds = 11;
  const UpstreamTopology topology = states.Describe(sights, 0, kSecond);
  EXPECT_EQ(topology.primary, 0U);
  EXPECT_EQ(WhyNot(topology, 0), "");
  EXPECT_EQ(WhyNot(topology, 1), "");
  EXPECT_EQ(WhyNot(topology, 2), "");  // of a replica
  EXPECT_EQ(WhyNot(topology, 3), "it follows x:1");
  EXPECT_EQ(WhyNot(topology, 4), "it says that it is the primary too");
  EXPECT_EQ(WhyNot(topology, 5), "connect: Connection refused");
  EXPECT_EQ(WhyNot(topology, 6), "it copies its primary's data");
  EXPECT_EQ(WhyNot(topology, 7), "it has had no link to its primary for more than 10s");
}

TEST(ReplicaStatesTest, OneMissedAnswerChangesNothing) {
  ReplicaStates states(seconds(10));
  states.Describe(std::vector{Primary("a"), Replica("b", "a")}, 0, kSecond);
  const UpstreamTopology once =
      states.Describe(std::vector{Silent("a"), Silent("b")}, 0, 2 * kSecond);
  EXPECT_TRUE(once.nodes[0].is_usable && once.nodes[1].is_usable);
  const UpstreamTopology thrice =
      states.Describe(std::vector{Silent("a", 3), Silent("b", 3)}, 0, 4 * kSecond);
  EXPECT_FALSE(thrice.nodes[0].is_usable || thrice.nodes[1].is_usable);
}

TEST(ReplicaStatesTest, ReplicasAreReadWhileTheirPrimaryIsGone) {
  ReplicaStates states(seconds(10));
  states.Describe(std::vector{Primary("a"), Replica("b", "a")}, 0, kSecond);
  Sight orphan = Replica("b", "a");
  orphan.report.state->is_link_up = false;
  orphan.report.state->link_down_seconds = 4;
  EXPECT_EQ(WhyNot(states.Describe(std::vector{Silent("a", 3), orphan}, 0, 5 * kSecond), 1), "");
  orphan.report.state->link_down_seconds = 12;
  EXPECT_EQ(WhyNot(states.Describe(std::vector{Silent("a", 3), orphan}, 0, 13 * kSecond), 1),
            "it has had no link to its primary for more than 10s");
}

TEST(ReplicaStatesTest, LagByWhatThePrimaryHadWrittenThen) {
  ReplicaStates states(seconds(2));
  const std::string late = "it is more than 2s behind its primary";
  states.Describe(std::vector{Primary("a", 1000), Replica("b", "a", 1000)}, 0, 1 * kSecond);
  states.Describe(std::vector{Primary("a", 9000), Replica("b", "a", 1000)}, 0, 2 * kSecond);
  // It lacks what is one second old.
  EXPECT_EQ(WhyNot(states.Describe(std::vector{Primary("a", 9000), Replica("b", "a", 1000)}, 0,
                                   3 * kSecond),
                   1),
            "");
  EXPECT_EQ(WhyNot(states.Describe(std::vector{Primary("a", 9000), Replica("b", "a", 1000)}, 0,
                                   5 * kSecond),
                   1),
            late);
  EXPECT_EQ(WhyNot(states.Describe(std::vector{Primary("a", 9500), Replica("b", "a", 9000)}, 0,
                                   6 * kSecond),
                   1),
            "");
}

TEST(OffsetHistoryTest, KeepsAFewSamples) {
  OffsetHistory history(seconds(10));
  for (int64_t i = 0; i < 100'000; ++i) history.Note(i * kSecond / 100, i);
  EXPECT_TRUE(history.IsTooFarBehind(1000 * kSecond, 98'000));
  EXPECT_FALSE(history.IsTooFarBehind(1000 * kSecond, 99'100));
  history.Note(1001 * kSecond, 5);  // another stream
  EXPECT_FALSE(history.IsTooFarBehind(1002 * kSecond, 0));
}

// --- sentinels ---

class SentinelChoiceTest : public testing::Test {
 protected:
  using Opinions = std::vector<std::pair<std::string, int64_t>>;
  std::string Choose(const Opinions& opinions, size_t sentinels, const std::vector<Sight>& sights) {
    std::vector<topology::PrimaryOpinion> all;
    for (const auto& [host, epoch] : opinions) all.push_back({At(host), epoch});
    choice_ = chooser_.Choose(all, sentinels, sights);
    return Chosen(choice_, sights);
  }

  SentinelChoice chooser_;
  SentinelChoice::Choice choice_;
};

TEST_F(SentinelChoiceTest, WhomTheyNameAndWhoSaysSo) {
  EXPECT_EQ(Choose({{"a", 1}, {"a", 1}, {"a", 1}}, 3, {Primary("a"), Replica("b", "a")}), "a");
  EXPECT_EQ(choice_.problem, "");
}

TEST_F(SentinelChoiceTest, AMajorityThatLiesIsNotBelieved) {
  Choose({{"a", 1}, {"a", 1}, {"a", 1}}, 3, {Primary("a"), Replica("b", "a")});
  EXPECT_EQ(Choose({{"b", 9}, {"b", 9}, {"a", 1}}, 3, {Primary("a"), Replica("b", "a")}), "a");
  EXPECT_EQ(choice_.problem, "the sentinels name b:1 as the primary, which says that it is none");
  EXPECT_FALSE(choice_.is_settled);
  EXPECT_EQ(Choose({{"z", 9}, {"z", 9}, {"z", 9}}, 3, {Primary("a"), Silent("z")}), "a");
  EXPECT_THAT(choice_.problem, HasSubstr("z:1 as the primary, which does not answer"));
}

TEST_F(SentinelChoiceTest, NobodyBeforeTheServerSaysSo) {
  EXPECT_EQ(Choose({{"a", 1}, {"a", 1}}, 3, {Silent("a")}), "nobody");
  EXPECT_THAT(choice_.problem, HasSubstr("a:1 as the primary, which does not answer: connect"));
}

TEST_F(SentinelChoiceTest, AMinorityThatKnowsOfTheFailoverFirst) {
  Choose({{"a", 1}, {"a", 1}, {"a", 1}}, 3, {Primary("a"), Replica("b", "a")});
  const Opinions one_knows = {{"a", 1}, {"a", 1}, {"b", 2}};
  EXPECT_EQ(Choose(one_knows, 3, {Silent("a", 3), Replica("b", "a")}), "a");
  EXPECT_EQ(Choose(one_knows, 3, {Silent("a", 3), Primary("b")}), "b");
  // Somebody who was never a replica of it was not promoted by them.
  EXPECT_EQ(Choose({{"b", 2}, {"b", 2}, {"z", 7}}, 3, {Silent("b"), Primary("z")}), "b");
}

TEST_F(SentinelChoiceTest, ASentinelThatWasCutOffTakesNothingBack) {
  Choose({{"b", 5}, {"b", 5}, {"b", 5}}, 3, {Replica("a", "b"), Primary("b")});
  // The others are gone, and it names the old primary, which runs again.
  EXPECT_EQ(Choose({{"a", 4}}, 3, {Primary("a"), Primary("b")}), "b");
  EXPECT_THAT(choice_.problem, HasSubstr("too few sentinels answer"));
  EXPECT_EQ(Choose({{"a", 4}, {"a", 4}}, 3, {Primary("a"), Silent("b")}), "a");
}

TEST_F(SentinelChoiceTest, WithoutSentinelsTheLastStays) {
  const std::vector<Sight> sights = {Primary("a")};
  Choose({{"a", 1}}, 1, sights);
  EXPECT_EQ(Chosen(chooser_.KeepLast(sights, "gone"), sights), "a");
}

// --- when to ask ---

TEST(RefreshPaceTest, AStormOfHintsIsFewRefreshes) {
  RefreshPace pace(seconds(5), 1);
  int64_t now = kSecond;
  int refreshes = 0;
  EXPECT_EQ(pace.Wait(now), 0U);
  // A hint each 100 us for 10 s, while nothing new is found and a refresh takes 1 ms.
  const int64_t end = now + 10 * kSecond;
  while (now < end) {
    pace.Began(now);
    ++refreshes;
    pace.Hint();
    now += kSecond / 1000;
    pace.Ended(RefreshPace::Outcome::kUnchanged);
    now += static_cast<int64_t>(pace.Wait(now)) * 1'000'000 + 1;
  }
  EXPECT_LE(refreshes, 16);
  EXPECT_GE(refreshes, 10);
}

TEST(RefreshPaceTest, TheFirstHintIsFollowedSoon) {
  RefreshPace pace(seconds(5), 1);
  pace.Began(kSecond);
  pace.Ended(RefreshPace::Outcome::kUnchanged);
  const uint64_t calm = pace.Wait(kSecond);
  EXPECT_GE(calm, 4500U);
  EXPECT_LE(calm, 5500U);
  pace.Hint();
  EXPECT_LE(pace.Wait(kSecond), 120U);
  EXPECT_EQ(pace.Wait(2 * kSecond), 0U);
}

TEST(RefreshPaceTest, FailuresBackOffToASecond) {
  RefreshPace pace(seconds(5), 1);
  uint64_t wait = 0;
  for (int i = 0; i < 10; ++i) {
    pace.Began(kSecond);
    pace.Ended(RefreshPace::Outcome::kUnsettled);
    wait = pace.Wait(kSecond);
    if (i == 0) {
      EXPECT_LE(wait, 240U);
    }
  }
  EXPECT_GE(wait, 800U);
  EXPECT_LE(wait, 1200U);
  pace.HintUrgently();
  EXPECT_LE(pace.Wait(kSecond), 120U);
  pace.Began(kSecond);
  pace.Ended(RefreshPace::Outcome::kUnsettled);
  pace.Began(kSecond);
  pace.Ended(RefreshPace::Outcome::kChanged);
  pace.Hint();
  EXPECT_LE(pace.Wait(kSecond), 120U);
}

TEST(ReportBoxTest, TheSameCountsOnce) {
  ReportBox box;
  const UpstreamReport failed{.kind = UpstreamReport::Kind::kNodeFailed, .node = At("a")};
  EXPECT_TRUE(box.Put(failed));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(box.Put(failed));
  EXPECT_EQ(box.Take().size(), 1U);
  EXPECT_FALSE(box.Put(failed));  // until it is said that it counts anew
  box.Forget();
  EXPECT_TRUE(box.Put(failed));
}

TEST(ReportBoxTest, HoldsSoManyAndNoMore) {
  ReportBox box;
  for (int i = 0; i < 100'000; ++i) {
    box.Put({.kind = UpstreamReport::Kind::kMoved,
             .slot = static_cast<uint16_t>(i % 16384),
             .target = At("host" + std::to_string(i))});
  }
  EXPECT_EQ(box.Take().size(), kReportsMax);
}

}  // namespace
}  // namespace tidegate::discovery
