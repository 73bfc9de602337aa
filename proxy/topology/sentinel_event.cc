#include "proxy/topology/sentinel_event.h"

#include <string>

namespace tidegate::topology {
namespace {

using Kind = SentinelEvent::Kind;

struct Row {
  std::string_view channel;
  Kind kind;
};

constexpr Row kRows[] = {
    {"+switch-master", Kind::kSwitchPrimary},
    {"+sdown", Kind::kSubjectivelyDown},
    {"-sdown", Kind::kSubjectivelyUp},
    {"+odown", Kind::kObjectivelyDown},
    {"-odown", Kind::kObjectivelyUp},
    {"+slave", Kind::kReplicaFound},
    {"+slave-reconf-done", Kind::kReplicaReconfigured},
    {"+role-change", Kind::kRoleChanged},
    {"-role-change", Kind::kRoleChanged},
    {"+convert-to-slave", Kind::kRoleChanged},
    {"+sentinel", Kind::kSentinelFound},
    {"+reboot", Kind::kRebooted},
    {"+try-failover", Kind::kFailoverStarted},
    {"+failover-end", Kind::kFailoverEnded},
    {"+failover-end-for-timeout", Kind::kFailoverEnded},
    {"-failover-abort-not-elected", Kind::kFailoverEnded},
    {"-failover-abort-no-good-slave", Kind::kFailoverEnded},
    {"-failover-abort-slave-timeout", Kind::kFailoverEnded},
    {"+reset-master", Kind::kReset},
    {"+tilt", Kind::kTilt},
};

Kind KindOf(std::string_view channel) {
  for (const Row& row : kRows) {
    if (row.channel == channel) return row.kind;
  }
  return Kind::kOther;
}

std::optional<NodeAddress> ReadAddress(std::string_view& rest) {
  const std::string_view host = NextField(rest, ' ');
  const auto port = ParsePort(NextField(rest, ' '));
  if (host.empty() || !port) return std::nullopt;
  return NodeAddress{.host = std::string(host), .port = *port};
}

std::optional<ServerRole> RoleOf(std::string_view word) {
  if (word == "master") return ServerRole::kPrimary;
  if (word == "slave") return ServerRole::kReplica;
  if (word == "sentinel") return ServerRole::kSentinel;
  return std::nullopt;
}

// name host port host port
std::optional<SentinelEvent> ReadSwitch(std::string_view message) {
  SentinelEvent event;
  event.kind = Kind::kSwitchPrimary;
  event.role = ServerRole::kPrimary;
  event.primary_name = NextField(message, ' ');
  const auto from = ReadAddress(message);
  const auto to = ReadAddress(message);
  if (event.primary_name.empty() || !from || !to || !to->is_known()) return std::nullopt;
  event.address = *from;
  event.new_address = *to;
  return event;
}

// type name host port[ @ primary's-name host port][ more]
std::optional<SentinelEvent> ReadInstance(Kind kind, std::string_view message) {
  SentinelEvent event;
  event.kind = kind;
  event.role = RoleOf(NextField(message, ' '));
  const std::string_view name = NextField(message, ' ');
  const auto address = ReadAddress(message);
  if (!event.role || name.empty() || !address) return std::nullopt;
  event.address = *address;
  event.primary_name = name;
  if (*event.role != ServerRole::kPrimary) {
    if (NextField(message, ' ') != "@") return std::nullopt;
    event.primary_name = NextField(message, ' ');
    if (event.primary_name.empty()) return std::nullopt;
  }
  return event;
}

}  // namespace

std::optional<SentinelEvent> ParseSentinelEvent(std::string_view channel,
                                                std::string_view message) {
  const Kind kind = KindOf(channel);
  if (kind == Kind::kSwitchPrimary) return ReadSwitch(message);
  std::optional<SentinelEvent> event = ReadInstance(kind, message);
  // "+new-epoch 1", "+tilt #tilt mode entered": about the sentinel itself.
  if (!event && (kind == Kind::kOther || kind == Kind::kTilt)) {
    event.emplace();
    event->kind = kind;
  }
  return event;
}

}  // namespace tidegate::topology
