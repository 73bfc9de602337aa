// Until when a replica has everything: what is believed, and what makes it forgotten.
#include "proxy/discovery/catch_up.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/discovery/replica_states.h"

namespace tidegate::discovery {
namespace {

using topology::NodeAddress;
using topology::ReplicationState;
using topology::ServerRole;

const NodeAddress kPrimaryAddress{"10.0.0.1", 6379};
const NodeAddress kReplicaAddress{"10.0.0.2", 6379};

ReplicationState Primary(int64_t offset, const std::string& stream = "s") {
  return {.role = ServerRole::kPrimary, .offset = offset, .replication_id = stream};
}

ReplicationState Replica(int64_t offset, const std::string& stream = "s") {
  ReplicationState state{.role = ServerRole::kReplica, .offset = offset, .replication_id = stream};
  state.primary = kPrimaryAddress;
  state.is_link_up = true;
  return state;
}

class CatchUpTest : public ::testing::Test {
 protected:
  CatchUpTest() {
    catch_up_.NotePrimary(100, Primary(1000));
    catch_up_.NotePrimary(200, Primary(2000));
    catch_up_.NotePrimary(300, Primary(2000));
  }
  int64_t After(const ReplicationState& state, bool follows = true) {
    catch_up_.NoteReplica(kReplicaAddress, &state, follows);
    return catch_up_.Of(kReplicaAddress)->load();
  }

  CatchUp catch_up_;
};

TEST_F(CatchUpTest, TheLatestQuestionWhoseOffsetItHas) {
  EXPECT_EQ(After(Replica(999)), 0);
  EXPECT_EQ(After(Replica(1000)), 100);
  EXPECT_EQ(After(Replica(1999)), 100);
  EXPECT_EQ(After(Replica(2000)), 300);
}

TEST_F(CatchUpTest, AnAnswerThatDoesNotComeChangesNothing) {
  EXPECT_EQ(After(Replica(2000)), 300);
  catch_up_.NoteReplica(kReplicaAddress, nullptr, false);
  EXPECT_EQ(catch_up_.Of(kReplicaAddress)->load(), 300);
}

TEST_F(CatchUpTest, WhoseDataMayHaveBecomeOlderIsNotBelieved) {
  ReplicationState down = Replica(2000);
  down.is_link_up = false;
  ReplicationState copies = Replica(2000);
  copies.is_syncing = true;
  for (const ReplicationState& state :
       {down, copies, Replica(2000, "another"), Replica(2000, "")}) {
    EXPECT_EQ(After(Replica(2000)), 300);
    EXPECT_EQ(After(state), 0);
  }
  EXPECT_EQ(After(Replica(2000)), 300);
  EXPECT_EQ(After(Replica(2000), false), 0);
}

TEST_F(CatchUpTest, AnotherStreamBeginsAnewInAnotherPlace) {
  EXPECT_EQ(After(Replica(2000)), 300);
  const auto before = catch_up_.Of(kReplicaAddress);
  catch_up_.NotePrimary(400, Primary(5, "t"));
  EXPECT_EQ(After(Replica(2000)), 0);
  EXPECT_EQ(After(Replica(2000, "t")), 400);
  EXPECT_EQ(before->load(), 300);
  // One that is shorter than it was is another, whatever it is called.
  catch_up_.NotePrimary(500, Primary(4, "t"));
  EXPECT_EQ(After(Replica(3, "t")), 0);
}

TEST_F(CatchUpTest, OfAPrimaryWithoutAnIdNothingIsKnown) {
  catch_up_.NotePrimary(400, Primary(10, ""));
  EXPECT_EQ(After(Replica(10, "")), 0);
}

TEST_F(CatchUpTest, SamplesAreBounded) {
  for (int64_t i = 0; i < 1000; ++i) catch_up_.NotePrimary(1000 + i, Primary(3000 + i));
  EXPECT_EQ(After(Replica(3000)), 0);
  EXPECT_EQ(After(Replica(3999 - static_cast<int64_t>(kCatchUpSamplesMax) + 1)),
            1999 - static_cast<int64_t>(kCatchUpSamplesMax) + 1);
}

// --- with who is who ---

Sight Seen(const NodeAddress& address, ReplicationState state) {
  Sight sight;
  sight.report.address = address;
  sight.report.state = std::move(state);
  sight.health.Succeeded();
  return sight;
}

TEST(CatchUpOfStates, OnlyWhereSomebodyWantsToKnow) {
  ReplicaStates states(std::chrono::seconds(10));
  const Sight sights[] = {Seen(kPrimaryAddress, Primary(7)), Seen(kReplicaAddress, Replica(7))};
  EXPECT_EQ(states.Describe(sights, 0, 50).nodes[1].caught_up, nullptr);
  const UpstreamTopology topology = states.Describe(sights, 0, 50, 40);
  EXPECT_EQ(topology.nodes[0].caught_up, nullptr);
  ASSERT_NE(topology.nodes[1].caught_up, nullptr);
  EXPECT_EQ(topology.nodes[1].caught_up->load(), 40);
}

TEST(CatchUpOfStates, AFormerPrimaryIsNoMeasure) {
  ReplicaStates states(std::chrono::seconds(10));
  Sight former = Seen(kPrimaryAddress, Replica(3));
  former.report.state->primary = {"10.0.0.9", 6379};
  const Sight sights[] = {former, Seen(kReplicaAddress, Replica(7))};
  EXPECT_EQ(states.Describe(sights, 0, 50, 40).nodes[1].caught_up->load(), 0);
}

TEST(CatchUpOfStates, AnotherPrimaryIsAnotherPlace) {
  ReplicaStates states(std::chrono::seconds(10));
  const NodeAddress third{"10.0.0.3", 6379};
  const Sight sights[] = {Seen(kPrimaryAddress, Primary(7)), Seen(kReplicaAddress, Replica(7)),
                          Seen(third, Replica(7))};
  const auto before = states.Describe(sights, 0, 50, 40).nodes[2].caught_up;
  Sight promoted = Seen(kReplicaAddress, Primary(9, "t"));
  Sight follower = Seen(third, Replica(8, "t"));
  follower.report.state->primary = kReplicaAddress;
  const Sight later[] = {Seen(kPrimaryAddress, Primary(7)), promoted, follower};
  const auto after = states.Describe(later, 1, 70, 60).nodes[2].caught_up;
  EXPECT_NE(before, after);
  EXPECT_EQ(before->load(), 40);
  EXPECT_EQ(after->load(), 0);
}

}  // namespace
}  // namespace tidegate::discovery
