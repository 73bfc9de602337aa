// Load shedding: which requests are refused when more come than can be served.
//
// The measure is how long a request has waited before its worker came to it, which is what its
// client feels; not the processor, not the number of clients. Requests that have waited too long
// are refused, which costs a small part of what they would have cost, so that those behind them
// need not wait as long. The worst placed class goes first: it has the shortest time.
//
//              read   write    of load-shedding-wait. Nobody is refused for his own pipeline: what
//   low        0.5    0.75     waits behind his own requests has not waited for others.
//   normal     1      1.5
//   high       2      3
//
// What is about the process or the connection (PING, INFO, CONFIG, MULTI …) is never refused, nor
// what has begun. Memory is the second measure: above the limit, what may need more is refused.
// Pure. Threads: any. Source: Maurer, "Fail at Scale", ACM Queue 2015 (controlled delay).
#pragma once

#include <cstdint>

#include "config/policy_options.h"
#include "policy/command_access.h"

namespace tidegate {

// The class of a request: where its route and it stand.
struct LoadClass {
  RoutePriority priority = RoutePriority::kNormal;
  DataAccess access = DataAccess::kRead;
};

// Quarters of load-shedding-wait, by priority and access.
inline constexpr int64_t kShedQuarters[3][2] = {{2, 3}, {4, 6}, {8, 12}};

constexpr int64_t ShedWaitNanos(LoadClass load_class, int64_t base_ns) {
  const bool is_write = load_class.access == DataAccess::kWrite;
  return base_ns / 4 * kShedQuarters[static_cast<int>(load_class.priority)][is_write ? 1 : 0];
}
// Who has waited no longer than that is never refused.
constexpr int64_t LeastShedWaitNanos(int64_t base_ns) { return base_ns / 4 * kShedQuarters[0][0]; }

// Above the limit by so much in percent, requests of priority high are refused, too.
inline constexpr uint64_t kShedHighMemoryPercent = 105;

constexpr bool ShedsForMemory(RoutePriority priority, uint64_t used_bytes, uint64_t limit_bytes) {
  if (limit_bytes == 0 || used_bytes <= limit_bytes) return false;
  if (priority != RoutePriority::kHigh) return true;
  return used_bytes / 100 > limit_bytes / 100 * kShedHighMemoryPercent / 100;
}

}  // namespace tidegate
