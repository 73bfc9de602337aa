// What servers say about their replication, and which primary and replicas follow from it.
#include "proxy/topology/replica_set.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/topology/replication_state.h"
#include "tests/unit/proxy/topology/reply_notation.h"

namespace tidegate::topology {
namespace {

ReplicationState StateOf(std::string_view info) {
  Result<ReplicationState> state = ParseInfoReplication(TextReply(info));
  EXPECT_TRUE(state.ok()) << state.error().message;
  return state.ok() ? *state : ReplicationState();
}

std::string InfoError(std::string_view info) {
  Result<ReplicationState> state = ParseInfoReplication(TextReply(info));
  return state.ok() ? "" : state.error().message;
}

std::string RoleError(std::string_view notation) {
  Result<ReplicationState> state = ParseRole(ReplyOf(notation));
  return state.ok() ? "" : state.error().message;
}

// Redis 7.0.15; 6.2 lacks slave_read_repl_offset and replica_announced.
constexpr std::string_view kPrimaryInfo =
    "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
    "slave0:ip=127.0.0.1,port=33173,state=online,offset=716,lag=1\r\n"
    "slave1:ip=fd00::7,port=33174,state=wait_bgsave,offset=0,lag=0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:5e89d42163a2edffa616d509578f6c413f279010\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\n"
    "master_repl_offset:730\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:1\r\n"
    "repl_backlog_size:1048576\r\nrepl_backlog_first_byte_offset:1\r\nrepl_backlog_histlen:730\r\n";
constexpr std::string_view kReplicaInfo =
    "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:41637\r\n"
    "master_link_status:up\r\nmaster_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\n"
    "slave_read_repl_offset:730\r\nslave_repl_offset:725\r\nslave_priority:90\r\n"
    "slave_read_only:1\r\nreplica_announced:1\r\nconnected_slaves:0\r\n"
    "master_failover_state:no-failover\r\n"
    "master_replid:5e89d42163a2edffa616d509578f6c413f279010\r\nmaster_repl_offset:730\r\n";

TEST(ReplicationStateTest, InfoOfAPrimary) {
  const ReplicationState state = StateOf(kPrimaryInfo);
  EXPECT_EQ(state.role, ServerRole::kPrimary);
  EXPECT_EQ(state.offset, 730);
  EXPECT_EQ(state.replication_id, "5e89d42163a2edffa616d509578f6c413f279010");
  EXPECT_FALSE(state.is_failing_over);
  ASSERT_EQ(state.replicas.size(), 2U);
  EXPECT_EQ(state.replicas[0].address.ToText(), "127.0.0.1:33173");
  EXPECT_TRUE(state.replicas[0].is_online);
  EXPECT_EQ(state.replicas[0].offset, 716);
  EXPECT_EQ(state.replicas[0].lag_seconds, 1);
  EXPECT_EQ(state.replicas[1].address.ToText(), "[fd00::7]:33174");
  EXPECT_FALSE(state.replicas[1].is_online);
  // Valkey 8 tells the type of a replica's link.
  const ReplicationState valkey = StateOf(
      "role:master\r\nslave0:ip=h.example,port=1,state=online,offset=7,lag=0,type=replica\r\n"
      "master_failover_state:waiting-for-sync\r\nmaster_repl_offset:9\r\n");
  EXPECT_EQ(valkey.replicas[0].address.host, "h.example");
  EXPECT_TRUE(valkey.is_failing_over);
}

TEST(ReplicationStateTest, InfoOfAReplica) {
  ReplicationState state = StateOf(kReplicaInfo);
  EXPECT_EQ(state.role, ServerRole::kReplica);
  EXPECT_EQ(state.primary.ToText(), "127.0.0.1:41637");
  EXPECT_TRUE(state.is_link_up);
  EXPECT_FALSE(state.is_syncing);
  EXPECT_EQ(state.offset, 725) << "what it has applied, not what it offers to others";
  EXPECT_EQ(state.priority, 90);
  EXPECT_EQ(state.last_io_seconds, 0);
  EXPECT_EQ(state.link_down_seconds, -1);
  state = StateOf(
      "role:slave\r\nmaster_host:h.example\r\nmaster_port:6379\r\nmaster_link_status:down\r\n"
      "master_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:-1\r\n"
      "master_sync_total_bytes:100\r\nmaster_link_down_since_seconds:12\r\nslave_priority:0\r\n");
  EXPECT_FALSE(state.is_link_up);
  EXPECT_TRUE(state.is_syncing);
  EXPECT_EQ(state.link_down_seconds, 12);
  EXPECT_EQ(state.last_io_seconds, -1);
  EXPECT_EQ(state.offset, -1);
  EXPECT_EQ(state.priority, 0);
}

TEST(ReplicationStateTest, InfoThatIsNone) {
  EXPECT_EQ(InfoError(""), "INFO replication: no role in it");
  EXPECT_EQ(InfoError("role:boss\r\n"), "INFO replication: no role in it");
  EXPECT_EQ(InfoError("role:slave\r\n"), "INFO replication: a replica without its primary");
  EXPECT_EQ(InfoError("role:slave\r\nmaster_host:a\r\nmaster_port:70000\r\n"),
            "INFO replication: master_port is no port");
  EXPECT_EQ(InfoError("role:master\r\nslave0:state=online\r\n"),
            "INFO replication: slave0 has no address");
  EXPECT_EQ(InfoError("role:master\r\nslave0:ip=a,port=x\r\n"),
            "INFO replication: slave0 has no address");
  EXPECT_EQ(ParseInfoReplication(ParsedReply("-NOPERM no\r\n")).error().message,
            "INFO replication: NOPERM no");
}

TEST(ReplicationStateTest, Role) {
  Result<ReplicationState> state =
      ParseRole(ReplyOf("[ master 448 [ [ 127.0.0.1 '33173' '291' ] [ ::1 '7' '0' ] ] ]"));
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->role, ServerRole::kPrimary);
  EXPECT_EQ(state->offset, 448);
  ASSERT_EQ(state->replicas.size(), 2U);
  EXPECT_EQ(state->replicas[0].address.ToText(), "127.0.0.1:33173");
  EXPECT_EQ(state->replicas[0].offset, 291);

