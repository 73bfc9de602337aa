// Requests by class of command and by route, added up over the workers, for /stats and /metrics.
//
// Neither is counted where requests are executed, as far as it can be worked out here: times by
// class are sums of those by command, and what a worker without routes has counted in all is the
// share of the engine's catch-all (RouteMeter says why). Any thread; cost: a histogram for each
// command in use, and for each route, of each worker.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/admin/admin_sources.h"
#include "proxy/admin/histogram_fold.h"
#include "proxy/observe/request_class.h"

namespace tidegate {

// By RequestClass.
std::array<FineCounts, kRequestClasses> LatencyByClass(const AdminSources& sources);

struct RouteOfWorkers {
  std::string route;
  std::string cluster;
  uint64_t requests = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  FineCounts latency = {};
};

// In the order in which they came to be known; the engine's catch-all first, where it has had any
// requests or is the only one.
std::vector<RouteOfWorkers> RoutesOf(const AdminSources& sources);

}  // namespace tidegate
