#include "proxy/discovery/redis_cluster_watcher.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/clock.h"
#include "proxy/discovery/sights.h"
#include "proxy/topology/cluster_replies.h"

namespace tidegate::discovery {
namespace {

using topology::AskedNode;
using topology::Reply;
using topology::SlotMap;

// How the slots are asked for, best first.
struct Form {
  const char* command;
  Result<SlotMap> (*parse)(const Reply& reply, const AskedNode& asked);
};
constexpr std::array<Form, 3> kForms = {{
    {"SHARDS", topology::ParseClusterShards},
    {"SLOTS", topology::ParseClusterSlots},
    {"NODES", topology::ParseClusterNodes},
}};

// Errors that say that this node will never answer this question, so that another is tried.
bool IsUnknownQuestion(const Reply& reply) {
  if (!reply.is_error()) return false;
  return reply.text.starts_with("NOPERM") || reply.text.find("nknown sub") != std::string::npos ||
         reply.text.find("nknown CLUSTER") != std::string::npos;
}

}  // namespace

RedisClusterWatcher::RedisClusterWatcher(const WatchContext& context)
    : context_(context),
      random_(context.seed),
      refresher_(context.environment.loop, context.options.refresh_interval, context.seed,
                 [this] { Refresh(); }),
      nodes_(context.environment, AccessOf(context.options, context.tls),
             context.options.health_check_interval, [this] {
               Publish(problem_);
               refresher_.Hint();
             }) {}

void RedisClusterWatcher::Start() {
  for (const UpstreamNodeOptions& node : context_.options.nodes)
    configured_.push_back(AddressOf(node.address));
  nodes_.Keep(configured_);
  problem_ = InitialTopology(context_.options).problem;
  refresher_.Start();
}

void RedisClusterWatcher::OnReports(std::span<const UpstreamReport> reports) {
  bool moved = false;
  for (const UpstreamReport& report : reports) {
    using Kind = UpstreamReport::Kind;
    if (report.kind == Kind::kMoved) {
      moved = judge_.Redirect(report.slot, report.target, MonotonicNanos()) || moved;
      wanted_.insert(report.target);
    } else if (report.kind == Kind::kNodeFailed) {
      if (context_.options.health_check_interval.count() > 0) nodes_.CheckNow(report.node);
    } else {
      wanted_.insert(report.node);
    }
  }
  if (moved) Publish(problem_);
  refresher_.Hint();
}

void RedisClusterWatcher::Refresh() {
  nodes_.AskAll(WhomToAsk(), {{"CLUSTER", "INFO"}, {"CLUSTER", kForms[form_].command}},
                [this](const std::vector<NodeAnswer>& answers) { OnAnswers(answers); });
}

// First whom reports were about, then some of the map that answer, then the others, so that after
// a round without an answer everybody's turn comes.
std::vector<topology::NodeAddress> RedisClusterWatcher::WhomToAsk() {
  std::vector<topology::NodeAddress> all = nodes_.addresses();
  std::shuffle(all.begin(), all.end(), random_);
  const auto is_good = [this](const topology::NodeAddress& address) {
    const bool is_of_map =
        judge_.map() == nullptr || judge_.map()->FindNode(address) != topology::kNoNode;
    return is_of_map && nodes_.HealthOf(address)->is_usable();
  };
  const auto bad = std::stable_partition(all.begin(), all.end(), is_good);
  if (failed_) std::rotate(all.begin(), bad, all.end());
  std::vector<topology::NodeAddress> asked;
  for (const topology::NodeAddress& wanted : wanted_) {
    if (nodes_.Has(wanted) && asked.size() < kAskedMax - kAskedAtRandom) asked.push_back(wanted);
  }
  wanted_.clear();
  const size_t most = failed_ ? kAskedMax : asked.size() + kAskedAtRandom;
  for (const topology::NodeAddress& one : all) {
    if (asked.size() >= most) break;
    if (std::find(asked.begin(), asked.end(), one) == asked.end()) asked.push_back(one);
  }
  return asked;
}

void RedisClusterWatcher::OnAnswers(const std::vector<NodeAnswer>& answers) {
  const size_t form = form_;
  std::vector<CollectedView> views = Collect(answers);
  failed_ = views.empty();
  using Outcome = RefreshPace::Outcome;
  if (failed_ && form_ != form) {  // they do not know the question: the next one at once
    Refresh();
    return;
  }
  if (failed_) {
    problem_ = "no node tells its slots: " + trouble_;
    Publish(problem_);
    context_.publisher.RefreshEnded(false);
    return refresher_.Ended(Outcome::kUnsettled);
  }
  SlotsJudge::Verdict verdict = judge_.Judge(std::move(views), HeardOfLastMap(), MonotonicNanos());
  problem_ = std::move(verdict.problem);
  KeepNodes();
  changed_ = Publish(problem_);
  settled_ = verdict.is_settled;
  context_.publisher.RefreshEnded(verdict.map != nullptr);
  const bool reads_replicas =
      context_.options.read_from != ReadFrom::kPrimary || context_.options.fans_out;
  if (!reads_replicas || verdict.map == nullptr) return Settle();
  asked_ns_ = MonotonicNanos();
  nodes_.AskAll(nodes_.addresses(), ReplicationQuestions(),
                [this](const std::vector<NodeAnswer>& all) { OnReplicas(all); });
}

void RedisClusterWatcher::Settle() {
  using Outcome = RefreshPace::Outcome;
  refresher_.Ended(!settled_  ? Outcome::kUnsettled
                   : changed_ ? Outcome::kChanged
                              : Outcome::kUnchanged);
}

// Shard by shard, as if each were a set of replicas of its own.
void RedisClusterWatcher::OnReplicas(const std::vector<NodeAnswer>& answers) {
  std::map<topology::NodeAddress, Sight> sights;
  for (Sight& sight : SightsOf(nodes_, answers, {})) sights[sight.report.address] = sight;
  std::map<topology::NodeAddress, ReplicaStates> states;
  why_not_readable_.clear();
  readable_.clear();
  caught_up_.clear();
  const SlotMap& map = *judge_.map();
  for (const topology::Shard& shard : map.shards()) {
    if (shard.primary == topology::kNoNode || shard.replicas.empty()) continue;
    const topology::NodeAddress& primary = map.nodes()[shard.primary].address;
    std::vector<Sight> of_shard = {sights[primary]};
    for (const topology::NodeIndex replica : shard.replicas)
      of_shard.push_back(sights[map.nodes()[replica].address]);
    const auto known = states_.find(primary);
    ReplicaStates state = known != states_.end() ? std::move(known->second)
                                                 : ReplicaStates(context_.options.replica_lag_max);
    const UpstreamTopology set =
        state.Describe(of_shard, 0, MonotonicNanos(), AskedFor(context_.options, asked_ns_));
    for (const KnownNode& node : set.nodes) {
      if (node.is_primary) continue;
      caught_up_[node.address] = node.caught_up;
      if (node.is_usable) {
        readable_.insert(node.address);
      } else {
        why_not_readable_[node.address] = node.why_not;
      }
    }
    states.emplace(primary, std::move(state));
  }
  states_ = std::move(states);
  changed_ = Publish(problem_) || changed_;
  Settle();
}

std::vector<CollectedView> RedisClusterWatcher::Collect(const std::vector<NodeAnswer>& answers) {
  std::vector<CollectedView> views;
  bool is_unknown = false;
  std::map<topology::NodeAddress, std::string> troubles;  // in order: the same text each time
  for (const NodeAnswer& one : answers) {
    if (!one.answer.ok()) {
      troubles[one.address] = one.answer.error().message;
      continue;
    }
    const std::vector<Reply>& replies = one.answer.value();
    is_unknown = is_unknown || IsUnknownQuestion(replies[1]);
    Result<SlotMap> map =
        kForms[form_].parse(replies[1], {.address = one.address, .tls = context_.tls != nullptr});
    if (!map.ok()) {
      troubles[one.address] = map.error().message;
      continue;
    }
    // A user may be refused CLUSTER INFO; the slots alone will do.
    const Result<topology::ClusterInfo> info = topology::ParseClusterInfo(replies[0]);
    CollectedView view;
    view.from = one.address;
    view.view.map = std::move(map).value();
    view.info.is_ok = true;
    if (info.ok()) view.info = info.value();
    view.view.current_epoch = view.info.current_epoch;
    views.push_back(std::move(view));
  }
  if (!troubles.empty())
    trouble_ = troubles.begin()->first.ToText() + ": " + troubles.begin()->second;
  if (views.empty() && is_unknown && form_ + 1 < kForms.size()) ++form_;
  return views;
}

bool RedisClusterWatcher::HeardOfLastMap() const {
  if (judge_.map() == nullptr) return false;
  const auto& nodes = judge_.map()->nodes();
  return std::any_of(nodes.begin(), nodes.end(), [this](const topology::ClusterNode& node) {
    const NodeHealth* health = nodes_.HealthOf(node.address);
    return health != nullptr && health->is_known() && health->is_usable();
  });
}

void RedisClusterWatcher::KeepNodes() {
  if (judge_.map() == nullptr) return;
  std::vector<topology::NodeAddress> wanted = configured_;
  for (const topology::ClusterNode& node : judge_.map()->nodes()) wanted.push_back(node.address);
  nodes_.Keep(wanted);
}

// Empty: it is usable.
std::string RedisClusterWatcher::WhyNotUsable(const topology::ClusterNode& node) const {
  using topology::NodeHealth;
  if (!node.address.is_known()) return "the cluster does not say where it is";
  if (node.health == NodeHealth::kFailed) return "the cluster says that it failed";
  // Also said of a replica that has no byte of the stream yet: its own word counts more.
  if (node.health == NodeHealth::kLoading && !readable_.contains(node.address))
    return "it reads its data in, or has not copied any yet";
  const discovery::NodeHealth* health = nodes_.HealthOf(node.address);
  if (health != nullptr && !health->is_usable()) return health->why();
  const auto late = why_not_readable_.find(node.address);
  return late == why_not_readable_.end() || node.is_primary ? "" : late->second;
}

bool RedisClusterWatcher::Publish(std::string problem) {
  UpstreamTopology topology;
  topology.problem = std::move(problem);
  topology.slots = judge_.map();
  if (topology.slots == nullptr) return context_.publisher.Offer(std::move(topology));
  for (const topology::ClusterNode& node : topology.slots->nodes()) {
    KnownNode known{.address = node.address, .is_primary = node.is_primary};
    known.why_not = WhyNotUsable(node);
    known.is_usable = known.why_not.empty();
    const NodeHealth* const health = nodes_.HealthOf(node.address);
    known.is_answering = health == nullptr || health->is_usable();
    const auto caught_up = caught_up_.find(node.address);
    if (!node.is_primary && caught_up != caught_up_.end()) known.caught_up = caught_up->second;
    topology.node_of_slot_map.push_back(topology.nodes.size());
    topology.nodes.push_back(std::move(known));
  }
  return context_.publisher.Offer(std::move(topology));
}

}  // namespace tidegate::discovery
