// The part of Session that forwards requests to upstreams, and hands their replies on.
//
// Requests may be in flight at several nodes, of several clusters, at once: as many in all as
// kUpstreamOutstandingMax. Each has a number; the reply of the oldest is written as it comes, one
// that comes before its turn waits in EarlyReplies. Whatever is answered elsewhere, by the engine
// or by this process, waits until none is in flight: that keeps what a client does in the order in
// which it said it with a counter, and costs a pipeline that goes back and forth a round trip at
// each change.
//
// Requests for the same keys must not overtake one another. They do not as long as they go to one
// connection; so when it may be another than before (the topology has changed, a request was
// redirected, reads that replicas may answer follow writes or writes them), the session waits for
// what is in flight.
#include "proxy/session/session_upstream.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "policy/route_policies.h"
#include "proxy/observe/key_observer.h"
#include "proxy/observe/size_roles.h"
#include "proxy/route/forward_rule.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_flights.h"
#include "proxy/session/session_forwarder.h"
#include "proxy/session/session_guards.h"
#include "proxy/session/session_private.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/replica_fanout.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/upstream/worker_upstreams.h"
#include "proxy/worker.h"
#include "storage/errors.h"

namespace tidegate {

SessionForwarder::SessionForwarder(Session& session, const Request& request, uint64_t ticks)
    : session_(session),
      request_(request),
      ticks_(ticks),
      link_(LinkOf(session)),
      request_bytes_(BytesOf(request)),
      on_lane_(link_.lane_requests > 0 || request_bytes_ > kLargeRequestBytes.count) {}

Session::Step SessionForwarder::Forward(UpstreamCluster& cluster) {
  cluster_ = &cluster;
  const bool remembered =
      link_.cluster == &cluster && link_.connection_epoch == placement_epoch() &&
      link_.connection_on_lane == on_lane_ && link_.database == session_.client_.db &&
      link_.protocol == session_.protocol();
  return __builtin_expect(remembered, 1) ? ForwardTo(*link_.connection) : Choose(cluster);
}

// EVAL text numkeys …: with another number Redis does not look at the text.
bool HasItsKeys(const Request& eval) {
  const std::optional<int64_t> keys = ParseInt64(eval.args[2]);
  return keys && *keys >= 0 && static_cast<uint64_t>(*keys) <= eval.args.size() - 3;
}

// Texts are kept when they are sent, not when a node has taken them: a reply tells no session what
// was asked for. What ends a script may not stand behind it in line.
Session::Step SessionForwarder::ForwardScript(UpstreamCluster& cluster) {
  const std::string_view name = request_.command->full_name;
  ScriptTexts& texts = session_.worker_.server().script_texts();
  if (name == "eval" || name == "eval_ro") {
    if (HasItsKeys(request_)) texts.Keep(request_.args[1]);
  } else if (name == "script|load") {
    texts.Keep(request_.args[2]);
  } else if (name == "script|flush") {
    texts.Clear();
  }
  calls_script_ = name.starts_with("evalsha");
  passes_others_ = name.ends_with("|kill") || name == "function|stats";
  cluster_ = &cluster;
  return passes_others_ ? Choose(cluster) : Forward(cluster);
}

Session::Step SessionForwarder::Choose(UpstreamCluster& cluster) {
  const bool watches = session_.private_ != nullptr && session_.private_->watched() == &cluster;
  // Over two connections to one node requests could overtake one another.
  if (watches && cluster.has_several_primaries() && session_.WaitsForUpstream(0))
    return Session::Step::kStay;
  if (cluster.has_several_primaries() && NeedsSplit(cluster)) return ForwardSplit(cluster);
  std::string refusal = RefusalOf(cluster);
  if (!refusal.empty()) return Refuse(refusal);
  if (watches) {
    UpstreamConnection* const pinned = session_.private_->PinnedFor(request_, cluster, refusal);
    if (!refusal.empty()) return Refuse(refusal);
    if (pinned != nullptr) {
      slot_ = request_.keys.empty() ? 0 : request_.keys[0].slot;
      return ForwardTo(*pinned);
    }
  }
  UpstreamCluster::Choice choice = cluster.Choose(request_, session_.id_, refusal);
  WorkerCounter* fanout_figure = nullptr;
  const bool fans_out = session_.guards_ != nullptr && session_.guards_->fanout != nullptr;
  if (__builtin_expect(fans_out, 0) && cluster.fanout() != nullptr)
    fanout_figure = FanOut(cluster, choice, refusal);
  if (choice.node == nullptr || !refusal.empty()) return RefuseDown(refusal);
  reads_apart_ = choice.reads_apart;
  slot_ = choice.slot;
  UpstreamConnection& connection =
      choice.node->ConnectionFor(KeyFor(cluster, choice.reads_replica));
  if (cluster.has_one_node() && !cluster.options().database && !passes_others_)
    Remember(cluster, connection);
  const Session::Step step = ForwardTo(connection);
  if (__builtin_expect(fanout_figure != nullptr, 0) && placed_) fanout_figure->Add(1);
  return step;
}

// A read that the primary answers may be in flight beside writes and beside reads of replicas: it
// is placed as what was before it.
WorkerCounter* SessionForwarder::FanOut(UpstreamCluster& cluster, UpstreamCluster::Choice& choice,
                                        std::string& refusal) {
  const ReplicaFanout::Choice chosen = cluster.fanout()->Choose(
      cluster.GroupNumberOf(choice.slot), request_.keys[0], *session_.guards_->fanout);
  choice.reads_apart = chosen.replica != nullptr || link_.reads_apart;
  if (chosen.replica == nullptr) return chosen.figure;
  choice.node = chosen.replica;
  choice.reads_replica = true;
  refusal.clear();
  return chosen.figure;
}

inline Session::Step SessionForwarder::ForwardTo(UpstreamConnection& connection) {
  if (!MayPlace()) return Session::Step::kStay;
  if (__builtin_expect(names_ != nullptr, 0)) return ForwardNamed(connection);
  if (!connection.Place(request_, Waiting(slot_))) return RefuseDown(connection.refusal());
  ++link_.outstanding;
  Placed();
  return Session::Step::kNext;
}

// What comes next waits until nothing is in flight: it would go elsewhere.
Session::Step SessionForwarder::Join(UpstreamCluster& cluster, JoinedReads& reads,
                                     const JoinedReads::Read& read) {
  cluster_ = &cluster;
  UpstreamRequest waiting = Waiting(request_.keys[0].slot);
  waiting.joined = 1;
  reads.Join(read, waiting);
  ++link_.outstanding;
  ++link_.joined;
  Placed();
  return Session::Step::kNext;
}

Session::Step SessionForwarder::Refuse(std::string_view error) {
  if (session_.WaitsForUpstream(0)) return Session::Step::kStay;
  session_.RefuseWith(request_, error);
  return Session::Step::kNext;
}

Session::Step SessionForwarder::RefuseDown(std::string_view error) {
  if (!HasHook()) return Refuse(error);
  if (session_.WaitsForUpstream(0)) return Session::Step::kStay;
  const std::unique_ptr<ReplyHook> hook = std::move(session_.guards_->hook);
  const std::string refusal = "-" + std::string(error) + "\r\n";
  std::string_view reply = refusal;
  hook->OnReply({.link = &link_, .command = request_.command}, reply);
  if (reply.data() == refusal.data() || request_.keys.empty()) return Refuse(error);
  const Route& route = session_.router().RouteOfKey(request_.keys[0].name);
  Session::Progress progress{.ticks = ticks_, .output_bytes = 0, .late = false};
  return session_.AnswerFromCache(request_, reply, route, progress);
}

UpstreamLink& SessionForwarder::LinkOf(Session& session) {
  if (session.upstream_ == nullptr) {
    session.upstream_ = new UpstreamLink;  // deletes itself when neither side needs it
    session.upstream_->client = &session;
  }
  return *session.upstream_;
}

uint64_t SessionForwarder::placement_epoch() const {
  return session_.worker_.worker_upstreams().placement_epoch;
}

std::string SessionForwarder::RefusalOf(const UpstreamCluster& cluster) const {
  if (cluster.options().database && TouchesOtherDatabases(request_)) {
    return "ERR " + cluster.Describe("'" + request_.command->full_name +
                                     "' is refused: the cluster is one database");
  }
  return cluster.Refusal(session_.client_.db, session_.protocol());
}

ConnectionKey SessionForwarder::KeyFor(const UpstreamCluster& cluster, bool reads_replica) const {
  return {.database = session_.client_.db,
          .protocol = session_.protocol(),
          .reads_replica = reads_replica,
          .large = on_lane_ && !passes_others_,
          .lane = passes_others_ ? cluster.PassingLane() : cluster.LaneOf(session_.id_)};
}

void SessionForwarder::Remember(const UpstreamCluster& cluster, UpstreamConnection& connection) {
  link_.connection = &connection;
  link_.cluster = &cluster;
  link_.connection_epoch = placement_epoch();
  link_.connection_on_lane = on_lane_;
  link_.database = session_.client_.db;
  link_.protocol = session_.protocol();
}

bool SessionForwarder::MayPlace() {
  const bool elsewhere = link_.placement_epoch != placement_epoch() ||
                         link_.reads_apart != reads_apart_ || link_.on_lane != on_lane_ ||
                         (link_.redirected | link_.joined) != 0;
  if (__builtin_expect(elsewhere, 0)) {
    if (session_.WaitsForUpstream(0)) return false;
    link_.placement_epoch = placement_epoch();
    link_.reads_apart = reads_apart_;
    link_.on_lane = on_lane_;
  }
  if (__builtin_expect(session_.early_reply_bytes() > kUnsentOutputBytesMax.count, 0))
    return !session_.WaitsForUpstream(0);
  return !session_.WaitsForUpstream(kUpstreamOutstandingMax - 1);
}

inline bool SessionForwarder::HasHook() const {
  return session_.guards_ != nullptr && session_.guards_->hook != nullptr;
}

UpstreamRequest SessionForwarder::Waiting(uint16_t slot) {
  UpstreamRequest waiting{.link = &link_,
                          .command = request_.command,
                          .begin_ticks = ticks_,
                          .sequence = link_.next_sequence,
                          .slot = slot,
                          .calls_script = calls_script_,
                          .unheard = session_.reply_mode_ != ReplyMode::kOn,
                          .request_bytes = request_bytes_,
                          .figures = session_.figures_};
  if (!said_->keys.empty()) {
    waiting.KeepKey(said_->keys[0].name);
    if (session_.worker_.big_keys() != nullptr) session_.KeepForSize(*said_, *cluster_, waiting);
  }
  if (__builtin_expect(session_.worker_.observer() != nullptr, 1))
    session_.ObserveWaiting(*said_, *cluster_, waiting);
  waiting.has_hook = HasHook();
  if (__builtin_expect(cluster_->cache() != nullptr, 0)) {
    stripe_ = StripeWrittenBy(request_, cluster_->number());
    if (stripe_ != kNoStripe) cluster_->cache()->stripes().Prefetch(stripe_);
    waiting.stripe = stripe_;
  }
  return waiting;
}

void SessionForwarder::BeginWrite() {
  std::vector<StripeIndex> several;
  if (stripe_ == kSeveralStripes) AppendStripesWrittenBy(request_, cluster_->number(), several);
  link_.BeginWrite(cluster_->cache()->stripes(), link_.next_sequence, stripe_, std::move(several));
}

void SessionForwarder::Placed() {
  if (__builtin_expect(stripe_ != kNoStripe, 0)) BeginWrite();
  if (__builtin_expect(session_.guards_ != nullptr, 0)) {
    if (HasHook()) link_.hooks[link_.next_sequence] = std::move(session_.guards_->hook);
    if (link_.unwritten() > kUnansweredOfOne) session_.HastenReads();
  }
  if (session_.worker_.big_keys() != nullptr)
    session_.NoteSizeOfRequest(*said_, *cluster_, request_bytes_);
  if (__builtin_expect(session_.worker_.observer() != nullptr, 1))
    session_.ObserveSent(*said_, *cluster_, link_, link_.next_sequence);
  ++link_.next_sequence;
  if (__builtin_expect(on_lane_, 0) && link_.lane_requests > 0) --link_.lane_requests;
  placed_ = true;
  session_.NoteForwarded(*said_);
}

bool Session::WaitsForUpstream(size_t unwritten_at_most) {
  if (upstream_ == nullptr || upstream_->unwritten() <= unwritten_at_most) return false;
  StopFor(kStopUpstream);
  HastenReads();
  upstream_resume_at_ = static_cast<uint32_t>(unwritten_at_most / 2);
  return true;
}

// Whether what comes next is answered here, without looking at its cluster: an error, a refusal, a
// command that is queued. Such a reply may not overtake those that are awaited.
bool Session::MayBeAnsweredHere(const Request& request) const {
  return request.command == nullptr || !request.command->spec->arity.Accepts(request.args.size()) ||
         worker_.attention() || !authenticated_ || transaction_.open() ||
         (subscribed() && protocol() == Protocol::kResp2);
}

bool Session::IsRefusedInTransaction(const Request& request) {
  if (!router().any_upstreams()) return false;
  const std::string refusal = RefusalInTransaction(request);
  if (refusal.empty()) return false;
  RefuseWith(request, refusal);
  return true;
}

std::optional<Session::Step> Session::Forward(const Request& request, uint64_t ticks) {
  if (__builtin_expect(router().any_acts(), 0)) return ForwardByRoute(request, ticks);
  const Placement placement = router().Place(request);
  figures_ = placement.figures;
  if (__builtin_expect(placement.handling != Placement::Handling::kShared || private_ != nullptr,
                       0)) {
    if (const std::optional<Step> step = ForwardApart(request, placement, ticks)) return step;
  }
  if (placement.upstream == nullptr && placement.refusal.empty()) {
    if (WaitsForUpstream(0)) return Step::kStay;
    return std::nullopt;
  }
  SessionForwarder forwarder(*this, request, ticks);
  return placement.refusal.empty() ? forwarder.Forward(*placement.upstream)
                                   : forwarder.Refuse(placement.refusal);
}

void Session::NoteForwarded(const Request& request) {
  last_command_ = request.command;
  resuming_ = false;
  if (__builtin_expect(worker_.attention(), 0) &&
      (request.command->spec->flags & (kSkipMonitor | kAdmin)) == 0)
    worker_.FeedMonitors(*this, request, redacted_);
  AfterReply();
}

void Session::CountUpstreamReply(const UpstreamRequest& request, uint64_t ticks,
                                 std::string_view reply) {
  const bool failed = !reply.empty() && reply.front() == '-';
  worker_.mutable_counters().commands_processed.Add(1);
  worker_.mutable_command_stats().Record(request.command->id, ticks, failed,
                                         worker_.latency_tracking());
  if (__builtin_expect(worker_.counts_routes(), 1)) {
    worker_.mutable_route_meter().CountReply(request.figures, *request.command, ticks,
                                             worker_.latency_tracking(), reply);
  }
  size_t reply_bytes = reply.size();
  if (reply.empty() && request.link != nullptr)
    reply_bytes = std::exchange(request.link->piece_bytes, 0);
  if (reply_bytes > 0 && request.part() != RequestPart::kUnitPart && !request.unheard)
    worker_.mutable_counters().reply_bytes.Record(reply_bytes);
  if (failed) worker_.server().error_stats().Count(reply.substr(1, reply.find('\r') - 1));
  if (__builtin_expect(ticks >= worker_.slow_ticks(), 0))
    NoteSlowUpstream(request, ticks, reply, reply_bytes);
}

void Session::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  CountUpstreamReply(request, Ticks() - request.begin_ticks, reply);
  if (request.observed_keys != 0) ObserveReply(request, reply);
  if (__builtin_expect(MaySaySize(reply), 0)) NoteSizeOfReply(request, reply, reply.size());
  if (__builtin_expect(request.has_hook, 0)) return OnHookedReply(request, reply);
  WriteUpstreamReply(request.sequence, request.unheard ? std::string_view() : reply);
}

