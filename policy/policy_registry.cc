#include "policy/policy_registry.h"

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "policy/stale/stale_copies.h"

namespace tidegate {
namespace {

constexpr std::string_view kOthers = "(others)";

bool IsUpstream(const Options& options, const std::string& cluster) {
  return std::any_of(
      options.clusters.begin(), options.clusters.end(),
      [&cluster](const ClusterOptions& one) { return one.name == cluster && one.is_upstream(); });
}

bool ReadsReplicas(const Options& options, const std::string& cluster) {
  return std::any_of(options.clusters.begin(), options.clusters.end(),
                     [&cluster](const ClusterOptions& one) {
                       return one.name == cluster && one.read_from != ReadFrom::kPrimary;
                     });
}

const RoutePolicies* Before(const PolicyList& before, const std::string& route) {
  for (const auto& known : before) {
    if (known->route() == route) return known.get();
  }
  return nullptr;
}

}  // namespace

PolicyList PolicyRegistry::Next(const Options& options, const PolicyList& before) {
  const MutexLock lock(mutex_);
  PolicyList list;
  for (const RouteOptions& route : options.routes) {
    const RoutePolicies::Setting setting{.route = route,
                                         .profile = options.profile,
                                         .is_upstream = IsUpstream(options, route.cluster),
                                         .commands = commands_,
                                         .leases = &leases_,
                                         .reads_replicas = ReadsReplicas(options, route.cluster)};
    const auto same = std::find_if(before.begin(), before.end(),
                                   [&setting](const auto& known) { return known->IsOf(setting); });
    list.push_back(same != before.end()
                       ? *same
                       : std::make_shared<RoutePolicies>(setting, CountersOf(route.match),
                                                         Before(before, route.match)));
  }
  return list;
}

void PolicyRegistry::Publish(const PolicyList& list) {
  PolicyList sorted = list;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a->route().size() > b->route().size();
  });
  const MutexLock lock(mutex_);
  // Which route a key takes may be another: what one has kept another may have seen deleted.
  const int64_t now_ns = MonotonicNanos();
  for (const auto& policies : sorted) {
    if (!now_.empty() && policies->stale() != nullptr) policies->stale()->Restart(now_ns);
  }
  now_ = std::move(sorted);
}

std::vector<PolicyRegistry::Counted> PolicyRegistry::Counters() const {
  const MutexLock lock(mutex_);
  std::vector<Counted> counted;
  counted.reserve(counters_.size());
  for (const auto& [route, counters] : counters_) counted.push_back({route, counters});
  return counted;
}

PolicyList PolicyRegistry::Now() const {
  const MutexLock lock(mutex_);
  return now_;
}

std::shared_ptr<RoutePolicies> PolicyRegistry::Of(std::string_view key) const {
  const MutexLock lock(mutex_);
  for (const auto& policies : now_) {
    if (policies->route() == "*" || GlobMatch(policies->route(), key)) return policies;
  }
  return nullptr;
}

std::shared_ptr<PolicyCounters> PolicyRegistry::CountersOf(const std::string& route) {
  const auto found = counters_.find(route);
  if (found != counters_.end()) return found->second;
  const bool full = counters_.size() >= kCountedRoutesMax;
  std::shared_ptr<PolicyCounters>& counters = counters_[full ? std::string(kOthers) : route];
  if (counters == nullptr) counters = std::make_shared<PolicyCounters>();
  return counters;
}

}  // namespace tidegate
