#include "proxy/admin/topology_json.h"

#include <memory>
#include <string>

#include "base/clock.h"
#include "proxy/topology/slot_map.h"

namespace tidegate {
namespace {

// "0-5460", or "7".
std::string TextOf(const topology::SlotRange& range) {
  std::string text = std::to_string(range.first);
  if (range.first != range.last) text += "-" + std::to_string(range.last);
  return text;
}

void WriteSlotsOf(JsonWriter& json, const topology::SlotMap& map,
                  const topology::NodeAddress& address) {
  const topology::NodeIndex node = map.FindNode(address);
  for (size_t shard = 1; shard < map.shards().size(); ++shard) {
    if (node == topology::kNoNode || map.shards()[shard].primary != node) continue;
    json.Key("slots").BeginArray();
    for (const topology::SlotRange& range : map.RangesOf(static_cast<uint16_t>(shard)))
      json.Text(TextOf(range));
    json.EndArray();
  }
}

const char* RoleOf(ClusterKind kind, const KnownNode& node) {
  if (kind == ClusterKind::kRing || kind == ClusterKind::kRedis) return "node";
  return node.is_primary ? "primary" : "replica";
}

void WriteNode(JsonWriter& json, const UpstreamTopology& topology, const KnownNode& node,
               const char* role) {
  json.BeginObject().Key("node").Text(node.address.ToText()).Key("role").Text(role);
  json.Key("usable").Bool(node.is_usable);
  if (!node.is_usable) json.Key("why_not").Text(node.why_not);
  if (node.is_drained) json.Key("drained").Bool(true);
  if (topology.slots != nullptr) WriteSlotsOf(json, *topology.slots, node.address);
  json.EndObject();
}

}  // namespace

void WriteTopology(JsonWriter& json, const discovery::TopologyPublisher& cluster) {
  constexpr double kMillisPerSecond = 1000;
  const std::shared_ptr<const UpstreamTopology> topology = cluster.latest();
  const int64_t answered_ms = cluster.last_answer_unix_ms();
  json.Key("topology").BeginObject().Key("version").Int(topology->version);
  json.Key("problem").Text(topology->problem);
  // Of the others nothing is asked but whether their nodes answer.
  const bool is_asked =
      cluster.kind() != ClusterKind::kRing && cluster.kind() != ClusterKind::kRedis;
  if (is_asked && answered_ms > 0) {
    json.Key("answer_age_seconds")
        .Real(static_cast<double>(UnixMillis() - answered_ms) / kMillisPerSecond);
  }
  json.Key("failovers").Int(cluster.counters().failovers.Get());
  if (topology->slots != nullptr) json.Key("covered_slots").Int(topology->slots->covered_slots());
  json.Key("nodes").BeginArray();
  for (const KnownNode& node : topology->nodes)
    WriteNode(json, *topology, node, RoleOf(cluster.kind(), node));
  json.EndArray().EndObject();
}

}  // namespace tidegate
