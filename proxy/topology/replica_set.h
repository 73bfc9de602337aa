// ReplicaSet: one primary and its replicas, out of what several servers said about themselves. What
// the kind `replicas` routes by: who takes writes, who may be read and how far behind it is.
//
// Who is the primary when more than one says it is (a failover left the old one running): the one
// that the most replicas with a link up follow; then the one whose replication stream is longest;
// then the one that was asked first. Nobody who says so: none, and writes fail; a replica is never
// taken for a primary because others point at it. Replicas are known by their own answers, and a
// primary's list of them only adds how far they are: addresses there are as the primary sees them,
// which behind NAT need not be how we reach them.
// Pure. Cost: servers squared, of which there are a dozen.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxy/topology/node_address.h"
#include "proxy/topology/replication_state.h"

namespace tidegate::topology {

struct ServerReport {
  NodeAddress address;  // as we reach it
  // As it calls itself where that is another (replica-announce-ip, a name); else not known.
  NodeAddress announced;
  std::optional<ReplicationState> state;  // none: no answer
};

struct ReplicaReport {
  size_t server = 0;  // index into the reports
  bool is_link_up = false;
  bool is_syncing = false;
  // Of the stream, to the primary's end when it was asked; never negative. The two were asked one
  // after the other, so this is an estimate.
  int64_t bytes_behind = 0;
  // As the primary last heard of it; -1 when the primary does not name it.
  int64_t seconds_behind = -1;
};

struct ReplicaSet {
  std::optional<size_t> primary;  // index into the reports
  std::vector<ReplicaReport> replicas;
  // Say that they are primaries and are not the one: they would lose what is written to them.
  std::vector<size_t> rivals;
  std::vector<size_t> silent;
  // Replicas whose data is not the primary's: they follow a rival, somebody silent or unknown.
  std::vector<size_t> strangers;
};

ReplicaSet ResolveReplicaSet(std::span<const ServerReport> reports);

}  // namespace tidegate::topology
