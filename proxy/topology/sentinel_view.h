// What a Redis Sentinel answers about the primaries that it watches, as plain values.
//
//   SENTINEL GET-MASTER-ADDR-BY-NAME   where writes go; all that most clients ask
//   SENTINEL MASTERS, MASTER           the same with state, quorum and config epoch
//   SENTINEL REPLICAS, SENTINELS       who could take over; who else to ask
//
// A sentinel's word alone is not enough: one that was cut off names the old primary for as long as
// it is alone. AgreeOnPrimary takes the answers of all that were reached. A client is also told to
// ask the server itself (ROLE) before it writes; replication_state.h reads that.
// RESP2's flat lists and RESP3's maps are both read. Fields that are not there keep their defaults:
// 6.2, 7.0 and Valkey 8 differ in a few that nobody needs.
// Source: redis.io's "Guidelines for Redis clients with support for Redis Sentinel".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "proxy/topology/node_address.h"
#include "proxy/topology/reply.h"

namespace tidegate::topology {

// One server as a sentinel sees it: a primary, a replica or another sentinel.
struct WatchedServer {
  std::string name;  // of a primary, its configured name; else "host:port" or a run id
  NodeAddress address;
  std::string run_id;
  // By this sentinel alone, and by as many as the quorum wants.
  bool is_subjectively_down = false;
  bool is_objectively_down = false;
  bool is_disconnected = false;      // no link from this sentinel to it
  bool is_failing_over = false;      // of a primary
  int64_t last_ok_ping_millis = -1;  // ago; -1 when not told
  int64_t config_epoch = 0;          // of a primary: grows with each failover
  int64_t quorum = 0;                // of a primary
  int64_t other_sentinels = 0;       // of a primary
  // Of a replica.
  NodeAddress primary;
  bool is_primary_link_up = false;
  int64_t priority = 100;
  int64_t offset = 0;
  bool is_announced = true;  // false: replica-announced no, hides itself from clients

  bool is_usable() const {
    return address.is_known() && !is_subjectively_down && !is_objectively_down && !is_disconnected;
  }
};

// None: this sentinel knows no primary of that name.
Result<std::optional<NodeAddress>> ParsePrimaryAddress(const Reply& reply);
// MASTER.
Result<WatchedServer> ParseWatchedServer(const Reply& reply);
// MASTERS, REPLICAS and SENTINELS; `command` for the error's text.
Result<std::vector<WatchedServer>> ParseWatchedServers(const Reply& reply,
                                                       std::string_view command);

struct PrimaryOpinion {
  NodeAddress address;
  int64_t config_epoch = 0;  // 0 where only the address was asked
};

struct PrimaryAgreement {
  NodeAddress address;
  size_t votes = 0;
  bool is_disputed = false;  // ask again soon
};

// Of the sentinels that answered. Whom more than half name; without a majority, the highest config
// epoch, then the most votes, then who was asked first. None when nobody names any.
std::optional<PrimaryAgreement> AgreeOnPrimary(std::span<const PrimaryOpinion> opinions);

}  // namespace tidegate::topology
