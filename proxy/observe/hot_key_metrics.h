// The metrics of hot keys: a row for each, with the figure of the report that it shows. Names of
// keys are no labels: /hotkeys has them. To add one: a row here; tests hold the exported families
// and this list equal.
#pragma once

#include "base/metric.h"
#include "proxy/observe/hot_key_facts.h"

namespace tidegate {

struct HotKeyMetric {
  MetricRow row;
  double (*value)(const hotkey::HotKeyReport&);
};

inline constexpr HotKeyMetric kHotKeyMetrics[] = {
    {{.name = "tidegate_hot_key_promotions_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that have become hot."},
     [](const hotkey::HotKeyReport& report) { return static_cast<double>(report.promotions); }},
    {{.name = "tidegate_hot_key_cool_downs_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that were hot and have cooled down."},
     [](const hotkey::HotKeyReport& report) { return static_cast<double>(report.cool_downs); }},
    {{.name = "tidegate_hot_keys_refused",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Keys that would be hot now, and are not because hot-keys-max are."},
     [](const hotkey::HotKeyReport& report) { return static_cast<double>(report.refused); }},
    {{.name = "tidegate_hot_keys_watched",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help =
          "Keys whose accesses are counted one by one: hot ones, and those that may become so."},
     [](const hotkey::HotKeyReport& report) { return static_cast<double>(report.watched); }},
};
static_assert(AreValidMetrics(kHotKeyMetrics));

// One series for each class; a key of two classes is in both.
inline constexpr MetricRow kHotKeysMetric = {
    .name = "tidegate_hot_keys",
    .type = MetricType::kGauge,
    .unit = MetricUnit::kCount,
    .help = "Keys that are hot now, by class: read-hot, write-hot, miss-hot, byte-hot, predicted.",
    .label = "class"};
// One series for each number of keys.
inline constexpr MetricRow kTrafficShareMetric = {
    .name = "tidegate_traffic_share",
    .type = MetricType::kGauge,
    .unit = MetricUnit::kCount,
    .help = "The part of all accesses, 0 to 1, of the 1, 10 and 100 keys that have the most.",
    .label = "top"};

}  // namespace tidegate
