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
  const bool has_slots = cluster_.options().kind == ClusterKind::kRedisCluster;
  const topology::TopologyError what =
      topology::ParseTopologyError(error.substr(0, error.find('\r')));
  switch (what.kind) {
    case Kind::kMoved:
    case Kind::kAsk:
      return has_slots && Follow(from, request, encoded, what);
    case Kind::kTryAgain:
      return has_slots &&
             WaitAndTryAgain(from, request, encoded, {kTryAgainPauseNanos, kTryAgainMax});
    case Kind::kReadOnly:
      return !has_slots &&
             WaitAndTryAgain(from, request, encoded, {kReadOnlyPauseNanos, kReadOnlyTriesMax});
    case Kind::kLoading:
    case Kind::kMasterDown:
    case Kind::kClusterDown:
      return ReadElsewhere(from, request, encoded, true);
    default:
      return false;
  }
}

bool Redirections::TakeLost(UpstreamConnection& from, UpstreamRequest request,
                            std::string_view encoded, bool was_sent) {
  return request.link != nullptr && request.part() == RequestPart::kWhole &&
         ReadElsewhere(from, request, encoded, was_sent);
}

bool Redirections::Follow(UpstreamConnection& from, UpstreamRequest& request,
                          std::string_view encoded, const topology::TopologyError& where) {
  const topology::NodeAddress address = where.AddressFrom(from.node().address());
  if (where.kind == Kind::kMoved) cluster_.Redirected(where.slot, address);
  if (request.hops >= kRedirectionsMax) return false;
  MarkRedirected(request);
  ++request.hops;
  from.node().counters().redirections.Add(1);
  ConnectionKey key = from.key();
  key.reads_replica = false;
  // A copy: it may go behind itself.
  Send(cluster_.NodeAt(address), key, request, std::string(encoded), where.kind == Kind::kAsk);
  return true;
}

// Its time begins anew there, as that of a redirected one does.
bool Redirections::ReadElsewhere(UpstreamConnection& from, UpstreamRequest& request,
                                 std::string_view encoded, bool was_sent) {
  if (request.retried || request.hops >= kRedirectionsMax || request.command == nullptr ||
      !request.link->reads_apart || request.link->client == nullptr ||
      !IsReadOfReplicas(*request.command))
    return false;
  UpstreamNode* const other = cluster_.ReaderBeside(from.node(), request.slot);
  if (other == nullptr || !from.node().MayRetry()) return false;
  ConnectionKey key = from.key();
  key.reads_replica = other != cluster_.PrimaryOf(request.slot);
  UpstreamConnection& connection = other->ConnectionFor(key);
  UpstreamRequest retry = request;
  ++retry.hops;
  retry.retried = was_sent ? 1 : 0;
  if (!connection.PlaceEncoded(encoded, retry, false)) return false;
  MarkRedirected(request);
  from.node().counters().retries.Add(1);
  return true;
}

void Redirections::Send(UpstreamNode& node, const ConnectionKey& key,
                        const UpstreamRequest& request, std::string_view encoded, bool asking) {
  UpstreamConnection& connection = node.ConnectionFor(key);
  if (connection.PlaceEncoded(encoded, request, asking)) return;
  request.link->Deliver(request, "-" + connection.refusal() + "\r\n");
}

bool Redirections::WaitAndTryAgain(UpstreamConnection& from, UpstreamRequest& request,
                                   std::string_view encoded, const Pauses& pauses) {
  if (request.tries >= pauses.tries_max || from.HasAnother(*request.link, request.slot))
    return false;
  MarkRedirected(request);
  const int64_t due_ns = MonotonicNanos() + (pauses.first_ns << request.tries);
  ++request.tries;
  from.node().counters().redirections.Add(1);
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
    if (UpstreamNode* const node = cluster_.PrimaryOf(waiting.request.slot)) {
      Send(*node, waiting.key, waiting.request, waiting.encoded, false);
    } else {
      waiting.request.link->Deliver(waiting.request, "-" + cluster_.NobodyServes() + "\r\n");
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
