// SessionPrivate: what one session has at upstreams beside requests that are answered one by one:
// a transaction, watched keys, a blocking command, subscriptions.
//
// Each of these is one operation at a time. The session waits until nothing of it is outstanding,
// the operation is placed, and nothing that follows in its input is looked at until it is through:
// so replies stay in order, and commands too, whatever connection they use.
//
//   EXEC        the queue goes as one unit, MULTI … EXEC, over the session's shared connection, and
//               all replies but the last are dropped; nothing of others can come between them.
//   WATCH       takes a private connection, which is the session's for all requests to that cluster
//               until EXEC, DISCARD, UNWATCH or RESET. If it is lost, the next EXEC answers nil: a
//               client cannot tell that from a key that was changed, and does right: again.
//   BLPOP …     a private connection for the time of the command, closed when the client goes.
//   WAIT        the same, with a PING before it: a node counts what a client waits for from that
//               client's last command, and this one comes after all that the session has got back.
//   SUBSCRIBE   see PrivateSubscriber.
//
// Exists only in sessions that did one of these. Owner: the session's worker.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/session/session.h"
#include "proxy/upstream/private_pool.h"
#include "proxy/upstream/private_subscriber.h"
#include "proxy/upstream/reply_hook.h"
#include "proxy/upstream/reply_names.h"

