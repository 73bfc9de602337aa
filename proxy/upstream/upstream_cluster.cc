#include "proxy/upstream/upstream_cluster.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "proxy/route/split_rule.h"
#include "proxy/topology/redirect.h"
#include "proxy/topology/slot_map_builder.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/private_connection.h"
#include "proxy/upstream/redirections.h"
#include "proxy/upstream/replica_fanout.h"
#include "proxy/upstream/ring_placement.h"
#include "proxy/upstream/upstream_connection.h"
#include "proxy/upstream/upstream_tls.h"
#include "storage/command.h"

namespace tidegate {
namespace {

bool IsOfNodesOfTheirOwn(ClusterKind kind) {
  return kind == ClusterKind::kRedis || kind == ClusterKind::kRing;
}

// What the configuration alone says.
std::shared_ptr<const UpstreamTopology> TopologyOf(const ClusterOptions& options) {
  auto topology = std::make_shared<UpstreamTopology>();
  if (IsOfNodesOfTheirOwn(options.kind)) {
    for (const UpstreamNodeOptions& node : options.nodes)
      topology->nodes.push_back({.address = {node.address.host, node.address.port}});
    topology->primary = 0;
  } else {
    topology->problem = "its nodes are not known yet";
  }
  return topology;
}

// In a cluster every node hands a message on to all others; on a ring, who publishes and who
// subscribes have to meet at one.
bool IsPublish(const Request& request) {
  const std::string_view name = request.command->full_name;
  return name == "publish" || name == "spublish";
}

}  // namespace

bool IsReadOfReplicas(const Command& command) {
  return command.spec->access == Access::kRead && !command.full_name.ends_with("scan");
}

UpstreamCluster::UpstreamCluster(UpstreamEnvironment environment, const ClusterOptions& options,
                                 size_t number)
    : environment_(environment),
      number_(number),
      options_(options),
      tls_(environment.tls == nullptr ? nullptr : environment.tls->Of(options.tls)),
      figures_(std::make_shared<ClusterFigures>(number, options.name, options.kind)) {
  TG_CHECK((tls_ != nullptr) == options_.tls.enabled);
  if (!IsOfNodesOfTheirOwn(options_.kind)) redirections_ = std::make_unique<Redirections>(*this);
  if (options_.kind == ClusterKind::kRing) {
    ring_ = std::make_unique<RingPlacement>(
        environment_.loop, options_, [this] { ++environment_.placement_epoch; },
        [this](size_t node) { return nodes_[node]->is_up(); });
  }
  SetTopology(TopologyOf(options_));
}

// Connections take themselves out of the lists here when they end.
UpstreamCluster::~UpstreamCluster() {
  cache_.reset();
  buried_.clear();
  nodes_.clear();
  retired_.clear();
}

std::string UpstreamCluster::Describe(std::string_view what) const {
  return "upstream cluster '" + options_.name + "', " + std::string(what);
}

std::string UpstreamCluster::Refusal(int database, Protocol protocol) const {
  if (options_.kind == ClusterKind::kRedisCluster && database != 0)
    return "ERR SELECT is not allowed in cluster mode";
  if (options_.database && database != 0) {
    return "ERR " + Describe(
                        "it has one database, that of its configuration, and clients have it "
                        "as database 0");
  }
  if (protocol == Protocol::kResp3 && options_.protocol == 2)
    return "ERR " + Describe("its protocol is set to 2, and this client speaks 3");
  return "";
}

// --- the topology ---

void UpstreamCluster::SetTopology(std::shared_ptr<const UpstreamTopology> topology) {
  // Of these kinds the configuration knows all there is but who answers, and what an operator
  // wants.
  if (topology_ != nullptr && ring_ != nullptr) {
    std::vector<bool> is_drained;
    for (const KnownNode& node : topology->nodes) is_drained.push_back(node.is_drained);
    ring_->SetDrained(std::move(is_drained));
  }
  if (topology_ != nullptr && IsOfNodesOfTheirOwn(options_.kind)) return TakeHealth(*topology);
  if (topology_ != nullptr && topology->version < topology_->version) return;
  const std::shared_ptr<const UpstreamTopology> before =
      std::exchange(topology_, std::move(topology));
  TakeNodes();
  std::vector<NodeGroup> groups = MakeGroups();
  const bool alike = before != nullptr && PlacesAlike(*before, groups);
  if (!alike) {
    ++environment_.placement_epoch;
    if (cache_ != nullptr) cache_->DropAll();
  }
  groups_ = std::move(groups);
  if (fanout_ != nullptr) {
    if (!alike) fanout_->PlacesChanged(MonotonicNanos());
    TellFanout();
  }
  TakeHealth(*topology_);
}

// The places of nodes in the topology that belong to each group beside its primary.
std::vector<std::vector<size_t>> UpstreamCluster::ReplicasOfGroups() const {
  std::vector<std::vector<size_t>> of_groups;
  if (options_.kind != ClusterKind::kRedisCluster) {
    std::vector<size_t>& replicas = of_groups.emplace_back();
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!topology_->nodes[i].is_primary) replicas.push_back(i);
    }
    return of_groups;
  }
  if (topology_->slots == nullptr) return of_groups;
  for (const topology::Shard& shard : topology_->slots->shards()) {
    std::vector<size_t>& replicas = of_groups.emplace_back();
    for (const topology::NodeIndex replica : shard.replicas)
      replicas.push_back(topology_->node_of_slot_map[replica]);
  }
  return of_groups;
}

