#include "proxy/topology/cluster_replies.h"

#include <span>
#include <string>
#include <utility>

#include "base/text.h"
#include "proxy/topology/slot_map_builder.h"

namespace tidegate::topology {
namespace {

// Where an endpoint leads; `ip` where the reply also has it.
std::string ResolveHost(std::string_view endpoint, std::string_view ip, const AskedNode& asked) {
  if (endpoint.empty()) return asked.address.host;
  return std::string(endpoint == "?" ? ip : endpoint);
}

// [endpoint, port, id, [name, value, …]]; before 4.0 without id, before 7.0 without names.
Result<ClusterNode> ReadSlotsNode(const Reply& reply, const AskedNode& asked) {
  if (!reply.is_list() || reply.items.size() < 2) return Error{"a node that is no list"};
  const Reply& endpoint = reply.items[0];
  if (!endpoint.is_null() && !endpoint.AsText()) return Error{"a node whose host is no text"};
  const auto number = reply.items[1].AsInteger();
  const auto port = ToPort(number.value_or(-1));
  if (!port) return Error{"a node without a port"};
  ClusterNode node;
  const std::string_view host = endpoint.AsText().value_or(std::string_view());
  if (reply.items.size() > 2) node.id = reply.items[2].AsText().value_or(std::string_view());
  if (reply.items.size() > 3) {
    node.ip = reply.items[3].FindText("ip");
    node.hostname = reply.items[3].FindText("hostname");
  }
  node.address = {.host = ResolveHost(host, node.ip, asked), .port = *port};
  return node;
}

// [first, last, primary, replica, …]
Status ReadSlotsRange(const Reply& range, const AskedNode& asked, SlotMapBuilder& builder) {
  if (!range.is_list() || range.items.size() < 3) return Error{"a range that is no list"};
  const auto first = range.items[0].AsInteger();
  const auto last = range.items[1].AsInteger();
  if (!first || !last) return Error{"a range without slots"};
  uint16_t shard = 0;
  for (size_t i = 2; i < range.items.size(); ++i) {
    Result<ClusterNode> node = ReadSlotsNode(range.items[i], asked);
    if (!node.ok()) return std::move(node).error();
    node->is_primary = i == 2;
    Result<NodeIndex> index = builder.AddNode(std::move(*node));
    if (!index.ok()) return std::move(index).error();
    if (i > 2) {
      TG_RETURN_IF_ERROR(builder.AddReplica(shard, *index));
      continue;
    }
    Result<uint16_t> of_primary = builder.ShardOfPrimary(*index);
    if (!of_primary.ok()) return std::move(of_primary).error();
    shard = *of_primary;
  }
  return builder.Assign(shard, *first, *last);
}

std::optional<NodeHealth> ParseHealth(std::string_view text) {
  if (text == "online") return NodeHealth::kOnline;
  if (text == "loading") return NodeHealth::kLoading;
  // 7.0 has "fail" and "failed", by the side that is asked.
  if (text == "failed" || text == "fail") return NodeHealth::kFailed;
  return std::nullopt;
}

// {id, port and/or tls-port, ip, endpoint, hostname, role, replication-offset, health}
Result<ClusterNode> ReadShardsNode(const Reply& reply, const AskedNode& asked) {
  if (!reply.is_list()) return Error{"a node that is no map"};
  ClusterNode node;
  node.id = reply.FindText("id");
  node.ip = reply.FindText("ip");
  node.hostname = reply.FindText("hostname");
  const auto plain_port = reply.FindInteger("port");
  const auto tls_port = reply.FindInteger("tls-port");
  const auto number = asked.tls && tls_port ? tls_port : plain_port ? plain_port : tls_port;
  const auto port = ToPort(number.value_or(-1));
  if (!port) return Error{"node " + node.id + " has no port"};
  node.address = {.host = ResolveHost(reply.FindText("endpoint"), node.ip, asked), .port = *port};
  const std::string_view role = reply.FindText("role");
  node.is_primary = role == "master" || role == "primary";
  if (!node.is_primary && role != "replica" && role != "slave") {
    return Error{"node " + node.Key() + " has no role"};
  }
  const auto health = ParseHealth(reply.FindText("health"));
  if (!health) return Error{"node " + node.Key() + " has no health"};
  node.health = *health;
  node.replication_offset = reply.FindInteger("replication-offset").value_or(-1);
  return node;
}

Result<std::vector<ClusterNode>> ReadShardsNodes(const Reply* list, const AskedNode& asked) {
  if (list == nullptr || !list->is_list()) return Error{"a shard without nodes"};
  std::vector<ClusterNode> nodes;
  for (const Reply& item : list->items) {
    Result<ClusterNode> node = ReadShardsNode(item, asked);
    if (!node.ok()) return std::move(node).error();
    nodes.push_back(std::move(*node));
  }
  return nodes;
}

// Which of them is the primary: the one that is not failed, where a failed one is still named so
// beside its successor. The size of `nodes` when there is none.
Result<size_t> ChoosePrimary(std::span<const ClusterNode> nodes) {
  size_t chosen = nodes.size();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].is_primary) continue;
    const bool is_better = chosen == nodes.size() || nodes[chosen].health == NodeHealth::kFailed;
    if (!is_better && nodes[i].health != NodeHealth::kFailed) {
      return Error{"a shard has two primaries, " + nodes[chosen].Key() + " and " + nodes[i].Key()};
    }
    if (is_better) chosen = i;
  }
  return chosen;
}

