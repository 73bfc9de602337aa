// The part of Session that follows a change of the routes, and lets go of clusters that are gone.
// Called between two turns: nothing of the session's is being executed.
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_private.h"
#include "proxy/session/session_upstream.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"

namespace tidegate {

void Session::FollowRoutes(bool everything_moved) {
  const bool executes = suspended() || (private_ != nullptr && private_->executes());
  if (transaction_.open() && !executes) PlaceTransactionAnew();
  if (everything_moved && (subscribed() || (private_ != nullptr && private_->subscribes())))
    MoveSubscriptions();
}

// What is queued goes where its keys go now, if that is still one place; else EXEC will refuse it.
void Session::PlaceTransactionAnew() {
  transaction_.ForgetPlacement();
  if (client_.watches.dirty()) return;  // EXEC answers nil
  for (size_t i = 0; i < transaction_.size(); ++i) {
    if (RefusalInTransaction(transaction_.at(i).view()).empty()) continue;
    transaction_.Refuse();
    return;
  }
}

// To where messages are now. A client that cannot be moved, for example because it subscribed to
// the engine, is closed: it would hear nothing any more, and so it subscribes again.
void Session::MoveSubscriptions() {
  UpstreamCluster* const everything = router().everything();
  const bool moved = subscriptions_ == nullptr && everything != nullptr &&
                     private_->MoveSubscriptions(*everything);
  if (!moved) Kill();
}

void Session::LeaveCluster(const UpstreamCluster& cluster, bool late) {
  if (private_ == nullptr) return;
  if (late && private_->SubscribesAt(cluster)) return Kill();
  private_->LeaveCluster(cluster);
}

bool Session::IsInFrontOfCluster() const {
  const UpstreamCluster* const everything = router().everything();
  return everything != nullptr && everything->options().kind == ClusterKind::kRedisCluster;
}

bool Session::HasRequestsUnderWay() const {
  return awaits_upstream() || (private_ != nullptr && private_->executes());
}

bool Session::RefersTo(const UpstreamCluster& cluster) const {
  if (transaction_.open() && transaction_.upstream() == &cluster) return true;
  return private_ != nullptr && private_->RefersTo(cluster);
}

// --- the same for what only few sessions have ---

void SessionPrivate::LeaveCluster(const UpstreamCluster& cluster) {
  if (op_ == Operation::kBlocking) {
    const PrivateConnection* const waits = blocked_ != nullptr ? blocked_ : watch_;
    if (waits != nullptr && &waits->cluster() == &cluster)
      (void)Unblock(ClientState::Unblock::kError);
  } else if (op_ == Operation::kNone && watched() == &cluster) {
    session_.client_.watches.state()->dirty.store(true);
    // Its connection goes back when nothing is in flight there.
    if (!session_.awaits_upstream()) LoseWatch();
  }
}

bool SessionPrivate::RefersTo(const UpstreamCluster& cluster) const {
  if (watched() == &cluster || SubscribesAt(cluster)) return true;
  if (blocked_ != nullptr && &blocked_->cluster() == &cluster) return true;
  return redirecting_ == &cluster && (anew_ || op_ != Operation::kNone);
}

bool SessionPrivate::SubscribesAt(const UpstreamCluster& cluster) const {
  return subscriber_ != nullptr && subscriber_->RefersTo(cluster);
}

bool SessionPrivate::MoveSubscriptions(UpstreamCluster& cluster) {
  return cluster.Refusal(session_.client_.db, session_.protocol()).empty() &&
         subscriber_->MoveTo(cluster);
}

}  // namespace tidegate
