#include "policy/route_policies.h"

#include <utility>

#include "policy/command_access.h"

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

}  // namespace

RoutePolicies::RoutePolicies(const Setting& setting, std::shared_ptr<PolicyCounters> counters,
                             const RoutePolicies* before)
    : route_(setting.route.match),
      options_(setting.route.policies),
      profile_(setting.profile),
      is_upstream_(setting.is_upstream),
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
  absent_keys_ = AbsentKeys::Create(
      {.policies = options_, .is_upstream = is_upstream_, .commands = setting.commands}, counters_,
      before != nullptr ? before->absent_keys_ : nullptr);
}

bool RoutePolicies::IsOf(const Setting& setting) const {
  return route_ == setting.route.match && options_ == setting.route.policies &&
         priority_ == setting.route.priority && profile_ == setting.profile &&
         is_upstream_ == setting.is_upstream;
}

// EXEC is judged by what it will execute.
bool RoutePolicies::Concerns(const Command& command) const {
  const bool any = ConcernsData() || (big_key_ != nullptr && big_key_->mode() != PolicyMode::kOff);
  if (command.full_name == "exec") return any;
  if (big_key_ != nullptr && big_key_->RoleOf(command) != BigKeyRole::kNone) return true;
  if (DataAccessOf(command) == DataAccess::kNone) return false;
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
  if (absent_keys_ != nullptr) {
    for (std::string& line : absent_keys_->Describe()) lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> RoutePolicies::ActionsOn(std::string_view key, hotkey::KeyId id,
                                                  int64_t now_ns) const {
  std::vector<std::string> actions;
  if (key_shape_ != nullptr && !key_shape_->FaultOf(key).empty())
    actions.push_back(Acting("key_shape", key_shape_->mode()));
  if (rate_limit_ != nullptr && rate_limit_->IsPressed(key, id, now_ns))
    actions.push_back(Acting("rate_limit", rate_limit_->mode()));
  return actions;
}

}  // namespace tidegate
