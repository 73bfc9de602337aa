#include "base/metric.h"

#include <gtest/gtest.h>

#include <string>

namespace tidegate {
namespace {

constexpr MetricRow Counter(std::string_view name, MetricUnit unit = MetricUnit::kCount) {
  return {.name = name, .type = MetricType::kCounter, .unit = unit, .help = "Some things."};
}
constexpr MetricRow Gauge(std::string_view name, MetricUnit unit = MetricUnit::kCount) {
  return {.name = name, .type = MetricType::kGauge, .unit = unit, .help = "Some things."};
}
constexpr MetricRow WithLabel(std::string_view label) {
  MetricRow row = Counter("tidegate_things_total");
  row.label = label;
  return row;
}

TEST(MetricFault, AcceptsPrometheusNames) {
  for (const MetricRow& row :
       {Counter("tidegate_things_total"), Gauge("tidegate_things"),
        Counter("tidegate_wait_seconds_total", MetricUnit::kSeconds),
        Gauge("tidegate_memory_used_bytes", MetricUnit::kBytes),
        Gauge("tidegate_build_info", MetricUnit::kInfo),
        Gauge("process_resident_memory_bytes", MetricUnit::kBytes), WithLabel("worker")}) {
    EXPECT_EQ(MetricFault(row), "") << row.name;
  }
}

TEST(MetricFault, RefusesOthers) {
  for (const MetricRow& row : {
           Counter("things_total"),                       // no prefix
           Gauge("process_memory"),                       // not one of the process's known names
           Counter("tidegate_things"),                    // a counter without _total
           Gauge("tidegate_things_total"),                // a gauge with it
           Gauge("tidegate_wait_ms"),                     // no base unit
           Gauge("tidegate_load_percent"),                //
           Counter("tidegate_wait_micros_total"),         //
           Gauge("tidegate_wait_seconds"),                // a unit that the row does not say
           Gauge("tidegate_wait", MetricUnit::kSeconds),  // and one that the name does not say
           Gauge("tidegate_memory", MetricUnit::kBytes),
           Gauge("tidegate_build", MetricUnit::kInfo),
           Counter("tidegate_build_info_total", MetricUnit::kInfo),
           Gauge("tidegate_things_count"),  // the text format's own
           Gauge("tidegate_Things"),
           Gauge("tidegate__things"),
           Gauge("tidegate_things_"),
           WithLabel("le"),
           WithLabel("key"),
           WithLabel("Worker"),
           MetricRow{.name = "tidegate_things", .type = MetricType::kGauge, .help = "No unit."},
           MetricRow{.name = "tidegate_things", .unit = MetricUnit::kCount, .help = "No type."},
           MetricRow{.name = "tidegate_things",
           .type = MetricType::kGauge,
           .unit = MetricUnit::kCount,
           .help = ""},
       }) {
    EXPECT_NE(MetricFault(row), "") << row.name << " " << row.label << " " << row.help;
  }
}

}  // namespace
}  // namespace tidegate
