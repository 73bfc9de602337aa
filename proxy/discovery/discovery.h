// Discovery: the control plane of upstream clusters: one thread with one event loop, on which a
// watcher for each cluster asks its nodes where everything is, and publishes what it finds.
//
//   workers --Report--> boxes --> control thread: watchers <--questions--> nodes, sentinels
//      ^                                   |
//      +------ publish(cluster, topology) -+        admin pages read publishers
//
// Why a thread of its own and not a worker's loop: a reply of a thousand nodes takes milliseconds
// to understand, and no client shall wait for it. Why one for all clusters: it sleeps. Everything
// is bounded: questions have deadlines, boxes and sets have limits, refreshes a pace.
// Life: Create, Start, then reports and publications, Stop (also by the destructor). `publish` is
// called on the control thread, before Start returned for what is known without asking; never after
// Stop returned. Without upstream clusters there is no Discovery.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "config/upstream_options.h"
#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/topology_publisher.h"
#include "proxy/discovery/upstream_report.h"
#include "proxy/event/loop.h"

namespace tidegate {
class UpstreamTls;
}

namespace tidegate::discovery {

class Discovery final {
 public:
  // `cluster`: index among the upstream clusters, in the order of the configuration.
  using Publish =
      std::function<void(size_t cluster, std::shared_ptr<const UpstreamTopology> topology)>;

  // Clusters of kind engine are left out.
  // `tls`: null when no cluster has any; outlives this.
  Discovery(std::span<const ClusterOptions> clusters, const Publish& publish,
            const UpstreamTls* tls = nullptr);
  ~Discovery();
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  void Start();
  // Until every cluster's nodes have been asked once, or the time is over: so that a server that
  // has just started does not refuse its first requests. Any thread.
  void AwaitFirstAnswers(std::chrono::milliseconds time_max) const;
  void Stop();

  // Any thread; cheap when the same was reported just before, hence also for each failing request.
  void Report(size_t cluster, UpstreamReport report);

  // For people. Any thread.
  size_t size() const { return clusters_.size(); }
  const TopologyPublisher& cluster(size_t index) const { return clusters_[index]->publisher; }

 private:
  struct Cluster {
    Cluster(const ClusterOptions& cluster_options, TopologyPublisher::Publish publish)
        : options(cluster_options),
          publisher(cluster_options.name, cluster_options.kind, std::move(publish)) {}

    const ClusterOptions options;
    TopologyPublisher publisher;
    ReportBox reports;
    std::unique_ptr<ClusterWatcher> watcher;  // the control thread's, once that runs
  };

  void Run();
  void OnWakeUp();
  void TakeReports();

  std::vector<std::unique_ptr<Cluster>> clusters_;
  const UpstreamTls* const tls_;
  EventLoop loop_;
  std::unique_ptr<char[]> read_buffer_;
  ControlEnvironment environment_;
  std::unique_ptr<WakeUp> wake_up_;
  std::unique_ptr<Timer> report_timer_;
  bool pausing_ = false;  // between two portions of reports
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace tidegate::discovery
