// CLUSTER and its companions. Where the route "*" of a client leads to a Redis Cluster, clients
// that know clusters may talk to this process as to a cluster of one node, which has all slots:
// whatever they send it is routed, and MOVED and ASK never reach them. Otherwise it is no cluster,
// and clients that probe for one when they connect get the error that they understand.
#include <algorithm>
#include <string>

#include "base/hash.h"
#include "base/text.h"
#include "proxy/commands/families.h"
#include "proxy/commands/reply_help.h"

namespace tidegate {
namespace {

constexpr std::string_view kClusterHelp[] = {
    "INFO",          "    The state of the cluster.",
    "KEYSLOT <key>", "    The slot of a key.",
    "LINKS",         "    The links between nodes: none.",
    "MYID",          "    The name of the node.",
    "NODES",         "    The nodes of the cluster: this process.",
    "SHARDS",        "    Which nodes serve which slots.",
    "SLOTS",         "    Which nodes serve which slots.",
};

constexpr int64_t kLastSlot = kSlotCount - 1;
// Redis's bus has a port of its own, so far above.
constexpr int kBusPortOffset = 10'000;

struct Place {
  std::string host;
  int port = 0;
};

// Where a client finds us: what the configuration says, else where it has found us.
Place PlaceFor(SessionCommand& c) {
  const Options& options = c.options();
  Place place{"127.0.0.1", options.port};
  if (!c.session().is_unix()) {
    std::string text = c.session().local_address();
    const size_t colon = text.rfind(':');
    place.port = static_cast<int>(ParseInt64(text.substr(colon + 1)).value_or(0));
    text.resize(colon);
    std::erase_if(text, [](char x) { return x == '[' || x == ']'; });
    place.host = std::move(text);
  }
  if (!options.cluster_announce_ip.empty()) place.host = options.cluster_announce_ip;
  if (options.cluster_announce_port != 0) place.port = options.cluster_announce_port;
  return place;
}

ExecStatus CmdClusterDisabled(SessionCommand& c) {
  return c.Fail("ERR This instance has cluster support disabled");
}

// What commands about slots' contents would need is spread over the nodes behind us.
ExecStatus CmdClusterSlotContents(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  return c.Fail("ERR '" + c.command().full_name +
                "' has to be asked of the node that has the slot");
}

ExecStatus CmdClusterHelp(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  return ReplyHelp(c, kClusterHelp);
}

ExecStatus CmdClusterInfo(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  return ReplyText(c,
                   "cluster_state:ok\r\n"
                   "cluster_slots_assigned:16384\r\n"
                   "cluster_slots_ok:16384\r\n"
                   "cluster_slots_pfail:0\r\n"
                   "cluster_slots_fail:0\r\n"
                   "cluster_known_nodes:1\r\n"
                   "cluster_size:1\r\n"
                   "cluster_current_epoch:0\r\n"
                   "cluster_my_epoch:0\r\n"
                   "cluster_stats_messages_sent:0\r\n"
                   "cluster_stats_messages_received:0\r\n"
                   "total_cluster_links_buffer_limit_exceeded:0\r\n");
}

ExecStatus CmdClusterKeySlot(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  c.reply().Integer(KeySlot(c.arg(2)));
  return ExecStatus::kDone;
}

ExecStatus CmdClusterLinks(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  c.reply().Array(0);
  return ExecStatus::kDone;
}

ExecStatus CmdClusterMyId(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  c.reply().Bulk(c.server().run_id());
  return ExecStatus::kDone;
}

ExecStatus CmdClusterNodes(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  const Place place = PlaceFor(c);
  return ReplyText(c, std::string(c.server().run_id()) + " " + place.host + ":" +
                          std::to_string(place.port) + "@" +
                          std::to_string(place.port + kBusPortOffset) +
                          " myself,master - 0 0 0 connected 0-" + std::to_string(kLastSlot) + "\n");
}

ExecStatus CmdClusterShards(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  const Place place = PlaceFor(c);
  ReplyWriter& reply = c.reply();
  reply.Array(1);
  reply.Map(2);
  reply.Bulk("slots");
  reply.Array(2);
  reply.Integer(0);
  reply.Integer(kLastSlot);
  reply.Bulk("nodes");
  reply.Array(1);
  reply.Map(7);
  reply.Bulk("id");
  reply.Bulk(c.server().run_id());
  reply.Bulk("port");
  reply.Integer(place.port);
  reply.Bulk("ip");
  reply.Bulk(place.host);
  reply.Bulk("endpoint");
  reply.Bulk(place.host);
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("replication-offset");
  reply.Integer(0);
  reply.Bulk("health");
  reply.Bulk("online");
  return ExecStatus::kDone;
}

ExecStatus CmdClusterSlots(SessionCommand& c) {
  if (!c.session().IsInFrontOfCluster()) return CmdClusterDisabled(c);
  const Place place = PlaceFor(c);
  ReplyWriter& reply = c.reply();
  reply.Array(1);
  reply.Array(3);
  reply.Integer(0);
  reply.Integer(kLastSlot);
  reply.Array(4);
  reply.Bulk(place.host);
  reply.Integer(place.port);
  reply.Bulk(c.server().run_id());
  reply.Map(0);
  return ExecStatus::kDone;
}

// ASKING, READONLY, READWRITE: which node answers is not the client's to say.
ExecStatus CmdClusterClient(SessionCommand& c) {
  return c.session().IsInFrontOfCluster() ? c.Ok() : CmdClusterDisabled(c);
}

constexpr CommandSpec kClusterSubcommands[] = {
    {.name = "COUNTKEYSINSLOT",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "How many keys a slot has.",
     .session_handler = CmdClusterSlotContents},
    {.name = "GETKEYSINSLOT",
     .arity = Exactly(4),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N) in the number of keys asked for",
     .summary = "Keys of a slot.",
     .session_handler = CmdClusterSlotContents,
     .tips = "nondeterministic_output"},
    {.name = "HELP",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale,
     .group = Group::kCluster,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "The sub-commands of CLUSTER.",
     .session_handler = CmdClusterHelp},
    {.name = "INFO",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "The state of the cluster.",
     .session_handler = CmdClusterInfo,
     .tips = "nondeterministic_output"},
    {.name = "KEYSLOT",
     .arity = Exactly(3),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N) in the bytes of the key",
     .summary = "The slot of a key.",
     .session_handler = CmdClusterKeySlot},
    {.name = "LINKS",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "7.0.0",
     .complexity = "O(N) in the number of nodes",
     .summary = "The links between nodes.",
     .session_handler = CmdClusterLinks,
     .tips = "nondeterministic_output"},
    {.name = "MYID",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "The name of the node.",
     .session_handler = CmdClusterMyId},
    {.name = "NODES",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N) in the number of nodes",
     .summary = "The nodes of the cluster.",
     .session_handler = CmdClusterNodes,
     .tips = "nondeterministic_output"},
    {.name = "SHARDS",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "7.0.0",
     .complexity = "O(N) in the number of nodes",
     .summary = "Which nodes serve which slots.",
     .session_handler = CmdClusterShards,
     .tips = "nondeterministic_output"},
    {.name = "SLOTS",
     .arity = Exactly(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kStale,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N) in the number of nodes",
     .summary = "Which nodes serve which slots.",
     .session_handler = CmdClusterSlots,
     .tips = "nondeterministic_output",
     .deprecated_since = "7.0.0",
     .replaced_by = "CLUSTER SHARDS"},
};

constexpr CommandSpec kClusterCommands[] = {
    {.name = "ASKING",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFast | kAclConnection,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Announces a command that was sent here by ASK.",
     .session_handler = CmdClusterClient},
    {.name = "CLUSTER",
     .arity = AtLeast(2),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "Depends on the sub-command",
     .summary = "Commands about the cluster.",
     .subcommands = kClusterSubcommands},
    {.name = "READONLY",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kFast | kAclConnection,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Lets a replica of a cluster answer reads.",
     .session_handler = CmdClusterClient},
    {.name = "READWRITE",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kLoading | kStale | kFast | kAclConnection,
     .group = Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Takes READONLY back.",
     .session_handler = CmdClusterClient},
};

}  // namespace

static_assert(IsValidFamily(kClusterCommands));
const std::span<const CommandSpec> kClusterFamily = kClusterCommands;

}  // namespace tidegate
