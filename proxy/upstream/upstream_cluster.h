// UpstreamCluster: a Redis of somebody else's, as one worker sees it: its connections, and whether
// it is worth trying to connect.
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
// Owner: one worker; the counters are read by any thread. Cost of ConnectionFor: a search in a map,
// which sessions save by keeping what it found.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "config/options.h"
#include "proxy/event/loop.h"
#include "proxy/session/command_stats.h"

namespace tidegate {

class UpstreamConnection;

// Pause after the first failure, and the longest one.
inline constexpr int64_t kReconnectPauseNanosMin = 50'000'000;
inline constexpr int64_t kReconnectPauseNanosMax = 2'000'000'000;

// Connections that a worker makes to one node, in the long run and at once.
inline constexpr double kConnectsPerSecond = 10;
inline constexpr double kConnectsAtOnce = 64;

// What a worker has for its upstreams. All of it outlives them.
struct UpstreamEnvironment {
  EventLoop& loop;
  OutputBlockPool& blocks;
  std::span<char> read_buffer;
  int worker_index = 0;
};

// Written by the worker, read by any thread.
struct UpstreamCounters {
  WorkerCounter requests;
  WorkerCounter error_replies;     // that the upstream gave
  WorkerCounter refused;           // not sent: the node is down, or too much waits for it
  WorkerCounter lost;              // sent, or about to be, when the connection was lost
  WorkerCounter timeouts;          // connections given up because a reply was late
  WorkerCounter garbage;           // and because what came was no reply, or one too many
  WorkerCounter connect_failures;  // also a handshake that was refused
  WorkerCounter connects;          // handshakes done
  WorkerCounter connections;       // now
  WorkerCounter in_flight;         // requests without a reply now
  WorkerCounter sent_bytes;
  WorkerCounter received_bytes;
};

class UpstreamCluster final {
 public:
  UpstreamCluster(UpstreamEnvironment environment, const ClusterOptions& options);
  ~UpstreamCluster();
  UpstreamCluster(const UpstreamCluster&) = delete;
  UpstreamCluster& operator=(const UpstreamCluster&) = delete;

  const ClusterOptions& options() const { return options_; }
  const std::string& name() const { return options_.name; }
  UpstreamCounters& counters() { return counters_; }
  const UpstreamCounters& counters() const { return counters_; }

  // Why a request of a client in this database and protocol cannot go there; empty: it can.
  std::string Refusal(int database, Protocol protocol) const;
  // The connection of a session, always the same for one database and protocol. Lives as long as
  // the cluster.
  UpstreamConnection& ConnectionFor(int database, Protocol protocol, uint64_t session_id);

  // At the end of a turn: sends what the turn placed. False: nothing was to be sent.
  bool Flush();

  // --- for its connections ---
  UpstreamEnvironment& environment() { return environment_; }
  const HostPort& node() const { return options_.nodes.front().address; }
  // "upstream cluster 'cache', 10.0.0.5:6379: " and why.
  std::string Describe(std::string_view why) const;
  void MarkDirty(UpstreamConnection& connection) { dirty_.push_back(&connection); }
  // Whether a connection may be made now; takes the right to it.
  bool MayConnect(int64_t now_ns);
  const std::string& last_failure() const { return last_failure_; }
  void Failed(std::string_view why, int64_t now_ns);
  void Connected() { failures_ = 0; }

 private:
  UpstreamEnvironment environment_;
  const ClusterOptions options_;
  UpstreamCounters counters_;
  std::map<uint64_t, std::unique_ptr<UpstreamConnection>> connections_;
  std::vector<UpstreamConnection*> dirty_;
  std::vector<UpstreamConnection*> flushing_;
  std::string last_failure_;
  int failures_ = 0;  // since the last handshake
  int64_t retry_ns_ = 0;
  int64_t refilled_ns_ = 0;
  double tokens_ = kConnectsAtOnce;
  std::minstd_rand random_;
};

}  // namespace tidegate
