// UpstreamNode: one server process of somebody else's, as one worker sees it: the connections to
// its address, and whether it is worth trying to connect.
//
// Connections are shared by the sessions of the worker: one for each database and protocol that
// clients use (times `connections`), opened when the first request wants it. SELECT before each
// request would be the other way to serve several databases; a connection of its own costs nothing
// per request and cannot leave a request in the wrong database when something fails between the
// two. For the same reason a client's protocol decides: replies are handed on raw.
//
// A node that fails is not tried by every request: a CircuitBreaker says what may still be sent,
// and when it is to be asked whether it is back, which the node does itself, by a PING over the
// connection that was used last, so that no client has to pay for the question. Reconnections draw
// on a token bucket. What all its connections have in flight, and hold of requests, has one limit.
//
// Who waits behind a large reply waits long. So when one begins, its connection is superseded: it
// finishes what it has, while requests that come go to another one, and later takes the place of
// the next that is superseded. What is large by itself, and who has just been sent something large,
// has a connection apart (ConnectionKey::large), which nothing supersedes.
//
// A node whose address has left the topology is retired: it gets no requests any more and goes when
// the last one in flight is answered. Owner: its cluster, on one worker; the figures are read by
// any thread. Cost of ConnectionFor: a compare when it is the one that was asked for last.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/reply_writer.h"
#include "config/upstream_options.h"
#include "proxy/event/loop.h"
#include "proxy/topology/node_address.h"
#include "proxy/upstream/circuit_breaker.h"
#include "proxy/upstream/retry_budget.h"
#include "proxy/upstream/upstream_counters.h"
#include "proxy/upstream/upstream_environment.h"

namespace tidegate {

class PrivatePool;
class UpstreamCluster;
class UpstreamConnection;
struct Command;

// Connections that a worker makes to one node, in the long run and at once.
inline constexpr double kConnectsPerSecond = 10;
inline constexpr double kConnectsAtOnce = 64;

// Bytes of requests that wait to be sent to one node, or are kept until they are answered, before
// further ones are refused. As many as a client's output may have; a second of a fast network.
inline constexpr Bytes kNodeHeldBytesMax = 64_MiB;
// Connections for one key that may be superseded and still busy. Beyond it requests wait.
inline constexpr size_t kSupersededMax = 4;

// What tells the connections to one node apart.
struct ConnectionKey {
  int database = 0;  // as clients name it
  Protocol protocol = Protocol::kResp2;
  bool reads_replica = false;  // says READONLY, of a redis_cluster
  bool large = false;          // for requests and replies that others must not wait behind
  // Of sessions below `connections`; see UpstreamCluster for what has one of its own.
  uint32_t lane = 0;

  friend bool operator==(const ConnectionKey&, const ConnectionKey&) = default;
  friend bool operator<(const ConnectionKey& a, const ConnectionKey& b) {
    return std::tie(a.database, a.protocol, a.reads_replica, a.large, a.lane) <
           std::tie(b.database, b.protocol, b.reads_replica, b.large, b.lane);
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

  // The same for one key, until it is superseded. Lives as long as the node.
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
  // A large reply has begun there: requests that come go to another connection, and sessions that
  // wait for replies of this one finish with it first.
  void Supersede(UpstreamConnection& connection);
  UpstreamEnvironment& environment() const;
  const ClusterOptions& options() const;
  // "upstream cluster 'cache', 10.0.0.5:6379: " and why.
  std::string Describe(std::string_view why) const;
  // Whether requests may be sent without asking further.
  bool is_up() const { return breaker_.closed(); }
  // When it is not: whether this one may.
  bool Admits(const Command* command);
  // For who can choose: whether it would be, and nothing speaks against it.
  bool IsGood() const { return breaker_.spotless() || WouldAdmit(); }
  // Whether a connection may be made now; takes the right to it. Private ones are bounded by their
  // number, and wait for the end of the pause only.
  bool MayConnect(int64_t now_ns, bool is_private);
  // Why it failed last.
  const std::string& last_failure() const { return last_failure_; }
  // So many requests failed for one reason, which is told to those that are refused because of it.
  void Failed(CircuitBreaker::Failure failure, uint64_t requests, std::string_view why);
  void Connected();
  // When the last of its connections was made, monotonic; 0: none was.
  int64_t connected_ns() const { return connected_ns_; }
  void Answered() {
    if (__builtin_expect(breaker_.Answered(), 0)) BreakerChanged();
  }
  // Failures since the last reply.
  int failures_in_a_row() const { return breaker_.failures_in_a_row(); }
  // Whether one more of its requests may be sent to another node; takes the right to it.
  bool MayRetry();
  // Often while requests are sent.
  void Advance(int64_t now_ns) { breaker_.recent().Advance(now_ns); }
  size_t held_bytes() const { return held_bytes_; }
  void set_held_bytes(size_t bytes) {
    held_bytes_ = bytes;
    figures_->counters.held_bytes.Set(bytes);
  }

  // What health checks say of it, each time that somebody publishes it.
  void SetHealth(bool answers, std::string_view why_not);

 private:
  bool WouldAdmit() const;
  void BreakerChanged();
  void OnBreakerTimer();
  void Ask();

  UpstreamCluster& cluster_;
  const topology::NodeAddress address_;
  const std::shared_ptr<NodeFigures> figures_;
  size_t held_bytes_ = 0;  // its connections count there to their end
  std::map<ConnectionKey, std::unique_ptr<UpstreamConnection>> connections_;
  std::vector<std::unique_ptr<UpstreamConnection>> superseded_;  // and ready to come back
  std::unique_ptr<PrivatePool> private_pool_;                    // null: nobody wanted one
  ConnectionKey found_key_;
  UpstreamConnection* found_ = nullptr;  // of found_key_
  int holders_ = 0;
  std::string last_failure_;
  CircuitBreaker breaker_;
  Timer breaker_timer_;  // when it is to be asked, or looked at again
  RetryBudget retry_budget_;
  bool is_healthy_ = true;
  int64_t connected_ns_ = 0;
  int64_t refilled_ns_ = 0;
  double tokens_ = kConnectsAtOnce;
};

}  // namespace tidegate