Status ReadShardsSlots(const Reply* slots, uint16_t shard, SlotMapBuilder& builder) {
  if (slots == nullptr || !slots->is_list() || slots->items.size() % 2 != 0) {
    return Error{"a shard without slots"};
  }
  for (size_t i = 0; i < slots->items.size(); i += 2) {
    const auto first = slots->items[i].AsInteger();
    const auto last = slots->items[i + 1].AsInteger();
    if (!first || !last) return Error{"slots that are no numbers"};
    TG_RETURN_IF_ERROR(builder.Assign(shard, *first, *last));
  }
  return {};
}

Status ReadShard(const Reply& reply, const AskedNode& asked, SlotMapBuilder& builder) {
  Result<std::vector<ClusterNode>> nodes = ReadShardsNodes(reply.Find("nodes"), asked);
  if (!nodes.ok()) return std::move(nodes).error();
  Result<size_t> primary = ChoosePrimary(*nodes);
  if (!primary.ok()) return std::move(primary).error();
  Result<uint16_t> shard = Error{"none"};
  std::vector<NodeIndex> replicas;
  for (size_t i = 0; i < nodes->size(); ++i) {
    ClusterNode& node = (*nodes)[i];
    node.is_primary = i == *primary;
    Result<NodeIndex> index = builder.AddNode(std::move(node));
    if (!index.ok()) return std::move(index).error();
    if (i == *primary) {
      shard = builder.ShardOfPrimary(*index);
      if (!shard.ok()) return std::move(shard).error();
    } else {
      replicas.push_back(*index);
    }
  }
  if (!shard.ok()) shard = builder.AddShard();  // its primary is gone: nobody takes its writes
  if (!shard.ok()) return std::move(shard).error();
  for (const NodeIndex replica : replicas) TG_RETURN_IF_ERROR(builder.AddReplica(*shard, replica));
  return ReadShardsSlots(reply.Find("slots"), *shard, builder);
}

using ReadItem = Status (*)(const Reply&, const AskedNode&, SlotMapBuilder&);

Result<SlotMap> ParseList(const Reply& reply, const AskedNode& asked, std::string_view command,
                          ReadItem read) {
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kArray, command));
  SlotMapBuilder builder;
  for (const Reply& item : reply.items) {
    Status status = read(item, asked, builder);
    if (!status.ok()) return std::move(status).error().WithContext(command);
  }
  return std::move(builder).Build();
}

}  // namespace

Result<SlotMap> ParseClusterSlots(const Reply& reply, const AskedNode& asked) {
  return ParseList(reply, asked, "CLUSTER SLOTS", ReadSlotsRange);
}

Result<SlotMap> ParseClusterShards(const Reply& reply, const AskedNode& asked) {
  return ParseList(reply, asked, "CLUSTER SHARDS", ReadShard);
}

Result<ClusterInfo> ParseClusterInfo(const Reply& reply) {
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kText, "CLUSTER INFO"));
  ClusterInfo info;
  std::string_view rest = reply.text;
  bool has_state = false;
  while (!rest.empty()) {
    std::string_view line = NextField(rest, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string_view name = NextField(line, ':');
    const auto number = ParseInt64(line);
    if (name == "cluster_state") {
      has_state = true;
      info.is_ok = line == "ok";
    } else if (name == "cluster_current_epoch") {
      info.current_epoch = ParseUint64(line).value_or(0);
    } else if (name == "cluster_known_nodes") {
      info.known_nodes = number.value_or(0);
    } else if (name == "cluster_slots_assigned") {
      info.assigned_slots = number.value_or(0);
    }
  }
  if (!has_state) return Error{"CLUSTER INFO: no cluster_state in it"};
  return info;
}

Status ExpectReply(const Reply& reply, Reply::Kind kind, std::string_view command) {
  if (reply.is_error()) return Error{reply.text}.WithContext(command);
  if (reply.kind != kind) return Error{"a reply of another kind"}.WithContext(command);
  return {};
}

}  // namespace tidegate::topology
