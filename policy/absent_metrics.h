// The metrics of negative_cache and bloom: what a route knows of absent keys. What they do to
// requests is counted with all policies. Threads: constants.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/metric.h"
#include "policy/absent_keys.h"

namespace tidegate {

// What is known of the absent keys of one route, now. By route; for those that have the policy.
struct AbsentMetric {
  MetricRow row;
  // None: the route does not have what this is about.
  std::optional<double> (*value)(AbsentKeys& keys, int64_t now_ns);
};

constexpr MetricRow AbsentRow(std::string_view name, std::string_view help) {
  return {.name = name,
          .type = MetricType::kGauge,
          .unit = MetricUnit::kCount,
          .help = help,
          .label = "route"};
}

template <typename Value>
std::optional<double> OfKnownKeys(const AbsentKeys& keys, Value value) {
  if (keys.known_keys() == nullptr) return std::nullopt;
  return static_cast<double>(value(*keys.known_keys()));
}

inline constexpr AbsentMetric kAbsentMetrics[] = {
    {AbsentRow("tidegate_negative_cache_keys",
               "Keys that the negative cache of a route knows to be "
               "absent."),
     [](AbsentKeys& keys, int64_t now_ns) -> std::optional<double> {
       if (keys.negative_cache() == nullptr) return std::nullopt;
       return static_cast<double>(keys.negative_cache()->CountAbsent(now_ns));
     }},
    {AbsentRow(
         "tidegate_bloom_complete",
         "1 while the filter of a route has all keys that exist, and may call others absent."),
     [](AbsentKeys& keys, int64_t) {
       return OfKnownKeys(keys, [](const KnownKeys& known) { return known.complete(); });
     }},
    {AbsentRow("tidegate_bloom_keys", "Keys in the filter of a route, about."),
     [](AbsentKeys& keys, int64_t) {
       return OfKnownKeys(keys, [](const KnownKeys& known) { return known.size(); });
     }},
    {AbsentRow("tidegate_bloom_capacity_keys", "Keys that the filter of a route is made for."),
     [](AbsentKeys& keys, int64_t) {
       return OfKnownKeys(keys, [](const KnownKeys& known) { return known.capacity(); });
     }},
    {AbsentRow("tidegate_bloom_false_positive_ratio",
               "Of the absent keys so large a part the filter of a route does not know for absent, "
               "by what is in it; 1 while it is not complete."),
     [](AbsentKeys& keys, int64_t) {
       return OfKnownKeys(keys, [](const KnownKeys& known) { return known.false_positive_rate(); });
     }},
    {AbsentRow("tidegate_bloom_builds",
               "Filters of a route that were built, since its policy was last changed."),
     [](AbsentKeys& keys, int64_t) {
       return OfKnownKeys(keys, [](const KnownKeys& known) { return known.builds(); });
     }},
};
static_assert(AreValidMetrics(kAbsentMetrics));

}  // namespace tidegate
