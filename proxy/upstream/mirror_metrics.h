// The metrics of mirrored routes: a row for each, with the counter of MirrorCounters it adds up
// over the workers. The labels are the route's pattern and the name of the cluster that gets its
// writes. To add one: a counter there and a row here; tests hold the exported families and this
// list equal.
#pragma once

#include "base/metric.h"
#include "proxy/upstream/route_mirror.h"

namespace tidegate {

struct MirrorMetric {
  MetricRow row;
  WorkerCounter MirrorCounters::*value;
};

inline constexpr MirrorMetric kMirrorMetrics[] = {
    {{.name = "tidegate_mirror_requests_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Writes of the route that were sent to the mirror as well.",
      .label = "route",
      .second_label = "cluster"},
     &MirrorCounters::sent},
    {{.name = "tidegate_mirror_errors_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Mirrored writes that were answered with an error, or not at all. Of a transaction "
              "only whether it was executed.",
      .label = "route",
      .second_label = "cluster"},
     &MirrorCounters::errors},
    {{.name = "tidegate_mirror_refused_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Writes that were not mirrored because the cluster is down or does not keep up.",
      .label = "route",
      .second_label = "cluster"},
     &MirrorCounters::refused},
    {{.name = "tidegate_mirror_skipped_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Writes that cannot be mirrored as they are: they wait, or their keys belong to "
              "several routes, decisions or nodes.",
      .label = "route",
      .second_label = "cluster"},
     &MirrorCounters::skipped},
};

}  // namespace tidegate
