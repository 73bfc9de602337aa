// ReplicaStates: once it is decided who the primary of a set is, what every other server is good
// for: which replicas may be read, and why the others may not.
//
// A replica may be read when it follows the primary (also through other replicas), is not copying
// everything, and is not further behind than replica-lag-max: by bytes, against what the primary
// had written that long ago, and by time, when its link has been down or silent for longer. So
// while a primary is gone its replicas go on being read until their data is that old. A server that
// did not answer once stays what it was; three times in a row, and it is not usable.
// Texts have no figures that change by themselves: each change is published.
// Pure but for what it remembers of the last call. Owner: one watcher.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "proxy/discovery/catch_up.h"
#include "proxy/discovery/node_health.h"
#include "proxy/discovery/offset_history.h"
#include "proxy/topology/replica_set.h"
#include "proxy/upstream/upstream_topology.h"

namespace tidegate::discovery {

// What is known of one server when a round of questions is over.
struct Sight {
  topology::ServerReport report;  // without a state: it did not answer this time
  NodeHealth health = {};
  // Named by the configuration. Others are shown once they have answered.
  bool is_configured = true;
};

class ReplicaStates final {
 public:
  explicit ReplicaStates(std::chrono::milliseconds lag_max)
      : lag_max_(lag_max), offsets_(lag_max) {}

  // The nodes in the order of `sights`, and where the primary is among them. `primary` is an index
  // into `sights`; none: nobody is. `asked_ns`: before the questions were sent; none: nobody wants
  // to know until when replicas have everything.
  UpstreamTopology Describe(std::span<const Sight> sights, std::optional<size_t> primary,
                            int64_t now_ns, std::optional<int64_t> asked_ns = std::nullopt);

 private:
  KnownNode DescribeOne(std::span<const Sight> sights, size_t index, std::optional<size_t> primary,
                        const topology::ReplicaSet& set, int64_t now_ns) const;
  std::string WhyNotReadable(const topology::ReplicationState& state, int64_t seconds_behind,
                             int64_t now_ns) const;
  void NoteCaughtUp(std::span<const Sight> sights, std::optional<size_t> primary,
                    const topology::ReplicaSet& set, int64_t asked_ns);
  bool FollowsSilent(std::span<const Sight> sights, size_t index, size_t primary) const;

  const std::chrono::milliseconds lag_max_;
  OffsetHistory offsets_;
  CatchUp catch_up_;
  topology::NodeAddress last_primary_;
  // By what names replicas called it when it last answered.
  std::set<topology::NodeAddress> names_of_primary_;
  std::map<topology::NodeAddress, KnownNode> last_;
};

// The reports of `sights`; those of rivals of `primary`, which say that they are primaries too,
// without their state, so that the replica set is that of `primary`.
std::vector<topology::ServerReport> ReportsFor(std::span<const Sight> sights,
                                               std::optional<size_t> primary);

// Who of the servers that were looked at takes writes, however that was decided.
struct ChosenPrimary {
  std::optional<size_t> primary;  // index into the sights
  std::string problem;            // empty: all well
  bool is_settled = true;         // false: ask again soon
};

}  // namespace tidegate::discovery
