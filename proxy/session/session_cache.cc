// The part of Session that answers reads from replies that are kept (local_cache):
//
//   AdvanceGuarded --> policies let it in --> ForwardCached --> a reply is kept: written
//                                                  |----------> else: Forward, and the reply is
//                                                               fetched once more, to be kept
//
// and says of those that are forwarded whether replicas may answer them (replica_fanout).
//
// Only while the client waits for no other reply: its commands take effect in the order in which it
// says them, and a reply from here would be older than what is on its way. A client that watches
// keys, is in MULTI or wants no replies gets everything from its upstream.
#include "base/clock.h"
#include "policy/route_policies.h"
#include "proxy/observe/key_observer.h"
#include "proxy/server.h"
#include "proxy/session/session.h"
#include "proxy/session/session_flights.h"
#include "proxy/session/session_forwarder.h"
#include "proxy/session/session_guards.h"
#include "proxy/session/session_private.h"
#include "proxy/session/session_upstream.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

hotkey::Keyspace KeyspaceOf(const UpstreamCluster& cluster, int database) {
  return {.cluster = KeyspaceNumber(cluster.number()), .database = static_cast<uint16_t>(database)};
}

}  // namespace

// A key that is written often would be fetched as often in vain, and no replica would ever be sure
// to have its last write.
bool Session::IsReadHot(const Request& request, const Route& route) const {
  if (worker_.observer() == nullptr) return false;
  const hotkey::KeyId id =
      hotkey::IdOf(request.keys[0].hash, KeyspaceOf(*route.upstream, client_.db));
  const hotkey::WatchedKey* const key = worker_.observer()->recorder().Find(id);
  return key != nullptr && key->classes.any() && !key->classes.Has(hotkey::HotClass::kWrites);
}

// Also in mode observe: who chooses the node counts what he would have done.
const FanoutRule* Session::FanoutOf(const Request& request, const Route& route) const {
  if (route.upstream == nullptr || route.policies == nullptr) return nullptr;
  const FanoutRule* const rule = route.policies->replica_fanout();
  if (rule == nullptr || !rule->Covers(*request.command)) return nullptr;
  const bool is_wanted =
      rule->of_hot_keys() ? IsReadHot(request, route) : rule->Names(request.keys[0].name);
  return is_wanted ? rule : nullptr;
}

bool Session::MayAnswerFromCache(const Request& request, const Route& route) const {
  if (route.upstream == nullptr || route.upstream->cache() == nullptr ||
      route.policies == nullptr || router_.held())
    return false;
  const LocalCacheRule* const rule = route.policies->local_cache();
  if (rule == nullptr || !rule->Covers(*request.command)) return false;
  return rule->of_hot_keys() ? IsReadHot(request, route) : rule->Names(request.keys[0].name);
}

std::optional<Session::Step> Session::ForwardCached(const Request& request, Progress& progress) {
  const bool is_plain = request.keys.size() == 1 && reply_mode_ == ReplyMode::kOn &&
                        !transaction_.open() &&
                        (private_ == nullptr || private_->watched() == nullptr);
  if (guards_ != nullptr) guards_->fanout = nullptr;
  if (!is_plain) return Forward(request, progress.ticks);
  const Route& route = router().RouteOfKey(request.keys[0].name);
  if (const FanoutRule* const fanout = FanoutOf(request, route)) Guards().fanout = fanout;
  if (!MayAnswerFromCache(request, route)) return Forward(request, progress.ticks);
  ClusterCache& cache = *route.upstream->cache();
  const LocalCacheRule& rule = *route.policies->local_cache();
  const bool observes = rule.mode() == PolicyMode::kObserve;
  if (!observes && !awaits_upstream()) {
    std::string_view reply = cache.Find(request, client_.db, protocol());
    if (!reply.empty() && flights() != nullptr && flights()->MissesEarlyAtHand())
      reply = protocol() == Protocol::kResp3 ? "_\r\n" : "$-1\r\n";
    if (!reply.empty()) return AnswerFromCache(request, reply, route, progress);
  }
  const std::optional<Step> step =
      observes ? Forward(request, progress.ticks) : ForwardOnce(request, route, progress);
  if (step != Step::kNext) return step;
  if (observes) {
    cache.CountObserved();
  } else {
    cache.Missed(request, client_.db, rule);
  }
  return step;
}

// A hot key's, while the same read is on its way: not at all. Only where no other policy has
// something to do with its reply; and while the client waits for no other, which might be newer.
std::optional<Session::Step> Session::ForwardOnce(const Request& request, const Route& route,
                                                  Progress& progress) {
  const bool is_hooked = guards_ != nullptr && guards_->hook != nullptr;
  ClusterCache& cache = *route.upstream->cache();
  const std::optional<JoinedReads::Read> read =
      is_hooked || !IsReadHot(request, route) ? std::nullopt
                                              : cache.Joinable(request, client_.db, protocol());
  if (!read) return Forward(request, progress.ticks);
  const bool may_join = upstream_ == nullptr || (upstream_->outstanding == upstream_->joined &&
                                                 upstream_->unwritten() < kUpstreamOutstandingMax);
  if (may_join && cache.joined_reads().MayJoin(*read)) {
    figures_ = route.figures;
    SessionForwarder forwarder(*this, request, progress.ticks);
    return forwarder.Join(*route.upstream, cache.joined_reads(), *read);
  }
  Guards().hook = cache.joined_reads().Lead(*read);
  const std::optional<Step> step = Forward(request, progress.ticks);
  guards_->hook.reset();  // if it was not sent
  return step;
}

// As a reply of the upstream would be written and counted.
Session::Step Session::AnswerFromCache(const Request& request, std::string_view reply,
                                       const Route& route, Progress& progress) {
  const Command& command = *request.command;
  last_command_ = &command;
  figures_ = route.figures;
  output_.AppendLarge(reply);
  const uint64_t now_ticks = Ticks();
  const uint64_t ticks = now_ticks - progress.ticks;
  worker_.mutable_counters().commands_processed.Add(1);
  worker_.mutable_counters().reply_bytes.Record(reply.size());
  worker_.mutable_command_stats().Record(command.id, ticks, false, worker_.latency_tracking());
  if (worker_.counts_routes()) {
    worker_.mutable_route_meter().CountReply(figures_, command, ticks, worker_.latency_tracking(),
                                             reply);
  }
  if (worker_.observer() != nullptr) {
    worker_.observer()->Answered(request,
                                 {.keyspace = KeyspaceOf(route, client_.db), .client = id_},
                                 {.bytes = reply.size(), .missed = SaysNothingIsThere(reply)});
  }
  if (ticks >= worker_.slow_ticks())
    NoteSlow(request, {.ticks = ticks, .worked_ticks = ticks, .reply_bytes = reply.size()});
  if (worker_.attention()) worker_.FeedMonitors(*this, request, redacted_);
  AfterReply();
  progress.ticks = now_ticks;
  return closing() || output_.size() > kUnsentOutputBytesMax.count ? Step::kLast : Step::kNext;
}

}  // namespace tidegate
