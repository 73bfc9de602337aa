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
// Stop returned. Clusters may be added and removed while it runs. Each has a number of its own,
// which no other ever gets: what is said of one that is gone is said of nobody.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "config/upstream_options.h"
#include "proxy/discovery/big_key_probe.h"
#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/topology_publisher.h"
#include "proxy/discovery/upstream_report.h"
#include "proxy/event/loop.h"

namespace tidegate {
class UpstreamTls;
}

namespace tidegate::discovery {

// One cluster that is watched.
struct WatchedCluster {
  WatchedCluster(size_t cluster_number, const ClusterOptions& cluster_options,
                 TopologyPublisher::Publish publish)
      : number(cluster_number),
        options(cluster_options),
        publisher(cluster_options.name, cluster_options.kind, std::move(publish)) {}

  const size_t number;
  const ClusterOptions options;
  TopologyPublisher publisher;  // its readers: any thread
  ReportBox reports;
  // The control thread's, once that runs; the probe only where it is wanted.
  std::unique_ptr<ClusterWatcher> watcher;
  std::unique_ptr<BigKeyProbe> probe;
};

class Discovery final {
 public:
  // `cluster`: its number; those given at the start have theirs in the order of the configuration.
  using Publish =
      std::function<void(size_t cluster, std::shared_ptr<const UpstreamTopology> topology)>;

  // Clusters of kind engine are left out.
  // `tls`: null when no cluster has any; outlives this.
  Discovery(std::span<const ClusterOptions> clusters, Publish publish,
            const UpstreamTls* tls = nullptr);
  ~Discovery();
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  // Where probes of big keys tell what they find; without one there are none. Before Start.
  void SetProbeSink(ProbeSink sink) { probe_sink_ = std::move(sink); }

  // Again: nothing happens.
  void Start();
  // Until every cluster's nodes have been asked once, or the time is over: so that a server that
  // has just started does not refuse its first requests. Any thread.
  void AwaitFirstAnswers(std::chrono::milliseconds time_max) const;
  void Stop();

  // Any thread. One that is removed while it is being asked about may be published once more.
  std::shared_ptr<WatchedCluster> Add(const ClusterOptions& options) TG_EXCLUDES(mutex_);
  void Remove(size_t cluster) TG_EXCLUDES(mutex_);

  // Any thread; cheap when the same was reported just before, hence also for each failing request.
  void Report(WatchedCluster& cluster, UpstreamReport report);
  void Report(size_t cluster, UpstreamReport report);

  // For people. Any thread. In the order in which they were added.
  std::vector<std::shared_ptr<WatchedCluster>> Watched() const TG_EXCLUDES(mutex_);
  size_t size() const { return Watched().size(); }
  // Of one that is not removed.
  const TopologyPublisher& cluster(size_t number) const;

 private:
  void Run();
  void OnWakeUp();
  void FollowList();
  void TakeReports();
  void WakeUpThread();

  const Publish publish_;
  const UpstreamTls* const tls_;
  std::optional<ProbeSink> probe_sink_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<WatchedCluster>> watched_ TG_GUARDED_BY(mutex_);
  size_t next_number_ TG_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<WatchedCluster>> running_;  // the control thread's: have a watcher
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
