// StaticWatcher: for the kinds whose nodes are all in the configuration, `redis` and `ring`: only
// whether each of them answers is found out. A node is usable until it failed three times: at the
// start nobody waits for the first answer.
#pragma once

#include <vector>

#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/node_set.h"

namespace tidegate::discovery {

class StaticWatcher final : public ClusterWatcher {
 public:
  explicit StaticWatcher(const WatchContext& context);
  void Start() override;
  void OnReports(std::span<const UpstreamReport> reports) override;

 private:
  void Publish();

  const WatchContext context_;
  NodeSet nodes_;
};

}  // namespace tidegate::discovery
