// The part of SessionPrivate that executes transactions at upstreams.
//
// Commands of this process (PING, CLIENT SETNAME …) may be among the queued ones. They are not
// sent: when the node's replies have come, they are executed and theirs put where they belong. That
// they run behind the others nobody can tell, because those that could be told apart (SELECT,
// HELLO, what subscribes, what asks other workers) are refused when they are to be queued.
#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "proxy/route/forward_rule.h"
#include "proxy/route/rewritten_request.h"
#include "proxy/route/router.h"
#include "proxy/route/split_rule.h"
#include "proxy/server.h"
#include "proxy/session/session_private.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/reply_framer.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

constexpr std::string_view kMixed = "ERR keys of one transaction belong to different clusters";

bool IsOfProcess(const Request& request) { return request.command->spec->scope == Scope::kProcess; }

// What a transaction at an upstream cannot have among its commands.
bool IsForeignToUpstream(const Request& request) {
  const std::string_view name = request.command->full_name;
  const bool subscribes =
      request.command->spec->group == Group::kPubSub && name.ends_with("subscribe");
  return subscribes || name == "select" || name == "hello" ||
         (request.command->spec->flags & kMaySuspend) != 0;
}

std::string NotThere(std::string_view name) {
  return "ERR '" + std::string(name) + "' is not supported in a transaction on an upstream cluster";
}

// Of what is queued and not sent to an upstream, or cannot be; `decided`: where the transaction is.
std::string RefusalBeside(TransactionQueue& transaction, const Request& request,
                          const UpstreamCluster* cluster, const UpstreamCluster* decided) {
  if (cluster == nullptr && !IsOfProcess(request)) {
    if (decided != nullptr) return std::string(kMixed);
    transaction.NoteEngine();
  } else if (IsForeignToUpstream(request)) {
    if (decided != nullptr || cluster != nullptr) return NotThere(request.command->full_name);
    transaction.NoteForeign(*request.command);
  }
  return "";
}

// Of the nodes of a cluster.
bool MayGoAnywhere(const UpstreamCluster& cluster, const Request& request) {
  if (!request.keys.empty()) return false;
  const bool is_heard_everywhere = cluster.options().kind == ClusterKind::kRedisCluster &&
                                   request.command->full_name == "publish";
  return is_heard_everywhere || MeansAnyNode(request);
}

// Scripts that a transaction calls by their SHA1, where several nodes are one server for a client:
// it may have loaded them at another one, and a unit cannot be sent again. So the first call of
// each goes with the text, if that is known. Lives until the unit is placed.
class ScriptsOfUnit final {
 public:
  explicit ScriptsOfUnit(ScriptTexts& texts) : texts_(texts) {}

  Request WithText(const Request& request) {
    const std::string_view name = request.command->full_name;
    if (name != "evalsha" && name != "evalsha_ro") return request;
    std::shared_ptr<const std::string> text = texts_.Find(request.args[1]);
    if (text == nullptr || !called_.insert(ToLowerAscii(request.args[1])).second) return request;
    Call& call = calls_.emplace_back();
    call.text = std::move(text);
    call.args.assign(request.args.begin(), request.args.end());
    call.args[0] = name == "evalsha" ? "EVAL" : "EVAL_RO";
    call.args[1] = *call.text;
    return {.command = request.command, .args = call.args, .keys = request.keys};
  }

 private:
  struct Call {
    std::shared_ptr<const std::string> text;
    std::vector<std::string_view> args;
  };

  ScriptTexts& texts_;
  std::set<std::string> called_;
  std::deque<Call> calls_;
};

// What the commands between MULTI and EXEC write, where replies are kept.
std::vector<StripeIndex> StripesOfUnit(std::span<const Request> unit,
                                       const UpstreamCluster& cluster) {
  std::vector<StripeIndex> written;
  if (cluster.cache() == nullptr) return written;
  for (const Request& request : unit.subspan(1, unit.size() - 2))
    AppendStripesWrittenBy(request, cluster.number(), written);
  return written;
}

}  // namespace

