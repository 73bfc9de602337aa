#include "proxy/upstream_control.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/key_observer.h"
#include "proxy/server.h"
#include "proxy/upstream/key_moves.h"
#include "proxy/upstream/worker_upstreams.h"

namespace tidegate {
namespace {

// How often is looked whether new clusters have answered.
constexpr uint64_t kAnswersStepMillis = 5;
// And whether the routes may open, for which clients wait.
constexpr uint64_t kHoldStepMillis = 1;

bool Has(const UpstreamPlan& plan, size_t number) {
  return std::any_of(plan.clusters.begin(), plan.clusters.end(),
                     [number](const PlannedCluster& one) { return one.number == number; });
}

// What probes find, among what requests and replies say. Clients have the cluster's database as 0.
discovery::ProbeSink SinkOf(BigKeys& big_keys) {
  return {.wanted = [&big_keys] { return big_keys.enabled(); },
          .found =
              [&big_keys](size_t cluster, const ClusterOptions& options,
                          const discovery::ProbedKey& key) {
                hotkey::BigKeySighting size;
                size.name = key.name;
                size.cluster = options.name;
                size.type = key.type;
                size.bytes = key.bytes;
                size.exact = true;
                if (key.elements >= 0) size.elements = static_cast<uint64_t>(key.elements);
                big_keys.NoteProbed(size, {.cluster = KeyspaceNumber(cluster), .database = 0},
                                    UnixMillis());
              }};
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
      timer_(std::make_unique<Timer>(loop, [this] { Step(); })) {
  if (!workers_.empty()) discovery_.SetProbeSink(SinkOf(workers_.front()->server().big_keys()));
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
  hold_.reset();
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
  plan.listeners = ListenersFor(options);
  plan.moves = MovesFor(plan);
  return plan;
}

std::vector<PlannedMove> UpstreamControl::MovesFor(const UpstreamPlan& plan) const {
  const auto number_of = [&plan](const std::string& name) {
    for (const PlannedCluster& cluster : plan.clusters) {
      if (cluster.options.name == name) return cluster.number;
    }
    return PlannedMove::kToEngine;
  };
  std::vector<PlannedMove> moves;
  for (const RouteOptions& route : plan.routes) {
    if (route.move_from.empty()) continue;
    PlannedMove move{.route = route.match,
                     .from = number_of(route.move_from),
                     .to = number_of(route.cluster),
                     .keys = nullptr};
    for (const PlannedMove& known : plan_.moves) {
      if (known.IsOf(move)) move.keys = known.keys;
    }
    if (move.keys == nullptr) move.keys = std::make_shared<KeyMoves>();
    moves.push_back(std::move(move));
  }
  return moves;
}

// Clients keep the number of their listener for life, so none is ever another one's.
std::vector<PlannedListener> UpstreamControl::ListenersFor(const Options& options) const {
  std::vector<PlannedListener> listeners = plan_.listeners;
  std::vector<bool> stays(listeners.size());
  for (const ListenerOptions& wanted : options.listeners) {
    const size_t number = NumberOfListener(wanted.name);
    if (number == 0) {
      listeners.push_back({.name = wanted.name, .cluster = wanted.cluster});
      continue;
    }
    listeners[number - 1] = {.name = wanted.name, .cluster = wanted.cluster};
    stays[number - 1] = true;
  }
  for (size_t i = 0; i < stays.size(); ++i) {
    const std::string& cluster = listeners[i].cluster;
    const auto is_it = [&cluster](const ClusterOptions& one) { return one.name == cluster; };
    listeners[i].is_lost = !stays[i] && !cluster.empty() &&
                           std::none_of(options.clusters.begin(), options.clusters.end(), is_it);
  }
  return listeners;
}

size_t UpstreamControl::NumberOfListener(std::string_view name) const {
  for (size_t i = 0; i < plan_.listeners.size(); ++i) {
    if (plan_.listeners[i].name == name) return i + 1;
  }
  return 0;
}

void UpstreamControl::Switch(const Options& options) {
  if (next_) Finish();
  UpstreamPlan plan = PlanFor(options);
  const auto same = [](const PlannedCluster& a, const PlannedCluster& b) {
    return a.number == b.number;
  };
  if (plan.routes == plan_.routes && plan.policies == plan_.policies &&
      plan.listeners == plan_.listeners &&
      std::equal(plan.clusters.begin(), plan.clusters.end(), plan_.clusters.begin(),
                 plan_.clusters.end(), same)) {
    if (on_in_force_) on_in_force_();
    return;
  }
  if (!plan.clusters.empty()) discovery_.Start();
  const int64_t wait_ns = std::chrono::nanoseconds(kFirstAnswersWait).count();
  next_.emplace(Next{std::move(plan), MonotonicNanos() + wait_ns});
  Step();
}

bool UpstreamControl::WereAsked(const UpstreamPlan& plan) const {
  const auto watched = discovery_.Watched();
  return std::all_of(watched.begin(), watched.end(), [&plan](const auto& cluster) {
    return cluster->publisher.was_asked() || !Has(plan, cluster->number);
  });
}

void UpstreamControl::Step() {
  if (next_ && (WereAsked(next_->plan) || MonotonicNanos() >= next_->deadline_ns)) Finish();
  if (hold_ != nullptr && hold_->workers_left.load(std::memory_order_acquire) == 0) {
    for (const auto& worker : workers_)
      worker->Post([hold = hold_](Worker& at) { at.OpenRoutes(*hold); });
    hold_.reset();
  }
  if (hold_ != nullptr) {
    timer_->StartOnce(kHoldStepMillis);
  } else if (next_) {
    timer_->StartOnce(kAnswersStepMillis);
  }
}

// Routes do not follow what is new in their own time: each worker has all of it at once.
void UpstreamControl::Finish() {
  const bool moves = !next_->plan.moves.empty() || !plan_.moves.empty();
  if (moves || hold_ != nullptr) hold_ = std::make_shared<RouteHold>(workers_.size());
  next_->plan.hold = hold_;
  const auto plan = std::make_shared<const UpstreamPlan>(std::move(next_->plan));
  next_.reset();
  LogChange(*plan);
  for (const auto& worker : workers_) worker->Post([plan](Worker& at) { at.TakePlan(*plan); });
  for (const PlannedCluster& known : plan_.clusters) {
    if (!Has(*plan, known.number)) discovery_.Remove(known.number);
  }
  plan_ = *plan;
  policies_.Publish(plan_.policies);
  if (on_in_force_) on_in_force_();
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
