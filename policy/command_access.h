// What a command does to data, as policies see it. The command table has it for most; scripts and
// what is published have none there, and count as writes (scripts that end in _RO as reads). What
// concerns this process or the connection alone (PING, INFO, CLIENT, MULTI, SUBSCRIBE …) does
// nothing to data, so no policy is asked about it. Pure. Threads: any.
#pragma once

#include <cstdint>
#include <string_view>

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

// Whether a write may be of keys that nobody named: scripts, SWAPDB, commands of modules without
// keys. Not what only removes, is published, or is about scripts themselves.
inline bool MayWriteUnnamedKeys(const Command& command, bool names_keys) {
  if (DataAccessOf(command) != DataAccess::kWrite) return false;
  const std::string_view name = command.full_name;
  if (name == "eval" || name == "evalsha" || name == "fcall") return true;
  if (names_keys || command.spec->group == Group::kPubSub) return false;
  return !name.starts_with("flush") && !name.starts_with("function|") &&
         !name.starts_with("script|");
}

constexpr bool Covers(PolicyAccess covered, DataAccess access) {
  if (access == DataAccess::kNone) return false;
  if (covered == PolicyAccess::kBoth) return true;
  return (covered == PolicyAccess::kReads) == (access == DataAccess::kRead);
}

}  // namespace tidegate
