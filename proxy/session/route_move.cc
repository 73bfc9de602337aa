#include "proxy/session/route_move.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/server.h"
#include "proxy/upstream/key_moves.h"
#include "proxy/upstream/upstream_client.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/worker.h"
#include "storage/engine.h"

namespace tidegate {
namespace {

// The engine wakes who waits for a slot; these wait a moment instead. No session has the number.
constexpr uint64_t kNoSession = ~uint64_t{0} >> kTicketWorkerBits;
constexpr int64_t kEngineRetryNanos = 1'000'000;

// Replies of the old cluster, by the number of their requests.
constexpr uint32_t kDump = 0;
constexpr uint32_t kTtl = 1;
constexpr uint32_t kOther = 2;

constexpr std::string_view kLost = "-ERR the connection was closed\r\n";

}  // namespace

// One key on its way.
class RouteMove::Move final : private UpstreamClient {
 public:
  Move(RouteMove& owner, int database, const KeyRef& key, uint64_t session_id)
      : owner_(owner),
        session_id_(session_id),
        name_(key.name),
        key_({name_, key.hash, key.slot}),
        link_(new UpstreamLink) {
    link_->client = this;
    client_.db = database;
    client_.ticket = MakeTicket(kNoSession, owner.worker_.index());
  }
  ~Move() {
    link_->Leave();
    if (suspended_) engine().Cancel(owner_.worker_.engine_thread(), client_);
  }
  Move(const Move&) = delete;
  Move& operator=(const Move&) = delete;

  bool over() const { return phase_ == Phase::kOver; }
  // Nobody knows where the key is, or it is still in the old cluster as well.
  void GiveUp() {
    if (phase_ != Phase::kOver && !told_) Fail("ERR the routes have changed");
  }
  void Step() {
    switch (phase_) {
      case Phase::kAsk:
        return Ask();
      case Phase::kRestore:
        return Restore();
      case Phase::kRemove:
        return Remove();
      case Phase::kWait:
      case Phase::kOver:
        return;
    }
  }

 private:
  enum class Phase : uint8_t { kAsk, kRestore, kRemove, kWait, kOver };
  using Words = std::span<const std::string_view>;

  Engine& engine() { return owner_.worker_.server().engine(); }
  KeyMoves& key_moves() { return *owner_.keys_; }
  Request RequestOf(Words words) {
    return {.command = owner_.worker_.server().commands().Find(words[0]),
            .args = words,
            .keys = {&key_, 1}};
  }

  void Ask();
  void Restore();
  void RestoreInEngine(const Request& request);
  void TakeRestored(std::string_view reply);
  void Remove();
  // False: it has to be tried again, after a while.
  bool TakeRemoved(std::string_view reply);
  // False: `refusal` says why not, as an error.
  bool Place(UpstreamCluster& cluster, Words words, uint32_t number, std::string& refusal);
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;
  void TakeAnswers();
  void Fail(std::string_view error);
  void Tell(const std::vector<uint64_t>& tickets, const std::string& error);

