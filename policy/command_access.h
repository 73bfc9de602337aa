// What a command does to data, as policies see it. The command table has it for most; scripts and
// what is published have none there, and count as writes (scripts that end in _RO as reads). What
// concerns this process or the connection alone (PING, INFO, CLIENT, MULTI, SUBSCRIBE …) does
// nothing to data, so no policy is asked about it. Pure. Threads: any.
#pragma once

#include <cstdint>

#include "config/policy_options.h"
#include "storage/command.h"

namespace tidegate {

enum class DataAccess : uint8_t { kNone, kRead, kWrite };

inline DataAccess DataAccessOf(const Command& command) {
  if (command.spec->access == Access::kRead) return DataAccess::kRead;
  if (command.spec->access == Access::kWrite) return DataAccess::kWrite;
  if ((command.spec->flags & kMayReplicate) == 0) return DataAccess::kNone;
  return command.full_name.ends_with("_ro") ? DataAccess::kRead : DataAccess::kWrite;
}

constexpr bool Covers(PolicyAccess covered, DataAccess access) {
  if (access == DataAccess::kNone) return false;
  if (covered == PolicyAccess::kBoth) return true;
  return (covered == PolicyAccess::kReads) == (access == DataAccess::kRead);
}

}  // namespace tidegate
