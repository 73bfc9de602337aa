// UpstreamControl: between the configuration, the control plane and the workers: which upstream
// clusters there are, which keys and whose clients go there, now and after a reload.
//
//   discovery --topologies--> each worker          configuration --Switch--> each worker
//
// Topologies that discovery publishes are posted to every worker, which takes them in between two
// turns; what workers notice on the data path is reported back. Workers and discovery know nothing
// of each other.
//
// A reload compares what it wants with what there is. A cluster whose settings are the same stays
// as it is, with its connections; one whose settings have changed is replaced by a new one. New
// ones are asked for their nodes first, for kFirstAnswersWait at most; then each worker is given
// the plan as a whole, with the routes, between two of its turns. What is left of clusters that are
// gone, the workers see to; and where routes move keys, they hold requests back until all of them
// are through with what they had under way (RouteHold), and then are told to open. Owner: the
// server; all calls from the main thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "policy/policy_registry.h"
#include "proxy/discovery/discovery.h"
#include "proxy/event/loop.h"
#include "proxy/upstream/upstream_observer.h"
#include "proxy/upstream/upstream_plan.h"
#include "proxy/worker.h"

namespace tidegate {

// How long a start waits until every cluster's nodes have been asked once. Clients that connect
// meanwhile wait with it, instead of being told that nothing is known yet. And how long a reload
// waits before it sends requests to clusters that are new.
inline constexpr std::chrono::milliseconds kFirstAnswersWait{2000};

class UpstreamControl final {
 public:
  // Before the workers' threads run: they have the clusters and routes of `options` at once. The
  // workers end before it is destroyed. `loop`: the main thread's. `policies` outlives it.
  UpstreamControl(const Options& options, const UpstreamTls& tls,
                  std::span<const std::unique_ptr<Worker>> workers, EventLoop& loop,
                  PolicyRegistry& policies);
  ~UpstreamControl();

  // When the workers' threads run: begins, and waits for the first answers.
  void Start();
  // Called whenever what Switch was given has come into force, behind the posts to the workers.
  void OnInForce(std::function<void()> callback) { on_in_force_ = std::move(callback); }
  // From now on there are the clusters, routes and listeners of `options`. Returns at once; one
  // that has not come into force yet does so first.
  void Switch(const Options& options);
  // What was given to Switch comes into force now, if it has not yet.
  void FinishSwitch() {
    if (next_) Finish();
  }
  // Of a listener of the plan that is in force: PlannedListener's. 0: it is none.
  size_t NumberOfListener(std::string_view name) const;
  // When the workers have ended, and before the loop does.
  void Stop();

  const discovery::Discovery& discovery() const { return discovery_; }

 private:
  class Observer;
  struct Next {
    UpstreamPlan plan;
    int64_t deadline_ns = 0;
  };

  UpstreamPlan PlanFor(const Options& options);
  PlannedCluster Planned(const ClusterOptions& options);
  std::vector<PlannedListener> ListenersFor(const Options& options) const;
  std::vector<PlannedMove> MovesFor(const UpstreamPlan& plan) const;
  void Step();
  bool WereAsked(const UpstreamPlan& plan) const;
  void Finish();
  void LogChange(const UpstreamPlan& next) const;

  const std::span<const std::unique_ptr<Worker>> workers_;
  PolicyRegistry& policies_;
  discovery::Discovery discovery_;
  UpstreamPlan plan_;                // that is in force
  std::optional<Next> next_;         // that comes into force
  std::shared_ptr<RouteHold> hold_;  // of the one in force, until its routes open; null: they are
  std::unique_ptr<Timer> timer_;
  std::function<void()> on_in_force_;
};

}  // namespace tidegate
