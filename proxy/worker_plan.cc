// The part of Worker that takes in which upstream clusters there are and which keys go there: at
// the start, and when a reload has changed it.
//
// It happens between two turns, so a batch sees the routes of before or those of after, and never
// both. Sessions whose requests are in flight keep their order: the placement epoch moves, so what
// comes next waits for them. Clusters that are gone get nothing new and answer what they have. What
// sessions have there beside requests is ended or moved as soon as nothing of it is in flight:
//
//   keys watched        the watch is lost: EXEC answers nil, as if a key had been changed
//   BLPOP and its kind  unblocked with an error, by the node, so that nothing popped is lost
//   subscriptions       follow the route "*"; see Session::FollowRoutes
//
// Where a route moves keys, requests are held back for a moment: see RouteHold.
//
// Such a cluster is destroyed when nothing is in flight there and no session refers to it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "policy/command_access.h"
#include "policy/local_cache_store.h"
#include "policy/route_policies.h"
#include "proxy/commands/unnamed_writes.h"
#include "proxy/server.h"
#include "proxy/session/route_acts.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/replica_fanout.h"
#include "proxy/upstream/worker_upstreams.h"
#include "proxy/worker.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

// How often is looked whether a cluster may go.
constexpr uint64_t kLeavingStepMillis = 20;

// How often is looked whether what was under way by former routes is through; and how long requests
// are held back for that at most. A key that was moved into an engine with a journal is removed
// from the old cluster two seconds later; what takes longer than a few of these does not answer.
constexpr uint64_t kHoldStepMillis = 1;
constexpr int64_t kRoutesHeldNanosMax = 10'000'000'000;

}  // namespace

// No policy is a filter of the engine's chain yet; else those of routes that stay would stay.
std::vector<Route> Worker::MakeRoutes(const std::string& everything) {
  std::vector<Route> routes;
  for (size_t i = 0; i < plan_->routes.size(); ++i) {
    const RouteOptions& route = plan_->routes[i];
    if (route.match == "*" && !everything.empty()) {
      routes.push_back(
          {.match = "*", .cluster = everything, .upstream = upstreams_->Find(everything)});
    } else {
      routes.push_back({.match = route.match,
                        .cluster = route.cluster,
                        .upstream = upstreams_->Find(route.cluster),
                        .prefixes = {.strip = route.strip_prefix, .add = route.add_prefix},
                        .mirror = MirrorFor(route),
                        .move = MoveFor(route)});
    }
    const Route& made = routes.back();
    const bool here = made.upstream == nullptr;
    routes.back().figures =
        route_meter_.NumberOf(made.match, here ? kEngineClusterName : made.cluster);
    if (i < plan_->policies.size()) routes.back().policies = plan_->policies[i];
  }
  return routes;
}

// Commands that the configuration declares may be others by the next reload, with the same ids: for
// them it is asked in any case.
std::vector<Guarded> Worker::GuardedCommands() const {
  const PolicyList& policies = plan_->policies;
  const bool any = std::any_of(policies.begin(), policies.end(),
                               [](const auto& one) { return one->ConcernsData(); });
  std::vector<Guarded> guarded(server_.command_ids_max(), any ? Guarded::kAlways : Guarded::kNo);
  for (const Command* command : server_.commands().all()) {
    if (command->id >= server_.command_ids_known()) continue;
    const bool concerned =
        std::any_of(policies.begin(), policies.end(),
                    [command](const auto& one) { return one->Concerns(*command); });
    const bool by_key = DataAccessOf(*command) != DataAccess::kNone && !MayWriteOtherKeys(*command);
    guarded[command->id] = !concerned ? Guarded::kNo : by_key ? Guarded::kByKey : Guarded::kAlways;
  }
  return guarded;
}

RouteMirror* Worker::MirrorFor(const RouteOptions& route) {
  UpstreamCluster* const to = upstreams_->Find(route.mirror.cluster);
  return to == nullptr ? nullptr : acts_->MirrorFor(route, *to);
}

