// The time that a blocking command waits, as its argument says it: shared by lists, sorted sets and
// streams. Seconds may have a fraction; 0 is "for ever". Cost: one parse.
#pragma once

#include <cmath>
#include <limits>
#include <optional>

#include "base/text.h"
#include "storage/command_context.h"

namespace tidegate {

// Milliseconds of a wait, checked against the clock; on failure the error is written and nothing
// returned.
inline std::optional<int64_t> CheckTimeoutMs(CommandContext& context, int64_t timeout_ms) {
  if (timeout_ms < 0) {
    context.Fail("ERR timeout is negative");
    return std::nullopt;
  }
  if (timeout_ms > std::numeric_limits<int64_t>::max() - context.now_ms()) {
    context.Fail("ERR timeout is out of range");
    return std::nullopt;
  }
  return timeout_ms;
}

// Argument i: seconds, a fraction of a millisecond counting as a whole one.
inline std::optional<int64_t> TimeoutSecondsArg(CommandContext& context, size_t i) {
  const std::optional<long double> seconds = ParseLongDouble(context.arg(i));
  if (!seconds) {
    context.Fail("ERR timeout is not a float or out of range");
    return std::nullopt;
  }
  const long double ms = *seconds * 1000;
  constexpr auto kMax = static_cast<long double>(std::numeric_limits<int64_t>::max());
  // As Redis 7.0, where what is too large wraps round.
  const bool negative = ms < 0 || ms > kMax;
  return CheckTimeoutMs(context, negative ? -1 : static_cast<int64_t>(std::ceil(ms)));
}

// Argument i: milliseconds (XREAD).
inline std::optional<int64_t> TimeoutMillisArg(CommandContext& context, size_t i) {
  const std::optional<int64_t> ms =
      context.IntegerArg(i, "ERR timeout is not an integer or out of range");
  return ms ? CheckTimeoutMs(context, *ms) : std::nullopt;
}

}  // namespace tidegate