void Session::WriteUpstreamReply(uint32_t sequence, std::string_view reply) {
  UpstreamLink& link = *upstream_;
  if (__builtin_expect(sequence != link.head_sequence, 0)) {
    KeepEarlyReply(sequence, reply);
    return;
  }
  const bool heard = !(stream_.closing() || kill_);
  if (heard) output_.AppendLarge(reply);
  AfterUpstreamReply(heard);
}

void Session::OnHookedReply(const UpstreamRequest& request, std::string_view reply) {
  const auto place = upstream_->hooks.find(request.sequence);
  TG_CHECK(place != upstream_->hooks.end());
  const std::unique_ptr<ReplyHook> hook = std::move(place->second);
  upstream_->hooks.erase(place);
  if (hook->OnReply(request, reply) == ReplyHook::Fate::kHeld) return;
  WriteUpstreamReply(request.sequence, request.unheard ? std::string_view() : reply);
}

void Session::WriteHeld(uint32_t sequence, std::string_view reply) {
  if (upstream_ == nullptr) return;
  WriteUpstreamReply(sequence, reply);
}

inline void Session::AfterUpstreamReply(bool heard) {
  UpstreamLink& link = *upstream_;
  ++link.head_sequence;
  if (__builtin_expect(link.early != nullptr, 0)) WriteEarlyReplies(heard);
  if ((stops_ & kStopUpstream) != 0 && link.unwritten() <= upstream_resume_at_)
    worker_.GoOnAtEndOfTurn(*this);
  if (heard) worker_.MarkDirty(*this);
}

