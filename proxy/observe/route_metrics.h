// The metrics of routes, and of requests by class: a row for each. The labels are a route's pattern
// and the name of its cluster, both from the configuration, or a class of commands; never a key.
// proxy/admin/request_figures.h adds the values up. Threads: constants.
#pragma once

#include "base/metric.h"

namespace tidegate {

constexpr MetricRow RouteMetric(std::string_view name, MetricType type, std::string_view help,
                                MetricUnit unit = MetricUnit::kCount) {
  return {.name = name,
          .type = type,
          .unit = unit,
          .help = help,
          .label = "route",
          .second_label = "cluster"};
}

inline constexpr MetricRow kRouteRequestsMetric = RouteMetric(
    "tidegate_route_requests_total", MetricType::kCounter,
    "Requests that took a route. A request with keys of several routes counts for that of its "
    "first; what Tidegate answers itself (PING, INFO) for * of the cluster engine.");
inline constexpr MetricRow kRouteHitsMetric =
    RouteMetric("tidegate_route_hits_total", MetricType::kCounter,
                "Keys that reads found. Of an upstream: replies to reads that were no null, of "
                "MGET each element.");
inline constexpr MetricRow kRouteMissesMetric =
    RouteMetric("tidegate_route_misses_total", MetricType::kCounter,
                "Keys that reads did not find. Of an upstream: nulls in replies to reads.");
inline constexpr MetricRow kRouteDurationMetric =
    RouteMetric("tidegate_route_request_duration_seconds", MetricType::kHistogram,
                "Time of each request by its route, while latency-tracking is on. What a client "
                "waits for by its own wish (BLPOP) is not in it.",
                MetricUnit::kSeconds);

inline constexpr MetricRow kClassDurationMetric = {
    .name = "tidegate_request_duration_seconds",
    .type = MetricType::kHistogram,
    .unit = MetricUnit::kSeconds,
    .help =
        "Time of each request, of the engine and of upstreams, by class: read, write, script "
        "(EVAL, FCALL), blocking (without the time that its client waits), other. While "
        "latency-tracking is on.",
    .label = "class"};

inline constexpr MetricRow kRouteMetrics[] = {kRouteRequestsMetric, kRouteHitsMetric,
                                              kRouteMissesMetric, kRouteDurationMetric};
static_assert(AreValidMetrics(kRouteMetrics));
static_assert(MetricFault(kClassDurationMetric).empty());

}  // namespace tidegate
