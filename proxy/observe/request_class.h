// RequestClass: kinds of commands whose times may be compared with one another, for latency
// histograms that an operator can set a goal for: one for each command would be too many to look
// at, and one for all would be ruled by what is asked for most.
//
// A class follows from the command's row, so times by class are sums of those by command, made when
// somebody asks. What a blocking command waits for by its client's own wish is in none of them.
// Threads: constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storage/command.h"

namespace tidegate {

enum class RequestClass : uint8_t { kRead, kWrite, kScript, kBlocking, kOther };

inline constexpr std::string_view kRequestClassNames[] = {"read", "write", "script", "blocking",
                                                          "other"};
inline constexpr size_t kRequestClasses = std::size(kRequestClassNames);

// Scripts: what executes one (EVAL, FCALL and their kind), not what only keeps or ends it.
constexpr RequestClass ClassOf(const CommandSpec& spec) {
  if ((spec.flags & kBlocking) != 0) return RequestClass::kBlocking;
  if (spec.name.starts_with("EVAL") || spec.name.starts_with("FCALL")) return RequestClass::kScript;
  if (spec.access == Access::kRead) return RequestClass::kRead;
  if (spec.access == Access::kWrite) return RequestClass::kWrite;
  return RequestClass::kOther;
}

}  // namespace tidegate