bool Session::OnUpstreamPiece(const UpstreamRequest& request, std::string_view piece, bool last) {
  if (request.sequence != upstream_->head_sequence) return false;
  const bool begins = held_pushes_ == nullptr;
  // Messages of channels come as they come, and many may come meanwhile.
  if (begins && (subscribed() || monitor_ || upstream_->WantsWhole(request))) return false;
  if (begins) held_pushes_ = std::make_unique<std::string>();
  if (begins && request.has_hook) TellHookOfPieces(request, piece);
  if (begins) BeginSizeOfPieces(request, piece);
  if (upstream_->bulk_lengths != nullptr) upstream_->bulk_lengths->Feed(piece);
  const bool heard = !(stream_.closing() || kill_);
  if (heard && !request.unheard) {
    output_.AppendLarge(piece);
    worker_.MarkDirty(*this);
  }
  upstream_->piece_bytes += piece.size();
  if (!last) return true;
  if (request.observed_keys != 0) ObserveAnswer(request, {.bytes = upstream_->piece_bytes});
  NoteSizeOfReply(request, upstream_->reply_head, upstream_->piece_bytes);
  upstream_->bulk_lengths.reset();
  CountUpstreamReply(request, Ticks() - request.begin_ticks, "");
  const std::unique_ptr<std::string> held = std::move(held_pushes_);
  if (heard) output_.AppendLarge(*held);
  AfterUpstreamReply(heard);
  return true;
}