// Why the request cannot be queued; empty: it can.
std::string Session::RefusalInTransaction(const Request& request) {
  const Placement placement = router().Place(request);
  if (!placement.refusal.empty()) return placement.refusal;
  if (std::string refusal = RefusalWhileMoving(request); !refusal.empty()) return refusal;
  const bool watches = private_ != nullptr && !client_.watches.dirty();
  UpstreamCluster* const watched = watches ? private_->watched() : nullptr;
  UpstreamCluster* const decided =
      transaction_.upstream() != nullptr ? transaction_.upstream() : watched;
  UpstreamCluster* const cluster = placement.upstream;
  if (cluster == nullptr || IsForeignToUpstream(request))
    return RefusalBeside(transaction_, request, cluster, decided);
  if (transaction_.engine() || !client_.watches.keys().empty() ||
      (decided != nullptr && decided != cluster))
    return std::string(kMixed);
  if (transaction_.foreign() != nullptr) return NotThere(transaction_.foreign()->full_name);
  std::string refusal = cluster->Refusal(client_.db, protocol());
  if (!refusal.empty()) return refusal;
  if (cluster->options().database && TouchesOtherDatabases(request)) {
    return "ERR " + cluster->Describe("'" + request.command->full_name +
                                      "' is refused: the cluster is one database");
  }
  const RewrittenRequest sent(router(), request);
  if (!sent.refusal().empty()) return sent.refusal();
  if (cluster->has_several_primaries() && request.keys.empty() && SplitByNodes(request)) {
    return "ERR '" + request.command->full_name +
           "' is not supported in a transaction on a cluster of several nodes";
  }
  if (cluster->options().kind == ClusterKind::kRedisCluster && !transaction_.FitsSlot(sent.view()))
    return "CROSSSLOT Keys in request don't hash to the same slot";
  (void)Private();
  transaction_.set_upstream(*cluster);
  return "";
}

// Where the transaction goes: all its keys are one node's, and that of the watched keys. `unit`:
// its commands, with MULTI in front and EXEC behind.
UpstreamConnection* SessionPrivate::ExecConnection(std::span<const Request> unit,
                                                   UpstreamCluster& cluster, std::string& refusal) {
  UpstreamNode* node = watched() == &cluster ? &watch_->node() : nullptr;
  const bool several = !cluster.has_one_node();
  // Those with keys say where; what has none goes there too, or where it would go alone.
  std::vector<Request> requests(unit.begin() + 1, unit.end() - 1);
  std::stable_partition(requests.begin(), requests.end(),
                        [](const Request& queued) { return !queued.keys.empty(); });
  for (const Request& queued : requests) {
    if (node != nullptr && (!several || MayGoAnywhere(cluster, queued))) continue;
    UpstreamNode* const chosen = cluster.ChooseWriter(queued, session_.id_, refusal);
    if (chosen == nullptr) return nullptr;
    if (node == nullptr) node = chosen;
    if (node == chosen) continue;
    refusal = "ERR keys of one transaction belong to different nodes";
    return nullptr;
  }
  if (node == nullptr) node = cluster.ChooseWriter(unit.back(), session_.id_, refusal);
  if (node == nullptr) return nullptr;
  if (watch_ != nullptr) return PinFits(refusal) ? &watch_->connection() : nullptr;
  return &node->ConnectionFor({.database = session_.client_.db,
                               .protocol = session_.protocol(),
                               .reads_replica = false,
                               .lane = cluster.LaneOf(session_.id_)});
}

Session::Step SessionPrivate::Exec(const Request& request, UpstreamCluster& cluster,
                                   uint64_t ticks) {
  static constexpr std::string_view kMulti[] = {"MULTI"};
  const TransactionQueue& queue = session_.transaction_;
  Router& router = session_.router();
  if (!anew_) {
    exec_sent_.clear();
    for (size_t i = 0; i < queue.size(); ++i)
      exec_sent_.push_back(router.Place(queue.at(i).view()).upstream != nullptr);
  }
  std::vector<Request> unit;
  std::vector<std::unique_ptr<RewrittenRequest>> sent;  // what `unit` points into
  unit.push_back({.command = session_.worker_.server().commands().Find(kMulti[0]),
                  .args = kMulti,
                  .keys = {}});
  ScriptsOfUnit scripts(session_.worker_.server().script_texts());
  exec_names_.clear();
  exec_is_spliced_ = false;
  for (size_t i = 0; i < queue.size(); ++i) {
    std::unique_ptr<ReplyNames>& names = exec_names_.emplace_back();
    if (exec_sent_[i]) {
      sent.push_back(std::make_unique<RewrittenRequest>(router, queue.at(i).view()));
      const Request& view = sent.back()->view();
      unit.push_back(cluster.has_several_primaries() ? scripts.WithText(view) : view);
      names = sent.back()->TakeNames();
    }
    exec_is_spliced_ = exec_is_spliced_ || !exec_sent_[i] || names != nullptr;
  }
  unit.push_back(request);
  std::string refusal = cluster.Refusal(session_.client_.db, session_.protocol());
  UpstreamConnection* const connection =
      refusal.empty() ? ExecConnection(unit, cluster, refusal) : nullptr;
  if (connection == nullptr) {
    EndWatch();
    return Refuse(request, refusal);
  }
  std::vector<StripeIndex> written = StripesOfUnit(unit, cluster);
  UpstreamRequest waiting = Waiting(request, ticks);
  if (!written.empty()) waiting.stripe = written.size() == 1 ? written[0] : kSeveralStripes;
  if (!connection->PlaceUnit(unit, waiting)) {
    const std::string why = connection->refusal();
    EndWatch();
    return Refuse(request, why);
  }
  link_->outstanding += static_cast<uint32_t>(unit.size());
  if (!written.empty()) {
    link_->BeginWrite(cluster.cache()->stripes(), waiting.sequence, waiting.stripe,
                      std::move(written));
  }
  elsewhere_ = Elsewhere::kNo;
  if (!anew_) session_.ObserveSentQueue(cluster, exec_sent_);
  KeepForRedirection(request, cluster);
  return Placed(request, Operation::kExec);
}

