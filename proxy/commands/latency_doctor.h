// LATENCY DOCTOR: what the spikes of the monitored events may come from, in words. Pure function of
// what the monitor has seen and of the settings.
#pragma once

#include <string>
#include <vector>

#include "config/options.h"
#include "proxy/observe/latency_monitor.h"

namespace tidegate {

struct LatencyHistory {
  LatencyEvent event;
  std::vector<LatencySample> samples;  // oldest first
};

std::string LatencyReport(const std::vector<LatencyHistory>& histories, const Options& options,
                          int64_t now_unix_seconds);

}  // namespace tidegate
