// The figures of persistence, and the metrics made of them: a row for each, beside its figure.
//
// One list for three readers: the scrape, INFO, and the reference page. They come from
// Persistence::Stats(), which loads counters and waits for nobody. Without appendonly all of them
// are 0. To add a metric: a member and one row here; docs/reference/metrics.md is made of the rows.
// Rows are constants; stats a value.
#pragma once

#include <cstdint>

#include "base/metric.h"

namespace tidegate {

struct PersistenceStats {
  uint64_t enabled = 0;  // 1: appendonly is on
  uint64_t failing = 0;  // 1: writes are refused, because writing to disk fails
  uint64_t sequence = 0;
  uint64_t written_sequence = 0;
  uint64_t synced_sequence = 0;
  uint64_t waiting_bytes = 0;  // appended and not merged
  uint64_t tail_bytes = 0;     // of groups in memory
  uint64_t lag_us = 0;
  uint64_t lag_p99_us = 0;
  uint64_t lag_max_us = 0;
  uint64_t groups = 0;
  uint64_t written_bytes = 0;
  uint64_t syncs = 0;
  uint64_t failures = 0;
  uint64_t waits = 0;
  uint64_t refusals = 0;
  double pressure = 0;
  uint64_t store_disk_bytes = 0;
  uint64_t store_memory_bytes = 0;
  uint64_t journal_bytes = 0;  // written since the last checkpoint
  uint64_t journal_records = 0;
  uint64_t store_data_bytes = 0;  // of the last checkpoint
  uint64_t checkpoint_in_progress = 0;
  uint64_t checkpoints = 0;  // that succeeded
  uint64_t checkpoint_failures = 0;
  uint64_t checkpoint_failed = 0;  // failures since the last that succeeded
  uint64_t checkpoint_entries = 0;
  uint64_t checkpoint_bytes = 0;
  double checkpoint_seconds = -1;      // that the last one took; -1: there was none
  int64_t checkpoint_begin_nanos = 0;  // of the one under way, by the monotonic clock
  int64_t checkpoint_unix_ms = 0;      // moment of the one that stands; 0: none
  uint64_t checkpoint_sequence = 0;
  uint64_t checkpoint_keys = 0;  // of the checkpoint that the start began with
  uint64_t replayed_records = 0;
  double replay_seconds = 0;
};

struct PersistenceMetric {
  MetricRow row;
  double (*value)(const PersistenceStats&);
};

template <auto kMember, int kDivisor = 1>
double PersistenceFigure(const PersistenceStats& stats) {
  return static_cast<double>(stats.*kMember) / kDivisor;
}

inline constexpr PersistenceMetric kPersistenceMetrics[] = {
    {{.name = "tidegate_journal_enabled",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "1 when changes are recorded on disk (appendonly)."},
     PersistenceFigure<&PersistenceStats::enabled>},
    {{.name = "tidegate_journal_failing",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "1 while writes are refused because writing to disk fails or the disk is nearly "
              "full."},
     PersistenceFigure<&PersistenceStats::failing>},
    {{.name = "tidegate_journal_sequence",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Number of the newest record of a change."},
     PersistenceFigure<&PersistenceStats::sequence>},
    {{.name = "tidegate_journal_written_sequence",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Number of the newest record that was written to the store."},
     PersistenceFigure<&PersistenceStats::written_sequence>},
    {{.name = "tidegate_journal_synced_sequence",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Number of the newest record that was forced to disk."},
     PersistenceFigure<&PersistenceStats::synced_sequence>},
    {{.name = "tidegate_journal_waiting_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "Records in memory that the journal's writer has not taken yet."},
     PersistenceFigure<&PersistenceStats::waiting_bytes>},
    {{.name = "tidegate_journal_tail_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "Written groups that are kept in memory."},
     PersistenceFigure<&PersistenceStats::tail_bytes>},
    {{.name = "tidegate_journal_lag_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "Age of the oldest record of the last group when it was written."},
     PersistenceFigure<&PersistenceStats::lag_us, 1'000'000>},
    {{.name = "tidegate_journal_lag_p99_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "The 99th percentile of that over the last thousand groups."},
     PersistenceFigure<&PersistenceStats::lag_p99_us, 1'000'000>},
    {{.name = "tidegate_journal_groups_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Groups of records written to the store."},
     PersistenceFigure<&PersistenceStats::groups>},
    {{.name = "tidegate_journal_written_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of these groups."},
     PersistenceFigure<&PersistenceStats::written_bytes>},
    {{.name = "tidegate_journal_syncs_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Times that the journal was forced to disk."},
     PersistenceFigure<&PersistenceStats::syncs>},
    {{.name = "tidegate_journal_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Failed attempts to write or sync the journal."},
     PersistenceFigure<&PersistenceStats::failures>},
    {{.name = "tidegate_journal_waits_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests that waited because the journal's writer had fallen behind, or the journal "
              "grew too fast."},
     PersistenceFigure<&PersistenceStats::waits>},
    {{.name = "tidegate_journal_pressure",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help =
          "The part of the writes that is made to wait, because the journal grows faster than a "
          "checkpoint is made."},
     PersistenceFigure<&PersistenceStats::pressure>},
    {{.name = "tidegate_journal_refusals_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Requests refused because writing to disk failed."},
     PersistenceFigure<&PersistenceStats::refusals>},
    {{.name = "tidegate_store_disk_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "What the store takes on disk, about."},
     PersistenceFigure<&PersistenceStats::store_disk_bytes>},
    {{.name = "tidegate_store_memory_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "What the store takes in memory, beside the data: bounded, and outside maxmemory."},
     PersistenceFigure<&PersistenceStats::store_memory_bytes>},
    {{.name = "tidegate_store_data_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "Of that, what the last checkpoint holds, and what is not tidied up yet."},
     PersistenceFigure<&PersistenceStats::store_data_bytes>},
    {{.name = "tidegate_checkpoint_in_progress",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "1 while a checkpoint is made."},
     PersistenceFigure<&PersistenceStats::checkpoint_in_progress>},
    {{.name = "tidegate_checkpoints_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Checkpoints made."},
     PersistenceFigure<&PersistenceStats::checkpoints>},
    {{.name = "tidegate_checkpoint_failures_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Checkpoints that failed: the one before and the journal stand."},
     PersistenceFigure<&PersistenceStats::checkpoint_failures>},
    {{.name = "tidegate_checkpoint_entries_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kCount,
      .help = "Changed and deleted keys that checkpoints wrote."},
     PersistenceFigure<&PersistenceStats::checkpoint_entries>},
    {{.name = "tidegate_checkpoint_written_bytes_total",
      .type = MetricType::kCounter,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of the files of checkpoints."},
     PersistenceFigure<&PersistenceStats::checkpoint_bytes>},
    {{.name = "tidegate_checkpoint_duration_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "How long the last checkpoint took; -1 before the first."},
     PersistenceFigure<&PersistenceStats::checkpoint_seconds>},
    {{.name = "tidegate_checkpoint_time_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "Unix time of the moment that the last checkpoint holds; 0 without one."},
     PersistenceFigure<&PersistenceStats::checkpoint_unix_ms, 1000>},
    {{.name = "tidegate_journal_records",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Records since the last checkpoint: what a start would replay."},
     PersistenceFigure<&PersistenceStats::journal_records>},
    {{.name = "tidegate_journal_bytes",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kBytes,
      .help = "Bytes of the journal since the last checkpoint."},
     PersistenceFigure<&PersistenceStats::journal_bytes>},
    {{.name = "tidegate_checkpoint_start_keys",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Keys of the checkpoint that the start began with."},
     PersistenceFigure<&PersistenceStats::checkpoint_keys>},
    {{.name = "tidegate_replay_records",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kCount,
      .help = "Records that were replayed at the start."},
     PersistenceFigure<&PersistenceStats::replayed_records>},
    {{.name = "tidegate_replay_seconds",
      .type = MetricType::kGauge,
      .unit = MetricUnit::kSeconds,
      .help = "How long that took."},
     PersistenceFigure<&PersistenceStats::replay_seconds>},
};
static_assert(AreValidMetrics(kPersistenceMetrics));

}  // namespace tidegate