void Session::TellHookOfPieces(const UpstreamRequest& request, std::string_view begin) {
  const auto place = upstream_->hooks.find(request.sequence);
  TG_CHECK(place != upstream_->hooks.end());
  place->second->OnLargeReply(request, begin);
  upstream_->hooks.erase(place);
}

// Nothing can tell the client that the rest of a reply will not come, but the end.
void Session::OnUpstreamCut(const UpstreamRequest& request) {
  CountUpstreamReply(request, Ticks() - request.begin_ticks, "-ERR cut off");
  if (request.observed_keys != 0) ObserveAnswer(request, {.failed = true});
  held_pushes_.reset();
  upstream_->bulk_lengths.reset();
  upstream_->piece_bytes = 0;
  if (!stream_.closing() && !kill_) {
    LogClosing(LogSeverity::kWarning, "is closed: its upstream was lost in the middle of a reply");
    Kill();
  }
  AfterUpstreamReply(false);
}

void Session::HoldPush(std::string_view bytes) {
  held_pushes_->append(bytes);
  if (!OutputWithinLimits(UnixMillis())) Kill();
}

void Session::KeepEarlyReply(uint32_t sequence, std::string_view reply) {
  UpstreamLink& link = *upstream_;
  if (link.early == nullptr) link.early = worker_.worker_upstreams().early_replies.Take();
  link.early->Keep(sequence, reply);
  worker_.client_bytes() += reply.size();
  if (!OutputWithinLimits(UnixMillis())) Kill();
}

