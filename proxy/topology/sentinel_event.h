// What a Redis Sentinel publishes while things happen: the channel is the event's name, the message
// says whom it is about.
//
//   +switch-master   mymaster 127.0.0.1 41637 127.0.0.1 33173
//   +sdown           slave 127.0.0.1:7 127.0.0.1 7 @ mymaster 127.0.0.1 41637
//   +odown           master mymaster 127.0.0.1 41637 #quorum 2/2
//
// Events are hints and may be lost with the connection that carries them; the next question to the
// sentinels is what counts. So only the kinds that change what a proxy does are told apart, all
// others are kOther, and a message that cannot be read is no event at all.
// Views borrow from the message. Cost: one pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/topology/node_address.h"
#include "proxy/topology/replication_state.h"

namespace tidegate::topology {

struct SentinelEvent {
  enum class Kind : uint8_t {
    kSwitchPrimary,     // the primary is another one now
    kSubjectivelyDown,  // +sdown, and below
    kSubjectivelyUp,
    kObjectivelyDown,
    kObjectivelyUp,
    kReplicaFound,         // +slave
    kReplicaReconfigured,  // +slave-reconf-done: follows the new primary
    kRoleChanged,          // +role-change, -role-change, +convert-to-slave
    kSentinelFound,        // +sentinel
    kRebooted,             // +reboot
    kFailoverStarted,      // +try-failover
    kFailoverEnded,        // +failover-end, and for whatever reason: -failover-abort-…
    kReset,                // +reset-master: the sentinel forgot replicas and other sentinels
    kTilt,                 // +tilt: this sentinel does not trust its clock and does nothing
    kOther,
  };

  Kind kind = Kind::kOther;
  // The primary that this is about, by its configured name; empty in kTilt and some of kOther.
  std::string_view primary_name;
  // Whom it is about; a sentinel's own events have none.
  std::optional<ServerRole> role;
  NodeAddress address;
  // Of kSwitchPrimary, where it is from now on; `address` is where it was.
  NodeAddress new_address;
};

// None when the message is not what such an event says.
std::optional<SentinelEvent> ParseSentinelEvent(std::string_view channel, std::string_view message);

}  // namespace tidegate::topology
