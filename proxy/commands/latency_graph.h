// LATENCY GRAPH: the spikes of one event as a few lines of text, newest on the right, each column
// with the time since then written downwards below it. Pure function.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/observe/latency_monitor.h"

namespace tidegate {

// `samples` is not empty; oldest first.
std::string DrawLatencyGraph(std::string_view event, std::span<const LatencySample> samples,
                             uint32_t all_time_max_ms, int64_t now_unix_seconds);

}  // namespace tidegate
