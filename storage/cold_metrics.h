// The figures of how keys come into memory after a restart, and the metrics made of them: a row for
// each, beside its figure.
//
// One list for three readers: the scrape, INFO, and the reference page. Without appendonly all of
// them are 0. Counters are written by the
// loader's threads; stats are a value. To add a metric: a member and one row.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metric.h"

namespace tidegate {

struct ColdStats {
  uint64_t warming = 0;          // 1: not everything is in memory yet
  uint64_t paused = 0;           // 1: the warm-up waits, maxmemory is reached
  uint64_t slots = 0;            // of databases that had keys at the start
  uint64_t slots_left = 0;       // of these, that are not wholly in memory
  uint64_t loaded_keys = 0;      // brought into memory
  uint64_t loaded_bytes = 0;     // of their keys and values, as stored
  uint64_t keys_on_demand = 0;   // that requests waited for
  uint64_t slots_on_demand = 0;  // and whole slots
  uint64_t failures = 0;         // to read
  uint64_t elapsed_ms = 0;       // of the warm-up, so far or in all
  // Where data may be larger than memory (tier.h).
  uint64_t tiered = 0;             // 1: it may
  uint64_t keys_in_memory = 0;     // of all databases, some seconds ago at most
  uint64_t absent_keys = 0;        // looked for on disk and not found
  uint64_t expired_on_disk = 0;    // loaded because their time was over
  uint64_t holds = 0;              // requests that keep something in memory until they have run
  uint64_t checkpoints_asked = 0;  // because nothing could leave memory
  uint64_t checkpoint_waits = 0;   // requests that waited for these
};

struct ColdCounters {
  std::atomic<uint64_t> loaded_keys{0};
  std::atomic<uint64_t> loaded_bytes{0};
  std::atomic<uint64_t> keys_on_demand{0};
  std::atomic<uint64_t> slots_on_demand{0};
  std::atomic<uint64_t> failures{0};
  std::atomic<uint64_t> absent_keys{0};
  std::atomic<uint64_t> expired_on_disk{0};
  std::atomic<uint64_t> keys_in_memory{0};
  std::atomic<bool> paused{false};
  std::atomic<int64_t> begun_ms{0};  // by the monotonic clock; 0: not yet
  std::atomic<int64_t> ended_ms{0};
};

struct ColdMetric {
  MetricRow row;
  uint64_t ColdStats::*value;
};

inline constexpr ColdMetric kColdMetrics[] = {
    {{.name = "tidegate_warmup_in_progress",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help =
          "1 while not all keys of the last checkpoint are in memory; they are read as they are "
          "asked for, and in the background."},
     &ColdStats::warming},
    {{.name = "tidegate_warmup_paused",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "1 while the warm-up waits because maxmemory is reached. Keys are read as they are "
              "asked for."},
     &ColdStats::paused},
    {{.name = "tidegate_warmup_slots",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Slots of databases that had keys on disk at the start."},
     &ColdStats::slots},
    {{.name = "tidegate_warmup_slots_left",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Of these, slots that are not wholly in memory."},
     &ColdStats::slots_left},
    {{.name = "tidegate_warmup_loaded_keys_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys read from the last checkpoint into memory."},
     &ColdStats::loaded_keys},
    {{.name = "tidegate_warmup_loaded_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of these keys and their values, as stored."},
     &ColdStats::loaded_bytes},
    {{.name = "tidegate_warmup_keys_on_demand_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that a request waited for until they were read from disk."},
     &ColdStats::keys_on_demand},
    {{.name = "tidegate_warmup_slots_on_demand_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Whole slots that a request (SCAN, KEYS, RANDOMKEY) waited for."},
     &ColdStats::slots_on_demand},
    {{.name = "tidegate_warmup_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Reads of keys that failed. Requests that needed them were answered with an error."},
     &ColdStats::failures},
    {{.name = "tidegate_tiered",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "1 when data may be larger than memory: `tiered yes`."},
     &ColdStats::tiered},
    {{.name = "tidegate_tiered_keys_in_memory",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help =
          "With `tiered yes`: keys that are in memory, of all databases, as of a second ago. The "
          "others are on disk alone."},
     &ColdStats::keys_in_memory},
    {{.name = "tidegate_tiered_absent_keys_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that a request looked for on disk, where they were not: new ones among them."},
     &ColdStats::absent_keys},
    {{.name = "tidegate_tiered_expired_on_disk_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Keys that were read from disk because their time was over, to be removed."},
     &ColdStats::expired_on_disk},
    {{.name = "tidegate_tiered_holds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Requests that keep keys in memory until they have been executed."},
     &ColdStats::holds},
    {{.name = "tidegate_tiered_checkpoints_asked_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Checkpoints that were asked for because nothing in memory could leave before."},
     &ColdStats::checkpoints_asked},
    {{.name = "tidegate_tiered_checkpoint_waits_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times that a request waited for such a checkpoint."},
     &ColdStats::checkpoint_waits},
};
static_assert(AreValidMetrics(kColdMetrics));

}  // namespace tidegate
