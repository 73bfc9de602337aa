// The metrics of the engine: a row for each, beside the figure of EngineStats or DbStats it shows.
//
// Read at scrape from Engine::Stats() and StatsOfDb(), which add up counters of threads and take no
// lock, so a scrape costs the request path nothing; a counter that all workers write to would cost
// them a cache line on its way between them. To add a metric: one row here. The engine owns the
// figures, nobody the rows, which are constants; docs/reference/metrics.md is made of them.
#pragma once

#include <cstdint>

#include "base/metric.h"
#include "storage/engine.h"

namespace tidegate {

struct EngineMetric {
  MetricRow row;
  uint64_t EngineStats::*value;
};

struct DbMetric {
  MetricRow row;
  uint64_t DbStats::*value;
};

inline constexpr EngineMetric kEngineMetrics[] = {
    {{.name = "tidegate_keyspace_hits_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Look-ups of read commands that found their key."},
     &EngineStats::keyspace_hits},
    {{.name = "tidegate_keyspace_misses_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Look-ups of read commands that did not find their key."},
     &EngineStats::keyspace_misses},
    {{.name = "tidegate_keys_expired_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys removed because their time was over."},
     &EngineStats::expired_keys},
    {{.name = "tidegate_hash_fields_expired_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Fields of hashes removed because their time was over."},
     &EngineStats::expired_fields},
    {{.name = "tidegate_keys_evicted_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys removed to stay within maxmemory."},
     &EngineStats::evicted_keys},
    {{.name = "tidegate_tiered_keys_evicted_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "With `tiered yes`: keys that left memory to stay within maxmemory, and are on disk "
              "alone since."},
     &EngineStats::tier_evicted_keys},
    {{.name = "tidegate_tiered_evicted_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes that these took in memory."},
     &EngineStats::tier_evicted_bytes},
    {{.name = "tidegate_eviction_waits_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help =
          "Times that a request was put off to the next turn, because memory was over maxmemory "
          "and making room took longer than a turn may."},
     &EngineStats::eviction_waits},
    {{.name = "tidegate_compaction_moves_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys, values and pages of values moved to where memory is denser."},
     &EngineStats::compaction_moves},
    {{.name = "tidegate_key_changes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Changes to any key."},
     &EngineStats::changes},
    {{.name = "tidegate_lock_parks_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests that found a slot of theirs busy and were parked until it was free."},
     &EngineStats::lock_parks},
    {{.name = "tidegate_gate_closings_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times the exclusive gate closed for a command over the whole keyspace."},
     &EngineStats::gate_closings},
    {{.name = "tidegate_lazyfree_pending_objects",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Values that wait to be freed in the background."},
     &EngineStats::lazyfree_pending_objects},
    {{.name = "tidegate_lazyfree_objects_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Values freed in the background."},
     &EngineStats::lazyfreed_objects},
    {{.name = "tidegate_memory_used_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "Memory of keys, values, tables and clients' buffers, which maxmemory limits."},
     &EngineStats::used_memory_bytes},
};
static_assert(AreValidMetrics(kEngineMetrics));

// One series for each database that has keys, and always one for db 0.
inline constexpr DbMetric kDbMetrics[] = {
    {{.name = "tidegate_keys",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help =
          "Keys in a database, those included whose time is over but which were not removed yet.",
      .label = "db"},
     &DbStats::keys},
    {{.name = "tidegate_keys_with_expiry",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Keys in a database that have a time to live.",
      .label = "db"},
     &DbStats::expires},
};
static_assert(AreValidMetrics(kDbMetrics));

}  // namespace tidegate
