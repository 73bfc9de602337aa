// The metrics of discovery: a row for each, with the counter of DiscoveryCounters it shows. The
// label is the name that the configuration gives the cluster. To add one: a counter there and a row
// here; tests hold the exported families and this list equal.
#pragma once

#include "base/metric.h"
#include "proxy/discovery/topology_publisher.h"

namespace tidegate::discovery {

struct DiscoveryMetric {
  MetricRow row;
  WorkerCounter DiscoveryCounters::*value;
};

inline constexpr DiscoveryMetric kDiscoveryMetrics[] = {
    {{.name = "tidegate_discovery_refreshes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Rounds of questions about the topology of an upstream cluster that have ended.",
      .label = "cluster"},
     &DiscoveryCounters::refreshes},
    {{.name = "tidegate_discovery_refresh_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Rounds in which nobody gave an answer that could be used.",
      .label = "cluster"},
     &DiscoveryCounters::refresh_failures},
    {{.name = "tidegate_discovery_reports_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Hints of workers that the topology may have changed; the same at the same time is "
              "one.",
      .label = "cluster"},
     &DiscoveryCounters::reports},
    {{.name = "tidegate_discovery_failovers_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times that another node became a primary.",
      .label = "cluster"},
     &DiscoveryCounters::failovers},
    {{.name = "tidegate_discovery_topology_version",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Version of the topology: grows by one with each change.",
      .label = "cluster"},
     &DiscoveryCounters::version},
    {{.name = "tidegate_discovery_nodes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Nodes of the upstream cluster that are known.",
      .label = "cluster"},
     &DiscoveryCounters::nodes},
    {{.name = "tidegate_discovery_usable_nodes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Those of them that answer, and may be read if they are replicas.",
      .label = "cluster"},
     &DiscoveryCounters::usable_nodes},
};
static_assert(AreValidMetrics(kDiscoveryMetrics));

}  // namespace tidegate::discovery
