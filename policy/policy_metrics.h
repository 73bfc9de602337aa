// The metrics of policies: a row for each, with the figure of PolicyFigures it shows. The labels
// are the policy's name and the route's pattern, never a key or a client. A series is there from
// the first time that it counts. Threads: constants.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metric.h"
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

}  // namespace tidegate
