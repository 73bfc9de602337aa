// ReplayAhead: records on their way to a RecordApplier, some hundreds at a time, whose keys are
// read from disk together before the first of them is applied.
//
// After a restart the keys that the journal's tail names are on disk (storage/cold). Read one after
// the other as they come they would take a disk's latency each: half a minute for a tail that is
// applied in a second. Which keys a record needs follows from its words; what a FLUSHDB or a SWAPDB
// in between makes of them does not matter, since whatever is not there when its command comes is
// read then. Keys that a record overwrites are not read at all. Owner: who replays. Cost: a copy of
// each record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/command.h"
#include "storage/engine.h"
#include "storage/journal/record_applier.h"

namespace tidegate {

// Records that are kept together, and their bytes.
inline constexpr size_t kReplayAheadRecordsMax = 4096;
inline constexpr Bytes kReplayAheadBytesMax = 4_MiB;

class ReplayAhead final {
 public:
  // All must outlive it.
  ReplayAhead(Engine& engine, const CommandTable& table, RecordApplier& applier)
      : engine_(engine), table_(table), applier_(applier) {}

  // Applied soon, or now. now_ms: see RecordApplier.
  Status Add(std::string_view record, int64_t now_ms);
  // The rest.
  Status Finish(int64_t now_ms);

 private:
  void FindKeys(std::string_view record);

  Engine& engine_;
  const CommandTable& table_;
  RecordApplier& applier_;
  std::vector<std::string> records_;
  size_t bytes_ = 0;
  std::vector<Engine::KeyOfDatabase> keys_;  // views into the records
  EffectCommand effect_;
  std::vector<int> positions_;
};

}  // namespace tidegate
