// ClusterWatcher: keeps the topology of one cluster current: asks its nodes on the control loop,
// hears reports of workers, and offers what it finds to the cluster's publisher. One class for each
// way in which servers are found; watchers.cc has the list.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>

#include "config/upstream_options.h"
#include "proxy/discovery/control_connection.h"
#include "proxy/discovery/refresh_pace.h"
#include "proxy/discovery/topology_publisher.h"
#include "proxy/discovery/upstream_report.h"
#include "proxy/event/loop.h"

namespace tidegate::discovery {

// What a watcher is given. All of it outlives it.
struct WatchContext {
  ControlEnvironment& environment;
  const ClusterOptions& options;
  TopologyPublisher& publisher;
  uint32_t seed = 0;
  const TlsContext* tls = nullptr;  // null: servers are spoken to without
  const TlsContext* sentinel_tls = nullptr;
};

class ClusterWatcher {
 public:
  virtual ~ClusterWatcher() = default;
  virtual void Start() = 0;
  virtual void OnReports(std::span<const UpstreamReport> reports) = 0;
};

std::unique_ptr<ClusterWatcher> MakeWatcher(const WatchContext& context);

// The topology before anybody was asked: of kinds whose nodes are all configured they are usable,
// until they prove otherwise; of the others nothing is known.
UpstreamTopology InitialTopology(const ClusterOptions& options);

topology::NodeAddress AddressOf(const HostPort& place);
ControlAccess AccessOf(const ClusterOptions& options, const TlsContext* tls);

// RefreshPace with a timer: calls `refresh` when it is time. Every refresh ends with Ended.
class Refresher final {
 public:
  Refresher(EventLoop& loop, std::chrono::milliseconds interval, uint32_t seed,
            std::function<void()> refresh);

  void Start() { Arm(); }
  void Hint();
  void HintUrgently();
  void Ended(RefreshPace::Outcome outcome);

 private:
  void Arm();
  void Begin();

  RefreshPace pace_;
  const std::function<void()> refresh_;
  Timer timer_;
};

}  // namespace tidegate::discovery
