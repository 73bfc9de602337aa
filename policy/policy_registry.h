// PolicyRegistry: the policies of all routes, as they are now, for whoever shows them; and their
// counters, which go on when a reload changes a route, or takes it away and brings it back.
//
// Routes are known by their patterns. What lists of routes have been is bounded: beyond
// kCountedRoutesMax patterns since the start, new ones share the counters of "(others)".
// Next() is the main thread's; the rest is for any.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "config/options.h"
#include "policy/policy_counters.h"
#include "policy/route.h"
#include "policy/route_policies.h"
#include "policy/single_flight/lease_table.h"
#include "storage/command.h"

namespace tidegate {

inline constexpr size_t kCountedRoutesMax = 4096;

class PolicyRegistry final {
 public:
  explicit PolicyRegistry(const CommandTable& commands) : commands_(commands) {}

  // For these options: what has not changed is the same object as before.
  PolicyList Next(const Options& options, const PolicyList& before) TG_EXCLUDES(mutex_);
  // They are in force.
  void Publish(const PolicyList& list) TG_EXCLUDES(mutex_);

  struct Counted {
    std::string route;
    std::shared_ptr<const PolicyCounters> counters;
  };
  std::vector<Counted> Counters() const TG_EXCLUDES(mutex_);
  // All that are in force.
  PolicyList Now() const TG_EXCLUDES(mutex_);
  // Those of the route that a key takes, where no listener says otherwise; null: none is in force.
  std::shared_ptr<RoutePolicies> Of(std::string_view key) const TG_EXCLUDES(mutex_);
  // Of all routes.
  LeaseTable& leases() { return leases_; }

 private:
  std::shared_ptr<PolicyCounters> CountersOf(const std::string& route) TG_REQUIRES(mutex_);

  const CommandTable& commands_;
  LeaseTable leases_;
  mutable Mutex mutex_;
  PolicyList now_ TG_GUARDED_BY(mutex_);  // the longest pattern first
  std::map<std::string, std::shared_ptr<PolicyCounters>> counters_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
