// The part of Session that forwards requests to upstreams, and hands their replies on.
//
// Replies are written as they come, so a session waits for one connection at a time: as many
// requests as kUpstreamOutstandingMax may be in flight there, and whatever is answered elsewhere
// (by the engine, by this process, by another cluster) waits until none is. That keeps replies in
// order with a counter instead of a queue of slots, and it keeps what a client does in the order
// in which it said it, across clusters too. A pipeline that goes back and forth between clusters
// pays a round trip at each change.
#include <algorithm>
#include <string>

#include "base/clock.h"
#include "proxy/route/forward_rule.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/worker.h"
#include "storage/errors.h"

namespace tidegate {

bool Session::WaitsForUpstream(size_t outstanding_at_most) {
  if (upstream_ == nullptr || upstream_->outstanding <= outstanding_at_most) return false;
  StopFor(kStopUpstream);
  upstream_resume_at_ = static_cast<uint32_t>(outstanding_at_most / 2);
  return true;
}

// Whether what comes next is answered here, without looking at its cluster: an error, a refusal, a
// command that is queued. Such a reply may not overtake those that are awaited.
bool Session::MayBeAnsweredHere(const Request& request) const {
  return request.command == nullptr || !request.command->spec->arity.Accepts(request.args.size()) ||
         worker_.attention() || !authenticated_ || transaction_.open() || subscribed();
}

bool Session::IsRefusedInTransaction(const Request& request) {
  if (!worker_.router().any_upstreams()) return false;
  const Placement placement = worker_.router().Place(request);
  if (placement.upstream == nullptr && placement.refusal.empty()) return false;
  RefuseWith(request, placement.refusal.empty()
                          ? "ERR transactions are not supported on upstream clusters yet"
                          : placement.refusal);
  return true;
}

std::optional<Session::Step> Session::Forward(const Request& request, uint64_t ticks) {
  Placement placement = worker_.router().Place(request);
  UpstreamCluster* const cluster = placement.upstream;
  if (placement.refusal.empty()) {
    if (cluster == nullptr) {
      if (WaitsForUpstream(0)) return Step::kStay;
      return std::nullopt;
    }
    UpstreamConnection* const connection = UpstreamFor(*cluster, placement.refusal);
    if (connection != nullptr && placement.refusal.empty() && cluster->options().database &&
        TouchesOtherDatabases(request)) {
      placement.refusal = "ERR " + cluster->Describe("'" + request.command->full_name +
                                                     "' is refused: the cluster is one database");
    }
    if (placement.refusal.empty()) return ForwardTo(*cluster, *connection, request, ticks);
  }
  if (WaitsForUpstream(0)) return Step::kStay;
  RefuseWith(request, placement.refusal);
  return Step::kNext;
}

// The connection that this session's requests to the cluster go to now; null: none, and why.
UpstreamConnection* Session::UpstreamFor(UpstreamCluster& cluster, std::string& refusal) {
  if (upstream_ == nullptr) {
    upstream_ = new UpstreamLink;  // deletes itself when neither side needs it
    upstream_->client = this;
  }
  UpstreamLink& link = *upstream_;
  if (link.cluster == &cluster && link.database == client_.db && link.protocol == protocol())
    return link.connection;
  refusal = cluster.Refusal(client_.db, protocol());
  if (!refusal.empty()) return nullptr;
  return &cluster.ConnectionFor(client_.db, protocol(), id_);
}

Session::Step Session::ForwardTo(const UpstreamCluster& cluster, UpstreamConnection& connection,
                                 const Request& request, uint64_t ticks) {
  UpstreamLink& link = *upstream_;
  const bool elsewhere = link.connection != &connection;
  if (WaitsForUpstream(elsewhere ? 0 : kUpstreamOutstandingMax)) return Step::kStay;
  if (elsewhere) {
    link.connection = &connection;
    link.cluster = &cluster;
    link.database = client_.db;
    link.protocol = protocol();
  }
  last_command_ = request.command;
  const UpstreamRequest waiting{.link = &link,
                                .command = request.command,
                                .begin_ticks = ticks,
                                .unheard = reply_mode_ != ReplyMode::kOn};
  if (!connection.Place(request, waiting)) {
    if (WaitsForUpstream(0)) return Step::kStay;
    RefuseWith(request, connection.refusal());
    return Step::kNext;
  }
  ++link.outstanding;
  resuming_ = false;
  if (__builtin_expect(worker_.attention(), 0) &&
      (request.command->spec->flags & (kSkipMonitor | kAdmin)) == 0)
    worker_.FeedMonitors(*this, request, redacted_);
  AfterReply();
  return Step::kNext;
}

void Session::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  const bool failed = !reply.empty() && reply.front() == '-';
  worker_.mutable_counters().commands_processed.Add(1);
  worker_.mutable_command_stats().Record(request.command->id, Ticks() - request.begin_ticks, failed,
                                         worker_.latency_tracking());
  if (failed) worker_.server().error_stats().Count(reply.substr(1, reply.find('\r') - 1));
  if ((stops_ & kStopUpstream) != 0 && upstream_->outstanding <= upstream_resume_at_)
    worker_.GoOnAtEndOfTurn(*this);
  if (stream_.closing() || kill_) return;
  if (!request.unheard) output_.AppendLarge(reply);
  worker_.MarkDirty(*this);
}

void Session::EndUpstreamStop() {
  if ((stops_ & kStopUpstream) == 0 || stream_.closing()) return;
  stops_ = static_cast<uint8_t>(stops_ & ~kStopUpstream);
  last_interaction_ms_ = UnixMillis();  // it waited for us: it has not been idle
  if (output_.size() > kUnsentOutputBytesMax.count && !OutputHasRoom()) return;
  RunKept();
}

void Session::LeaveUpstream() {
  if (upstream_ == nullptr) return;
  upstream_->Leave();
  upstream_ = nullptr;
}

}  // namespace tidegate
