// Brings the data of a checkpoint into an empty engine, all of it, before anybody is served.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "storage/checkpoint/checkpoint_info.h"
#include "storage/cold/cold_source.h"
#include "storage/engine.h"

namespace tidegate {

struct CheckpointProgress {
  uint64_t keys = 0;
  uint64_t bytes = 0;  // of values
};

// Puts one entry where it was, as it was, and says that it is stored. `db`: the database's number.
// On a thread that is loading, and that has the slot or the engine to itself.
Status InstallStored(Engine& engine, EngineThread& thread, int db, uint16_t slot,
                     const StoredEntry& entry);

// `progress` is called now and then.
Result<CheckpointProgress> LoadCheckpoint(
    ColdSource& source, const CheckpointInfo& info, Engine& engine, EngineThread& thread,
    const std::function<void(const CheckpointProgress&)>& progress);

}  // namespace tidegate