  RouteMove& owner_;
  const uint64_t session_id_;
  const std::string name_;
  const KeyRef key_;
  UpstreamLink* link_;  // deletes itself when neither side needs it
  ClientState client_;  // for the engine
  bool suspended_ = false;
  Phase phase_ = Phase::kAsk;
  bool restoring_ = false;  // what is awaited is the reply to RESTORE
  bool told_ = false;       // who waits for the key has been told
  std::string dump_;        // the reply, then the payload alone
  std::string ttl_;         // the reply, then what RESTORE wants
};

bool RouteMove::Move::Place(UpstreamCluster& cluster, Words words, uint32_t number,
                            std::string& refusal) {
  refusal = cluster.Refusal(client_.db, Protocol::kResp2);
  if (!refusal.empty()) return false;
  const Request request = RequestOf(words);
  UpstreamNode* const node = cluster.ChooseWriter(request, session_id_, refusal);
  if (node == nullptr) return false;
  UpstreamConnection& connection = node->ConnectionFor({.database = client_.db,
                                                        .protocol = Protocol::kResp2,
                                                        .reads_replica = false,
                                                        .lane = cluster.BackgroundLane()});
  const UpstreamRequest waiting{.link = link_,
                                .command = request.command,
                                .begin_ticks = Ticks(),
                                .sequence = number,
                                .slot = key_.slot};
  if (!connection.Place(request, waiting)) {
    refusal = connection.refusal();
    return false;
  }
  ++link_->outstanding;
  return true;
}

void RouteMove::Move::Ask() {
  const std::string_view dump[] = {"DUMP", key_.name};
  const std::string_view ttl[] = {"PTTL", key_.name};
  std::string refusal;
  if (!Place(owner_.from_, dump, kDump, refusal) || !Place(owner_.from_, ttl, kTtl, refusal))
    return Fail(refusal);
  phase_ = Phase::kWait;
}

void RouteMove::Move::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  if (phase_ != Phase::kWait) return;
  if (reply.empty()) reply = kLost;
  if (request.sequence == kDump) dump_ = reply;
  if (request.sequence == kTtl) ttl_ = reply;
  if (request.sequence != kOther) {
    if (!dump_.empty() && !ttl_.empty()) TakeAnswers();
  } else if (std::exchange(restoring_, false)) {
    TakeRestored(reply);
  } else if (!TakeRemoved(reply)) {
    return owner_.StepAfter(*this, kMoveRetryNanos);
  }
  if (phase_ != Phase::kWait) owner_.MarkReady(*this);
}

void RouteMove::Move::TakeAnswers() {
  for (const std::string* reply : {&dump_, &ttl_}) {
    if (reply->front() == '-') return Fail(reply->substr(1, reply->find('\r') - 1));
  }
  const auto ttl_ms = ParseInt64(std::string_view(ttl_).substr(1, ttl_.find('\r') - 1));
  const size_t line = dump_.find('\n');
  if (!ttl_ms || dump_.front() != '$' || line == std::string::npos)
    return Fail("ERR what the cluster answers to DUMP and PTTL is not understood");
  if (dump_.starts_with("$-1") || *ttl_ms == -2) {
    owner_.counters_.absent.Add(1);
    phase_ = Phase::kOver;
    return Tell(key_moves().Absent(client_.db, key_), "");
  }
  dump_.erase(dump_.size() - 2);
  dump_.erase(0, line + 1);
  // RESTORE has 0 for no time to live, and PTTL for one that is over in less than a millisecond.
  ttl_ = *ttl_ms < 0 ? "0" : std::to_string(std::max<int64_t>(*ttl_ms, 1));
  phase_ = Phase::kRestore;
}

void RouteMove::Move::Restore() {
  const std::string_view words[] = {"RESTORE", key_.name, ttl_, dump_};
  if (owner_.to_ == nullptr) return RestoreInEngine(RequestOf(words));
  std::string refusal;
  if (!Place(*owner_.to_, words, kOther, refusal)) return Fail(refusal);
  restoring_ = true;
  phase_ = Phase::kWait;
}

// A request that is suspended is tried again after a moment, instead of when it is woken: that is
// rare here, and needs no way of its own through the worker.
void RouteMove::Move::RestoreInEngine(const Request& request) {
  EngineThread& thread = owner_.worker_.engine_thread();
  OutputBuffer out(owner_.worker_.output_blocks());
  ReplyWriter reply(out);
  engine().BeginBatch(thread, UnixMillis());
  const ExecStatus status = engine().Execute(thread, request, client_, reply);
  engine().EndBatch(thread);
  suspended_ = status == ExecStatus::kSuspended;
  if (suspended_) return owner_.StepAfter(*this, kEngineRetryNanos);
  TakeRestored(out.CopyFrom(0));
  if (phase_ != Phase::kRemove) return;
  if (owner_.worker_.server().persistence() == nullptr) return Remove();
  owner_.StepAfter(*this, kMoveRemoveNanos);
}

void RouteMove::Move::TakeRestored(std::string_view reply) {
  const bool superseded = reply.starts_with("-BUSYKEY");
  if (reply.front() == '-' && !superseded) return Fail(reply.substr(1, reply.find('\r') - 1));
  MoveCounters& counters = owner_.counters_;
  if (superseded) {
    counters.superseded.Add(1);
  } else {
    counters.keys.Add(1);
    counters.bytes.Add(dump_.size());
  }
  dump_ = std::string();
  phase_ = Phase::kRemove;
  Tell(key_moves().Restored(client_.db, key_), "");
}