void SessionPrivate::TakePartReply(const UpstreamRequest& request, std::string_view reply) {
  if (reply.empty()) return;
  // What is not executed for being elsewhere will be: there, as one.
  if (reply.front() == '-' && elsewhere_ == Elsewhere::kNo) {
    if (watch_ != nullptr && IsElsewhere(reply)) {
      elsewhere_ = Elsewhere::kWatchLost;
    } else if (watch_ == nullptr && TakeRedirection(reply)) {
      elsewhere_ = Elsewhere::kAnew;
    }
  }
  // MULTI was counted and answered when the client said it.
  if (elsewhere_ != Elsewhere::kNo || request.command->full_name == "multi") return;
  session_.CountUpstreamReply(request, Ticks() - request.begin_ticks, reply);
}

void SessionPrivate::EndExec(const UpstreamRequest& request, std::string_view reply) {
  if (elsewhere_ != Elsewhere::kNo && reply.starts_with("-EXECABORT")) {
    if (elsewhere_ == Elsewhere::kAnew) return Settle();
    reply = session_.protocol() == Protocol::kResp3 ? "_\r\n" : "*-1\r\n";
  }
  anew_ = false;
  session_.CountUpstreamReply(request, Ticks() - request.begin_ticks, reply);
  watches_ = false;  // EXEC ends that, whatever became of it
  EndWatch();
  const bool executed = reply.starts_with('*') && !reply.starts_with("*-1");
  if (executed && session_.router().any_mirrors()) session_.MirrorTransaction();
  if (executed && session_.transaction_.upstream() != nullptr) {
    session_.ObserveQueueReply(*session_.transaction_.upstream(), exec_sent_, reply);
    session_.NoteSizesOfQueue(*session_.transaction_.upstream(), exec_sent_, reply);
  }
  if (executed && exec_is_spliced_) {
    exec_reply_ = reply;
  } else {
    session_.CloseTransaction();
    session_.client_.watches.Clear();
    Write(request, reply);
  }
  Settle();
}

void SessionPrivate::SpliceExec() {
  const std::string encoded = std::move(exec_reply_);
  exec_reply_.clear();
  std::string_view rest(encoded);
  rest.remove_prefix(rest.find('\n') + 1);
  ReplyFramer framer(session_.protocol());
  ReplyWriter& reply = session_.reply_;
  if (unheard_) reply.Retarget(session_.worker_.discarded_output());
  const TransactionQueue& queue = session_.transaction_;
  const int64_t now_ms = UnixMillis();
  reply.Array(queue.size());
  for (size_t i = 0; i < queue.size(); ++i) {
    const Request queued = queue.at(i).view();
    if (!exec_sent_[i]) {
      session_.ExecuteQueued(queued, nullptr, now_ms);
    } else if (framer.Next(rest) == ReplyFramer::Outcome::kReply) {
      const std::string_view frame = rest.substr(0, framer.frame_bytes());
      if (exec_names_[i] != nullptr) {
        reply.out().AppendLarge(exec_names_[i]->Restore(frame, session_.protocol()));
      } else {
        reply.out().AppendLarge(frame);
      }
      rest.remove_prefix(framer.frame_bytes());
    } else {
      reply.Error("ERR the upstream gave fewer replies than the transaction has commands");
    }
  }
  session_.worker_.set_current_request(nullptr, nullptr);
  session_.CloseTransaction();
  session_.client_.watches.Clear();
  session_.RetargetReply();
  if (unheard_) session_.worker_.discarded_output().Clear();
  session_.worker_.MarkDirty(session_);
}

}  // namespace tidegate
