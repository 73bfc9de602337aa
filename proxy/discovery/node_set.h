// NodeSet: the servers of one cluster that the control plane has connections to, and their health.
//
// A watcher says who belongs to it (Keep), asks some of them or all (Ask, AskAll), and is told when
// the health of one changes. PING goes out by itself each health-check-interval; whatever else is
// asked counts for the health too. Addresses are what tells nodes apart. Owner: one watcher, on the
// control loop; destroying it ends everything, and nobody is called any more.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/discovery/control_connection.h"
#include "proxy/discovery/node_health.h"
#include "proxy/event/loop.h"

namespace tidegate::discovery {

// Servers of one cluster; a Redis Cluster has at most some 1,000. Beyond it nothing is asked of
// them: gossip or a sentinel that names more is not to be believed.
inline constexpr size_t kWatchedNodesMax = 4096;

struct NodeAnswer {
  topology::NodeAddress address;
  Answer answer;
};

class NodeSet final {
 public:
  // `on_health`: somebody became usable or unusable; may not change the set.
  NodeSet(ControlEnvironment& environment, ControlAccess access,
          std::chrono::milliseconds health_check_interval, std::function<void()> on_health);
  ~NodeSet();

  // Exactly these from now on. Not while a round of AskAll is under way.
  void Keep(std::span<const topology::NodeAddress> addresses);
  std::vector<topology::NodeAddress> addresses() const;
  bool Has(const topology::NodeAddress& address) const { return nodes_.contains(address); }
  // Null when it is not in the set.
  const NodeHealth* HealthOf(const topology::NodeAddress& address) const;
  // Where it last was reached, as an IP address; not known when never, or not in the set.
  topology::NodeAddress PeerOf(const topology::NodeAddress& address) const;
  size_t size() const { return nodes_.size(); }

  // PINGs one node now, unless that is under way.
  void CheckNow(const topology::NodeAddress& address);

  // Asks the nodes that are in the set and among `addresses` the same; `done` is called once, when
  // each has answered or is late, in the order of `addresses`.
  void AskAll(std::span<const topology::NodeAddress> addresses,
              const std::vector<CommandWords>& commands,
              std::function<void(std::vector<NodeAnswer>)> done);

 private:
  struct Node;

  void CheckAll();
  void Check(Node& node);
  void Note(Node& node, const Answer& answer);

  ControlEnvironment& environment_;
  const ControlAccess access_;
  const std::function<void()> on_health_;
  std::map<topology::NodeAddress, std::unique_ptr<Node>> nodes_;
  Timer check_timer_;
};

}  // namespace tidegate::discovery