RouteMove* Worker::MoveFor(const RouteOptions& route) {
  UpstreamCluster* const from = upstreams_->Find(route.move_from);
  if (from == nullptr) return nullptr;
  for (const PlannedMove& planned : plan_->moves) {
    if (planned.route == route.match)
      return acts_->MoveFor(planned, *from, upstreams_->Find(route.cluster));
  }
  TG_CHECK(false);
  return nullptr;
}

// In their places.
void Worker::MakeRouters() {
  const bool held = hold_ != nullptr;
  const std::vector<Guarded> guarded = GuardedCommands();
  for (size_t i = 0; i <= plan_->listeners.size(); ++i) {
    Router router(MakeRoutes(i == 0 ? "" : plan_->listeners[i - 1].cluster), guarded, held);
    if (i < routers_.size()) {
      routers_[i] = std::move(router);
    } else {
      routers_.push_back(std::move(router));
    }
  }
}

// A worker says which keys it writes before any of them answers from what it keeps, or lets
// replicas answer: see WriteStripes::Join, which the ClusterCache does, even if it keeps nothing.
void Worker::FollowCaches(bool had_upstreams) {
  FollowCacheMemory();
  for (const auto& cluster : upstreams_->clusters()) {
    bool keeps = false;
    bool fans_out = false;
    for (Router& router : routers_) {
      for (const Route& route : router.routes()) {
        if (route.upstream != cluster.get() || route.policies == nullptr) continue;
        keeps = keeps || route.policies->local_cache() != nullptr;
        fans_out = fans_out || route.policies->replica_fanout() != nullptr;
      }
    }
    FollowFanout(*cluster, fans_out, had_upstreams);
    const bool wanted = keeps || fans_out;
    if (wanted == (cluster->cache() != nullptr)) continue;
    const ClusterCache::Shared shared{.store = *local_cache_,
                                      .stripes = server_.write_stripes(),
                                      .workers = server_.workers().size()};
    cluster->set_cache(wanted ? std::make_unique<ClusterCache>(*cluster, shared) : nullptr);
  }
}

// What was sent before a reload, by whichever worker, nobody has marked: it is answered, or failed,
// when a request's time is over.
void Worker::FollowFanout(UpstreamCluster& cluster, bool wanted, bool had_upstreams) {
  if (wanted == (cluster.fanout() != nullptr)) return;
  if (!wanted) return cluster.set_fanout(nullptr);
  const std::chrono::nanoseconds request_timeout = cluster.options().request_timeout;
  const ReplicaFanout::Setting setting{
      .stripes = server_.write_stripes(),
      .cluster = cluster.number(),
      .workers = server_.workers().size(),
      .begins_ns = had_upstreams ? MonotonicNanos() + request_timeout.count() : 0};
  cluster.set_fanout(std::make_unique<ReplicaFanout>(setting, cluster.figures()->fanout));
}

// Each worker has its part: what one keeps another cannot use.
void Worker::FollowCacheMemory() {
  const size_t workers = std::max<size_t>(server_.workers().size(), 1);
  local_cache_->SetLimits(options_->local_cache_memory.count / workers,
                          (kLocalCacheKeysMax + workers - 1) / workers);
}