void UpstreamCluster::TellFanout() {
  std::vector<ReplicaFanout::Group> groups;
  const std::vector<std::vector<size_t>> replicas = ReplicasOfGroups();
  for (size_t i = 0; i < replicas.size(); ++i) {
    ReplicaFanout::Group& group = groups.emplace_back();
    group.primary = groups_[i].primary;
    for (const size_t replica : replicas[i]) {
      const KnownNode& known = topology_->nodes[replica];
      if (known.is_usable) group.replicas.push_back({nodes_[replica].get(), known.caught_up});
    }
  }
  fanout_->SetGroups(std::move(groups));
}

void UpstreamCluster::set_fanout(std::unique_ptr<ReplicaFanout> fanout) {
  fanout_ = std::move(fanout);
  if (fanout_ != nullptr) TellFanout();
}

size_t UpstreamCluster::GroupNumberOf(uint16_t slot) const {
  const bool by_slot = options_.kind == ClusterKind::kRedisCluster && topology_->slots != nullptr;
  return by_slot ? topology_->slots->ShardOfSlot(slot) : 0;
}

// Nodes are in the order of the topology, be it the last or one that says nothing else anew.
void UpstreamCluster::TakeHealth(const UpstreamTopology& topology) {
  const size_t count = std::min(nodes_.size(), topology.nodes.size());
  for (size_t i = 0; i < count; ++i) {
    const KnownNode& known = topology.nodes[i];
    if (nodes_[i]->address() == known.address)
      nodes_[i]->SetHealth(known.is_answering, known.why_not);
  }
}

// Nodes whose address stays are kept with their connections.
void UpstreamCluster::TakeNodes() {
  std::vector<std::unique_ptr<UpstreamNode>> before = std::move(nodes_);
  nodes_.clear();
  std::move(retired_.begin(), retired_.end(), std::back_inserter(before));
  retired_.clear();
  for (const KnownNode& known : topology_->nodes) {
    const auto same = std::find_if(before.begin(), before.end(), [&known](const auto& node) {
      return node != nullptr && node->address() == known.address;
    });
    nodes_.push_back(same != before.end() ? std::move(*same)
                                          : std::make_unique<UpstreamNode>(*this, known.address));
  }
  for (std::unique_ptr<UpstreamNode>& node : before) {
    if (node != nullptr) retired_.push_back(std::move(node));
  }
  PublishFigures();
}

std::vector<UpstreamCluster::NodeGroup> UpstreamCluster::MakeGroups() const {
  const std::vector<std::vector<size_t>> replicas = ReplicasOfGroups();
  std::vector<NodeGroup> groups(replicas.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    if (options_.kind == ClusterKind::kRedisCluster) {
      const topology::NodeIndex primary = topology_->slots->shards()[i].primary;
      if (primary != topology::kNoNode)
        groups[i].primary = nodes_[topology_->node_of_slot_map[primary]].get();
    } else if (topology_->primary) {
      groups[i].primary = nodes_[*topology_->primary].get();
    }
    AddReaders(groups[i], replicas[i]);
  }
  return groups;
}

// A primary that does not answer is still where reads go when nobody else may be read: its error
// says more than ours would.
void UpstreamCluster::AddReaders(NodeGroup& group, const std::vector<size_t>& replicas) const {
  if (options_.read_from != ReadFrom::kPrimary) {
    for (const size_t replica : replicas) {
      if (topology_->nodes[replica].is_usable) group.readers.push_back(nodes_[replica].get());
    }
  }
  const bool primary_too = options_.read_from == ReadFrom::kAny || group.readers.empty();
  if (primary_too && group.primary != nullptr) group.readers.push_back(group.primary);
}

