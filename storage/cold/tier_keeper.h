// TierKeeper: what has to be done now and then while keys are on disk alone, on the thread of the
// loader that also does the warm-up.
//
//   every second   forgets keys that were looked for and not found (a tombstone says so, for the
//                  request that is executed again): those older than kAbsentSecondsMax; counts the
//                  keys in memory
//   expiry         of keys on disk alone nobody sees that their time is over. By slot and database
//                  there is a time before which none of them expires (residency.h). A slot whose
//                  time has come, and one in which nobody has looked yet since the start, is read,
//                  without the values; what is due is loaded, and the ordinary sweep removes it:
//                  with its DEL, its event and its counters
//   everything     when somebody wants that (a transaction with KEYS, SAVE): slot after slot, as
//                  far as memory goes
//
// Cost: a pass over the slots' lines, about a millisecond a second; a read of all records once
// after a start for databases in which something expires. Owner: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/cold/cold_reader.h"
#include "storage/cold/cold_source.h"
#include "storage/cold/cold_start.h"
#include "storage/cold_metrics.h"

namespace tidegate {

class Residency;

// A key that was not there is looked for again after about this time; while somebody waits for
// other keys as well, later.
inline constexpr uint32_t kAbsentSecondsMax = 1;
inline constexpr uint32_t kAbsentPinnedSecondsMax = 60;

// Between two passes over the slots, and two looks for what expires when there was nothing.
inline constexpr int64_t kKeeperRoundNanos = 1'000'000'000;
inline constexpr int64_t kExpiryLookNanos = 100'000'000;

// Records of a slot that are looked at in one step.
inline constexpr size_t kExpiriesPerStep = 1024;

// A slot that cannot be read is tried again after so many seconds.
inline constexpr uint32_t kExpiryRetrySeconds = 5;

class TierKeeper final {
 public:
  TierKeeper(Engine& engine, ColdReader& reader, const ColdStart& start, ColdCounters& counters);

  // When its time has come.
  void Round(int64_t now_nanos);
  // A step of looking for what has expired. False: there is nothing to do now.
  Result<bool> StepExpiry(int64_t now_nanos);
  // A step towards everything being in memory. False: there is nothing to read any more.
  Result<bool> StepEverything();
  void BeginEverything() { everything_at_ = 0; }

 private:
  struct Scan {
    uint32_t database = 0;
    uint16_t slot = 0;
    uint64_t from_hash = 0;
    uint32_t earliest_s = UINT32_MAX;
  };
  // What a step has found.
  struct Found {
    std::vector<ColdTarget> due;
    uint64_t next_hash = 0;
    bool through = true;
  };

  bool TryEnterAndLock(uint16_t slot);
  uint64_t TidySlot(uint16_t slot);
  void DropOldAbsent(uint16_t slot, int db);
  bool FindDue();
  Status ReadSome(Found& found);
  Status LoadDue(const std::vector<ColdTarget>& due);
  // False: its database is gone, or all of the slot is in memory.
  bool IsNeeded();
  void EndScan(uint32_t earliest_s);

  Engine& engine_;
  Residency& residency_;
  ColdReader& reader_;
  ColdSource& source_;
  ColdCounters& counters_;
  int64_t (*const now_ms_)();
  int64_t next_round_nanos_ = 0;
  int64_t next_look_nanos_ = 0;
  std::optional<Scan> scan_;
  uint32_t look_slot_ = 0;  // where the next look begins
  uint32_t everything_at_ = 0;
};

}  // namespace tidegate
