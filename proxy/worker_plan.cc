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
// Such a cluster is destroyed when nothing is in flight there and no session refers to it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "policy/route_policies.h"
#include "proxy/server.h"
#include "proxy/session/route_move.h"
#include "proxy/upstream/route_mirror.h"
#include "proxy/upstream/worker_upstreams.h"
#include "proxy/worker.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

// How often is looked whether a cluster may go.
constexpr uint64_t kLeavingStepMillis = 20;

}  // namespace

// No policy is a filter of the engine's chain yet; else those of routes that stay would stay.
std::vector<Route> Worker::MakeRoutes(const std::vector<RouteOptions>& options,
                                      const PolicyList& policies, const std::string& everything) {
  std::vector<Route> routes;
  for (size_t i = 0; i < options.size(); ++i) {
    const RouteOptions& route = options[i];
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
    if (i < policies.size()) routes.back().policies = policies[i];
  }
  return routes;
}

std::vector<bool> Worker::GuardedCommands(const PolicyList& policies) const {
  std::vector<bool> guarded;
  for (const Command* command : server_.commands().all()) {
    guarded.push_back(std::any_of(policies.begin(), policies.end(),
                                  [command](const auto& one) { return one->Concerns(*command); }));
  }
  return guarded;
}

// These two are made at the start. A reload finds them as they were, with the same clusters:
// ReloadConfig refuses a file that has others, for both have state that cannot go elsewhere, and
// their counters are read by other threads.
RouteMirror* Worker::MirrorFor(const RouteOptions& route) {
  UpstreamCluster* const to = upstreams_->Find(route.mirror.cluster);
  if (to == nullptr) return nullptr;
  for (const auto& mirror : mirrors_) {
    if (mirror->route() == route.match) return mirror.get();
  }
  TG_CHECK(!thread_.joinable());
  return mirrors_
      .emplace_back(std::make_unique<RouteMirror>(route.match, *to, route.mirror.percent))
      .get();
}

RouteMove* Worker::MoveFor(const RouteOptions& route) {
  UpstreamCluster* const from = upstreams_->Find(route.move_from);
  if (from == nullptr) return nullptr;
  for (const auto& move : moves_) {
    if (move->route() == route.match) return move.get();
  }
  TG_CHECK(!thread_.joinable());
  return moves_
      .emplace_back(
          std::make_unique<RouteMove>(*this, route.match, *from, upstreams_->Find(route.cluster)))
      .get();
}

void Worker::TakePlan(const UpstreamPlan& plan) {
  std::vector<const UpstreamCluster*> everything_before;
  for (const Router& router : routers_) everything_before.push_back(router.everything());
  upstreams_->Take(plan, {loop_, output_blocks_, read_buffer(), index_, upstreams_->placement_epoch,
                          &server_.script_texts(), &server_.upstream_tls(), &notes_sending_});
  const std::vector<bool> guarded = GuardedCommands(plan.policies);
  routers_[0] = Router(MakeRoutes(plan.routes, plan.policies, ""), guarded);
  for (size_t i = 0; i < plan.listener_clusters.size(); ++i) {
    Router router(MakeRoutes(plan.routes, plan.policies, plan.listener_clusters[i]), guarded);
    if (i + 1 < routers_.size()) {
      routers_[i + 1] = std::move(router);
    } else {
      TG_CHECK(sessions_.empty());  // they refer to theirs
      routers_.push_back(std::move(router));
      everything_before.push_back(nullptr);
    }
  }
  const bool look = std::any_of(routers_.begin(), routers_.end(),
                                [](const Router& router) { return router.looks(); });
  if (look && !counts_routes_) {
    route_meter_.BeginCounting(counters_.commands_processed.Get(), command_stats_,
                               engine_thread_->counters);
    counts_routes_ = true;
  }
  StepLeaving();
  for (Session* session : sessions_) {
    const auto which = static_cast<size_t>(&session->router() - routers_.data());
    session->FollowRoutes(routers_[which].everything() != everything_before[which]);
  }
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
    return !one.cluster->busy() &&
           std::none_of(sessions_.begin(), sessions_.end(),
                        [&one](const Session* session) { return session->RefersTo(*one.cluster); });
  });
  if (!upstreams_->leaving().empty()) leaving_timer_->StartOnce(kLeavingStepMillis);
}

}  // namespace tidegate
