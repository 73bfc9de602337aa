#include "policy/route_policies.h"

#include <utility>

#include "base/clock.h"
#include "policy/command_access.h"
#include "policy/early_refresh/early_refresh.h"
#include "policy/single_flight/single_flight.h"
#include "policy/stale/stale_copies.h"
#include "policy/ttl_jitter/ttl_jitter.h"

namespace tidegate {
namespace {

std::string Acting(std::string_view policy, PolicyMode mode) {
  return std::string(policy) + (mode == PolicyMode::kObserve ? " (observe)" : "");
}

// The engine has an option of its own for that (lazyfree-lazy-user-del): nobody has to look at each
// DEL unless the route says so.
PolicyMode UnlinkMode(const BigKeyOptions& options, Profile profile, bool is_upstream) {
  if (!options.unlink && !is_upstream) return PolicyMode::kOff;
  return SafeModeOf(options.unlink, profile);
}

// Where keys are renamed, written to two clusters or on their way to another, what is kept would
// have to follow.
bool KeepsNames(const RouteOptions& route) {
  return route.strip_prefix.empty() && route.add_prefix.empty() && route.mirror.cluster.empty() &&
         route.move_from.empty();
}

// The engine is as near as a cache would be.
bool KeepsReplies(const RoutePolicies::Setting& setting) {
  return setting.is_upstream && KeepsNames(setting.route);
}

bool KeepsCopies(const RoutePolicies::Setting& setting) {
  return KeepsNames(setting.route) && !setting.reads_replicas;
}

}  // namespace

RoutePolicies::RoutePolicies(const Setting& setting, std::shared_ptr<PolicyCounters> counters,
                             const RoutePolicies* before)
    : route_(setting.route.match),
      options_(setting.route.policies),
      profile_(setting.profile),
      is_upstream_(setting.is_upstream),
      keeps_replies_(KeepsReplies(setting)),
      keeps_copies_(KeepsCopies(setting)),
      priority_(setting.route.priority),
      counters_(std::move(counters)) {
  const PolicyMode rates = ModeOf(options_.rate_limit.mode, profile_);
  if (!options_.rate_limit.rules.empty() && rates != PolicyMode::kOff) {
    rate_limit_ =
        std::make_unique<RateLimit>(options_.rate_limit, rates, *counters_,
                                    before != nullptr ? before->rate_limit_.get() : nullptr);
  }
  const PolicyMode shapes = ModeOf(options_.key_shape.mode, profile_);
  if (options_.key_shape.any() && shapes != PolicyMode::kOff)
    key_shape_ = std::make_unique<KeyShape>(options_.key_shape, shapes);
  const PolicyMode reads = ModeOf(options_.big_key.mode, profile_);
  const PolicyMode unlink = UnlinkMode(options_.big_key, profile_, is_upstream_);
  const bool reads_act = options_.big_key.any() && reads != PolicyMode::kOff;
  if (reads_act || unlink != PolicyMode::kOff) {
    big_key_ = std::make_unique<BigKeyGuard>(options_.big_key, reads, unlink, setting.commands);
  }
  if (options_.single_flight.any() && options_.single_flight.mode != PolicyMode::kOff &&
      setting.leases != nullptr) {
    setting.leases->Use();
    single_flight_ =
        std::make_unique<SingleFlight>(options_.single_flight, profile_, *setting.leases,
                                       before != nullptr ? before->single_flight_.get() : nullptr);
  }
  MakeRefreshers(setting, before);
  const PolicyMode jitter = ModeOf(options_.ttl_jitter.mode, profile_);
  if (options_.ttl_jitter.any() && jitter != PolicyMode::kOff) {
    const bool goes_on = before != nullptr && before->ttl_jitter_ != nullptr &&
                         before->options_.ttl_jitter == options_.ttl_jitter &&
                         before->ttl_jitter_->mode() == jitter;
    ttl_jitter_ =
        goes_on ? before->ttl_jitter_ : std::make_shared<TtlJitter>(options_.ttl_jitter, jitter);
  }
  absent_keys_ =
      AbsentKeys::Create({.policies = options_,
                          .is_upstream = is_upstream_,
                          .commands = setting.commands,
                          .leases = single_flight_ != nullptr ? setting.leases : nullptr},
                         counters_, before != nullptr ? before->absent_keys_ : nullptr);
  const PolicyMode cache = SafeModeOf(options_.local_cache.mode, profile_);
  if (options_.local_cache.said && cache != PolicyMode::kOff && KeepsReplies(setting)) {
    const bool keeps_nothing = single_flight_ == nullptr && absent_keys_ == nullptr;
    local_cache_ = std::make_unique<LocalCacheRule>(options_.local_cache, cache, setting.commands,
                                                    keeps_nothing);
  }
  const PolicyMode fanout = ModeOf(options_.replica_fanout.mode, profile_);
  if (options_.replica_fanout.said && fanout != PolicyMode::kOff && KeepsReplies(setting)) {
    replica_fanout_ =
        std::make_unique<FanoutRule>(options_.replica_fanout, fanout, setting.commands);
  }
}

RoutePolicies::~RoutePolicies() = default;

void RoutePolicies::MakeRefreshers(const Setting& setting, const RoutePolicies* before) {
  if (options_.early_refresh.any && options_.early_refresh.mode != PolicyMode::kOff &&
      single_flight_ != nullptr)
    early_refresh_ = std::make_unique<EarlyRefresh>(options_.early_refresh);
  if (!options_.stale.any || options_.stale.mode == PolicyMode::kOff || !keeps_copies_ ||
      setting.leases == nullptr)
    return;
  setting.leases->Use();
  stale_ = std::make_unique<StaleCopies>(options_.stale, counters_);
  if (before != nullptr) stale_->Restart(MonotonicNanos());
}

bool RoutePolicies::IsOf(const Setting& setting) const {
  return route_ == setting.route.match && options_ == setting.route.policies &&
         priority_ == setting.route.priority && profile_ == setting.profile &&
         is_upstream_ == setting.is_upstream && keeps_replies_ == KeepsReplies(setting) &&
         keeps_copies_ == KeepsCopies(setting);
}

bool RoutePolicies::Judges(const Command& command) const {
  if (ConcernsData()) return true;
  if (big_key_ != nullptr && big_key_->RoleOf(command) != BigKeyRole::kNone) return true;
  return ttl_jitter_ != nullptr && DataAccessOf(command) == DataAccess::kWrite;
}

bool RoutePolicies::Flies(const Command& command, std::string_view key) const {
  if (DataAccessOf(command) != DataAccess::kWrite && command.full_name != "get") return false;
  return (single_flight_ != nullptr && single_flight_->Looks(key)) ||
         (stale_ != nullptr && stale_->Names(key));
}

// EXEC is judged by what it will execute.
bool RoutePolicies::Concerns(const Command& command) const {
  const bool any = ConcernsData() || single_flight_ != nullptr || stale_ != nullptr ||
                   (big_key_ != nullptr && big_key_->mode() != PolicyMode::kOff);
  if (command.full_name == "exec") return any;
  if (big_key_ != nullptr && big_key_->RoleOf(command) != BigKeyRole::kNone) return true;
  if (local_cache_ != nullptr && local_cache_->Covers(command)) return true;
  if (replica_fanout_ != nullptr && replica_fanout_->Covers(command)) return true;
  if (single_flight_ != nullptr && command.full_name == "watch") return single_flight_->learns();
  const DataAccess access = DataAccessOf(command);
  if (access == DataAccess::kNone) return false;
  if ((single_flight_ != nullptr || stale_ != nullptr) &&
      (access == DataAccess::kWrite || command.full_name == "get"))
    return true;
  if (ttl_jitter_ != nullptr && access == DataAccess::kWrite) return true;
  return ConcernsData();
}

std::vector<std::string> RoutePolicies::Describe() const {
  std::vector<std::string> lines;
  if (key_shape_ != nullptr) lines.push_back(key_shape_->Describe());
  if (big_key_ != nullptr) {
    for (std::string& line : big_key_->Describe()) lines.push_back(std::move(line));
  }
  if (rate_limit_ != nullptr) {
    for (std::string& line : rate_limit_->Describe()) lines.push_back(std::move(line));
  }
  if (local_cache_ != nullptr) lines.push_back(local_cache_->Describe());
  if (replica_fanout_ != nullptr) lines.push_back(replica_fanout_->Describe());
  if (single_flight_ != nullptr) lines.push_back(single_flight_->Describe(MonotonicNanos()));
  if (early_refresh_ != nullptr) lines.push_back(early_refresh_->Describe());
  if (stale_ != nullptr) lines.push_back(stale_->Describe());
  if (ttl_jitter_ != nullptr) lines.push_back(ttl_jitter_->Describe());
  if (absent_keys_ != nullptr) {
    for (std::string& line : absent_keys_->Describe()) lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> RoutePolicies::Learned(int64_t now_ns) const {
  return single_flight_ == nullptr ? std::vector<std::string>() : single_flight_->Learned(now_ns);
}

std::vector<std::string> RoutePolicies::ActionsOn(std::string_view key, hotkey::KeyId id,
                                                  int64_t now_ns) const {
  std::vector<std::string> actions;
  if (key_shape_ != nullptr && !key_shape_->FaultOf(key).empty())
    actions.push_back(Acting("key_shape", key_shape_->mode()));
  if (rate_limit_ != nullptr && rate_limit_->IsPressed(key, id, now_ns))
    actions.push_back(Acting("rate_limit", rate_limit_->mode()));
  if (local_cache_ != nullptr && (local_cache_->of_hot_keys() || local_cache_->Names(key)))
    actions.push_back(Acting("local_cache", local_cache_->mode()));
  if (replica_fanout_ != nullptr && (replica_fanout_->of_hot_keys() || replica_fanout_->Names(key)))
    actions.push_back(Acting("replica_fanout", replica_fanout_->mode()));
  return actions;
}

}  // namespace tidegate
