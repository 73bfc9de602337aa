#include "proxy/topology/replication_state.h"

#include <utility>

#include "base/text.h"
#include "proxy/topology/cluster_replies.h"

namespace tidegate::topology {
namespace {

std::optional<ServerRole> RoleOf(std::string_view word) {
  if (word == "master" || word == "primary") return ServerRole::kPrimary;
  if (word == "slave" || word == "replica") return ServerRole::kReplica;
  if (word == "sentinel") return ServerRole::kSentinel;
  return std::nullopt;
}

const Reply* ItemOf(const Reply& list, size_t index) {
  return list.is_list() && index < list.items.size() ? &list.items[index] : nullptr;
}

std::optional<int64_t> IntegerAt(const Reply& list, size_t index) {
  const Reply* item = ItemOf(list, index);
  return item == nullptr ? std::nullopt : item->AsInteger();
}

std::optional<std::string_view> TextAt(const Reply& list, size_t index) {
  const Reply* item = ItemOf(list, index);
  return item == nullptr ? std::nullopt : item->AsText();
}

// host and port, one after the other.
std::optional<NodeAddress> AddressAt(const Reply& list, size_t index) {
  const auto host = TextAt(list, index);
  const auto number = IntegerAt(list, index + 1);
  const auto port = ToPort(number.value_or(-1));
  if (!host || !port) return std::nullopt;
  return NodeAddress{.host = std::string(*host), .port = *port};
}

// [role, offset, [[host, port, offset], …]]
Status ReadPrimaryRole(const Reply& reply, ReplicationState& state) {
  const auto offset = IntegerAt(reply, 1);
  const Reply* replicas = ItemOf(reply, 2);
  if (!offset || replicas == nullptr || !replicas->is_list()) {
    return Error{"ROLE: a primary without its replicas"};
  }
  state.offset = *offset;
  for (const Reply& item : replicas->items) {
    const auto address = AddressAt(item, 0);
    const auto replica_offset = IntegerAt(item, 2);
    if (!address || !replica_offset) return Error{"ROLE: a replica without an address"};
    state.replicas.push_back({.address = *address, .is_online = true, .offset = *replica_offset});
  }
  return {};
}

// [role, host, port, state, offset]
Status ReadReplicaRole(const Reply& reply, ReplicationState& state) {
  const auto address = AddressAt(reply, 1);
  const auto link = TextAt(reply, 3);
  const auto offset = IntegerAt(reply, 4);
  if (!address || !link || !offset) return Error{"ROLE: a replica without its primary"};
  state.primary = *address;
  state.is_link_up = *link == "connected";
  state.is_syncing = *link == "sync";
  state.offset = *offset;
  return {};
}

// [role, [name, …]]
Status ReadSentinelRole(const Reply& reply, ReplicationState& state) {
  const Reply* names = ItemOf(reply, 1);
  if (names == nullptr || !names->is_list()) return Error{"ROLE: a sentinel without names"};
  for (const Reply& name : names->items) {
    state.watched.emplace_back(name.AsText().value_or(std::string_view()));
  }
  return {};
}

// ip=10.0.0.2,port=6379,state=online,offset=14,lag=1[,type=…]
std::optional<AttachedReplica> ReadAttached(std::string_view fields) {
  AttachedReplica replica;
  while (!fields.empty()) {
    std::string_view value = NextField(fields, ',');
    const std::string_view name = NextField(value, '=');
    if (name == "ip") {
      replica.address.host = value;
    } else if (name == "port") {
      const auto port = ParsePort(value);
      if (!port) return std::nullopt;
      replica.address.port = *port;
    } else if (name == "state") {
      replica.is_online = value == "online";
    } else if (name == "offset") {
      replica.offset = ParseInt64(value).value_or(0);
    } else if (name == "lag") {
      replica.lag_seconds = ParseInt64(value).value_or(0);
    }
  }
  if (!replica.address.is_known()) return std::nullopt;
  return replica;
}

// "slave0", "replica12".
bool IsAttached(std::string_view name) {
  for (const std::string_view word : {"slave", "replica"}) {
    if (name.starts_with(word) && ParseInt64(name.substr(word.size()))) return true;
  }
  return false;
}

struct InfoFields {
  std::optional<ServerRole> role;
  int64_t primary_offset = 0;
  std::optional<int64_t> replica_offset;
};

// A field whose value is a number. False: it is none of these.
bool ReadNumber(std::string_view name, std::string_view value, InfoFields& fields,
                ReplicationState& state) {
  const auto number = ParseInt64(value);
  if (!number) return false;
  if (name == "master_repl_offset") {
    fields.primary_offset = *number;
  } else if (name == "slave_repl_offset") {
    fields.replica_offset = *number;
  } else if (name == "slave_priority") {
    state.priority = *number;
  } else if (name == "master_link_down_since_seconds") {
    state.link_down_seconds = *number;
  } else if (name == "master_last_io_seconds_ago") {
    state.last_io_seconds = *number;
  } else if (name == "master_sync_in_progress") {
    state.is_syncing = *number != 0;
  } else {
    return false;
  }
  return true;
}

Status ReadInfoLine(std::string_view name, std::string_view value, InfoFields& fields,
                    ReplicationState& state) {
  if (name == "role") {
    fields.role = RoleOf(value);
  } else if (name == "master_host") {
    state.primary.host = value;
  } else if (name == "master_port") {
    const auto port = ParsePort(value);
    if (!port) return Error{"master_port is no port"};
    state.primary.port = *port;
  } else if (name == "master_link_status") {
    state.is_link_up = value == "up";
  } else if (name == "master_replid") {
    state.replication_id = value;
  } else if (name == "master_failover_state") {
    state.is_failing_over = value != "no-failover";
  } else if (IsAttached(name)) {
    const auto replica = ReadAttached(value);
    if (!replica) return Error{std::string(name) + " has no address"};
    state.replicas.push_back(*replica);
  } else {
    ReadNumber(name, value, fields, state);
  }
  return {};
}

}  // namespace

Result<ReplicationState> ParseRole(const Reply& reply) {
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kArray, "ROLE"));
  const auto role = RoleOf(TextAt(reply, 0).value_or(std::string_view()));
  if (!role) return Error{"ROLE: a role that is none"};
  ReplicationState state;
  state.role = *role;
  if (*role == ServerRole::kPrimary) {
    TG_RETURN_IF_ERROR(ReadPrimaryRole(reply, state));
  } else if (*role == ServerRole::kReplica) {
    TG_RETURN_IF_ERROR(ReadReplicaRole(reply, state));
  } else {
    TG_RETURN_IF_ERROR(ReadSentinelRole(reply, state));
  }
  return state;
}

Result<ReplicationState> ParseInfoReplication(const Reply& reply) {
  TG_RETURN_IF_ERROR(ExpectReply(reply, Reply::Kind::kText, "INFO replication"));
  ReplicationState state;
  InfoFields fields;
  std::string_view rest = reply.text;
  while (!rest.empty()) {
    std::string_view line = NextField(rest, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string_view name = NextField(line, ':');
    Status status = ReadInfoLine(name, line, fields, state);
    if (!status.ok()) return std::move(status).error().WithContext("INFO replication");
  }
  if (!fields.role) return Error{"INFO replication: no role in it"};
  state.role = *fields.role;
  const bool is_replica = state.role == ServerRole::kReplica;
  if (is_replica && !state.primary.is_known()) {
    return Error{"INFO replication: a replica without its primary"};
  }
  state.offset = is_replica ? fields.replica_offset.value_or(-1) : fields.primary_offset;
  return state;
}

}  // namespace tidegate::topology
