// BackupFacts: what is known of the backups of this process, for INFO persistence and metrics. A
// value: BackgroundBackup keeps the real one and gives copies.
#pragma once

#include <cstdint>

namespace tidegate {

struct BackupFacts {
  bool in_progress = false;
  uint64_t made = 0;
  uint64_t failures = 0;
  bool failed = false;              // the last one
  int64_t last_unix_ms = 0;         // when the last one that was made was complete; 0: none yet
  double last_seconds = -1;         // that it took; -1: none yet
  uint64_t last_sequence = 0;       // the last record that it holds
  uint64_t last_bytes = 0;          // of its files
  int64_t current_begin_nanos = 0;  // of the one under way, by the monotonic clock
};

}  // namespace tidegate
