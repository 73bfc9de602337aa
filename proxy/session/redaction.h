// Which arguments of a command others may see. Secrets (AUTH's password, and what handlers name
// with SessionCommand::Redact) are shown as "(redacted)" in SLOWLOG, MONITOR and crash reports.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

inline constexpr std::string_view kRedacted = "(redacted)";

// `redacted`: argument indexes that the handler named.
inline bool IsRedacted(const Request& request, std::span<const uint32_t> redacted, size_t index) {
  if (index == 0) return false;
  if ((request.command->spec->flags & kSecretArguments) != 0) return true;
  return std::find(redacted.begin(), redacted.end(), index) != redacted.end();
}

}  // namespace tidegate
