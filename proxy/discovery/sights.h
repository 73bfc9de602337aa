// What servers answered to INFO replication and ROLE, as sights: the first where the user may ask
// it, else the second.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "config/upstream_options.h"
#include "proxy/discovery/node_set.h"
#include "proxy/discovery/replica_states.h"

namespace tidegate::discovery {

// Both in one round trip: a user that may not say INFO may say ROLE.
const std::vector<CommandWords>& ReplicationQuestions();

// One for each answer, in their order.
std::vector<Sight> SightsOf(const NodeSet& nodes, const std::vector<NodeAnswer>& answers,
                            const std::set<topology::NodeAddress>& configured);

// What ReplicaStates::Describe is to know of when nodes were asked.
std::optional<int64_t> AskedFor(const ClusterOptions& options, int64_t asked_ns);

// Addresses that a primary names as its replicas and that none of the sights is, at most so many.
inline constexpr size_t kNamedReplicasMax = 64;
std::vector<topology::NodeAddress> NamedBeside(std::span<const Sight> sights, size_t primary);

}  // namespace tidegate::discovery