// Whether every request goes where it went.
bool UpstreamCluster::PlacesAlike(const UpstreamTopology& before,
                                  const std::vector<NodeGroup>& groups) const {
  const topology::SlotMap* const old_slots = before.slots.get();
  const topology::SlotMap* const slots = topology_->slots.get();
  if (old_slots == slots || old_slots == nullptr || slots == nullptr)
    return old_slots == slots && groups == groups_;
  uint32_t compared = UINT32_MAX;  // pair of shards
  for (uint16_t slot = 0; slot < kSlotCount; ++slot) {
    const uint16_t old_shard = old_slots->ShardOfSlot(slot);
    const uint16_t shard = slots->ShardOfSlot(slot);
    const uint32_t pair = static_cast<uint32_t>(old_shard) << 16 | shard;
    if (pair == compared) continue;
    if (!(groups_[old_shard] == groups[shard])) return false;
    compared = pair;
  }
  return true;
}

void UpstreamCluster::Redirected(uint16_t slot, const topology::NodeAddress& address) {
  if (cache_ != nullptr) cache_->DropAll();
  if (observer_ != nullptr) observer_->OnRedirect(slot, address);
  if (topology_->slots == nullptr) return;
  const topology::ClusterNode* const known = topology_->slots->PrimaryOf(slot);
  if (known != nullptr && known->address == address) return;
  Result<topology::SlotMap> slots = topology::WithRedirect(*topology_->slots, slot, address);
  if (!slots.ok()) return;
  auto corrected = std::make_shared<UpstreamTopology>(*topology_);
  corrected->slots = std::make_shared<const topology::SlotMap>(std::move(slots).value());
  corrected->node_of_slot_map.clear();
  for (const topology::ClusterNode& node : corrected->slots->nodes()) {
    auto same = std::find_if(corrected->nodes.begin(), corrected->nodes.end(),
                             [&node](const KnownNode& k) { return k.address == node.address; });
    if (same == corrected->nodes.end())
      same = corrected->nodes.insert(same, {.address = node.address});
    same->is_primary = node.is_primary;
    corrected->node_of_slot_map.push_back(static_cast<size_t>(same - corrected->nodes.begin()));
  }
  SetTopology(std::move(corrected));
}

// --- the choice ---

UpstreamCluster::Choice UpstreamCluster::Choose(const Request& request, uint64_t session_id,
                                                std::string& refusal) {
  if (!has_several_primaries()) return ChooseOf(groups_.front(), request, session_id, refusal);
  if (request.keys.empty()) {
    if (IsPublish(request))
      return ChooseForKey(request, KeyRef::Of(request.args[1]), session_id, refusal);
    if (MeansAnyNode(request)) return ChooseAny(request, session_id, refusal);
    refusal = "ERR " + Describe("'" + request.command->full_name +
                                "' is not supported on clusters of several nodes");
    return {};
  }
  const Choice choice = ChooseForKey(request, request.keys[0], session_id, refusal);
  for (const KeyRef& key : request.keys.subspan(1)) {
    const bool together = ring_ == nullptr
                              ? key.slot == choice.slot
                              : choice.node == nullptr || ring_->NodeOf(key.name) == choice.slot;
    if (together) continue;
    refusal = ring_ == nullptr ? "CROSSSLOT Keys in request don't hash to the same slot"
                               : "ERR keys of one command belong to different nodes";
    return {};
  }
  return choice;
}

// As if the session were a key: it stays with one node, and sessions spread.
UpstreamCluster::Choice UpstreamCluster::ChooseAny(const Request& request, uint64_t session_id,
                                                   std::string& refusal) {
  const std::string place = std::to_string(KeyHash(std::to_string(session_id)));
  return ChooseForKey(request, KeyRef::Of(place), session_id, refusal);
}

UpstreamCluster::Choice UpstreamCluster::ChooseForKey(const Request& request, const KeyRef& key,
                                                      uint64_t session_id, std::string& refusal) {
  return ring_ == nullptr ? ChooseBySlot(key.slot, request, session_id, refusal)
                          : ChooseOnRing(key.name, refusal);
}

std::vector<UpstreamNode*> UpstreamCluster::AllPrimaries() const {
  std::vector<UpstreamNode*> primaries;
  if (ring_ != nullptr) {
    for (const std::unique_ptr<UpstreamNode>& node : nodes_) primaries.push_back(node.get());
  } else {
    for (const NodeGroup& group : groups_) {
      if (group.primary != nullptr) primaries.push_back(group.primary);
    }
  }
  std::sort(primaries.begin(), primaries.end(), [](const UpstreamNode* a, const UpstreamNode* b) {
    return a->address() < b->address();
  });
  return primaries;
}

