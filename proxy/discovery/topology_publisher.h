// TopologyPublisher: the one place where the topology of a cluster comes from. A watcher offers
// what it found out; only what differs from the last gets a version, is logged, and goes to the
// workers. Beside it what people ask about discovery: how often, how old, what is wrong.
// Nodes that an operator has drained are marked here, so that no watcher has to know of it.
// Owner: the control thread; Drain and Undrain, latest(), counters() and last_answer_unix_ms() are
// for any thread.
// Cost of an offer that changes nothing: one comparison; slots are compared by content once a
// refresh.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "config/upstream_options.h"
#include "proxy/session/command_stats.h"
#include "proxy/upstream/upstream_topology.h"

namespace tidegate::discovery {

// Written by the control thread, read by any.
struct DiscoveryCounters {
  WorkerCounter refreshes;         // rounds of questions that ended
  WorkerCounter refresh_failures;  // without an answer that could be used
  WorkerCounter reports;           // hints of workers that were taken
  WorkerCounter failovers;         // times that another node became primary
  WorkerCounter version;
  WorkerCounter nodes;
  WorkerCounter usable_nodes;
};

class TopologyPublisher final {
 public:
  using Publish = std::function<void(std::shared_ptr<const UpstreamTopology>)>;

  TopologyPublisher(std::string cluster_name, ClusterKind kind, Publish publish)
      : cluster_name_(std::move(cluster_name)), kind_(kind), publish_(std::move(publish)) {}

  const std::string& cluster_name() const { return cluster_name_; }
  ClusterKind kind() const { return kind_; }

  // True: it is another one, and published. Its version is set here.
  bool Offer(UpstreamTopology next) TG_EXCLUDES(offer_mutex_);
  // The last with another problem: what is known stays, and why nothing newer is.
  bool OfferProblem(std::string problem) TG_EXCLUDES(offer_mutex_);
  // A round of questions is over. `good`: its answers were used. The first good one, or the first
  // of all, is what a start waits for.
  void RefreshEnded(bool good);
  void CountReports(size_t count) { counters_.reports.Add(count); }

  // An operator wants the node to get no new requests; `may_leave_ring`: another node of a ring may
  // have its keys. Empty: so it is; else why it cannot be, in words for people. Any thread.
  std::string Drain(const topology::NodeAddress& address, bool may_leave_ring)
      TG_EXCLUDES(offer_mutex_);
  // False: it was not drained. Any thread.
  bool Undrain(const topology::NodeAddress& address) TG_EXCLUDES(offer_mutex_);

  // Any thread.
  std::shared_ptr<const UpstreamTopology> latest() const {
    const MutexLock lock(mutex_);
    return latest_;
  }
  const DiscoveryCounters& counters() const { return counters_; }
  // 0: none yet.
  int64_t last_answer_unix_ms() const {
    return last_answer_unix_ms_.load(std::memory_order_relaxed);
  }
  bool was_asked() const { return was_asked_.load(std::memory_order_acquire); }

 private:
  bool PutOut(UpstreamTopology next) TG_REQUIRES(offer_mutex_);
  std::string WhyNotDrained(const topology::NodeAddress& address, bool may_leave_ring) const
      TG_REQUIRES(offer_mutex_);
  void Log(const UpstreamTopology& before, const UpstreamTopology& after);
  void LogNodes(const UpstreamTopology& before, const UpstreamTopology& after);
  void Count(const UpstreamTopology& before, const UpstreamTopology& after);

  const std::string cluster_name_;
  const ClusterKind kind_;
  const Publish publish_;
  // One change at a time; taken before mutex_.
  Mutex offer_mutex_;
  UpstreamTopology offered_ TG_GUARDED_BY(offer_mutex_);  // by the watcher, nobody drained
  std::set<topology::NodeAddress> drained_ TG_GUARDED_BY(offer_mutex_);
  mutable Mutex mutex_;
  std::shared_ptr<const UpstreamTopology> latest_ TG_GUARDED_BY(mutex_) =
      std::make_shared<const UpstreamTopology>();
  DiscoveryCounters counters_;
  std::vector<topology::NodeAddress> last_primaries_;  // not empty once there was one
  std::atomic<int64_t> last_answer_unix_ms_{0};
  std::atomic<bool> was_asked_{false};
};

// Whether they say the same; versions aside.
bool SameTopology(const UpstreamTopology& a, const UpstreamTopology& b);

// The addresses of the primaries: of a set that of its one, of a Redis Cluster all, in order.
std::vector<topology::NodeAddress> PrimariesOf(const UpstreamTopology& topology);

}  // namespace tidegate::discovery
