// The metrics of policies: a row for each, with the figure of PolicyFigures it shows. The labels
// are the policy's name and the route's pattern, never a key or a client. A series is there from
// the first time that it counts. Threads: constants.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/metric.h"
#include "policy/absent_keys.h"
#include "policy/policy_counters.h"

namespace tidegate {

struct PolicyMetric {
  MetricRow row;
  std::atomic<uint64_t> PolicyFigures::*value;
};

constexpr MetricRow PolicyRow(std::string_view name, std::string_view help) {
  return {.name = name,
          .type = MetricType::kCounter,
          .unit = MetricUnit::kCount,
          .help = help,
          .label = "policy",
          .second_label = "route"};
}

inline constexpr PolicyMetric kPolicyMetrics[] = {
    {PolicyRow("tidegate_policy_refused_total",
               "Requests that a policy answered with an error, or as if there were nothing, "
               "instead of their being executed. A transaction is one."),
     &PolicyFigures::refused},
    {PolicyRow("tidegate_policy_delayed_total",
               "Requests that a rate limit kept for a moment before they were executed."),
     &PolicyFigures::delayed},
    {PolicyRow("tidegate_policy_rewritten_total",
               "Requests that a policy had executed in another form: DEL as UNLINK, a shorter "
               "range."),
     &PolicyFigures::rewritten},
    {PolicyRow("tidegate_policy_observed_total",
               "Requests of which a policy in mode observe would have done one of these."),
     &PolicyFigures::observed},
    {PolicyRow("tidegate_policy_forgotten_total",
               "Keys, clients or users whose rate was forgotten because others needed the place: "
               "each may have had one more burst."),
     &PolicyFigures::forgotten},
};
static_assert(AreValidMetrics(kPolicyMetrics));

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
