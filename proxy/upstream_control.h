// UpstreamControl: between the control plane and the workers. Topologies that discovery publishes
// are posted to every worker, which takes them in between two turns; what workers notice on the
// data path is reported back. Workers and discovery know nothing of each other.
// Owner: the server; made when the configuration has clusters of kinds other than engine.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "config/upstream_options.h"
#include "proxy/discovery/discovery.h"
#include "proxy/upstream/upstream_observer.h"
#include "proxy/worker.h"

namespace tidegate {

// How long a start waits until every cluster's nodes have been asked once. Clients that connect
// meanwhile wait with it, instead of being told that nothing is known yet.
inline constexpr std::chrono::milliseconds kFirstAnswersWait{2000};

class UpstreamControl final {
 public:
  // Before the workers' threads run. The workers end before it is destroyed.
  UpstreamControl(std::span<const ClusterOptions> clusters, const UpstreamTls& tls,
                  std::span<const std::unique_ptr<Worker>> workers);

  // When the workers' threads run: begins, and waits for the first answers.
  void Start();
  // When they have ended.
  void Stop() { discovery_.Stop(); }

  const discovery::Discovery& discovery() const { return discovery_; }

 private:
  class Observer;

  const std::span<const std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<UpstreamObserver>> observers_;
  discovery::Discovery discovery_;
};

}  // namespace tidegate