// The replies that the one just written was in front of.
void Session::WriteEarlyReplies(bool heard) {
  UpstreamLink& link = *upstream_;
  while (const std::string* reply = link.early->Find(link.head_sequence)) {
    if (heard) output_.AppendLarge(*reply);
    worker_.client_bytes() -= reply->size();
    link.early->Drop(link.head_sequence++);
  }
  if (link.early->empty()) worker_.worker_upstreams().early_replies.Return(std::move(link.early));
}

void Session::EndUpstreamStop() {
  if (stream_.closing()) return;
  const bool goes_on = private_ == nullptr || private_->GoesOn();
  constexpr uint8_t kBoth = kStopUpstream | kStopPrivate;
  if (!goes_on || (stops_ & kBoth) == 0) return;
  stops_ = static_cast<uint8_t>(stops_ & ~kBoth);
  last_interaction_ms_ = UnixMillis();  // it waited for us: it has not been idle
  if (output_.size() > kUnsentOutputBytesMax.count && !OutputHasRoom()) return;
  RunKept();
}

void Session::ForgetUpstreamChoice() {
  if (upstream_ != nullptr) upstream_->cluster = nullptr;
}

SessionPrivate& Session::Private() {
  if (private_ == nullptr) private_ = std::make_unique<SessionPrivate>(*this);
  return *private_;
}

