// The part of SessionPrivate that subscribes at upstreams.
#include "base/clock.h"
#include "proxy/server.h"
#include "proxy/session/session_private.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"

namespace tidegate {

// Where one connection hears all that the session subscribes to. In a cluster every node hears what
// is published, except to shard channels; on a ring a channel has its node, and patterns have none.
UpstreamNode* SessionPrivate::SubscriptionNode(const Request& request, UpstreamCluster& cluster,
                                               std::string& refusal) {
  const ClusterKind kind = cluster.options().kind;
  const std::string_view name = request.command->full_name;
  if (kind == ClusterKind::kRing && name == "psubscribe") {
    refusal = "ERR " + cluster.Describe("'psubscribe' is not supported on a ring");
    return nullptr;
  }
  const bool fixed =
      kind == ClusterKind::kRing || (kind == ClusterKind::kRedisCluster && name == "ssubscribe");
  UpstreamNode* node = subscriber_->connected() ? &subscriber_->node() : nullptr;
  for (const std::string_view channel : request.args.subspan(1)) {
    if (!fixed && node != nullptr) break;
    UpstreamNode* const chosen = cluster.ChooseForChannel(channel, refusal);
    if (chosen == nullptr) return nullptr;
    if (node == nullptr) node = chosen;
    if (node == chosen) continue;
    refusal = "ERR channels of one client belong to different nodes";
    return nullptr;
  }
  return node;
}

Session::Step SessionPrivate::Subscribe(const Request& request, UpstreamCluster& cluster) {
  PrivateSubscriber::Audience& audience = *this;
  if (subscriber_ == nullptr) subscriber_ = std::make_unique<PrivateSubscriber>(audience, cluster);
  std::string refusal = cluster.Refusal(session_.client_.db, session_.protocol());
  UpstreamNode* const node =
      refusal.empty() ? SubscriptionNode(request, cluster, refusal) : nullptr;
  if (node != nullptr && subscriber_->connected()) return SendSubscription(request);
  Session::Step step = Session::Step::kStay;
  PrivateConnection* const connection =
      TakeAt(node, request, subscriber_->user(), std::move(refusal), step);
  if (connection != nullptr) {
    subscriber_->Connect(*connection);
    return SendSubscription(request);
  }
  if (private_wait() == State::kNone && subscriber_->over()) subscriber_.reset();
  return step;
}

Session::Step SessionPrivate::SendSubscription(const Request& request) {
  if (!subscriber_->Send(request)) {
    const std::string why = subscriber_->refusal();
    if (subscriber_->over()) subscriber_.reset();
    return Refuse(request, why);
  }
  return Placed(request, Operation::kSubscribe);
}

// As the node said it, but for the protocol of a session that has changed it meanwhile: of a
// message that is the first byte.
void SessionPrivate::OnMessage(std::string_view frame) {
  const char first = session_.protocol() == Protocol::kResp3 ? '>' : '*';
  if (frame.front() == first) return session_.PushMessage(frame);
  std::string changed(frame);
  changed.front() = first;
  session_.PushMessage(changed);
}

void SessionPrivate::OnConfirmed(const SubscriptionConfirmation& confirmation) {
  if (session_.stream_.closing() || session_.closing()) return;
  const Session::Heard heard(session_);
  ReplyWriter& reply = session_.reply_;
  reply.Push(3);
  reply.Bulk(confirmation.word);
  if (confirmation.name) {
    reply.Bulk(*confirmation.name);
  } else {
    reply.Null();
  }
  reply.Integer(confirmation.count);
  session_.worker_.MarkDirty(session_);
}

void SessionPrivate::OnRefused(std::string_view error) {
  session_.CountUpstreamReply({.command = op_command_, .figures = session_.figures_}, 0, error);
  op_command_ = nullptr;
  Write({.unheard = unheard_}, error);
}

void SessionPrivate::OnSettled() {
  if (op_command_ != nullptr)
    session_.CountUpstreamReply({.command = op_command_, .figures = session_.figures_}, 0, "");
  Settle();
}

}  // namespace tidegate
