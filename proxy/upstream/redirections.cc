#include "proxy/upstream/redirections.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"

namespace tidegate {
namespace {

using Kind = topology::TopologyError::Kind;

void MarkRedirected(UpstreamRequest& request) {
  if (!request.redirected()) ++request.link->redirected;
}

}  // namespace

Redirections::Redirections(UpstreamCluster& cluster)
    : cluster_(cluster), timer_(cluster.environment().loop, [this] { TryAgain(); }) {}

Redirections::~Redirections() {
  for (const auto& [due_ns, waiting] : waiting_) waiting.request.link->Deliver(waiting.request, "");
}

bool Redirections::Take(UpstreamConnection& from, UpstreamRequest request, std::string_view encoded,
                        std::string_view error) {
  const topology::TopologyError what =
      topology::ParseTopologyError(error.substr(0, error.find('\r')));
  if (what.kind == Kind::kTryAgain) return WaitAndTryAgain(from, request, encoded);
  if (what.kind != Kind::kMoved && what.kind != Kind::kAsk) return false;
  const topology::NodeAddress address = what.AddressFrom(from.node().address());
  if (what.kind == Kind::kMoved) cluster_.Redirected(what.slot, address);
  if (request.hops >= kRedirectionsMax) return false;
  MarkRedirected(request);
  ++request.hops;
  ConnectionKey key = from.key();
  key.reads_replica = false;
  // A copy: it may go behind itself.
  Send(cluster_.NodeAt(address), key, request, std::string(encoded), what.kind == Kind::kAsk);
  return true;
}

void Redirections::Send(UpstreamNode& node, const ConnectionKey& key,
                        const UpstreamRequest& request, std::string_view encoded, bool asking) {
  UpstreamConnection& connection = node.ConnectionFor(key);
  if (connection.PlaceEncoded(encoded, request, asking)) return;
  request.link->Deliver(request, "-" + connection.refusal() + "\r\n");
}

bool Redirections::WaitAndTryAgain(UpstreamConnection& from, UpstreamRequest& request,
                                   std::string_view encoded) {
  if (request.tries >= kTryAgainMax || from.HasAnother(*request.link, request.slot)) return false;
  MarkRedirected(request);
  const int64_t due_ns = MonotonicNanos() + (kTryAgainPauseNanos << request.tries);
  ++request.tries;
  ConnectionKey key = from.key();
  key.reads_replica = false;
  waiting_.emplace(due_ns, Waiting{request, std::string(encoded), key});
  Arm();
  return true;
}

void Redirections::TryAgain() {
  cluster_.environment().loop.TurnBegins();
  const int64_t now_ns = MonotonicNanos();
  while (!waiting_.empty() && waiting_.begin()->first <= now_ns) {
    const Waiting waiting = std::move(waiting_.extract(waiting_.begin()).mapped());
    if (UpstreamNode* const node = cluster_.PrimaryOfSlot(waiting.request.slot)) {
      Send(*node, waiting.key, waiting.request, waiting.encoded, false);
    } else {
      waiting.request.link->Deliver(waiting.request, "-CLUSTERDOWN Hash slot not served\r\n");
    }
  }
  if (!waiting_.empty()) Arm();
}

void Redirections::EndAll(std::string_view reply) {
  const std::multimap<int64_t, Waiting> waiting = std::exchange(waiting_, {});
  for (const auto& [due_ns, one] : waiting) one.request.link->Deliver(one.request, reply);
}

void Redirections::Arm() {
  const int64_t wait_ns = std::max<int64_t>(waiting_.begin()->first - MonotonicNanos(), 0);
  timer_.StartOnce(static_cast<uint64_t>(wait_ns / 1'000'000) + 1);
}

}  // namespace tidegate
