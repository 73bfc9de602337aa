#include "proxy/session/session_private.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "base/text.h"
#include "proxy/server.h"
#include "proxy/session/session_guards.h"
#include "proxy/session/session_upstream.h"
#include "proxy/topology/redirect.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/redirections.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"
#include "storage/errors.h"

namespace tidegate {
namespace {

using Kind = topology::TopologyError::Kind;

// What a client is told when its slot was on the way for longer than a request may take.
constexpr std::string_view kSlotMoves =
    "-TRYAGAIN the keys are on their way from one node to another\r\n";

// A slot with many keys takes seconds to move.
constexpr uint64_t kMovingSlotPauseMillis = 10;

constexpr std::string_view kUnblockedError = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

// Times that a node is asked to unblock a client that it says is not blocked: the command may still
// be on its way there, or its reply on the way back.
constexpr int kUnblockTriesMax = 3;

int32_t ClampMillis(double milliseconds) {
  if (!(milliseconds >= 0)) return 0;  // the node refuses it
  if (milliseconds == 0) return kNoDeadline;
  if (milliseconds >= std::numeric_limits<int32_t>::max()) return kNoDeadline;
  return static_cast<int32_t>(std::ceil(milliseconds));
}

bool IsWait(const Request& request) {
  const std::string_view name = request.command->full_name;
  return name == "wait" || name == "waitaof";
}

topology::TopologyError TopologyErrorOf(std::string_view reply) {
  return topology::ParseTopologyError(reply.substr(0, reply.find('\r')));
}

}  // namespace

bool IsElsewhere(std::string_view reply) {
  if (!reply.starts_with('-')) return false;
  const Kind kind = TopologyErrorOf(reply).kind;
  return kind == Kind::kMoved || kind == Kind::kAsk || kind == Kind::kTryAgain ||
         kind == Kind::kRedirect;
}

int32_t BlockingMillis(const Request& request) {
  const std::string_view name = request.command->full_name;
  const auto& args = request.args;
  std::optional<double> milliseconds;
  if (request.command->spec->group == Group::kStream) {
    for (size_t i = 1; i + 1 < args.size() && !EqualsIgnoreCase(args[i], "streams"); ++i) {
      if (EqualsIgnoreCase(args[i], "block")) milliseconds = ParseDouble(args[i + 1]);
    }
  } else if (name == "wait") {
    milliseconds = ParseDouble(args[2]);
  } else if (name == "waitaof") {
    milliseconds = ParseDouble(args[3]);
  } else {
    const bool first = name == "blmpop" || name == "bzmpop";
    milliseconds = ParseDouble(first ? args[1] : args.back());
    if (milliseconds) *milliseconds *= 1000;
  }
  return milliseconds ? ClampMillis(*milliseconds) : 0;
}

SessionPrivate::SessionPrivate(Session& session) : session_(session), link_(new UpstreamLink) {
  link_->client = this;  // the link deletes itself when neither side needs it
}

SessionPrivate::~SessionPrivate() {
  PrivatePool::Leave(*this);
  link_->Leave();
  if (op_ == Operation::kBlocking)
    session_.worker_.mutable_counters().sessions_suspended.Subtract(1);
  // Closed, not given back: nothing may be popped for a client that is gone.
  if (blocked_ != nullptr) blocked_->pool().Discard(*blocked_);
  if (watch_ != nullptr) watch_->pool().Discard(*watch_);
}

Session::Step SessionPrivate::Forward(const Request& request, UpstreamCluster& cluster,
                                      uint64_t ticks, std::unique_ptr<ReplyNames> names) {
  names_ = std::move(names);
  const Group group = request.command->spec->group;
  if (session_.WaitsForUpstream(0)) return Session::Step::kStay;
  if (group == Group::kTransactions && session_.transaction_.open()) {
    // An error, and as in Redis none that ends the transaction.
    session_.reply_.Error("ERR WATCH inside MULTI is not allowed");
    session_.AfterReply();
    return Session::Step::kNext;
  }
  if (group == Group::kTransactions) return Watch(request, cluster, ticks);
  if (group == Group::kPubSub) return Subscribe(request, cluster);
  return Block(request, cluster, ticks);
}

std::optional<Session::Step> SessionPrivate::Here(const Request& request, uint64_t ticks) {
  if (session_.WaitsForUpstream(0)) return Session::Step::kStay;
  const std::string_view name = request.command->full_name;
  if (subscriber_ != nullptr && request.command->spec->group == Group::kPubSub &&
      name.ends_with("unsubscribe"))
    return SendSubscription(request);
  if (request.command->spec->group != Group::kTransactions) return std::nullopt;
  const TransactionQueue& transaction = session_.transaction_;
  if (name == "watch" && watch_ != nullptr && !transaction.open())
    return Refuse(request, "ERR watched keys belong to different clusters");
  if (name == "exec" && transaction.open() && WatchHasMoved()) LoseWatch();
  if (name == "exec" && transaction.open() && !transaction.refused() &&
      !session_.client_.watches.dirty()) {
    UpstreamCluster* const cluster =
        transaction.upstream() != nullptr ? transaction.upstream() : watched();
    if (cluster != nullptr) return Exec(request, *cluster, ticks);
  }
  const bool ends =
      name == "unwatch" || (transaction.open() && (name == "discard" || name == "exec"));
  if (ends) EndWatch();
  return std::nullopt;
}

bool SessionPrivate::GoesOn() {
  if (anew_ && !pauses_ && op_ == Operation::kNone && private_wait() != State::kWaiting)
    BeginAnew();
  if (answer_unblocked_) AnswerUnblocked();
  if (!exec_reply_.empty()) SpliceExec();
  if (subscriber_ != nullptr && subscriber_->over() && private_wait() == State::kNone)
    subscriber_.reset();
  return op_ == Operation::kNone && !anew_ && private_wait() != State::kWaiting;
}

PrivateConnection* SessionPrivate::Take(const Request& request, UpstreamCluster& cluster,
                                        Session::Step& step) {
  std::string refusal = cluster.Refusal(session_.client_.db, session_.protocol());
  UpstreamNode* const node =
      refusal.empty() ? cluster.ChooseWriter(request, session_.id_, refusal) : nullptr;
  return TakeAt(node, request, *this, std::move(refusal), step);
}

PrivateConnection* SessionPrivate::TakeAt(UpstreamNode* node, const Request& request,
                                          PrivateUser& user, std::string refusal,
                                          Session::Step& step) {
  PrivateConnection* connection = nullptr;
  if (node != nullptr) {
    connection =
        node->private_pool().Take(*this, user, session_.client_.db, session_.protocol(), refusal);
  }
  if (connection != nullptr) return connection;
  if (refusal.empty()) {
    session_.StopFor(Session::kStopPrivate);
    step = Session::Step::kStay;
  } else {
    PrivatePool::Leave(*this);
    step = Refuse(request, refusal);
  }
  return nullptr;
}

Session::Step SessionPrivate::Refuse(const Request& request, std::string_view why) {
  session_.RefuseWith(request, why);
  return Session::Step::kNext;
}

UpstreamRequest SessionPrivate::Waiting(const Request& request, uint64_t ticks) const {
  const bool unheard = anew_ ? unheard_ : session_.reply_mode_ != ReplyMode::kOn;
  UpstreamRequest waiting{.link = link_,
                          .command = request.command,
                          .begin_ticks = ticks,
                          .is_private = 1,
                          .unheard = unheard};
  waiting.request_bytes = BytesOf(request);
  waiting.figures = session_.figures_;
  if (!request.keys.empty()) waiting.KeepKey(request.keys[0].name);
  return waiting;
}

// The request was taken: the session waits for the end of the operation.
Session::Step SessionPrivate::Placed(const Request& request, Operation op) {
  op_ = op;
  op_command_ = request.command;
  session_.StopFor(Session::kStopPrivate);
  if (!anew_) {
    hook_ = session_.guards_ == nullptr ? nullptr : std::move(session_.guards_->hook);
    unheard_ = session_.reply_mode_ != ReplyMode::kOn;
    session_.NoteForwarded(request);
  }
  return Session::Step::kLast;
}

// The operation is through, or it is the session's turn in a line.
void SessionPrivate::Settle() {
  op_ = Operation::kNone;
  if (!anew_) hook_.reset();
  session_.worker_.GoOnAtEndOfTurn(session_);
}

void SessionPrivate::OnPrivateTurn() { session_.worker_.GoOnAtEndOfTurn(session_); }

void SessionPrivate::Write(const UpstreamRequest& request, std::string_view reply) {
  if (session_.stream_.closing() || session_.kill_) return;
  if (!request.unheard) session_.output_.AppendLarge(reply);
  session_.worker_.MarkDirty(session_);
}

// --- WATCH ---

Session::Step SessionPrivate::Watch(const Request& request, UpstreamCluster& cluster,
                                    uint64_t ticks) {
  if ((watch_ != nullptr && watched() != &cluster) || !session_.client_.watches.keys().empty())
    return Refuse(request, "ERR watched keys belong to different clusters");
  if (WatchHasMoved()) {
    LoseWatch();
    session_.reply_.SimpleString("OK");
    session_.AfterReply();
    return Session::Step::kNext;
  }
  std::string refusal;
  if (watch_ != nullptr && PinnedFor(request, cluster, refusal) == nullptr)
    return Refuse(request,
                  refusal.empty() ? "ERR watched keys belong to different nodes" : refusal);
  if (watch_ == nullptr) {
    Session::Step step = Session::Step::kStay;
    watch_ = Take(request, cluster, step);
    if (watch_ == nullptr) return step;
    watches_ = false;
    watched_slot_ = request.keys[0].slot;
    session_.ForgetUpstreamChoice();
  }
  if (!watch_->connection().Place(request, Waiting(request, ticks))) {
    const std::string why = watch_->connection().refusal();
    if (!watches_) EndWatch();
    return Refuse(request, why);
  }
  ++link_->outstanding;
  KeepForRedirection(request, cluster);
  return Placed(request, Operation::kWatch);
}

bool SessionPrivate::WatchHasMoved() const {
  return watch_ != nullptr && watched()->options().kind == ClusterKind::kRedisCluster &&
         watched()->PrimaryOf(watched_slot_) != &watch_->node();
}

bool SessionPrivate::PinFits(std::string& refusal) const {
  if (watch_->database() == session_.client_.db && watch_->protocol() == session_.protocol())
    return true;
  refusal = "ERR " + watch_->node().Describe(
                         "keys are watched there: until EXEC, DISCARD or UNWATCH it cannot be used "
                         "in another database or protocol");
  return false;
}

// Of the clusters whose keys have different nodes, only that node's.
UpstreamConnection* SessionPrivate::PinnedFor(const Request& request, UpstreamCluster& cluster,
                                              std::string& refusal) {
  if (watch_ == nullptr || watched() != &cluster) return nullptr;
  const ClusterKind kind = cluster.options().kind;
  if (kind == ClusterKind::kRedisCluster || kind == ClusterKind::kRing) {
    std::string nowhere;
    if (cluster.ChooseWriter(request, session_.id_, nowhere) != &watch_->node()) return nullptr;
  }
  return PinFits(refusal) ? &watch_->connection() : nullptr;
}

void SessionPrivate::EndWatch() {
  if (watch_ == nullptr) return;
  PrivateConnection& connection = *std::exchange(watch_, nullptr);
  session_.ForgetUpstreamChoice();
  if (connection.reusable() && std::exchange(watches_, false)) connection.Say({"UNWATCH"});
  connection.pool().Release(connection);
}

void SessionPrivate::OnPrivateLost(PrivateConnection& connection, std::string_view /*error*/) {
  if (&connection == watch_) LoseWatch();
}

void SessionPrivate::LoseWatch() {
  // Whether keys were changed meanwhile nobody can tell.
  session_.client_.watches.state()->dirty.store(true);
  EndWatch();
}

// --- blocking commands ---

Session::Step SessionPrivate::Block(const Request& request, UpstreamCluster& cluster,
                                    uint64_t ticks) {
  std::string refusal;
  UpstreamConnection* connection = PinnedFor(request, cluster, refusal);
  if (!refusal.empty()) return Refuse(request, refusal);
  if (connection == nullptr) {
    Session::Step step = Session::Step::kStay;
    blocked_ = Take(request, cluster, step);
    if (blocked_ == nullptr) return step;
    if (IsWait(request)) blocked_->Say({"PING"});
    connection = &blocked_->connection();
  }
  connection->set_patience(BlockingMillis(request));
  UpstreamRequest waiting = Waiting(request, ticks);
  session_.ObserveWaiting(request, cluster, waiting);
  if (cluster.cache() != nullptr) waiting.stripe = StripeWrittenBy(request, cluster.number());
  if (!connection->Place(request, waiting)) {
    const std::string why = connection->refusal();
    EndBlocking();
    return Refuse(request, why);
  }
  ++link_->outstanding;
  if (waiting.stripe != kNoStripe) {
    std::vector<StripeIndex> several;
    if (waiting.stripe == kSeveralStripes)
      AppendStripesWrittenBy(request, cluster.number(), several);
    link_->BeginWrite(cluster.cache()->stripes(), waiting.sequence, waiting.stripe,
                      std::move(several));
  }
  if (!anew_) session_.ObserveSent(request, cluster, *link_, waiting.sequence);
  KeepForRedirection(request, cluster);
  unblock_ = ClientState::Unblock::kNo;
  session_.worker_.mutable_counters().sessions_suspended.Add(1);
  return Placed(request, Operation::kBlocking);
}

void SessionPrivate::EndBlocking() {
  if (blocked_ == nullptr) return;
  PrivateConnection& connection = *std::exchange(blocked_, nullptr);
  // A CLIENT UNBLOCK may still be on its way: it shall not meet the next one.
  if (unblock_ != ClientState::Unblock::kNo) connection.Spoil();
  connection.pool().Release(connection);
}

bool SessionPrivate::Unblock(ClientState::Unblock how) {
  if (!blocked() || unblock_ != ClientState::Unblock::kNo || session_.closing()) return false;
  unblock_ = how;
  unblock_tries_ = 0;
  AskToUnblock();
  return true;
}

// The node itself ends the wait: whatever it popped before comes as the reply, and nothing is lost.
void SessionPrivate::AskToUnblock() {
  UpstreamConnection& waits = blocked_ != nullptr ? blocked_->connection() : watch_->connection();
  const Command* const client = session_.worker_.server().commands().Find("client");
  const std::string id = std::to_string(waits.node_client_id());
  const std::string_view args[] = {"CLIENT", "UNBLOCK", id,
                                   unblock_ == ClientState::Unblock::kError ? "ERROR" : "TIMEOUT"};
  const Request request{.command = client, .args = args, .keys = {}};
  UpstreamConnection& shared = waits.node().ConnectionFor(
      {.database = session_.client_.db, .protocol = session_.protocol()});
  UpstreamRequest waiting = Waiting(request, Ticks());
  waiting.set_part(RequestPart::kAside);
  ++unblock_tries_;
  if (waits.ready() && waits.node_client_id() != 0 && shared.Place(request, waiting)) {
    ++link_->outstanding;
    return;
  }
  answer_unblocked_ = true;
  session_.worker_.GoOnAtEndOfTurn(session_);
}

void SessionPrivate::TakeUnblockReply(std::string_view reply) {
  if (!blocked() || unblock_ == ClientState::Unblock::kNo || reply == ":1\r\n") return;
  const bool again = reply == ":0\r\n" && unblock_tries_ < kUnblockTriesMax;
  if (!again) answer_unblocked_ = true;
  // Not in here: this is a callback of the connection that it would use.
  session_.worker_.GoOnAtEndOfTurn(session_);
}

void SessionPrivate::AnswerUnblocked() {
  answer_unblocked_ = false;
  if (!blocked()) return;
  const bool unheard = unheard_;
  op_ = Operation::kNone;
  session_.worker_.mutable_counters().sessions_suspended.Subtract(1);
  if (blocked_ != nullptr) {
    PrivateConnection& connection = *std::exchange(blocked_, nullptr);
    connection.pool().Discard(connection);
  } else if (watch_ != nullptr) {
    // What was watched is lost with the connection.
    session_.client_.watches.state()->dirty.store(true);
    PrivateConnection& connection = *std::exchange(watch_, nullptr);
    session_.ForgetUpstreamChoice();
    connection.pool().Discard(connection);
  }
  if (unheard) return;
  if (unblock_ == ClientState::Unblock::kError) {
    session_.reply_.Error(kUnblockedError);
  } else if (op_command_->full_name == "wait") {
    session_.reply_.Integer(0);
  } else {
    session_.reply_.NullArray();
  }
  session_.worker_.MarkDirty(session_);
}

// --- replies ---

void SessionPrivate::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  switch (request.part()) {
    case RequestPart::kAside:
      return TakeUnblockReply(reply);
    case RequestPart::kUnitPart:
      return TakePartReply(request, reply);
    case RequestPart::kUnitEnd:
      return EndExec(request, reply);
    case RequestPart::kWhole:
      break;
  }
  if (op_ == Operation::kNone || reply.empty()) return;  // it was answered otherwise
  // What a client waits for by its own wish is no time of ours.
  const bool blocks = op_ == Operation::kBlocking;
  const uint64_t ticks = blocks ? 0 : Ticks() - request.begin_ticks;
  const bool failed = reply.front() == '-';
  if (blocks) {
    session_.worker_.mutable_counters().sessions_suspended.Subtract(1);
    EndBlocking();
  } else if (!failed) {
    watches_ = true;
  } else if (!watches_) {
    EndWatch();
  }
  if (failed && watch_ != nullptr) LoseWatchElsewhere(request, reply);
  if (failed && watch_ == nullptr && TakeRedirection(reply)) return Settle();
  // It names a node, of which clients know nothing.
  if (failed && reply.starts_with("-ASK ")) reply = kSlotMoves;
  session_.CountUpstreamReply(request, ticks, reply);
  if (request.observed_keys != 0) session_.ObserveReply(request, reply);
  if (names_ != nullptr) {
    Write(request, names_->Restore(reply, session_.protocol()));
    names_.reset();
  } else {
    Write(request, reply);
  }
  Settle();
}