bool Session::SubscribesUpstream() const { return private_ != nullptr && private_->subscribed(); }

bool Session::BlocksUpstream() const { return private_ != nullptr && private_->blocked(); }

std::optional<Session::Step> Session::ForwardApart(const Request& request,
                                                   const Placement& placement, uint64_t ticks,
                                                   std::unique_ptr<ReplyNames> names) {
  if (!placement.refusal.empty()) return std::nullopt;
  if (placement.handling == Placement::Handling::kPrivate) {
    UpstreamCluster* const cluster = PrivateTarget(request, placement);
    if (cluster != nullptr) return Private().Forward(request, *cluster, ticks, std::move(names));
  }
  if (placement.handling == Placement::Handling::kScript && placement.upstream != nullptr)
    return SessionForwarder(*this, request, ticks).ForwardScript(*placement.upstream);
  if (private_ == nullptr || placement.upstream != nullptr) return std::nullopt;
  return private_->Here(request, ticks);
}

// WAIT is about what the session wrote: it goes where the last of its requests went.
UpstreamCluster* Session::PrivateTarget(const Request& request, const Placement& placement) const {
  const std::string_view name = request.command->full_name;
  if (name != "wait" && name != "waitaof") return placement.upstream;
  if (private_ != nullptr && private_->watched() != nullptr) return private_->watched();
  for (const auto& cluster : worker_.upstreams()) {
    if (upstream_ != nullptr && cluster.get() == upstream_->cluster) return cluster.get();
  }
  return placement.upstream;
}

void Session::LeaveUpstream() {
  if (upstream_ == nullptr) return;
  if (upstream_->early != nullptr) {
    worker_.client_bytes() -= upstream_->early->bytes();
    worker_.worker_upstreams().early_replies.Return(std::move(upstream_->early));
  }
  upstream_->Leave();
  upstream_ = nullptr;
}

}  // namespace tidegate