namespace tidegate {

class SessionPrivate final : private UpstreamClient,
                             private PrivateUser,
                             private PrivateWaiter,
                             private PrivateSubscriber::Audience {
 public:
  explicit SessionPrivate(Session& session);
  ~SessionPrivate();
  SessionPrivate(const SessionPrivate&) = delete;
  SessionPrivate& operator=(const SessionPrivate&) = delete;

  // A request that needs a connection to itself.
  Session::Step Forward(const Request& request, UpstreamCluster& cluster, uint64_t ticks,
                        std::unique_ptr<ReplyNames> names);
  // A request that would be answered by this process, if there were no private state. Nothing: it
  // is all the same.
  std::optional<Session::Step> Here(const Request& request, uint64_t ticks);
  // At the end of a turn: whether the session may go on with its input.
  bool GoesOn();

  // --- WATCH ---
  // Where a request for the cluster goes because of WATCH. Null: not there; or, with a refusal,
  // nowhere.
  UpstreamConnection* PinnedFor(const Request& request, UpstreamCluster& cluster,
                                std::string& refusal);
  // The connection of WATCH is given back; nothing is outstanding there.
  void EndWatch();
  // Whose keys are watched; null: nobody's.
  UpstreamCluster* watched() const {
    return watch_ == nullptr ? nullptr : &watch_->node().cluster();
  }

  // --- a reload has changed the routes ---
  // EXEC is under way.
  bool executes() const { return op_ == Operation::kExec || anew_ || !exec_reply_.empty(); }
  // Of a cluster that is gone: whoever waits there is unblocked, what is watched is lost.
  void LeaveCluster(const UpstreamCluster& cluster);
  bool RefersTo(const UpstreamCluster& cluster) const;
  bool subscribes() const { return subscriber_ != nullptr; }  // or begins to
  bool SubscribesAt(const UpstreamCluster& cluster) const;
  // False: they cannot be had there as they are.
  bool MoveSubscriptions(UpstreamCluster& cluster);

  // --- blocking commands ---
  bool blocked() const { return op_ == Operation::kBlocking; }
  bool Unblock(ClientState::Unblock how);

  // --- subscriptions ---
  bool subscribed() const { return subscriber_ != nullptr && !subscriber_->empty(); }
  size_t count(SubscriptionKind kind) const {
    return subscriber_ == nullptr ? 0 : subscriber_->count(kind);
  }

 private:
  enum class Operation : uint8_t { kNone, kWatch, kBlocking, kExec, kSubscribe };

  // Callbacks: they write output and note things.
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;
  bool OnPrivateFrame(std::string_view /*frame*/) override { return false; }
  void OnPrivateLost(PrivateConnection& connection, std::string_view error) override;
  void OnPrivateTurn() override;
  void OnMessage(std::string_view frame) override;
  void OnConfirmed(const SubscriptionConfirmation& confirmation) override;
  void OnRefused(std::string_view error) override;
  void OnSettled() override;

  Session::Step Watch(const Request& request, UpstreamCluster& cluster, uint64_t ticks);
  Session::Step Block(const Request& request, UpstreamCluster& cluster, uint64_t ticks);
  Session::Step Subscribe(const Request& request, UpstreamCluster& cluster);
  Session::Step SendSubscription(const Request& request);
  Session::Step Exec(const Request& request, UpstreamCluster& cluster, uint64_t ticks);

  // At that node; null: at none, and `refusal` says why. Null: the session waits, or the request
  // was refused; `step` says which.
  PrivateConnection* TakeAt(UpstreamNode* node, const Request& request, PrivateUser& user,
                            std::string refusal, Session::Step& step);
  // At the node of the request's keys.
  PrivateConnection* Take(const Request& request, UpstreamCluster& cluster, Session::Step& step);
  UpstreamNode* SubscriptionNode(const Request& request, UpstreamCluster& cluster,
                                 std::string& refusal);
  UpstreamConnection* ExecConnection(std::span<const Request> unit, UpstreamCluster& cluster,
                                     std::string& refusal);
  // A Redis Cluster may send an operation elsewhere, before it has done anything: then it is begun
  // anew, at the end of the turn or, while its slot is on the way from node to node, after a pause.
  // True: it is.
  bool TakeRedirection(std::string_view error);
  // A node says that the keys are not its any more. What is watched there is lost.
  void LoseWatchElsewhere(const UpstreamRequest& request, std::string_view& reply);
  void KeepForRedirection(const Request& request, UpstreamCluster& cluster);
  void BeginAnew();
  Session::Step Refuse(const Request& request, std::string_view why);
  Session::Step Placed(const Request& request, Operation op);
  UpstreamRequest Waiting(const Request& request, uint64_t ticks) const;
  // Has the watched keys' node the same database and protocol as the session now? Else why not.
  bool PinFits(std::string& refusal) const;
  void Settle();
  void Write(const UpstreamRequest& request, std::string_view reply);

  void TakePartReply(const UpstreamRequest& request, std::string_view reply);
  void EndExec(const UpstreamRequest& request, std::string_view reply);
  // Puts the replies of this process's commands where they belong among those of the node.
  void SpliceExec();
  // EndWatch, and EXEC will answer as if a key had been changed.
  void LoseWatch();
  // Of a Redis Cluster: another node has the watched slot.
  bool WatchHasMoved() const;
  void EndBlocking();
  void AskToUnblock();
  void TakeUnblockReply(std::string_view reply);
  // CLIENT UNBLOCK without the node's help.
  void AnswerUnblocked();

  Session& session_;
  UpstreamLink* link_;
  Operation op_ = Operation::kNone;
  std::unique_ptr<ReplyHook> hook_;       // of the operation: lives as long as it does
  bool unheard_ = false;                  // the operation's command: CLIENT REPLY
  const Command* op_command_ = nullptr;   // of it
  PrivateConnection* watch_ = nullptr;    // since WATCH
  bool watches_ = false;                  // it was confirmed once
  uint16_t watched_slot_ = 0;             // of the first key
  PrivateConnection* blocked_ = nullptr;  // of its own, or null: on that of WATCH
  ClientState::Unblock unblock_ = ClientState::Unblock::kNo;
  int unblock_tries_ = 0;
  bool answer_unblocked_ = false;
  std::unique_ptr<PrivateSubscriber> subscriber_;
  std::unique_ptr<ReplyNames> names_;       // of the blocking command's reply
  std::string exec_reply_;                  // that waits to be spliced
  UpstreamCluster* redirecting_ = nullptr;  // a Redis Cluster: where the operation is; else null
  OwnedRequest kept_;                       // its command
  int redirections_ = 0;
  // What the node said of a command of the transaction: it is elsewhere, so all of it is begun
  // anew; or, with keys watched, EXEC answers as if one had been changed.
  enum class Elsewhere : uint8_t { kNo, kAnew, kWatchLost };
  Elsewhere elsewhere_ = Elsewhere::kNo;
  bool anew_ = false;
  std::unique_ptr<Timer> pause_;  // until it is begun anew; null: there was none yet
  bool pauses_ = false;
  int64_t anew_deadline_ns_ = 0;
  // Which commands of the transaction are the node's, and what turns names in their replies back
  // (null: nothing has to be). The routes may change before its replies come, or while it is
  // redirected.
  std::vector<bool> exec_sent_;
  std::vector<std::unique_ptr<ReplyNames>> exec_names_;
  bool exec_is_spliced_ = false;  // its replies are not handed on as they are
};

// How long a blocking command may wait by its own words, in milliseconds: kNoDeadline for ever, 0
// when it does not wait or will be refused.
int32_t BlockingMillis(const Request& request);

// Whether a reply is the error of a node that does not have the keys, or not all of them.
bool IsElsewhere(std::string_view reply);

}  // namespace tidegate
