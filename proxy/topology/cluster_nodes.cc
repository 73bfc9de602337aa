// CLUSTER NODES: one line a node,
//
//   id ip:port@bus[,hostname[,name=value…]] flags primary-id|- ping pong epoch link slot… [move]…
//
// Two passes: a replica may stand before its primary, and a move before both of its nodes.
#include <string>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "proxy/topology/cluster_replies.h"
#include "proxy/topology/slot_map_builder.h"

namespace tidegate::topology {
namespace {

// A replica of a replica of …: how far it is followed to the shard.
constexpr int kReplicaChainMax = 8;

struct NodeLine {
  ClusterNode node;
  std::string_view primary_id;
  std::string_view slots;  // the rest of the line
  // In the table but no part of the cluster yet, or not reachable for anybody.
  bool is_outside = false;
  bool is_replica = false;
};

// False: a flag that means something we must not ignore is missing or contradicted.
bool ReadFlags(std::string_view flags, NodeLine& line) {
  while (!flags.empty()) {
    const std::string_view flag = NextField(flags, ',');
    if (flag == "master" || flag == "primary") {
      line.node.is_primary = true;
    } else if (flag == "slave" || flag == "replica") {
      line.is_replica = true;
    } else if (flag == "fail") {
      line.node.health = NodeHealth::kFailed;
    } else if (flag == "fail?") {
      line.node.health = NodeHealth::kSuspected;
    } else if (flag == "handshake" || flag == "noaddr") {
      line.is_outside = true;
    }
  }
  return line.is_outside || line.node.is_primary != line.is_replica;
}

// ip:port@bus,hostname,name=value…
bool ReadAddress(std::string_view text, const AskedNode& asked, ClusterNode& node) {
  std::string_view endpoint = NextField(text, ',');
  const std::string_view hostname = NextField(text, ',');
  endpoint = endpoint.substr(0, endpoint.find('@'));
  const auto address = ParseHostAndPort(endpoint);
  if (!address) return false;
  node.ip = address->host;
  if (hostname.find('=') == std::string_view::npos) node.hostname = hostname;
  // A node that nobody has met does not know its own address, and says "".
  node.address = {.host = node.ip.empty() ? asked.address.host : node.ip, .port = address->port};
  if (asked.prefers_hostnames && !node.hostname.empty()) node.address.host = node.hostname;
  return true;
}

Result<NodeLine> ReadLine(std::string_view text, const AskedNode& asked) {
  NodeLine line;
  line.node.id = NextField(text, ' ');
  const std::string_view address = NextField(text, ' ');
  const std::string_view flags = NextField(text, ' ');
  line.primary_id = NextField(text, ' ');
  NextField(text, ' ');  // ping sent
  NextField(text, ' ');  // pong received
  const auto epoch = ParseUint64(NextField(text, ' '));
  const std::string_view link = NextField(text, ' ');
  line.slots = text;
  if (line.node.id.empty() || !epoch || link.empty()) return Error{"a line that is no node's"};
  line.node.config_epoch = *epoch;
  if (!ReadFlags(flags, line)) {
    return Error{"node " + line.node.id + " is neither primary nor replica"};
  }
  if (!line.is_outside && !ReadAddress(address, asked, line.node)) {
    return Error{"node " + line.node.id + " has no address"};
  }
  return line;
}

// "5461" or "0-5460".
Status ReadSlots(std::string_view field, uint16_t shard, SlotMapBuilder& builder) {
  const auto first = ParseInt64(NextField(field, '-'));
  const auto last = field.empty() ? first : ParseInt64(field);
  if (!first || !last) return Error{"slots that are no numbers"};
  return builder.Assign(shard, *first, *last);
}

// "[93->-id]": leaves for id. "[93-<-id]": comes from id.
Status ReadMove(std::string_view field, NodeIndex node, SlotMapBuilder& builder) {
  const size_t arrow = field.find('-');
  if (!field.ends_with(']') || arrow == std::string_view::npos || arrow + 5 > field.size()) {
    return Error{"a slot on the move that is none"};
  }
  const auto slot = ParseInt64(field.substr(1, arrow - 1));
  if (!slot || *slot < 0 || *slot >= kSlotCount) return Error{"a slot on the move that is none"};
  const std::string_view id = field.substr(arrow + 3, field.size() - arrow - 4);
  const NodeIndex other = builder.Find(std::string(id));
  const bool leaves = field[arrow + 1] == '>';
  builder.AddMove({.slot = static_cast<uint16_t>(*slot),
                   .from = leaves ? node : other,
                   .to = leaves ? other : node});
  return {};
}

class NodesParser final {
 public:
  Status ReadLines(std::string_view text, const AskedNode& asked) {
    while (!text.empty()) {
      std::string_view line = NextField(text, '\n');
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      Result<NodeLine> read = ReadLine(line, asked);
      if (!read.ok()) return std::move(read).error();
      if (read->is_outside) continue;
      TG_RETURN_IF_ERROR(AddLine(std::move(*read)));
    }
    return {};
  }

  Status Connect() {
    for (size_t i = 0; i < lines_.size(); ++i) {
      const NodeLine& line = lines_[i];
      const auto node = static_cast<NodeIndex>(i);
      if (line.is_replica) {
        TG_RETURN_IF_ERROR(AttachReplica(node));
      } else {
        TG_RETURN_IF_ERROR(ReadClaims(node, line.slots));
      }
    }
    return {};
  }

  SlotMap Build() && { return std::move(builder_).Build(); }

 private:
  Status AddLine(NodeLine line) {
    Result<NodeIndex> index = builder_.AddNode(line.node);
    if (!index.ok()) return std::move(index).error();
    if (*index != lines_.size()) return Error{"node " + line.node.id + " has two lines"};
    lines_.push_back(std::move(line));
    if (!lines_.back().is_replica) {
      Result<uint16_t> shard = builder_.ShardOfPrimary(*index);
      if (!shard.ok()) return std::move(shard).error();
    }
    return {};
  }

  // Whose primary has no line stays without a shard.
  Status AttachReplica(NodeIndex replica) {
    NodeIndex above = replica;
    for (int hop = 0; hop < kReplicaChainMax && lines_[above].is_replica; ++hop) {
      above = builder_.Find(std::string(lines_[above].primary_id));
      if (above == kNoNode) return {};
    }
    if (lines_[above].is_replica) return {};
    Result<uint16_t> shard = builder_.ShardOfPrimary(above);
    if (!shard.ok()) return std::move(shard).error();
    return builder_.AddReplica(*shard, replica);
  }

  Status ReadClaims(NodeIndex node, std::string_view fields) {
    Result<uint16_t> shard = builder_.ShardOfPrimary(node);
    if (!shard.ok()) return std::move(shard).error();
    while (!fields.empty()) {
      const std::string_view field = NextField(fields, ' ');
      if (field.empty()) continue;
      TG_RETURN_IF_ERROR(field.front() == '[' ? ReadMove(field, node, builder_)
                                              : ReadSlots(field, *shard, builder_));
    }
    return {};
  }

  SlotMapBuilder builder_;
  std::vector<NodeLine> lines_;  // as the builder's nodes
};

}  // namespace

Result<SlotMap> ParseClusterNodes(const Reply& reply, const AskedNode& asked) {
  constexpr std::string_view kCommand = "CLUSTER NODES";
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kText, kCommand));
  NodesParser parser;
  Status status = parser.ReadLines(reply.text, asked);
  if (status.ok()) status = parser.Connect();
  if (!status.ok()) return std::move(status).error().WithContext(kCommand);
  return std::move(parser).Build();
}

}  // namespace tidegate::topology
