#include "proxy/discovery/sights.h"

#include <algorithm>

#include "proxy/topology/replication_state.h"

namespace tidegate::discovery {

const std::vector<CommandWords>& ReplicationQuestions() {
  static const std::vector<CommandWords> kQuestions = {{"INFO", "replication"}, {"ROLE"}};
  return kQuestions;
}

std::vector<Sight> SightsOf(const NodeSet& nodes, const std::vector<NodeAnswer>& answers,
                            const std::set<topology::NodeAddress>& configured) {
  std::vector<Sight> sights;
  for (const NodeAnswer& answer : answers) {
    Sight sight;
    sight.report.address = answer.address;
    sight.report.announced = nodes.PeerOf(answer.address);
    if (const NodeHealth* health = nodes.HealthOf(answer.address)) sight.health = *health;
    sight.is_configured = configured.contains(answer.address);
    if (answer.answer.ok()) {
      Result<topology::ReplicationState> state =
          topology::ParseInfoReplication(answer.answer.value()[0]);
      if (!state.ok()) state = topology::ParseRole(answer.answer.value()[1]);
      if (state.ok()) {
        sight.report.state = std::move(state).value();
      } else {
        sight.health.Failed(state.error().message);
      }
    }
    sights.push_back(std::move(sight));
  }
  return sights;
}

std::optional<int64_t> AskedFor(const ClusterOptions& options, int64_t asked_ns) {
  return options.fans_out ? std::optional(asked_ns) : std::nullopt;
}

std::vector<topology::NodeAddress> NamedBeside(std::span<const Sight> sights, size_t primary) {
  std::vector<topology::NodeAddress> named;
  if (!sights[primary].report.state) return named;
  for (const topology::AttachedReplica& replica : sights[primary].report.state->replicas) {
    const auto is_it = [&replica](const Sight& sight) {
      return sight.report.address == replica.address || sight.report.announced == replica.address;
    };
    if (!replica.address.is_known() || named.size() >= kNamedReplicasMax) continue;
    if (std::none_of(sights.begin(), sights.end(), is_it)) named.push_back(replica.address);
  }
  return named;
}

}  // namespace tidegate::discovery
