// ReplicationState: what one server says about its own replication, by INFO replication or by ROLE.
//
// INFO says more (link, lag, priority, whether a failover goes on) and is what we ask for; ROLE is
// there for servers whose ACL refuses INFO. Both forms are as old as 2.8.12 and have only been
// added to: Valkey 8 still writes "master" and "slave0:", and names types of links behind the known
// fields. The words that it may one day use ("primary", "replica") are understood too. Lists are
// limited by the reply's size; what cannot be read is an error, what is not known is skipped.
// Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/topology/node_address.h"
#include "proxy/topology/reply.h"

namespace tidegate::topology {

enum class ServerRole : uint8_t { kPrimary, kReplica, kSentinel };

// A replica as its primary sees it.
struct AttachedReplica {
  NodeAddress address;
  bool is_online = false;   // the link is up and the first copy over; ROLE names only such
  int64_t offset = 0;       // acknowledged by it, in bytes of the stream
  int64_t lag_seconds = 0;  // since it last acknowledged; 0 in ROLE
};

struct ReplicationState {
  ServerRole role = ServerRole::kPrimary;
  // Bytes of the stream: produced by a primary, applied by a replica. -1 when it has none yet.
  int64_t offset = 0;

  // Of a primary, and of a replica that has replicas itself.
  std::vector<AttachedReplica> replicas;
  std::string replication_id;  // empty in ROLE
  bool is_failing_over = false;

  // Of a replica.
  NodeAddress primary;
  bool is_link_up = false;
  bool is_syncing = false;  // copies everything: not to be read from
  // Since the link went down; -1 when it is up or was never.
  int64_t link_down_seconds = -1;
  int64_t last_io_seconds = -1;
  int64_t priority = 100;  // 0: never to be promoted

  // Of a sentinel (ROLE alone): the primaries it watches, by name.
  std::vector<std::string> watched;
};

Result<ReplicationState> ParseRole(const Reply& reply);
// A reply to INFO, whatever its other sections.
Result<ReplicationState> ParseInfoReplication(const Reply& reply);

}  // namespace tidegate::topology
