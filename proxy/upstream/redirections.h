// Redirections: what becomes of a request that the node it was sent to did not execute, or that was
// lost there and does no harm when it is executed twice, so that no client has to know of it.
//
//   MOVED        the slot has another owner: the view of the topology is corrected at once, whoever
//                keeps the topology is told, and the request goes to that node
//   ASK          the slot is on its way there: ASKING and the request go as one, the view stays
//   TRYAGAIN     its keys are on both sides: it is sent again after a pause, to the slot's owner
//   READONLY     where nodes have roles and no slots: that node is no primary any more. It is sent
//                again after a pause to who is then
//   lost, LOADING, MASTERDOWN, CLUSTERDOWN
//                of reads that replicas may answer: once more, to another of these
//
// A request is redirected at most kRedirectionsMax times, and sent again after a pause at most
// kTryAgainMax (kReadOnlyTriesMax) times; a read once, and only as often as the node's RetryBudget
// allows. Then its client gets the error. All errors named here mean that nothing was executed, so
// sending again is safe, for writes as well; of lost requests nobody knows, so writes are never
// sent again.
//
// Order. Requests of one session for one slot stand behind one another at one connection; what is
// redirected from there goes to one connection of the target, in the order of the errors, and the
// session places nothing new until it has the replies. A TRYAGAIN or a READONLY whose successors
// from the same session for the same slot are at the node already is handed on: they would overtake
// it. A read is sent again only when all that its session has in flight are reads that replicas may
// answer; so no write can overtake it. What no client that pipelines can rule out: a slot that
// comes back to a node within the time that a request takes from there to the next owner finds the
// request's successors there first.
// Owner: a cluster, on one worker. Cost: a copy of the request, when an error has come; and what
// RequestLog costs, which clusters of independent nodes do not have.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "proxy/event/loop.h"
#include "proxy/topology/redirect.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/upstream/upstream_node.h"

namespace tidegate {

class UpstreamCluster;
class UpstreamConnection;

inline constexpr int kRedirectionsMax = 5;
inline constexpr int kTryAgainMax = 6;
// Before the first repetition; it doubles with each: 2, 4, … 64 ms.
inline constexpr int64_t kTryAgainPauseNanos = 2'000'000;
// The same until another primary is known, which takes a second at most when there is one: 8, 16 …
// 512 ms.
inline constexpr int kReadOnlyTriesMax = 7;
inline constexpr int64_t kReadOnlyPauseNanos = 8'000'000;

class Redirections final {
 public:
  explicit Redirections(UpstreamCluster& cluster);
  ~Redirections();
  Redirections(const Redirections&) = delete;
  Redirections& operator=(const Redirections&) = delete;

  // `error`: the reply of the node of `from` to the request, whose bytes are `encoded`. True: the
  // request is on its way elsewhere, or was answered; false: the reply is its reply.
  bool Take(UpstreamConnection& from, UpstreamRequest request, std::string_view encoded,
            std::string_view error);
  // The same for a request that was in flight when its connection failed; `was_sent`: the
  // connection had come about, so that this counts as once.
  bool TakeLost(UpstreamConnection& from, UpstreamRequest request, std::string_view encoded,
                bool was_sent);

  // No request waits to be sent again.
  bool empty() const { return waiting_.empty(); }
  // Those that do are answered so.
  void EndAll(std::string_view reply);

 private:
  struct Waiting {
    UpstreamRequest request;
    std::string encoded;
    ConnectionKey key;
  };

  void Send(UpstreamNode& node, const ConnectionKey& key, const UpstreamRequest& request,
            std::string_view encoded, bool asking);
  struct Pauses {
    int64_t first_ns;
    int tries_max;
  };
  bool Follow(UpstreamConnection& from, UpstreamRequest& request, std::string_view encoded,
              const topology::TopologyError& where);
  bool WaitAndTryAgain(UpstreamConnection& from, UpstreamRequest& request, std::string_view encoded,
                       const Pauses& pauses);
  bool ReadElsewhere(UpstreamConnection& from, UpstreamRequest& request, std::string_view encoded,
                     bool was_sent);
  void TryAgain();
  void Arm();

  UpstreamCluster& cluster_;
  std::multimap<int64_t, Waiting> waiting_;  // by when they are due
  Timer timer_;
};

}  // namespace tidegate