UpstreamNode* UpstreamCluster::ChooseWriter(const Request& request, uint64_t session_id,
                                            std::string& refusal) {
  CommandSpec spec = *request.command->spec;
  spec.access = Access::kWrite;
  Command write = *request.command;
  write.spec = &spec;
  return Choose({.command = &write, .args = request.args, .keys = request.keys}, session_id,
                refusal)
      .node;
}

UpstreamNode* UpstreamCluster::ChooseForChannel(std::string_view channel, std::string& refusal) {
  UpstreamNode* node = nullptr;
  if (options_.kind == ClusterKind::kRing) {
    if (ring_->problem().empty()) return nodes_[ring_->NodeOf(channel)].get();
    refusal = "ERR " + Describe(ring_->problem());
    return nullptr;
  }
  node = PrimaryOf(KeySlot(channel));
  if (node == nullptr) {
    refusal = "ERR " +
              Describe(topology_->problem.empty() ? "it has no primary now" : topology_->problem);
  }
  return node;
}

// A session stays with one as long as that is good; when nobody is, it hears why from its own.
UpstreamNode* UpstreamCluster::ReaderOf(const NodeGroup& group, uint64_t session_id) {
  const size_t count = group.readers.size();
  const size_t own = session_id % count;
  if (__builtin_expect(group.readers[own]->IsGood(), 1)) return group.readers[own];
  for (size_t i = 1; i < count; ++i) {
    UpstreamNode* const other = group.readers[(own + i) % count];
    if (other->IsGood()) return other;
  }
  const bool primary_is_good = group.primary != nullptr && group.primary->IsGood();
  return primary_is_good ? group.primary : group.readers[own];
}

UpstreamNode* UpstreamCluster::ReaderBeside(const UpstreamNode& node, uint16_t slot) const {
  const NodeGroup& group = GroupOf(slot);
  for (UpstreamNode* const reader : group.readers) {
    if (reader != &node && reader->IsGood()) return reader;
  }
  const bool primary_can =
      group.primary != nullptr && group.primary != &node && group.primary->IsGood();
  return primary_can ? group.primary : nullptr;
}

UpstreamCluster::Choice UpstreamCluster::ChooseOf(const NodeGroup& group, const Request& request,
                                                  uint64_t session_id, std::string& refusal) const {
  Choice choice{.node = group.primary};
  if (options_.read_from != ReadFrom::kPrimary && !group.readers.empty() &&
      IsReadOfReplicas(*request.command)) {
    choice.node = ReaderOf(group, session_id);
    choice.reads_replica = choice.node != group.primary;
    choice.reads_apart = true;
  }
  if (choice.node == nullptr) {
    refusal = "ERR " +
              Describe(topology_->problem.empty() ? "it has no primary now" : topology_->problem);
  }
  return choice;
}

const UpstreamCluster::NodeGroup& UpstreamCluster::GroupOf(uint16_t slot) const {
  if (options_.kind != ClusterKind::kRedisCluster) return groups_.front();
  if (topology_->slots == nullptr) return nobody_;
  return groups_[topology_->slots->ShardOfSlot(slot)];
}

std::string UpstreamCluster::NobodyServes() const {
  if (options_.kind == ClusterKind::kRedisCluster) return "CLUSTERDOWN Hash slot not served";
  return "ERR " +
         Describe(topology_->problem.empty() ? "it has no primary now" : topology_->problem);
}

UpstreamCluster::Choice UpstreamCluster::ChooseBySlot(uint16_t slot, const Request& request,
                                                      uint64_t session_id,
                                                      std::string& refusal) const {
  if (topology_->slots == nullptr) {
    refusal = "ERR " + Describe(topology_->problem);
    return {.slot = slot};
  }
  const NodeGroup& group = GroupOf(slot);
  Choice choice = ChooseOf(group, request, session_id, refusal);
  if (choice.node == nullptr) refusal = "CLUSTERDOWN Hash slot not served";
  choice.slot = slot;
  return choice;
}

UpstreamCluster::Choice UpstreamCluster::ChooseOnRing(std::string_view key,
                                                      std::string& refusal) const {
  if (!ring_->problem().empty()) {
    refusal = "ERR " + Describe(ring_->problem());
    return {};
  }
  const size_t node = ring_->NodeOf(key);
  return {.node = nodes_[node].get(), .slot = static_cast<uint16_t>(node)};
}

UpstreamNode* UpstreamCluster::PrimaryOfKey(const KeyRef& key) const {
  if (ring_ == nullptr) return PrimaryOf(key.slot);
  return ring_->problem().empty() ? nodes_[ring_->NodeOf(key.name)].get() : nullptr;
}