  state = ParseRole(ReplyOf("[ slave 127.0.0.1 41637 connected 448 ]"));
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->role, ServerRole::kReplica);
  EXPECT_EQ(state->primary.ToText(), "127.0.0.1:41637");
  EXPECT_TRUE(state->is_link_up);
  EXPECT_EQ(state->offset, 448);
  for (const std::string word : {"connect", "connecting", "handshake", "sync", "none", "unknown"}) {
    state = ParseRole(ReplyOf("[ slave a 1 " + word + " -1 ]"));
    ASSERT_TRUE(state.ok()) << word;
    EXPECT_FALSE(state->is_link_up) << word;
    EXPECT_EQ(state->is_syncing, word == "sync") << word;
  }

  state = ParseRole(ReplyOf("[ sentinel [ mymaster other ] ]"));
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->role, ServerRole::kSentinel);
  EXPECT_EQ(state->watched, (std::vector<std::string>{"mymaster", "other"}));

  EXPECT_EQ(RoleError("[ ]"), "ROLE: a role that is none");
  EXPECT_EQ(RoleError("[ boss 1 [ ] ]"), "ROLE: a role that is none");
  EXPECT_EQ(RoleError("[ master 1 ]"), "ROLE: a primary without its replicas");
  EXPECT_EQ(RoleError("[ master x [ ] ]"), "ROLE: a primary without its replicas");
  EXPECT_EQ(RoleError("[ master 1 [ [ a ] ] ]"), "ROLE: a replica without an address");
  EXPECT_EQ(RoleError("[ master 1 [ [ a 70000 1 ] ] ]"), "ROLE: a replica without an address");
  EXPECT_EQ(RoleError("[ slave a 1 connected ]"), "ROLE: a replica without its primary");
  EXPECT_EQ(RoleError("[ sentinel ]"), "ROLE: a sentinel without names");
  EXPECT_EQ(RoleError("OK"), "ROLE: a reply of another kind");
}

NodeAddress At(const std::string& host) { return {.host = host, .port = 1}; }

ServerReport Primary(const std::string& host, int64_t offset) {
  ServerReport report{.address = At(host), .announced = {}, .state = ReplicationState()};
  report.state->offset = offset;
  return report;
}

