// The metrics of the local cache: a row for each, with the figure of a worker's store that is added
// up for it. Names of keys are no labels. Threads: constants.
#pragma once

#include "base/metric.h"
#include "policy/local_cache_store.h"

namespace tidegate {

struct LocalCacheMetric {
  MetricRow row;
  WorkerCounter LocalCacheFigures::*value;
};

constexpr MetricRow LocalCacheRow(std::string_view name, std::string_view help,
                                  MetricType type = MetricType::kCounter,
                                  MetricUnit unit = MetricUnit::kCount) {
  return {.name = name, .type = type, .unit = unit, .help = help};
}

inline constexpr LocalCacheMetric kLocalCacheMetrics[] = {
    {LocalCacheRow("tidegate_local_cache_hits_total",
                   "Reads that were answered from kept replies, without their upstream."),
     &LocalCacheFigures::hits},
    {LocalCacheRow("tidegate_local_cache_misses_total",
                   "Reads that a kept reply could have answered, and that went to their upstream."),
     &LocalCacheFigures::misses},
    {LocalCacheRow(
         "tidegate_local_cache_observed_total",
         "Reads that local_cache in mode observe would have looked for among kept replies."),
     &LocalCacheFigures::observed},
    {LocalCacheRow(
         "tidegate_local_cache_joined_total",
         "Reads of hot keys, of the misses, that were not sent to their upstream, because "
         "the same read was on its way: they got its reply."),
     &LocalCacheFigures::joined},
    {LocalCacheRow("tidegate_local_cache_fills_total", "Replies that were fetched and kept."),
     &LocalCacheFigures::fills},
    {LocalCacheRow(
         "tidegate_local_cache_fills_discarded_total",
         "Replies that were fetched and not kept: a write came between, they are errors or "
         "too large, or their connection was lost."),
     &LocalCacheFigures::discarded},
    {LocalCacheRow("tidegate_local_cache_invalidations_total",
                   "Keys whose replies were dropped because an upstream said that they changed."),
     &LocalCacheFigures::invalidations},
    {LocalCacheRow(
         "tidegate_local_cache_flushes_total",
         "Times that a worker dropped all replies of a cluster: it was flushed, its nodes "
         "changed, or the connection that tells of changes was lost."),
     &LocalCacheFigures::flushes},
    {LocalCacheRow("tidegate_local_cache_evictions_total",
                   "Keys that had to make room for others."),
     &LocalCacheFigures::evictions},
    {LocalCacheRow("tidegate_local_cache_keys", "Keys that replies are kept of.",
                   MetricType::kGauge),
     &LocalCacheFigures::entries},
    {LocalCacheRow("tidegate_local_cache_bytes", "Memory of kept replies.", MetricType::kGauge,
                   MetricUnit::kBytes),
     &LocalCacheFigures::bytes},
    {LocalCacheRow("tidegate_local_cache_connections",
                   "Connections on which upstreams say which keys change: one for each worker and "
                   "node, made when a reply is first to be kept.",
                   MetricType::kGauge),
     &LocalCacheFigures::connections},
    {LocalCacheRow("tidegate_local_cache_connections_down",
                   "Such connections that are wanted and are lost, or that the node refuses: until "
                   "they are there, the node's replies are not kept.",
                   MetricType::kGauge),
     &LocalCacheFigures::connections_down},
};
static_assert(AreValidMetrics(kLocalCacheMetrics));

}  // namespace tidegate
