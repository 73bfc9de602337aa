// RouteMirror: sends the writes of one route to a second cluster as well, fire and forget.
//
// The client never waits for it and never sees anything of it: replies are counted and dropped, and
// what cannot be sent (the cluster is down, too much waits for it) is counted and forgotten. It has
// a connection of its own to each node, so that it takes nothing from requests that clients wait
// for. One connection for all sessions of the worker: what a session writes arrives in its order,
// as long as the topology stays.
//
// Which keys: a percentage of the slots of Redis Cluster, mixed, which no restart and no other
// process decides differently; keys with one hash tag share the decision. A command, or a
// transaction, with keys of both decisions is not mirrored, and counted as skipped.
//
// What is mirrored is the command as it was sent and not its effect: what depends on chance or on
// the clock (SPOP, XADD with *) has another effect there. Owner: one worker; the counters are for
// any thread. Cost: that of one more request.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/session/command_stats.h"
#include "proxy/upstream/upstream_client.h"
#include "proxy/upstream/upstream_link.h"
#include "storage/request.h"

namespace tidegate {

class UpstreamCluster;
class UpstreamConnection;
class UpstreamNode;

// Mirrored requests of one route and worker whose replies have not come. Half a second of a busy
// worker; more means that the cluster does not keep up.
inline constexpr uint32_t kMirrorInFlightMax = 50'000;

struct MirrorCounters {
  WorkerCounter sent;
  WorkerCounter errors;   // replies that were errors, and requests whose reply never came
  WorkerCounter refused;  // not sent: the cluster is down, or too much waits for it
  WorkerCounter skipped;  // not sent: it cannot be mirrored as it is
};

// One per route and worker, and what it is counted under.
struct MirrorFigures {
  std::string route;  // the pattern
  std::string cluster;
  MirrorCounters counters;  // any thread
};

// Whose client the write is of.
struct MirrorOrigin {
  int database = 0;
  uint64_t session_id = 0;
};

class RouteMirror final : private UpstreamClient {
 public:
  // The cluster outlives the mirror.
  RouteMirror(std::shared_ptr<MirrorFigures> figures, UpstreamCluster& cluster, int percent);
  ~RouteMirror();
  RouteMirror(const RouteMirror&) = delete;
  RouteMirror& operator=(const RouteMirror&) = delete;

  const std::string& route() const { return figures_->route; }
  const std::string& cluster_name() const { return figures_->cluster; }
  const MirrorCounters& counters() const { return figures_->counters; }  // any thread
  const std::shared_ptr<MirrorFigures>& figures() const { return figures_; }
  // Whether it does what a route wants that has this cluster and percentage.
  bool Does(const UpstreamCluster& cluster, int percent) const {
    return &cluster_ == &cluster && percent_ == percent;
  }

  enum class Choice : uint8_t { kAll, kNone, kSome };
  // By the names of keys that clients use. Without keys: of what is about all of them.
  Choice ChoiceOf(std::span<const KeyRef> keys) const;

  // A write whose keys are chosen. Not from a callback of one of the mirror's connections.
  void Send(const Request& request, const MirrorOrigin& origin);
  // The writes of one transaction, as one unit: between `multi` and `exec`. All keys are chosen,
  // and have to be one node's.
  void SendUnit(const Request& multi, std::span<const Request> writes, const Request& exec,
                const MirrorOrigin& origin);
  void Skip(size_t requests) { counters_.skipped.Add(requests); }

 private:
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;
  bool MayPlace(const MirrorOrigin& origin) const;
  UpstreamConnection& ConnectionTo(UpstreamNode& node, const MirrorOrigin& origin) const;
  UpstreamRequest Waiting(const Request& request, uint16_t slot) const;
  void Place(UpstreamNode* node, uint16_t slot, const Request& request, const MirrorOrigin& origin);
  void SendToNodes(const Request& request, const MirrorOrigin& origin);
  void SendParts(const Request& request, const MirrorOrigin& origin);

  const std::shared_ptr<MirrorFigures> figures_;
  MirrorCounters& counters_;  // of them
  UpstreamCluster& cluster_;
  const int percent_;
  UpstreamLink* link_;  // deletes itself when neither side needs it
};

}  // namespace tidegate