ServerReport Replica(const std::string& host, const std::string& of, int64_t offset,
                     bool is_link_up = true) {
  ServerReport report{.address = At(host), .announced = {}, .state = ReplicationState()};
  report.state->role = ServerRole::kReplica;
  report.state->primary = At(of);
  report.state->offset = offset;
  report.state->is_link_up = is_link_up;
  return report;
}

ServerReport Silent(const std::string& host) {
  return {.address = At(host), .announced = {}, .state = std::nullopt};
}

TEST(ReplicaSetTest, WhoAndHowFarBehind) {
  std::vector<ServerReport> reports = {Replica("b", "a", 90), Primary("a", 100),
                                       Replica("c", "b", 101), Replica("d", "a", -1, false),
                                       Silent("e")};
  reports[1].state->replicas = {
      {.address = At("b"), .is_online = true, .offset = 80, .lag_seconds = 2}};
  reports[3].state->is_syncing = true;
  const ReplicaSet set = ResolveReplicaSet(reports);
  EXPECT_EQ(set.primary, 1U);
  ASSERT_EQ(set.replicas.size(), 3U);
  EXPECT_EQ(set.replicas[0].server, 0U);
  EXPECT_TRUE(set.replicas[0].is_link_up);
  EXPECT_EQ(set.replicas[0].bytes_behind, 10);
  EXPECT_EQ(set.replicas[0].seconds_behind, 2);
  EXPECT_EQ(set.replicas[1].server, 2U) << "a replica of a replica";
  EXPECT_EQ(set.replicas[1].bytes_behind, 0) << "was asked later";
  EXPECT_EQ(set.replicas[1].seconds_behind, -1);
  EXPECT_FALSE(set.replicas[2].is_link_up);
  EXPECT_TRUE(set.replicas[2].is_syncing);
  EXPECT_EQ(set.replicas[2].bytes_behind, 100);
  EXPECT_EQ(set.silent, std::vector<size_t>{4});
  EXPECT_TRUE(set.rivals.empty());
  EXPECT_TRUE(set.strangers.empty());
}

TEST(ReplicaSetTest, TwoPrimaries) {
  // The old one came back: nobody follows it, though its stream is longer.
  ReplicaSet set = ResolveReplicaSet(
      std::vector{Primary("old", 900), Primary("new", 500), Replica("c", "new", 500)});
  EXPECT_EQ(set.primary, 1U);
  EXPECT_EQ(set.rivals, std::vector<size_t>{0});
  EXPECT_EQ(set.replicas.size(), 1U);
  // A replica that has not noticed is not read from: its data is the rival's.
  set = ResolveReplicaSet(std::vector{Primary("new", 500), Replica("b", "new", 500),
                                      Replica("c", "new", 500), Primary("old", 900),
                                      Replica("d", "old", 900)});
  EXPECT_EQ(set.primary, 0U);
  EXPECT_EQ(set.rivals, std::vector<size_t>{3});
  EXPECT_EQ(set.strangers, std::vector<size_t>{4});
  // A follower whose link is down does not count.
  set = ResolveReplicaSet(
      std::vector{Primary("a", 500), Primary("b", 900), Replica("c", "a", 500, false)});
  EXPECT_EQ(set.primary, 1U);
  set = ResolveReplicaSet(std::vector{Primary("a", 5), Primary("b", 5)});
  EXPECT_EQ(set.primary, 0U);
}

TEST(ReplicaSetTest, NoPrimary) {
  ReplicaSet set = ResolveReplicaSet(std::vector{Replica("b", "a", 90), Silent("a"),
                                                 Replica("c", "elsewhere", 1), Replica("x", "y", 1),
                                                 Replica("y", "x", 1)});
  EXPECT_EQ(set.primary, std::nullopt);
  EXPECT_TRUE(set.replicas.empty());
  EXPECT_EQ(set.strangers, (std::vector<size_t>{0, 2, 3, 4}));
  EXPECT_EQ(ResolveReplicaSet({}).primary, std::nullopt);
}

TEST(ReplicaSetTest, AnnouncedAddresses) {
  std::vector<ServerReport> reports = {Primary("outside", 10), Replica("b", "inside", 10)};
  EXPECT_EQ(ResolveReplicaSet(reports).strangers, std::vector<size_t>{1});
  reports[0].announced = At("inside");
  EXPECT_EQ(ResolveReplicaSet(reports).replicas.size(), 1U);
}

}  // namespace
}  // namespace tidegate::topology