void RouteMove::Move::Remove() {
  const std::string_view words[] = {"UNLINK", key_.name};
  std::string refusal;
  if (Place(owner_.from_, words, kOther, refusal)) {
    phase_ = Phase::kWait;
  } else {
    owner_.counters_.failures.Add(1);
    owner_.StepAfter(*this, kMoveRetryNanos);
  }
}

bool RouteMove::Move::TakeRemoved(std::string_view reply) {
  phase_ = reply.front() == ':' ? Phase::kOver : Phase::kRemove;
  if (over()) {
    key_moves().Removed(client_.db, key_);
    return true;
  }
  log::Warning("move-from: a key of route '" + owner_.route() + "' is still in cluster '" +
               owner_.cluster_name() + "': " + std::string(reply.substr(1, reply.find('\r') - 1)));
  owner_.counters_.failures.Add(1);
  return false;
}

void RouteMove::Move::Fail(std::string_view error) {
  owner_.counters_.failures.Add(1);
  phase_ = Phase::kOver;
  // The code of the error, ERR mostly, stays in front.
  const size_t code = std::min(error.find(' '), error.size());
  const std::string told = std::string(error.substr(0, code)) + " moving the key from cluster '" +
                           owner_.cluster_name() + "':" + std::string(error.substr(code));
  Tell(key_moves().Failed(client_.db, key_), told);
}

void RouteMove::Move::Tell(const std::vector<uint64_t>& tickets, const std::string& error) {
  Worker& here = owner_.worker_;
  told_ = true;
  for (const uint64_t ticket : tickets) {
    if (WorkerOfTicket(ticket) == static_cast<size_t>(here.index())) {
      if (Session* session = here.FindSession(SessionOfTicket(ticket))) session->KeysMoved(error);
      continue;
    }
    here.server().workers()[WorkerOfTicket(ticket)]->Post(
        [id = SessionOfTicket(ticket), error](Worker& worker) {
          if (Session* session = worker.FindSession(id)) session->KeysMoved(error);
        });
  }
}

// --- the route ---

RouteMove::RouteMove(Worker& worker, std::shared_ptr<MoveFigures> figures,
                     std::shared_ptr<KeyMoves> keys, UpstreamCluster& from, UpstreamCluster* to)
    : worker_(worker),
      figures_(std::move(figures)),
      counters_(figures_->counters),
      keys_(std::move(keys)),
      from_(from),
      to_(to),
      timer_(worker.loop(), [this] { TakeDue(); }) {}

RouteMove::~RouteMove() = default;

void RouteMove::GiveUp() {
  if (idle()) return;
  log::Warning("move-from: of route '" + route() + "' " + std::to_string(moves_.size()) +
               " keys were not moved, or stay in cluster '" + cluster_name() + "' as well");
  for (const auto& [move, owned] : moves_) owned->GiveUp();
  ready_.clear();
  paused_.clear();
  timer_.Stop();
  moves_.clear();
}

void RouteMove::Begin(int database, const KeyRef& key, uint64_t session_id) {
  auto move = std::make_unique<Move>(*this, database, key, session_id);
  MarkReady(*move);
  moves_.emplace(move.get(), std::move(move));
}

void RouteMove::Step() {
  std::vector<Move*> ready;
  ready.swap(ready_);
  for (Move* move : ready) {
    move->Step();
    if (move->over()) moves_.erase(move);
  }
}

void RouteMove::StepAfter(Move& move, int64_t nanos) {
  paused_.emplace(MonotonicNanos() + nanos, &move);
  ArmTimer();
}

void RouteMove::ArmTimer() {
  const int64_t wait_ns = std::max<int64_t>(paused_.begin()->first - MonotonicNanos(), 0);
  timer_.StartOnce(static_cast<uint64_t>(wait_ns / 1'000'000) + 1);
}

void RouteMove::TakeDue() {
  const int64_t now_ns = MonotonicNanos();
  while (!paused_.empty() && paused_.begin()->first <= now_ns) {
    MarkReady(*paused_.begin()->second);
    paused_.erase(paused_.begin());
  }
  if (!paused_.empty()) ArmTimer();
}

}  // namespace tidegate
