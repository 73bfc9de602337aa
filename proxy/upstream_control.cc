#include "proxy/upstream_control.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/upstream/worker_upstreams.h"

namespace tidegate {
namespace {

// How often is looked whether new clusters have answered.
constexpr uint64_t kAnswersStepMillis = 5;

bool Has(const UpstreamPlan& plan, size_t number) {
  return std::any_of(plan.clusters.begin(), plan.clusters.end(),
                     [number](const PlannedCluster& one) { return one.number == number; });
}

}  // namespace

class UpstreamControl::Observer final : public UpstreamObserver {
 public:
  Observer(discovery::Discovery& discovery, std::shared_ptr<discovery::WatchedCluster> cluster)
      : discovery_(discovery), cluster_(std::move(cluster)) {}

  void OnRedirect(uint16_t slot, const topology::NodeAddress& address) override {
    discovery_.Report(*cluster_, {.kind = Kind::kMoved, .slot = slot, .target = address});
  }
  void OnNodeFailed(const topology::NodeAddress& address, std::string_view /*why*/) override {
    discovery_.Report(*cluster_, {.kind = Kind::kNodeFailed, .node = address});
  }
  void OnReadOnly(const topology::NodeAddress& address) override {
    discovery_.Report(*cluster_, {.kind = Kind::kNotPrimary, .node = address});
  }
  void OnNotServing(const topology::NodeAddress& address) override {
    discovery_.Report(*cluster_, {.kind = Kind::kNotServing, .node = address});
  }

 private:
  using Kind = discovery::UpstreamReport::Kind;

  discovery::Discovery& discovery_;
  const std::shared_ptr<discovery::WatchedCluster> cluster_;
};

UpstreamControl::UpstreamControl(const Options& options, const UpstreamTls& tls,
                                 std::span<const std::unique_ptr<Worker>> workers, EventLoop& loop,
                                 PolicyRegistry& policies)
    : workers_(workers),
      policies_(policies),
      discovery_(
          {},
          [this](size_t cluster, const std::shared_ptr<const UpstreamTopology>& known) {
            for (const auto& worker : workers_) {
              worker->Post([cluster, known](Worker& at) {
                UpstreamCluster* const there = at.worker_upstreams().FindNumber(cluster);
                if (there != nullptr) there->SetTopology(known);
              });
            }
          },
          &tls),
      timer_(std::make_unique<Timer>(loop, [this] { Wait(); })) {
  plan_.listener_clusters = ListenerClusters(options);
  plan_ = PlanFor(options);
  policies_.Publish(plan_.policies);
  for (const auto& worker : workers_) worker->TakePlan(plan_);
}

UpstreamControl::~UpstreamControl() = default;

void UpstreamControl::Start() {
  if (plan_.clusters.empty()) return;
  discovery_.Start();
  discovery_.AwaitFirstAnswers(kFirstAnswersWait);
}

void UpstreamControl::Stop() {
  timer_.reset();
  discovery_.Stop();
}

PlannedCluster UpstreamControl::Planned(const ClusterOptions& options) {
  for (const PlannedCluster& known : plan_.clusters) {
    if (known.options == options) return known;
  }
  std::shared_ptr<discovery::WatchedCluster> watched = discovery_.Add(options);
  return {.number = watched->number,
          .options = options,
          .observer = std::make_shared<Observer>(discovery_, watched),
          .latest_topology = [watched] { return watched->publisher.latest(); }};
}

UpstreamPlan UpstreamControl::PlanFor(const Options& options) {
  UpstreamPlan plan;
  for (const ClusterOptions& cluster : options.clusters) {
    if (cluster.is_upstream()) plan.clusters.push_back(Planned(cluster));
  }
  plan.routes = options.routes;
  plan.policies = policies_.Next(options, plan_.policies);
  plan.listener_clusters = plan_.listener_clusters;
  return plan;
}

void UpstreamControl::Switch(const Options& options) {
  if (next_) Finish();
  UpstreamPlan plan = PlanFor(options);
  const auto same = [](const PlannedCluster& a, const PlannedCluster& b) {
    return a.number == b.number;
  };
  if (plan.routes == plan_.routes && plan.policies == plan_.policies &&
      std::equal(plan.clusters.begin(), plan.clusters.end(), plan_.clusters.begin(),
                 plan_.clusters.end(), same))
    return;
  if (!plan.clusters.empty()) discovery_.Start();
  const int64_t wait_ns = std::chrono::nanoseconds(kFirstAnswersWait).count();
  next_.emplace(Next{std::move(plan), MonotonicNanos() + wait_ns});
  Wait();
}

bool UpstreamControl::WereAsked(const UpstreamPlan& plan) const {
  const auto watched = discovery_.Watched();
  return std::all_of(watched.begin(), watched.end(), [&plan](const auto& cluster) {
    return cluster->publisher.was_asked() || !Has(plan, cluster->number);
  });
}

void UpstreamControl::Wait() {
  if (!next_) return;
  if (WereAsked(next_->plan) || MonotonicNanos() >= next_->deadline_ns) return Finish();
  timer_->StartOnce(kAnswersStepMillis);
}

// Routes do not follow what is new in their own time: each worker has all of it at once.
void UpstreamControl::Finish() {
  const auto plan = std::make_shared<const UpstreamPlan>(std::move(next_->plan));
  next_.reset();
  LogChange(*plan);
  for (const auto& worker : workers_) worker->Post([plan](Worker& at) { at.TakePlan(*plan); });
  for (const PlannedCluster& known : plan_.clusters) {
    if (!Has(*plan, known.number)) discovery_.Remove(known.number);
  }
  plan_ = *plan;
  policies_.Publish(plan_.policies);
}

void UpstreamControl::LogChange(const UpstreamPlan& next) const {
  const auto named = [](const UpstreamPlan& plan, const std::string& name) {
    return std::any_of(plan.clusters.begin(), plan.clusters.end(),
                       [&name](const PlannedCluster& one) { return one.options.name == name; });
  };
  for (const PlannedCluster& known : plan_.clusters) {
    const std::string& name = known.options.name;
    if (!named(next, name)) log::Notice("Reload: cluster '" + name + "' is removed");
  }
  for (const PlannedCluster& planned : next.clusters) {
    if (Has(plan_, planned.number)) continue;
    const std::string& name = planned.options.name;
    const bool known = named(plan_, name);
    log::Notice("Reload: cluster '" + name + (known ? "' has new settings" : "' is new"));
  }
  if (next.routes != plan_.routes) log::Notice("Reload: the new routes are in force");
}

}  // namespace tidegate
