// UpstreamNode: one server process of somebody else's, as one worker sees it: the connections to
// its address, and whether it is worth trying to connect.
//
// Connections are shared by the sessions of the worker: one for each database and protocol that
// clients use (times `connections`), opened when the first request wants it. SELECT before each
// request would be the other way to serve several databases; a connection of its own costs nothing
// per request and cannot leave a request in the wrong database when something fails between the
// two. For the same reason a client's protocol decides: replies are handed on raw.
//
// A node that cannot be reached is not tried by every request: after a failure requests fail at
// once until a pause is over, which doubles with each further failure and varies by a fifth, so
// that workers do not come together. Reconnections after losses draw on a token bucket.
//
// A node whose address has left the topology is retired: it gets no requests any more and goes when
// the last one in flight is answered. Owner: its cluster, on one worker; the figures are read by
// any thread. Cost of ConnectionFor: a compare when it is the one that was asked for last.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <tuple>

#include "base/reply_writer.h"
#include "config/upstream_options.h"
#include "proxy/topology/node_address.h"
#include "proxy/upstream/upstream_counters.h"
#include "proxy/upstream/upstream_environment.h"

namespace tidegate {

class PrivatePool;
class UpstreamCluster;
class UpstreamConnection;

// Pause after the first failure, and the longest one.
inline constexpr int64_t kReconnectPauseNanosMin = 50'000'000;
inline constexpr int64_t kReconnectPauseNanosMax = 2'000'000'000;

// Connections that a worker makes to one node, in the long run and at once.
inline constexpr double kConnectsPerSecond = 10;
inline constexpr double kConnectsAtOnce = 64;

// What tells the connections to one node apart.
struct ConnectionKey {
  int database = 0;  // as clients name it
  Protocol protocol = Protocol::kResp2;
  bool reads_replica = false;  // says READONLY, of a redis_cluster
  uint32_t lane = 0;           // below `connections`

  friend bool operator==(const ConnectionKey&, const ConnectionKey&) = default;
  friend bool operator<(const ConnectionKey& a, const ConnectionKey& b) {
    return std::tie(a.database, a.protocol, a.reads_replica, a.lane) <
           std::tie(b.database, b.protocol, b.reads_replica, b.lane);
  }
};

class UpstreamNode final {
 public:
  UpstreamNode(UpstreamCluster& cluster, topology::NodeAddress address);
  ~UpstreamNode();
  UpstreamNode(const UpstreamNode&) = delete;
  UpstreamNode& operator=(const UpstreamNode&) = delete;

  UpstreamCluster& cluster() const { return cluster_; }
  const topology::NodeAddress& address() const { return address_; }
  const std::shared_ptr<NodeFigures>& figures() const { return figures_; }
  UpstreamCounters& counters() { return figures_->counters; }
  LatencyHistogram& latency() { return figures_->latency; }

  // Always the same for one key. Lives as long as the node.
  UpstreamConnection& ConnectionFor(const ConnectionKey& key);

  // Connections for one session each. Lives as long as the node.
  PrivatePool& private_pool();
  // It left the topology: who waits or listens there shall do so elsewhere. Not from a callback.
  void EndPrivate();

  // Whoever waits in line for a private connection shall ask elsewhere.
  void DismissWaiting();
  // Ends everything that is under way, as if it were lost. Not from a callback.
  void EndAll(std::string_view why);

  // Requests are in flight, or somebody holds it.
  bool busy() const;
  // For who has connections of his own there, or a request that waits to be sent: the node lives
  // until each Hold is taken back.
  void Hold() { ++holders_; }
  void Release() { --holders_; }

  // --- for its connections ---
  UpstreamEnvironment& environment() const;
  const ClusterOptions& options() const;
  // "upstream cluster 'cache', 10.0.0.5:6379: " and why.
  std::string Describe(std::string_view why) const;
  // Whether a connection may be made now; takes the right to it. Private ones are bounded by their
  // number, and wait for the end of the pause only.
  bool MayConnect(int64_t now_ns, bool is_private);
  const std::string& last_failure() const { return last_failure_; }
  // Connections are refused for a while; `why` is told to the requests that would want one.
  void Failed(std::string_view why, int64_t now_ns);
  void Connected() { failures_ = 0; }
  // A connection failed; `answered`: it had answered requests before. Counts failures in a row.
  void Strike(bool answered) { strikes_ = answered ? 1 : strikes_ + 1; }
  int strikes() const { return strikes_; }

 private:
  UpstreamCluster& cluster_;
  const topology::NodeAddress address_;
  const std::shared_ptr<NodeFigures> figures_;
  std::map<ConnectionKey, std::unique_ptr<UpstreamConnection>> connections_;
  std::unique_ptr<PrivatePool> private_pool_;  // null: nobody wanted one
  ConnectionKey found_key_;
  UpstreamConnection* found_ = nullptr;  // of found_key_
  int holders_ = 0;
  std::string last_failure_;
  int failures_ = 0;  // since the last handshake
  int strikes_ = 0;   // since the last reply
  int64_t retry_ns_ = 0;
  int64_t refilled_ns_ = 0;
  double tokens_ = kConnectsAtOnce;
  std::minstd_rand random_;
};

}  // namespace tidegate
