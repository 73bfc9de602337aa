// SessionForwarder: one request of a session on its way to an upstream: may it go now, where to, in
// how many parts. A value on the stack, for the one call; it works on the session's own state.
// session_upstream.cc says what keeps requests and replies in order; session_split.cc has what
// belongs to several nodes. Owner: the session's worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/route/split_rule.h"
#include "proxy/session/session.h"
#include "proxy/upstream/joined_reads.h"
#include "proxy/upstream/reply_names.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_link.h"

namespace tidegate {

class SessionForwarder final {
 public:
  SessionForwarder(Session& session, const Request& request, uint64_t ticks);

  // Where a route rewrote the request: as the client said it, which outlives this; and what turns
  // names in the reply back, or null.
  void SetRewritten(const Request& said, std::unique_ptr<ReplyNames> names) {
    said_ = &said;
    names_ = std::move(names);
  }
  // Whether it was sent, or part of it.
  bool placed() const { return placed_; }

  Session::Step Forward(UpstreamCluster& cluster);
  // The same for what is about scripts.
  Session::Step ForwardScript(UpstreamCluster& cluster);
  // Not at all: with another's reply. After MayJoin.
  Session::Step Join(UpstreamCluster& cluster, JoinedReads& reads, const JoinedReads::Read& read);
  // Told when nothing is in flight any more.
  Session::Step Refuse(std::string_view error);
  // The same because no node can be asked: a policy may have something else for the client.
  Session::Step RefuseDown(std::string_view error);

 private:
  static UpstreamLink& LinkOf(Session& session);
  uint64_t placement_epoch() const;
  // Why it cannot go to the cluster, wherever there; empty: it can.
  std::string RefusalOf(const UpstreamCluster& cluster) const;
  ConnectionKey KeyFor(const UpstreamCluster& cluster, bool reads_replica) const;
  // The node is chosen anew.
  Session::Step Choose(UpstreamCluster& cluster);
  // A policy has replicas answer such reads: one of them, or the primary that is chosen. What is to
  // be counted when it is sent; null: nothing.
  WorkerCounter* FanOut(UpstreamCluster& cluster, UpstreamCluster::Choice& choice,
                        std::string& refusal);
  Session::Step ForwardTo(UpstreamConnection& connection);
  // The same for a request whose reply names keys.
  Session::Step ForwardNamed(UpstreamConnection& connection);
  void Remember(const UpstreamCluster& cluster, UpstreamConnection& connection);
  // Whether it may be sent beside those in flight; else the session has stopped.
  bool MayPlace();
  // Whether a policy has something to do with its reply.
  bool HasHook() const;
  UpstreamRequest Waiting(uint16_t slot);
  // It has its number, and the next one's turn is.
  void Placed();
  void BeginWrite();

  // session_split.cc
  struct Part {
    UpstreamCluster::Choice choice;
    std::string refusal = {};
    std::vector<uint32_t> keys = {};  // by their place in the request
  };
  bool NeedsSplit(UpstreamCluster& cluster);
  Session::Step ForwardSplit(UpstreamCluster& cluster);
  Session::Step ForwardByKeys(UpstreamCluster& cluster, SplitRule rule);
  Session::Step ForwardByNodes(UpstreamCluster& cluster, SplitRule rule);
  Session::Step ForwardScan(UpstreamCluster& cluster, const std::vector<UpstreamNode*>& nodes);
  std::vector<Part> PartsByKeys(UpstreamCluster& cluster);
  void PlacePart(UpstreamCluster& cluster, const Part& part, const Request& request,
                 UpstreamRequest waiting);

  Session& session_;
  const Request& request_;
  const Request* said_ = &request_;
  std::unique_ptr<ReplyNames> names_;
  const uint64_t ticks_;
  UpstreamLink& link_;
  const UpstreamCluster* cluster_ = nullptr;  // where it goes
  bool reads_apart_ = false;
  bool placed_ = false;
  bool calls_script_ = false;
  bool passes_others_ = false;    // over a connection where no requests are in front of it
  const uint32_t request_bytes_;  // of its arguments
  bool on_lane_ = false;          // for large values
  uint16_t slot_ = 0;
  StripeIndex stripe_ = kNoStripe;  // what it makes invalid of what is kept of the cluster
};

}  // namespace tidegate
