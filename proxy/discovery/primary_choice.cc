#include "proxy/discovery/primary_choice.h"

#include <algorithm>
#include <vector>

namespace tidegate::discovery {
namespace {

std::optional<size_t> Find(std::span<const Sight> sights, const topology::NodeAddress& address) {
  for (size_t i = 0; i < sights.size(); ++i) {
    if (sights[i].report.address == address) return i;
  }
  return std::nullopt;
}

size_t LinksUp(const topology::ReplicaSet& set) {
  return static_cast<size_t>(
      std::count_if(set.replicas.begin(), set.replicas.end(),
                    [](const topology::ReplicaReport& replica) { return replica.is_link_up; }));
}

std::string Name(const Sight& sight) { return sight.report.address.ToText(); }

}  // namespace

PrimaryChoice::Choice PrimaryChoice::Choose(std::span<const Sight> sights) {
  std::vector<topology::ServerReport> reports;
  for (const Sight& sight : sights) reports.push_back(sight.report);
  const topology::ReplicaSet set = ResolveReplicaSet(reports);
  const std::optional<size_t> last = Find(sights, last_);
  Choice choice;
  if (set.primary && set.primary == last) {
    choice.primary = last;
  } else {
    choice = ChooseOther(sights, set, last);
  }
  if (choice.problem.empty() && choice.primary == set.primary && !set.rivals.empty())
    choice.problem = Name(sights[set.rivals[0]]) + " says that it is the primary, as " +
                     Name(sights[*set.primary]) + " does";
  Remember(sights, choice);
  return choice;
}

PrimaryChoice::Choice PrimaryChoice::ChooseOther(std::span<const Sight> sights,
                                                 const topology::ReplicaSet& set,
                                                 std::optional<size_t> last) {
  const bool is_demoted = last && sights[*last].report.state &&
                          sights[*last].report.state->role != topology::ServerRole::kPrimary;
  if (!set.primary) {
    if (is_demoted) return {std::nullopt, "none of its nodes says that it is the primary", false};
    if (!last) return {std::nullopt, "none of its nodes is known to be the primary", false};
    return {last,
            "the primary " + last_.ToText() + " does not answer: " + sights[*last].health.why(),
            false};
  }
  if (!last || is_demoted || HasProof(sights, set, last)) return {set.primary, "", true};
  const std::string other = Name(sights[*set.primary]);
  if (sights[*last].report.state)
    return {last, other + " says that it is the primary, as " + last_.ToText() + " does", true};
  return {last,
          "the primary " + last_.ToText() + " does not answer, and " + other +
              " says that it is the primary, but was not its replica and has none",
          false};
}

// Whether the one that the servers speak for may take over from a primary that does not say that
// it is a replica now.
bool PrimaryChoice::HasProof(std::span<const Sight> sights, const topology::ReplicaSet& set,
                             std::optional<size_t> last) const {
  const Sight& other = sights[*set.primary];
  const topology::NodeAddress& address = other.report.address;
  const size_t followers = LinksUp(set);
  if (sights[*last].report.state) {
    // Both say so: how many does the last one have?
    std::vector<topology::ServerReport> reports = ReportsFor(sights, last);
    return followers > LinksUp(ResolveReplicaSet(reports));
  }
  if (followers > 0) return true;
  if (rivals_.contains(address)) return false;
  return replicas_.contains(address) || !sights[*last].health.is_usable();
}

void PrimaryChoice::Remember(std::span<const Sight> sights, const Choice& choice) {
  if (choice.primary && sights[*choice.primary].report.address != last_) {
    last_ = sights[*choice.primary].report.address;
    replicas_.clear();
  }
  const bool is_there = choice.primary && sights[*choice.primary].report.state.has_value();
  for (size_t i = 0; i < sights.size(); ++i) {
    const topology::NodeAddress& address = sights[i].report.address;
    if (!sights[i].report.state) continue;
    if (i == choice.primary || sights[i].report.state->role != topology::ServerRole::kPrimary) {
      rivals_.erase(address);
    } else if (is_there) {
      rivals_.insert(address);
    }
  }
  if (!is_there) return;
  for (const topology::ReplicaReport& replica :
       ResolveReplicaSet(ReportsFor(sights, choice.primary)).replicas)
    replicas_.insert(sights[replica.server].report.address);
}

}  // namespace tidegate::discovery
