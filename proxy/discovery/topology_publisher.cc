#include "proxy/discovery/topology_publisher.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/topology/slot_map_diff.h"

namespace tidegate::discovery {
namespace {

// Of each replica of a map, whose it is.
std::map<topology::NodeAddress, topology::NodeAddress> ReplicasOf(const topology::SlotMap& map) {
  std::map<topology::NodeAddress, topology::NodeAddress> replicas;
  for (const topology::Shard& shard : map.shards()) {
    const topology::NodeAddress primary = shard.primary == topology::kNoNode
                                              ? topology::NodeAddress{}
                                              : map.nodes()[shard.primary].address;
    for (const topology::NodeIndex replica : shard.replicas)
      replicas.emplace(map.nodes()[replica].address, primary);
  }
  return replicas;
}

using MoveText = std::tuple<uint16_t, topology::NodeAddress, topology::NodeAddress>;
std::vector<MoveText> MovesOf(const topology::SlotMap& map) {
  std::vector<MoveText> moves;
  const auto address = [&map](topology::NodeIndex node) {
    return node == topology::kNoNode ? topology::NodeAddress{} : map.nodes()[node].address;
  };
  for (const topology::SlotMove& move : map.moves())
    moves.emplace_back(move.slot, address(move.from), address(move.to));
  std::sort(moves.begin(), moves.end());
  return moves;
}

bool SameMap(const std::shared_ptr<const topology::SlotMap>& a,
             const std::shared_ptr<const topology::SlotMap>& b) {
  if (a == b) return true;
  if (a == nullptr || b == nullptr) return false;
  return Compare(*a, *b).is_empty() && ReplicasOf(*a) == ReplicasOf(*b) &&
         MovesOf(*a) == MovesOf(*b);
}

using NodeStates = std::map<topology::NodeAddress, const KnownNode*>;
NodeStates StatesOf(const UpstreamTopology& topology) {
  NodeStates states;
  for (const KnownNode& node : topology.nodes) states.emplace(node.address, &node);
  return states;
}

bool SameNodes(const UpstreamTopology& a, const UpstreamTopology& b) {
  const NodeStates left = StatesOf(a);
  const NodeStates right = StatesOf(b);
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && x.second->is_primary == y.second->is_primary &&
                  x.second->is_usable == y.second->is_usable &&
                  x.second->is_answering == y.second->is_answering &&
                  x.second->why_not == y.second->why_not &&
                  x.second->is_drained == y.second->is_drained &&
                  x.second->caught_up == y.second->caught_up;
         });
}

}  // namespace

std::vector<topology::NodeAddress> PrimariesOf(const UpstreamTopology& topology) {
  std::vector<topology::NodeAddress> primaries;
  if (topology.primary) {
    primaries.push_back(topology.nodes[*topology.primary].address);
  } else if (topology.slots != nullptr) {
    for (const KnownNode& node : topology.nodes) {
      if (node.is_primary) primaries.push_back(node.address);
    }
    std::sort(primaries.begin(), primaries.end());
  }
  return primaries;
}

bool SameTopology(const UpstreamTopology& a, const UpstreamTopology& b) {
  return a.problem == b.problem && SameNodes(a, b) && PrimariesOf(a) == PrimariesOf(b) &&
         SameMap(a.slots, b.slots);
}

bool TopologyPublisher::Offer(UpstreamTopology next) {
  const MutexLock offering(offer_mutex_);
  offered_ = next;
  return PutOut(std::move(next));
}

bool TopologyPublisher::PutOut(UpstreamTopology next) {
  for (KnownNode& node : next.nodes) {
    node.is_drained = drained_.contains(node.address);
    if (!node.is_drained) continue;
    node.is_usable = false;
    node.why_not = "drained by an operator";
  }
  const std::shared_ptr<const UpstreamTopology> before = latest();
  if (before->version != 0 && SameTopology(*before, next)) return false;
  next.version = before->version + 1;
  const auto after = std::make_shared<const UpstreamTopology>(std::move(next));
  {
    const MutexLock lock(mutex_);
    latest_ = after;
  }
  Log(*before, *after);
  Count(*before, *after);
  publish_(after);
  return true;
}

bool TopologyPublisher::OfferProblem(std::string problem) {
  const MutexLock offering(offer_mutex_);
  offered_.problem = std::move(problem);
  return PutOut(offered_);
}

