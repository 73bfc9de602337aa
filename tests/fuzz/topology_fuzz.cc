// Any bytes as a server's answer: each parser of topologies gives a value or an error, never a
// crash; maps hold together; and the pieces in which bytes come make no difference.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "proxy/topology/cluster_agreement.h"
#include "proxy/topology/cluster_replies.h"
#include "proxy/topology/redirect.h"
#include "proxy/topology/replica_set.h"
#include "proxy/topology/replication_state.h"
#include "proxy/topology/reply.h"
#include "proxy/topology/sentinel_event.h"
#include "proxy/topology/sentinel_view.h"
#include "proxy/topology/slot_map_builder.h"
#include "proxy/topology/slot_map_diff.h"

namespace tidegate::topology {
namespace {

void CheckMap(const SlotMap& map) {
  uint32_t covered = 0;
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
    const Shard& shard = map.OfSlot(static_cast<uint16_t>(slot));
    TG_CHECK(shard.primary == kNoNode || shard.primary < map.nodes().size());
    for (const NodeIndex replica : shard.replicas) TG_CHECK(replica < map.nodes().size());
    covered += shard.primary != kNoNode ? 1 : 0;
  }
  TG_CHECK(covered == map.covered_slots());
  TG_CHECK(Compare(map, map).is_empty());
}

void UseMap(Result<SlotMap> map) {
  if (!map.ok()) {
    TG_CHECK(!map.error().message.empty());
    return;
  }
  CheckMap(*map);
  const NodeAddress elsewhere{.host = "elsewhere", .port = 1};
  Result<SlotMap> redirected = WithRedirect(*map, 7, elsewhere);
  if (redirected.ok()) CheckMap(*redirected);
  const ClusterView views[] = {{.map = *map, .current_epoch = 1}, {.map = SlotMap()}};
  Result<ClusterAgreement> agreed = AgreeOnCluster(views);
  TG_CHECK(agreed.ok());
  CheckMap(agreed->map);
}

void UseState(const Result<ReplicationState>& state) {
  if (!state.ok()) return;
  const ServerReport reports[] = {
      {.address = {.host = "a", .port = 1}, .announced = {}, .state = state.value()},
      {.address = state.value().primary, .announced = {}, .state = ReplicationState()}};
  ResolveReplicaSet(reports);
}

void UseReply(const Reply& reply) {
  const AskedNode asked{.address = {.host = "asked", .port = 7000}};
  UseMap(ParseClusterSlots(reply, asked));
  UseMap(ParseClusterShards(reply, asked));
  UseMap(ParseClusterNodes(reply, asked));
  const bool is_info = ParseClusterInfo(reply).ok();
  TG_CHECK(!is_info || reply.kind == Reply::Kind::kText);
  UseState(ParseRole(reply));
  UseState(ParseInfoReplication(reply));
  const bool has_address = ParsePrimaryAddress(reply).ok();
  const bool is_server = ParseWatchedServer(reply).ok();
  const bool are_servers = ParseWatchedServers(reply, "SENTINEL REPLICAS").ok();
  TG_CHECK(!(reply.is_error() && (has_address || is_server || are_servers)));
}

// Replies of the whole, up to an error; as many of them when the bytes come one by one.
size_t CountReplies(std::string_view bytes, size_t piece) {
  ReplyReader reader;
  size_t replies = 0;
  while (!bytes.empty()) {
    reader.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(piece < bytes.size() ? piece : bytes.size());
    while (true) {
      Result<std::optional<Reply>> reply = reader.Next();
      if (!reply.ok()) return replies;
      if (!reply->has_value()) break;
      if (piece > 1) UseReply(**reply);
      ++replies;
    }
  }
  return replies;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  TG_CHECK(CountReplies(bytes, size + 2) == CountReplies(bytes, 1));
  Reply text;
  text.kind = Reply::Kind::kText;
  text.text = bytes;
  UseReply(text);
  ParseTopologyError(bytes);
  const size_t space = bytes.find(' ');
  if (space != std::string_view::npos) {
    ParseSentinelEvent(bytes.substr(0, space), bytes.substr(space + 1));
  }
  return 0;
}

}  // namespace tidegate::topology
