#include "proxy/discovery/replica_states.h"

#include <algorithm>
#include <utility>

#include "config/option_value.h"

namespace tidegate::discovery {
namespace {

bool SaysRole(const Sight& sight, topology::ServerRole role) {
  return sight.report.state && sight.report.state->role == role;
}

const topology::ReplicaReport* FindReplica(const topology::ReplicaSet& set, size_t server) {
  for (const topology::ReplicaReport& replica : set.replicas) {
    if (replica.server == server) return &replica;
  }
  return nullptr;
}

}  // namespace

std::vector<topology::ServerReport> ReportsFor(std::span<const Sight> sights,
                                               std::optional<size_t> primary) {
  std::vector<topology::ServerReport> reports;
  for (size_t i = 0; i < sights.size(); ++i) {
    reports.push_back(sights[i].report);
    if (primary && i != *primary && SaysRole(sights[i], topology::ServerRole::kPrimary))
      reports.back().state.reset();
  }
  return reports;
}

UpstreamTopology ReplicaStates::Describe(std::span<const Sight> sights,
                                         std::optional<size_t> primary, int64_t now_ns,
                                         std::optional<int64_t> asked_ns) {
  const topology::NodeAddress address =
      primary ? sights[*primary].report.address : topology::NodeAddress{};
  if (address != last_primary_) {
    offsets_.Clear();
    catch_up_.Clear();
    names_of_primary_.clear();
    last_primary_ = address;
  }
  topology::ReplicaSet set;
  if (primary && sights[*primary].report.state) {
    set = ResolveReplicaSet(ReportsFor(sights, primary));
    offsets_.Note(now_ns, sights[*primary].report.state->offset);
    for (const topology::ReplicaReport& replica : set.replicas)
      names_of_primary_.insert(sights[replica.server].report.state->primary);
  }
  if (asked_ns) NoteCaughtUp(sights, primary, set, *asked_ns);
  UpstreamTopology topology;
  std::map<topology::NodeAddress, KnownNode> states;
  for (size_t i = 0; i < sights.size(); ++i) {
    if (!sights[i].is_configured && !sights[i].health.is_known()) continue;
    if (primary == i) topology.primary = topology.nodes.size();
    topology.nodes.push_back(DescribeOne(sights, i, primary, set, now_ns));
    KnownNode& node = topology.nodes.back();
    if (asked_ns && !node.is_primary) node.caught_up = catch_up_.Of(node.address);
    states.emplace(node.address, node);
  }
  last_ = std::move(states);
  catch_up_.Keep(last_);
  return topology;
}

// Where the primary says nothing this time its last word stands.
void ReplicaStates::NoteCaughtUp(std::span<const Sight> sights, std::optional<size_t> primary,
                                 const topology::ReplicaSet& set, int64_t asked_ns) {
  if (!primary) return;
  const auto& top = sights[*primary].report.state;
  if (top && top->role == topology::ServerRole::kPrimary) catch_up_.NotePrimary(asked_ns, *top);
  for (size_t i = 0; i < sights.size(); ++i) {
    if (i == *primary) continue;
    const auto& state = sights[i].report.state;
    const bool follows =
        FindReplica(set, i) != nullptr || (state && FollowsSilent(sights, i, *primary));
    catch_up_.NoteReplica(sights[i].report.address, state ? &*state : nullptr, follows);
  }
}

KnownNode ReplicaStates::DescribeOne(std::span<const Sight> sights, size_t index,
                                     std::optional<size_t> primary, const topology::ReplicaSet& set,
                                     int64_t now_ns) const {
  const Sight& sight = sights[index];
  KnownNode node{.address = sight.report.address, .is_primary = primary == index};
  node.is_answering = sight.health.is_usable();
  if (!node.is_answering) {
    node.why_not = sight.health.why();
  } else if (!sight.report.state) {
    const auto last = last_.find(node.address);
    if (last == last_.end()) {
      node.why_not = sight.health.why().empty() ? "not asked yet" : sight.health.why();
    } else if (last->second.is_primary || !node.is_primary) {
      node.why_not = last->second.why_not;
    }
  } else if (node.is_primary) {
    return node;
  } else if (sight.report.state->role == topology::ServerRole::kPrimary) {
    node.why_not = primary ? "it says that it is the primary too" : "nobody is its primary";
  } else if (sight.report.state->role == topology::ServerRole::kSentinel) {
    node.why_not = "it is a sentinel";
  } else if (const topology::ReplicaReport* replica = FindReplica(set, index)) {
    node.why_not = WhyNotReadable(*sight.report.state, replica->seconds_behind, now_ns);
  } else if (primary && FollowsSilent(sights, index, *primary)) {
    node.why_not = WhyNotReadable(*sight.report.state, -1, now_ns);
  } else {
    node.why_not = "it follows " + sight.report.state->primary.ToText();
  }
  node.is_usable = node.why_not.empty();
  return node;
}

std::string ReplicaStates::WhyNotReadable(const topology::ReplicationState& state,
                                          int64_t seconds_behind, int64_t now_ns) const {
  const auto is_over = [this](int64_t seconds) { return std::chrono::seconds(seconds) > lag_max_; };
  if (state.is_syncing) return "it copies its primary's data";
  if (!state.is_link_up && state.link_down_seconds < 0) return "it has no link to its primary";
  if (!state.is_link_up && is_over(state.link_down_seconds))
    return "it has had no link to its primary for more than " + PrintDuration(lag_max_);
  if (is_over(seconds_behind) || offsets_.IsTooFarBehind(now_ns, state.offset))
    return "it is more than " + PrintDuration(lag_max_) + " behind its primary";
  return "";
}

// Whether it follows a primary that does not answer just now: by the names that replicas had for
// it when it did.
bool ReplicaStates::FollowsSilent(std::span<const Sight> sights, size_t index,
                                  size_t primary) const {
  const topology::ServerReport& top = sights[primary].report;
  if (top.state) return false;
  const topology::NodeAddress& followed = sights[index].report.state->primary;
  return followed == top.address || (top.announced.is_known() && followed == top.announced) ||
         names_of_primary_.contains(followed);
}

}  // namespace tidegate::discovery
