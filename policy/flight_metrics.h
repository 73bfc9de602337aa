// The metrics of single_flight: a row for each, with the figure of FlightFigures it shows, by
// route. A series is there from the first time that it counts. Threads: constants.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metric.h"
#include "policy/policy_counters.h"

namespace tidegate {

struct FlightMetric {
  MetricRow row;
  std::atomic<uint64_t> FlightFigures::*value;
};

constexpr MetricRow FlightRow(std::string_view name, std::string_view help,
                              MetricType type = MetricType::kCounter) {
  return {.name = name, .type = type, .unit = MetricUnit::kCount, .help = help, .label = "route"};
}

inline constexpr FlightMetric kFlightMetrics[] = {
    {FlightRow("tidegate_single_flight_leases_total",
               "Reads that found nothing, got nil at once, and are expected to load their key."),
     &FlightFigures::leases},
    {FlightRow("tidegate_single_flight_promoted_total",
               "Of these, reads that had waited until a lease ended without a load, or its client "
               "had gone."),
     &FlightFigures::promoted},
    {FlightRow("tidegate_single_flight_parked_total",
               "Reads that waited until somebody else had loaded their key."),
     &FlightFigures::parked},
    {FlightRow("tidegate_single_flight_released_total",
               "Reads that had waited and got the key that was loaded."),
     &FlightFigures::released},
    {FlightRow("tidegate_single_flight_timed_out_total",
               "Reads that had waited for as long as they may, and got nil or an error."),
     &FlightFigures::timed_out},
    {FlightRow("tidegate_single_flight_passed_total",
               "Reads that got nil at once because too many waited, or too many keys had a lease."),
     &FlightFigures::passed},
    {FlightRow("tidegate_single_flight_waiting", "Reads that wait now.", MetricType::kGauge),
     &FlightFigures::waiting},
};
static_assert(AreValidMetrics(kFlightMetrics));

}  // namespace tidegate
