#include "proxy/discovery/replicas_watcher.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "proxy/discovery/sights.h"

namespace tidegate::discovery {

ReplicasWatcher::ReplicasWatcher(const WatchContext& context)
    : context_(context),
      states_(context.options.replica_lag_max),
      refresher_(context.environment.loop, context.options.refresh_interval, context.seed,
                 [this] { Refresh(); }),
      nodes_(context.environment, AccessOf(context.options, context.tls),
             context.options.health_check_interval, [this] { refresher_.Hint(); }) {}

void ReplicasWatcher::Start() {
  for (const UpstreamNodeOptions& node : context_.options.nodes)
    configured_.push_back(AddressOf(node.address));
  asked_ = configured_;
  nodes_.Keep(asked_);
  refresher_.Start();
}

void ReplicasWatcher::OnReports(std::span<const UpstreamReport> /*reports*/) { refresher_.Hint(); }

void ReplicasWatcher::Refresh() {
  asked_ns_ = MonotonicNanos();
  nodes_.AskAll(asked_, ReplicationQuestions(),
                [this](const std::vector<NodeAnswer>& answers) { OnAnswers(answers); });
}

void ReplicasWatcher::OnAnswers(const std::vector<NodeAnswer>& answers) {
  const std::vector<Sight> sights =
      SightsOf(nodes_, answers, {configured_.begin(), configured_.end()});
  const bool heard = std::any_of(sights.begin(), sights.end(),
                                 [](const Sight& sight) { return sight.report.state.has_value(); });
  PrimaryChoice::Choice choice = choice_.Choose(sights);
  UpstreamTopology topology = states_.Describe(sights, choice.primary, MonotonicNanos(),
                                               AskedFor(context_.options, asked_ns_));
  topology.problem = std::move(choice.problem);
  const bool is_settled = choice.is_settled && !KeepNamed(sights, choice.primary);
  const bool changed = context_.publisher.Offer(std::move(topology));
  context_.publisher.RefreshEnded(heard);
  using Outcome = RefreshPace::Outcome;
  refresher_.Ended(!is_settled ? Outcome::kUnsettled
                   : changed   ? Outcome::kChanged
                               : Outcome::kUnchanged);
}

// Whom the primary names beside those that are asked is asked from the next round on, which is at
// once then (true). Whom a primary does not name any more is forgotten.
bool ReplicasWatcher::KeepNamed(std::span<const Sight> sights, std::optional<size_t> primary) {
  if (!primary || !sights[*primary].report.state) return false;
  std::vector<Sight> configured;
  for (const Sight& sight : sights) {
    if (sight.is_configured || &sight == &sights[*primary]) configured.push_back(sight);
  }
  const auto at = std::find_if(configured.begin(), configured.end(), [&](const Sight& sight) {
    return sight.report.address == sights[*primary].report.address;
  });
  std::vector<topology::NodeAddress> wanted = configured_;
  if (!sights[*primary].is_configured) wanted.push_back(sights[*primary].report.address);
  const auto named = NamedBeside(configured, static_cast<size_t>(at - configured.begin()));
  wanted.insert(wanted.end(), named.begin(), named.end());
  const bool has_new = std::any_of(wanted.begin(), wanted.end(),
                                   [this](const auto& one) { return !nodes_.Has(one); });
  asked_ = std::move(wanted);
  nodes_.Keep(asked_);
  return has_new;
}

}  // namespace tidegate::discovery