std::string TopologyPublisher::Drain(const topology::NodeAddress& address, bool may_leave_ring) {
  const MutexLock offering(offer_mutex_);
  std::string why_not = WhyNotDrained(address, may_leave_ring);
  if (why_not.empty() && drained_.insert(address).second) PutOut(offered_);
  return why_not;
}

bool TopologyPublisher::Undrain(const topology::NodeAddress& address) {
  const MutexLock offering(offer_mutex_);
  if (drained_.erase(address) == 0) return false;
  PutOut(offered_);
  return true;
}

std::string TopologyPublisher::WhyNotDrained(const topology::NodeAddress& address,
                                             bool may_leave_ring) const {
  const std::vector<KnownNode>& nodes = offered_.nodes;
  const auto node = std::find_if(nodes.begin(), nodes.end(),
                                 [&](const KnownNode& one) { return one.address == address; });
  if (node == nodes.end()) return "the cluster has no such node";
  if (kind_ == ClusterKind::kRedis) return "it is the only node of its cluster";
  if (kind_ != ClusterKind::kRing)
    return node->is_primary ? "it is a primary: only that can take writes" : "";
  if (!may_leave_ring) return "its keys are at no other node: the ring has no eject-after-failures";
  for (const KnownNode& one : nodes) {
    if (one.address != address && !drained_.contains(one.address)) return "";
  }
  return "it is the last node of the ring that is not drained";
}

void TopologyPublisher::RefreshEnded(bool good) {
  counters_.refreshes.Add(1);
  if (good) {
    last_answer_unix_ms_.store(UnixMillis(), std::memory_order_relaxed);
  } else {
    counters_.refresh_failures.Add(1);
  }
  was_asked_.store(true, std::memory_order_release);
}

void TopologyPublisher::Log(const UpstreamTopology& before, const UpstreamTopology& after) {
  const std::string head = "Upstream cluster '" + cluster_name_ + "': ";
  if (kind_ == ClusterKind::kReplicas || kind_ == ClusterKind::kSentinel) {
    const auto was = PrimariesOf(before);
    const auto is = PrimariesOf(after);
    if (is.empty() && !was.empty()) {
      log::Notice(head + "nobody is the primary; " + was[0].ToText() + " was");
    } else if (was != is) {
      log::Notice(head + "the primary is " + is[0].ToText() +
                  (was.empty() ? "" : ", was " + was[0].ToText()));
    }
  }
  if (after.slots != nullptr && before.slots != after.slots) {
    static const topology::SlotMap kNothing;
    const topology::SlotMapDiff diff =
        Compare(before.slots == nullptr ? kNothing : *before.slots, *after.slots);
    if (!diff.is_empty()) log::Notice(head + diff.ToText());
  }
  LogNodes(before, after);
  if (before.problem == after.problem) return;
  if (after.problem.empty()) {
    log::Notice(head + "all is well again");
  } else {
    log::Warning(head + after.problem);
  }
}

void TopologyPublisher::LogNodes(const UpstreamTopology& before, const UpstreamTopology& after) {
  const NodeStates known = StatesOf(before);
  for (const KnownNode& node : after.nodes) {
    const auto was = known.find(node.address);
    const bool was_usable = was == known.end() || was->second->is_usable;
    if (was_usable == node.is_usable) continue;
    const std::string head =
        "Upstream cluster '" + cluster_name_ + "': node " + node.address.ToText();
    if (node.is_usable) {
      log::Notice(head + " is usable again");
    } else {
      log::Warning(head + " is not usable: " + node.why_not);
    }
  }
}

void TopologyPublisher::Count(const UpstreamTopology& before, const UpstreamTopology& after) {
  const auto usable = std::count_if(after.nodes.begin(), after.nodes.end(),
                                    [](const KnownNode& node) { return node.is_usable; });
  counters_.version.Set(after.version);
  counters_.nodes.Set(after.nodes.size());
  counters_.usable_nodes.Set(static_cast<uint64_t>(usable));
  if (kind_ == ClusterKind::kRedisCluster) {
    if (before.slots == nullptr || after.slots == nullptr || before.slots == after.slots) return;
    counters_.failovers.Add(Compare(*before.slots, *after.slots).promoted.size());
    return;
  }
  // In between there may have been nobody.
  std::vector<topology::NodeAddress> primaries = PrimariesOf(after);
  if (primaries.empty()) return;
  if (!last_primaries_.empty() && last_primaries_ != primaries) counters_.failovers.Add(1);
  last_primaries_ = std::move(primaries);
}

}  // namespace tidegate::discovery
