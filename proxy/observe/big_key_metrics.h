// The metrics of big keys: rows, and where each value is in what the table counts. All are asked of
// the table at scrape; the number of a level may fall as well.
#pragma once

#include <cstdint>

#include "base/metric.h"
#include "hotkey/big_key_table.h"

namespace tidegate {

// By level: "warn" and "big".
inline constexpr MetricRow kBigKeysMetric = {
    .name = "tidegate_big_keys",
    .type = MetricType::kGauge,
    .unit = MetricUnit::kCount,
    .help = "Keys listed as big now, and those only at the level of warnings.",
    .label = "level"};

struct BigKeyMetric {
  MetricRow row;
  uint64_t hotkey::BigKeyCounts::*value;
};

inline constexpr BigKeyMetric kBigKeyMetrics[] = {
    {{.name = "tidegate_big_key_detections_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times that a key came into the list of big keys."},
     &hotkey::BigKeyCounts::detections},
    {{.name = "tidegate_big_keys_refused_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times that a big key was not listed because 1,024 bigger ones are."},
     &hotkey::BigKeyCounts::refused},
};
static_assert(AreValidMetrics(kBigKeyMetrics));
static_assert(MetricFault(kBigKeysMetric).empty());

}  // namespace tidegate
