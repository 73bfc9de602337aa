// The metrics of routes that move keys out of an old cluster: a row for each, with the counter of
// MoveCounters it adds up over the workers. The labels are the route's pattern and the name of the
// old cluster. To add one: a counter there and a row here; tests hold the exported families and
// this list equal.
#pragma once

#include "base/metric.h"
#include "proxy/session/route_move.h"

namespace tidegate {

struct MoveMetric {
  MetricRow row;
  WorkerCounter MoveCounters::*value;
};

inline constexpr MoveMetric kMoveMetrics[] = {
    {{.name = "tidegate_move_keys_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys moved out of the old cluster.",
      .label = "route",
      .second_label = "cluster"},
     &MoveCounters::keys},
    {{.name = "tidegate_move_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of their values, as DUMP writes them.",
      .label = "route",
      .second_label = "cluster"},
     &MoveCounters::bytes},
    {{.name = "tidegate_move_absent_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that the old cluster was asked for and did not have.",
      .label = "route",
      .second_label = "cluster"},
     &MoveCounters::absent},
    {{.name = "tidegate_move_superseded_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that the old cluster had and the new one had as well: that one stayed.",
      .label = "route",
      .second_label = "cluster"},
     &MoveCounters::superseded},
    {{.name = "tidegate_move_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times that a key could not be moved, or not be removed from the old cluster.",
      .label = "route",
      .second_label = "cluster"},
     &MoveCounters::failures},
};

}  // namespace tidegate
