// RoutePolicies: what may act on the requests of one route. There is one for each route of the
// configuration, which all workers share: what a policy remembers (rates) has to hold for the whole
// process. Policies that are off are not there; a route without any has counters alone, so that
// load shedding has where to count.
//
// Made on the main thread at the start and by a reload, then handed to the workers with the routes
// (proxy/upstream/upstream_plan.h). Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "hotkey/key_id.h"
#include "policy/absent_keys.h"
#include "policy/big_key/big_key_guard.h"
#include "policy/key_shape/key_shape.h"
#include "policy/local_cache/local_cache_rule.h"
#include "policy/policy_counters.h"
#include "policy/rate_limit/rate_limit.h"
#include "policy/replica_fanout/fanout_rule.h"
#include "storage/command.h"

namespace tidegate {

class EarlyRefresh;
class LeaseTable;
class SingleFlight;
class StaleCopies;
class TtlJitter;

class RoutePolicies final {
 public:
  struct Setting {
    const RouteOptions& route;
    Profile profile = Profile::kStandard;
    bool is_upstream = false;
    const CommandTable& commands;
    LeaseTable* leases = nullptr;  // of the process; null: reads wait for nobody
    bool reads_replicas = false;   // which may have what a client has deleted
  };
  // `before`: of the same route, before a reload; null: none.
  RoutePolicies(const Setting& setting, std::shared_ptr<PolicyCounters> counters,
                const RoutePolicies* before);
  ~RoutePolicies();
  RoutePolicies(const RoutePolicies&) = delete;
  RoutePolicies& operator=(const RoutePolicies&) = delete;

  const std::string& route() const { return route_; }
  // Made of the same settings.
  bool IsOf(const Setting& setting) const;
  // Whether any of them has to be asked about requests of the command.
  bool Concerns(const Command& command) const;
  // Whether Judge has to be asked about requests of the command that have one key.
  bool Judges(const Command& command) const;
  // Whether single_flight or stale looks at such a request.
  bool Flies(const Command& command, std::string_view key) const;
  // Whether requests of any command that reads or writes are asked about.
  bool ConcernsData() const {
    return rate_limit_ != nullptr || key_shape_ != nullptr || absent_keys_ != nullptr;
  }

  // Null: off.
  RateLimit* rate_limit() { return rate_limit_.get(); }
  const KeyShape* key_shape() const { return key_shape_.get(); }
  const BigKeyGuard* big_key() const { return big_key_.get(); }
  // Asked by the session: it answers in place of an upstream.
  const LocalCacheRule* local_cache() const { return local_cache_.get(); }
  // Asked by the session: it says who answers.
  const FanoutRule* replica_fanout() const { return replica_fanout_.get(); }
  SingleFlight* single_flight() { return single_flight_.get(); }
  // There is one only beside single_flight.
  EarlyRefresh* early_refresh() { return early_refresh_.get(); }
  StaleCopies* stale() { return stale_.get(); }
  TtlJitter* ttl_jitter() { return ttl_jitter_.get(); }
  const std::shared_ptr<AbsentKeys>& absent_keys() const { return absent_keys_; }
  RoutePriority priority() const { return priority_; }
  PolicyCounters& counters() { return *counters_; }

  // A line for each policy and rule, for TIDEGATE EXPLAIN.
  std::vector<std::string> Describe() const;
  // The kinds of keys ("item:") that are seen to be a cache's.
  std::vector<std::string> Learned(int64_t now_ns) const;
  // The policies that act on a hot key now: "rate_limit"; those that only look on have "(observe)"
  // behind their name.
  std::vector<std::string> ActionsOn(std::string_view key, hotkey::KeyId id, int64_t now_ns) const;

 private:
  void MakeRefreshers(const Setting& setting, const RoutePolicies* before);

  const std::string route_;
  const RoutePolicyOptions options_;
  const Profile profile_;
  const bool is_upstream_;
  const bool keeps_replies_;  // local_cache is possible there
  const bool keeps_copies_;   // and stale
  const RoutePriority priority_;
  const std::shared_ptr<PolicyCounters> counters_;
  std::unique_ptr<RateLimit> rate_limit_;
  std::unique_ptr<KeyShape> key_shape_;
  std::unique_ptr<BigKeyGuard> big_key_;
  std::unique_ptr<LocalCacheRule> local_cache_;
  std::unique_ptr<FanoutRule> replica_fanout_;
  std::unique_ptr<SingleFlight> single_flight_;
  std::unique_ptr<EarlyRefresh> early_refresh_;
  std::unique_ptr<StaleCopies> stale_;
  std::shared_ptr<TtlJitter> ttl_jitter_;  // what it counted goes on after a reload
  std::shared_ptr<AbsentKeys> absent_keys_;
};

}  // namespace tidegate
