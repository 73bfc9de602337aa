// Brings the data of a checkpoint into an empty engine, all of it, before anybody is served. An
// entry is decoded by the code that reads RDB files and put in place as it was, with its expiry and
// access state, and known to be stored; so the next checkpoint writes only what has changed since.
// Owner: one thread that has the engine to itself, or the entry's slot. Cost: about 2 us for a
// small value.
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