// --- redirections ---

void SessionPrivate::KeepForRedirection(const Request& request, UpstreamCluster& cluster) {
  if (anew_) return;
  redirecting_ = nullptr;
  if (cluster.options().kind != ClusterKind::kRedisCluster) return;
  redirecting_ = &cluster;
  redirections_ = 0;
  anew_deadline_ns_ =
      MonotonicNanos() + std::chrono::nanoseconds(cluster.options().request_timeout).count();
  kept_ = OwnedRequest(request);
}

bool SessionPrivate::TakeRedirection(std::string_view error) {
  if (redirecting_ == nullptr || session_.closing()) return false;
  const topology::TopologyError redirect = TopologyErrorOf(error);
  if (redirect.kind == Kind::kMoved) {
    if (redirections_ >= kRedirectionsMax || redirect.host.empty()) return false;
    ++redirections_;
    redirecting_->Redirected(redirect.slot, {std::string(redirect.host), redirect.port});
  } else if (redirect.kind == Kind::kAsk || redirect.kind == Kind::kTryAgain) {
    // ASKING is for one command alone, and no transaction; in a while the slot has one owner.
    if (MonotonicNanos() >= anew_deadline_ns_) return false;
    if (pause_ == nullptr) {
      pause_ = std::make_unique<Timer>(session_.worker_.loop(), [this] {
        pauses_ = false;
        session_.worker_.GoOnAtEndOfTurn(session_);
      });
    }
    pauses_ = true;
    pause_->StartOnce(kMovingSlotPauseMillis);
  } else {
    return false;
  }
  anew_ = true;
  return true;
}

void SessionPrivate::LoseWatchElsewhere(const UpstreamRequest& request, std::string_view& reply) {
  if (!IsElsewhere(reply)) return;
  LoseWatch();
  if (request.command->full_name == "watch") reply = "+OK\r\n";
}

// The session has consumed the command, so it waits here, in line too, until the command is placed
// again or refused.
void SessionPrivate::BeginAnew() {
  const Request request = kept_.view();
  UpstreamCluster& cluster = *redirecting_;
  const uint64_t ticks = Ticks();
  const std::string_view name = request.command->full_name;
  // CLIENT REPLY has gone on since the command came.
  if (unheard_) session_.reply_.Retarget(session_.worker_.discarded_output());
  const Session::Step step = name == "exec"    ? Exec(request, cluster, ticks)
                             : name == "watch" ? Watch(request, cluster, ticks)
                                               : Block(request, cluster, ticks);
  session_.RetargetReply();
  if (step != Session::Step::kStay) anew_ = false;
  if (step == Session::Step::kNext) hook_.reset();
}

}  // namespace tidegate
