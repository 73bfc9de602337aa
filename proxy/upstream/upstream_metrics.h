// The metrics of upstream clusters: a row for each, with the counter of UpstreamCounters it adds up
// over the workers. The labels are the name that the configuration gives the cluster, and the
// node's address. To add one: a counter there and a row here; tests hold the exported families and
// this list equal.
#pragma once

#include "base/metric.h"
#include "proxy/upstream/upstream_counters.h"

namespace tidegate {

// Of NodeFigures::latency.
inline constexpr MetricRow kUpstreamRequestDurationMetric = {
    .name = "tidegate_upstream_request_duration_seconds",
    .type = MetricType::kHistogram,
    .unit = MetricUnit::kSeconds,
    .help =
        "Time from a request to its reply, as its worker saw it; of redirected requests from "
        "the beginning. Commands that wait by their own wish (BLPOP) are not in it.",
    .label = "cluster",
    .second_label = "node"};

struct UpstreamMetric {
  MetricRow row;
  WorkerCounter UpstreamCounters::*value;
};

inline constexpr UpstreamMetric kUpstreamMetrics[] = {
    {{.name = "tidegate_upstream_requests_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests taken for an upstream cluster.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::requests},
    {{.name = "tidegate_upstream_error_replies_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Error replies that the upstream gave.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::error_replies},
    {{.name = "tidegate_upstream_redirections_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests that the node sent elsewhere (MOVED, ASK) or that were tried again "
              "(TRYAGAIN), without their clients seeing it.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::redirections},
    {{.name = "tidegate_upstream_requests_refused_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests answered with an error without being sent: the node is down, or too much "
              "waits for it.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::refused},
    {{.name = "tidegate_upstream_requests_lost_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests answered with an error because their connection ended before the reply.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::lost},
    {{.name = "tidegate_upstream_timeouts_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Connections given up because a reply was late.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::timeouts},
    {{.name = "tidegate_upstream_protocol_errors_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Connections given up because what came was no reply, or one that nobody asked for.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::garbage},
    {{.name = "tidegate_upstream_connect_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Connections that did not come about, a refused handshake among the reasons.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::connect_failures},
    {{.name = "tidegate_upstream_connects_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Connections made, handshake included.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::connects},
    {{.name = "tidegate_upstream_connections",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Connections to the upstream now.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::connections},
    {{.name = "tidegate_upstream_requests_in_flight",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Requests without a reply now.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::in_flight},
    {{.name = "tidegate_upstream_transmit_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes written to the upstream.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::sent_bytes},
    {{.name = "tidegate_upstream_receive_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes read from the upstream.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::received_bytes},
    {{.name = "tidegate_upstream_private_connections_in_use",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Connections of one session each that are in use now: it watches keys, waits in a "
              "blocking command, or subscribes.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::private_in_use},
    {{.name = "tidegate_upstream_private_connections_idle",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Connections kept for the next session that needs one of its own.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::private_idle},
    {{.name = "tidegate_upstream_private_waits_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests that had to wait because all private connections were in use.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::private_waits},
    {{.name = "tidegate_upstream_private_exhausted_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help =
          "Requests refused because no private connection became free in time, or too many waited.",
      .label = "cluster",
      .second_label = "node"},
     &UpstreamCounters::private_exhausted},
};

}  // namespace tidegate
