// The metrics of stale: what became of reads that a copy was kept for, by route. A series is there
// from the first time that the route has or wants a copy. Threads: constants.
#pragma once

#include "base/metric.h"
#include "policy/policy_counters.h"

namespace tidegate {

struct StaleMetric {
  MetricRow row;
  double (*value)(const StaleFigures& figures);
};

constexpr MetricRow StaleRow(std::string_view name, std::string_view help,
                             MetricType type = MetricType::kCounter,
                             MetricUnit unit = MetricUnit::kCount) {
  return {.name = name, .type = type, .unit = unit, .help = help, .label = "route"};
}

template <auto kFigure>
double FigureOf(const StaleFigures& figures) {
  return static_cast<double>((figures.*kFigure).load(std::memory_order_relaxed));
}

inline constexpr StaleMetric kStaleMetrics[] = {
    {StaleRow("tidegate_stale_loading_total",
              "Reads that got a copy of the last value while somebody else loaded the key."),
     FigureOf<&StaleFigures::loading>},
    {StaleRow("tidegate_stale_down_total",
              "Reads that got a copy because the node that has the key did not answer."),
     FigureOf<&StaleFigures::down>},
    {StaleRow("tidegate_stale_limited_total", "Reads that got a copy because a rate was used up."),
     FigureOf<&StaleFigures::limited>},
    {StaleRow("tidegate_stale_missing_total",
              "Reads that would have got a copy, and none was kept of their key."),
     FigureOf<&StaleFigures::missing>},
    {StaleRow("tidegate_stale_dropped_total",
              "Copies that were dropped because a client wrote or deleted their key."),
     FigureOf<&StaleFigures::dropped>},
    {StaleRow("tidegate_stale_age_seconds_total",
              "How long before they were given the values of all copies were last seen, together: "
              "divided by the reads that got one it is their average age.",
              MetricType::kCounter, MetricUnit::kSeconds),
     [](const StaleFigures& figures) {
       constexpr double kMillisPerSecond = 1000;
       return FigureOf<&StaleFigures::age_ms>(figures) / kMillisPerSecond;
     }},
};
static_assert(AreValidMetrics(kStaleMetrics));

// What is kept now.
inline constexpr MetricRow kStaleKeysMetric =
    StaleRow("tidegate_stale_keys", "Keys that a copy is kept of.", MetricType::kGauge);
inline constexpr MetricRow kStaleBytesMetric =
    StaleRow("tidegate_stale_bytes", "Memory of copies.", MetricType::kGauge, MetricUnit::kBytes);

}  // namespace tidegate
