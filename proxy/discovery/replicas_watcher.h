// ReplicasWatcher: for the kind `replicas`. Asks every configured server, and those that the
// primary names beside them, what they are; primary_choice.h says who the primary is,
// replica_states.h what the others are good for.
#pragma once

#include <set>
#include <vector>

#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/node_set.h"
#include "proxy/discovery/primary_choice.h"
#include "proxy/discovery/replica_states.h"

namespace tidegate::discovery {

class ReplicasWatcher final : public ClusterWatcher {
 public:
  explicit ReplicasWatcher(const WatchContext& context);
  void Start() override;
  void OnReports(std::span<const UpstreamReport> reports) override;

 private:
  void Refresh();
  void OnAnswers(const std::vector<NodeAnswer>& answers);
  bool KeepNamed(std::span<const Sight> sights, std::optional<size_t> primary);

  const WatchContext context_;
  std::vector<topology::NodeAddress> configured_;  // in the order of the configuration
  std::vector<topology::NodeAddress> asked_;       // these, then those that the primary names
  PrimaryChoice choice_;
  ReplicaStates states_;
  int64_t asked_ns_ = 0;  // when the nodes were asked last
  Refresher refresher_;
  NodeSet nodes_;
};

}  // namespace tidegate::discovery