void Worker::TakePlan(const UpstreamPlan& plan) {
  std::vector<const UpstreamCluster*> everything_before;
  for (const Router& router : routers_) everything_before.push_back(router.everything());
  everything_before.resize(plan.listeners.size() + 1);
  const bool had_upstreams = !plan_->clusters.empty() || !upstreams_->leaving().empty();
  *plan_ = plan;
  upstreams_->Take(plan, {loop_, output_blocks_, read_buffer(), index_, upstreams_->placement_epoch,
                          &server_.script_texts(), &server_.upstream_tls(), &notes_sending_});
  BeginHold(plan.hold);
  acts_->BeginPlan();
  MakeRouters();
  FollowCaches(had_upstreams);
  if (index_ == 0) {
    for (const Route& route : routers_[0].routes()) acts_->FindKeysFor(route);
  }
  acts_->EndPlan();
  const bool look = std::any_of(routers_.begin(), routers_.end(),
                                [](const Router& router) { return router.looks(); });
  if (look && !counts_routes_) {
    route_meter_.BeginCounting(counters_.commands_processed.Get(), command_stats_,
                               engine_thread_->counters);
    counts_routes_ = true;
  }
  StepLeaving();
  for (Session* session : sessions_) {
    const size_t listener = session->listener();
    if (listener > 0 && plan.listeners[listener - 1].is_lost) {
      session->Kill();
    } else {
      session->FollowRoutes(routers_[listener].everything() != everything_before[listener]);
    }
  }
  StepHold();
}

// --- routes that are held ---

// Who waits by a hold that another plan has overtaken goes on waiting, or goes on.
void Worker::BeginHold(std::shared_ptr<RouteHold> hold) {
  std::vector<uint64_t> waiting;
  if (hold_ != nullptr) waiting.swap(hold_->waiting);
  hold_.reset();
  if (hold == nullptr) {
    going_on_.insert(going_on_.end(), waiting.begin(), waiting.end());
    return;
  }
  hold_ = std::make_unique<Hold>();
  hold_->shared = std::move(hold);
  hold_->deadline_ns = MonotonicNanos() + kRoutesHeldNanosMax;
  hold_->waiting = std::move(waiting);
  for (const Session* session : sessions_) {
    if (session->HasRequestsUnderWay()) hold_->under_way.push_back(session->id());
  }
}

// What comes next of a session waits, so each of them gets there.
void Worker::StepHold() {
  if (hold_ == nullptr || hold_->is_through) return;
  loop_.TurnBegins();
  std::erase_if(hold_->under_way, [this](uint64_t id) {
    const Session* const session = FindSession(id);
    return session == nullptr || !session->HasRequestsUnderWay();
  });
  const bool late = MonotonicNanos() >= hold_->deadline_ns;
  if (!late && (!hold_->under_way.empty() || acts_->finishes()))
    return hold_timer_->StartOnce(kHoldStepMillis);
  acts_->GiveUp();
  hold_->is_through = true;
  hold_->shared->workers_left.fetch_sub(1, std::memory_order_acq_rel);
}

void Worker::HoldForRoutes(const Session& session) { hold_->waiting.push_back(session.id()); }

void Worker::OpenRoutes(const RouteHold& hold) {
  if (hold_ == nullptr || hold_->shared.get() != &hold) return;
  const std::unique_ptr<Hold> ended = std::move(hold_);
  MakeRouters();
  going_on_.insert(going_on_.end(), ended->waiting.begin(), ended->waiting.end());
}

void Worker::StepLeaving() {
  if (upstreams_->leaving().empty()) return;
  loop_.TurnBegins();
  const int64_t now_ns = MonotonicNanos();
  for (const WorkerUpstreams::Leaving& one : upstreams_->leaving()) {
    const bool late = now_ns >= one.deadline_ns;
    for (Session* session : sessions_) session->LeaveCluster(*one.cluster, late);
    if (late) one.cluster->EndAll("it was removed from the configuration");
  }
  upstreams_->RemoveLeaving([this](const WorkerUpstreams::Leaving& one) {
    return !one.cluster->busy() && !acts_->FinishesWith(*one.cluster) &&
           std::none_of(sessions_.begin(), sessions_.end(),
                        [&one](const Session* session) { return session->RefersTo(*one.cluster); });
  });
  if (!upstreams_->leaving().empty()) leaving_timer_->StartOnce(kLeavingStepMillis);
}

}  // namespace tidegate
