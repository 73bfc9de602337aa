#include "proxy/discovery/node_set.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace tidegate::discovery {
namespace {

constexpr int64_t kSameFailureNanos = 20'000'000;

}  // namespace

struct NodeSet::Node {
  Node(ControlEnvironment& environment, const topology::NodeAddress& address,
       const ControlAccess& access)
      : connection(environment, address, access) {}

  ControlConnection connection;
  NodeHealth health;
  bool checking = false;
  int64_t failed_ns = 0;  // when a failure last counted
};

NodeSet::NodeSet(ControlEnvironment& environment, ControlAccess access,
                 std::chrono::milliseconds health_check_interval, std::function<void()> on_health)
    : environment_(environment),
      access_(std::move(access)),
      on_health_(std::move(on_health)),
      check_timer_(environment.loop, [this] { CheckAll(); }) {
  if (health_check_interval.count() > 0)
    check_timer_.StartEvery(static_cast<uint64_t>(health_check_interval.count()));
}

NodeSet::~NodeSet() = default;

void NodeSet::Keep(std::span<const topology::NodeAddress> addresses) {
  std::map<topology::NodeAddress, std::unique_ptr<Node>> kept;
  for (const topology::NodeAddress& address : addresses) {
    if (!address.is_known() || kept.size() >= kWatchedNodesMax || kept.contains(address)) continue;
    const auto known = nodes_.find(address);
    kept[address] = known != nodes_.end() ? std::move(known->second)
                                          : std::make_unique<Node>(environment_, address, access_);
  }
  nodes_ = std::move(kept);
}

std::vector<topology::NodeAddress> NodeSet::addresses() const {
  std::vector<topology::NodeAddress> all;
  for (const auto& [address, node] : nodes_) all.push_back(address);
  return all;
}

const NodeHealth* NodeSet::HealthOf(const topology::NodeAddress& address) const {
  const auto found = nodes_.find(address);
  return found == nodes_.end() ? nullptr : &found->second->health;
}

topology::NodeAddress NodeSet::PeerOf(const topology::NodeAddress& address) const {
  const auto found = nodes_.find(address);
  return found == nodes_.end() ? topology::NodeAddress{} : found->second->connection.peer();
}

void NodeSet::CheckNow(const topology::NodeAddress& address) {
  const auto found = nodes_.find(address);
  if (found != nodes_.end()) Check(*found->second);
}

void NodeSet::CheckAll() {
  for (const auto& [address, node] : nodes_) Check(*node);
}

void NodeSet::Check(Node& node) {
  if (node.checking) return;
  node.checking = true;
  node.connection.Ask({{"PING"}}, [this, &node](const Answer& answer) {
    node.checking = false;
    Note(node, answer);
  });
}

void NodeSet::Note(Node& node, const Answer& answer) {
  const int64_t now_ns = MonotonicNanos();
  std::string why = answer.ok() ? WhyNotServing(answer.value().front()) : answer.error().message;
  // When a connection ends, whatever was asked over it fails: that is one failure.
  if (!why.empty() && now_ns - node.failed_ns < kSameFailureNanos) return;
  if (!why.empty()) node.failed_ns = now_ns;
  const bool changed = why.empty() ? node.health.Succeeded() : node.health.Failed(std::move(why));
  if (changed) on_health_();
}

void NodeSet::AskAll(std::span<const topology::NodeAddress> addresses,
                     const std::vector<CommandWords>& commands,
                     std::function<void(std::vector<NodeAnswer>)> done) {
  struct Round {
    std::vector<NodeAnswer> answers;
    size_t missing = 0;
    std::function<void(std::vector<NodeAnswer>)> done;
  };
  std::vector<Node*> asked;
  auto round = std::make_shared<Round>();
  for (const topology::NodeAddress& address : addresses) {
    const auto found = nodes_.find(address);
    if (found == nodes_.end()) continue;
    asked.push_back(found->second.get());
    round->answers.push_back({address, Error{"not asked"}});
  }
  TG_CHECK(!asked.empty());
  round->missing = asked.size();
  round->done = std::move(done);
  for (size_t i = 0; i < asked.size(); ++i) {
    asked[i]->connection.Ask(commands, [this, round, i, node = asked[i]](Answer answer) {
      Note(*node, answer);
      round->answers[i].answer = std::move(answer);
      if (--round->missing == 0) round->done(std::move(round->answers));
    });
  }
}

}  // namespace tidegate::discovery
