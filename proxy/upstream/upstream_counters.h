// UpstreamCounters: what one worker counts about one node of an upstream cluster. Written by that
// worker, read by any thread: that is why they are shared (an admin page may still read those of a
// node that has just left the topology), and the node's address stands beside them.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "config/upstream_options.h"
#include "proxy/session/command_stats.h"

namespace tidegate {

struct UpstreamCounters {
  WorkerCounter requests;
  WorkerCounter error_replies;     // that the node gave, and that were handed on
  WorkerCounter redirections;      // errors that were followed instead: MOVED, ASK, TRYAGAIN
  WorkerCounter script_reloads;    // EVALSHA that the node did not know, sent again as EVAL
  WorkerCounter refused;           // not sent: the node is down, or too much waits for it
  WorkerCounter lost;              // sent, or about to be, when the connection was lost
  WorkerCounter timeouts;          // connections given up because a reply was late
  WorkerCounter garbage;           // and because what came was no reply, or one too many
  WorkerCounter connect_failures;  // also a handshake that was refused
  WorkerCounter connects;          // handshakes done
  WorkerCounter breakers_open;     // 1: the node's circuit breaker is not closed now
  WorkerCounter breaker_opens;     // times that it opened
  WorkerCounter retries;           // requests that failed there and were sent to another node
  WorkerCounter connections;       // now
  WorkerCounter in_flight;         // requests without a reply now
  WorkerCounter sent_bytes;
  WorkerCounter received_bytes;
  WorkerCounter large_replies;      // that were handed on in pieces, or kept though they are large
  WorkerCounter superseded;         // connections whose place another one took, because of one
  WorkerCounter private_in_use;     // private connections that a session has now
  WorkerCounter private_idle;       // and that none has
  WorkerCounter private_waits;      // requests that had to wait for one
  WorkerCounter private_exhausted;  // and were refused: none became free, or too many waited
  WorkerCounter private_waiting;    // that wait for one now
  WorkerCounter held_bytes;         // of requests that are kept for it, sent or not
};

struct NodeFigures {
  explicit NodeFigures(std::string node_address) : address(std::move(node_address)) {}

  const std::string address;  // "host:port"
  UpstreamCounters counters;
  // From the request to its reply, as the worker saw it; without what a client waits for by its own
  // wish (BLPOP).
  LatencyHistogram latency;
};

// Reads that replica_fanout looked at, by what became of them.
struct FanoutFigures {
  WorkerCounter replica_reads;  // sent to a replica
  WorkerCounter primary_reads;  // to the primary, as the least busy or nearest
  WorkerCounter written_reads;  // there, because no replica is sure to have the key's last write
  WorkerCounter unfit_reads;    // there, because no replica may be read
  WorkerCounter observed;       // would have been sent to a replica
};

// One cluster on one worker, for any thread: it outlives the cluster, so that who reads it need not
// care whether a reload has just removed that.
class ClusterFigures final {
 public:
  using Nodes = std::vector<std::shared_ptr<const NodeFigures>>;

  ClusterFigures(size_t cluster_number, std::string cluster_name, ClusterKind cluster_kind)
      : number(cluster_number), name(std::move(cluster_name)), kind(cluster_kind) {}

  const size_t number;
  const std::string name;
  const ClusterKind kind;
  FanoutFigures fanout;

  // The nodes there are, those that leave included.
  Nodes nodes() const TG_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return nodes_;
  }
  // A reload has removed or replaced it: it answers what it was asked, and gets nothing new.
  bool leaving() const { return leaving_.load(std::memory_order_relaxed); }

  // The worker's.
  void SetNodes(Nodes nodes) TG_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    nodes_.swap(nodes);
  }
  void SetLeaving() { leaving_.store(true, std::memory_order_relaxed); }

 private:
  mutable Mutex mutex_;
  Nodes nodes_ TG_GUARDED_BY(mutex_);
  std::atomic<bool> leaving_{false};
};

}  // namespace tidegate
