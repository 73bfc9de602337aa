// SlotsJudge: the topology of a Redis Cluster out of what some of its nodes answered and what
// workers were told by MOVED.
//
// AgreeOnCluster makes one map of the views; here is decided whether it is believed:
//   - a view without one node of the last map is another cluster's (an address was given to
//     somebody else), as long as anything of the last one is still heard of;
//   - nodes that know no slots at all take none away;
//   - MOVED is newer than what most nodes know: the slot is at its target at once, for two seconds,
//     in which gossip tells the others. Only at a node that the map has; a replica that is named is
//     its shard's primary. Then the nodes' word counts again.
// Pure but for the last map. Owner: one watcher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/topology/cluster_agreement.h"
#include "proxy/topology/cluster_replies.h"
#include "proxy/topology/slot_map.h"

namespace tidegate::discovery {

// How long MOVED outweighs what most nodes say.
inline constexpr int64_t kRedirectNanos = 2'000'000'000;

struct CollectedView {
  topology::NodeAddress from;
  topology::ClusterView view;
  topology::ClusterInfo info;
};

class SlotsJudge final {
 public:
  struct Verdict {
    std::shared_ptr<const topology::SlotMap> map;  // null: none was ever known
    std::string problem;
    bool is_settled = true;
  };

  // `heard_of_last`: whether any node of the last map is usable.
  Verdict Judge(std::vector<CollectedView> views, bool heard_of_last, int64_t now_ns);

  // MOVED. True: the map has changed, and it is map().
  bool Redirect(uint16_t slot, const topology::NodeAddress& target, int64_t now_ns);

  const std::shared_ptr<const topology::SlotMap>& map() const { return map_; }

 private:
  struct Redirected {
    uint16_t slot;
    topology::NodeAddress target;
    int64_t until_ns;
  };

  bool KnowsSomeOf(const topology::SlotMap& map) const;
  topology::SlotMap WithRedirects(topology::SlotMap map, int64_t now_ns);

  std::shared_ptr<const topology::SlotMap> map_;
  std::vector<Redirected> redirected_;
};

}  // namespace tidegate::discovery