void UpstreamCluster::set_cache(std::unique_ptr<ClusterCache> cache) { cache_ = std::move(cache); }

// --- nodes and connections ---

UpstreamNode& UpstreamCluster::NodeAt(const topology::NodeAddress& address) {
  for (auto* nodes : {&nodes_, &retired_}) {
    for (const std::unique_ptr<UpstreamNode>& node : *nodes) {
      if (node->address() == address) return *node;
    }
  }
  // Until a topology has it, it is one that goes when nothing is in flight there.
  retired_.push_back(std::make_unique<UpstreamNode>(*this, address));
  PublishFigures();
  return *retired_.back();
}

void UpstreamCluster::Bury(std::unique_ptr<PrivateConnection> connection) {
  buried_.push_back(std::move(connection));
}

bool UpstreamCluster::Flush() {
  if (__builtin_expect(!buried_.empty(), 0)) buried_.clear();
  if (__builtin_expect(!retired_.empty(), 0)) RemoveRetired();
  if (__builtin_expect(cache_ != nullptr && cache_->has_nodes_to_check(), 0)) cache_->CheckNodes();
  if (dirty_.empty()) return false;
  flushing_.swap(dirty_);
  for (UpstreamConnection* connection : flushing_) connection->Flush();
  flushing_.clear();
  return true;
}

void UpstreamCluster::RemoveRetired() {
  for (const std::unique_ptr<UpstreamNode>& node : retired_) node->EndPrivate();
  const auto going = [](const std::unique_ptr<UpstreamNode>& node) { return !node->busy(); };
  if (std::none_of(retired_.begin(), retired_.end(), going)) return;
  std::erase_if(dirty_, [&going, this](const UpstreamConnection* connection) {
    return std::any_of(retired_.begin(), retired_.end(), [&](const auto& node) {
      return node.get() == &connection->node() && going(node);
    });
  });
  std::erase_if(retired_, going);
  PublishFigures();
}

void UpstreamCluster::NodeFailed(UpstreamNode& node, std::string_view why) {
  if (observer_ != nullptr) observer_->OnNodeFailed(node.address(), why);
  if (ring_ != nullptr) ring_->Failed(PlaceOf(node), node.failures_in_a_row());
}

size_t UpstreamCluster::PlaceOf(const UpstreamNode& node) const {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [&node](const auto& one) { return one.get() == &node; });
  return static_cast<size_t>(found - nodes_.begin());
}

// One that is open has failed often enough, whatever it was.
void UpstreamCluster::BreakerChanged(UpstreamNode& node) {
  if (ring_ != nullptr && !node.is_up()) ring_->Down(PlaceOf(node));
}

bool UpstreamCluster::ErrorReply(const UpstreamNode& node, std::string_view error) {
  if (observer_ != nullptr && error.starts_with("-READONLY")) observer_->OnReadOnly(node.address());
  if (error.starts_with("-BUSY ")) return true;
  for (const std::string_view code : {"-CLUSTERDOWN", "-LOADING", "-MASTERDOWN"}) {
    if (!error.starts_with(code)) continue;
    if (observer_ != nullptr) observer_->OnNotServing(node.address());
    return true;
  }
  return false;
}

void UpstreamCluster::PublishFigures() {
  ClusterFigures::Nodes figures;
  for (const auto* nodes : {&nodes_, &retired_}) {
    for (const std::unique_ptr<UpstreamNode>& node : *nodes) figures.push_back(node->figures());
  }
  figures_->SetNodes(std::move(figures));
}

// --- the end ---

void UpstreamCluster::Leave() {
  cache_.reset();
  figures_->SetLeaving();
  for (const auto* nodes : {&nodes_, &retired_}) {
    for (const std::unique_ptr<UpstreamNode>& node : *nodes) node->DismissWaiting();
  }
}

bool UpstreamCluster::busy() const {
  const auto is_busy = [](const std::unique_ptr<UpstreamNode>& node) { return node->busy(); };
  return std::any_of(nodes_.begin(), nodes_.end(), is_busy) ||
         std::any_of(retired_.begin(), retired_.end(), is_busy) ||
         (redirections_ != nullptr && !redirections_->empty());
}

void UpstreamCluster::EndAll(std::string_view why) {
  if (redirections_ != nullptr) redirections_->EndAll("-ERR " + Describe(why) + "\r\n");
  for (const auto* nodes : {&nodes_, &retired_}) {
    for (const std::unique_ptr<UpstreamNode>& node : *nodes) node->EndAll(why);
  }
}

}  // namespace tidegate
