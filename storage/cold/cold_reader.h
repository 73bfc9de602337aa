// ColdReader: reads keys from disk and puts them in their places. One thread's part of ColdLoader.
//
//   read and decode     holding nothing, whatever the size of a value
//   put in place        in the engine, with the slot's lock: at most kPlacedPerHold insertions
//
// What was read is dropped when the key has become resident in between, or its database is gone
// (FLUSHDB), and read again when that cannot be told (Residency::Generation). Nobody hears of an
// entry that comes in: it is counted as a key already, is clean, has the access state it was
// written with, and expires in the ordinary way if its time has passed. While a cut is made it gets
// the mark with which the cut has it once: none in a slot that the walk has before it. Obeys the
// same rules as everybody: an EngineThread of its own, the gate, the slots' locks. Owner: one
// thread, but Stop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/cold/cold_queue.h"
#include "storage/cold/cold_source.h"
#include "storage/cold/cold_start.h"
#include "storage/cold/entry_builder.h"
#include "storage/cold_metrics.h"
#include "storage/engine.h"

namespace tidegate {

class Residency;

// Table insertions under one hold of a slot's lock: some ten microseconds.
inline constexpr size_t kPlacedPerHold = 64;

class ColdReader final {
 public:
  // `start` says where entries are read from, how many of a slot at a time, and what time it is.
  ColdReader(Engine& engine, const ColdStart& start, ColdCounters& counters);
  ColdReader(const ColdReader&) = delete;
  ColdReader& operator=(const ColdReader&) = delete;

  // `asked`: somebody waits for it, so it counts as used now. An error: it could not be read, and
  // is still wanted.
  Status LoadKey(const ColdTarget& target, bool asked = true);

  // On the thread of a request, in the engine with nothing locked: whether the key is not there,
  // seen without a read of the disk, and known from now on. False: it has to be read.
  bool LearnAbsent(const EngineThread& thread, const ColdTarget& target);

  enum class Progress : uint8_t { kMore, kThrough };
  // The next entries of a slot.
  Result<Progress> LoadSome(const ColdTarget& target);

  // For who does other work on the loader's thread: into the engine, with the slot locked; false:
  // the thread ends. Leaving brings used memory back to its limit, where that is the loader's task.
  bool EnterAndLock(uint16_t slot);
  void UnlockAndLeave(uint16_t slot);
  // With the slot locked: of a key that is read, whether it is not there.
  bool IsWanted(const ColdTarget& target);
  EngineThread& thread() { return thread_; }

  // The thread ends; what is under way is given up.
  void Stop();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  // Gives memory back; no more loads.
  void Release() { builder_.reset(); }

 private:
  struct Built {
    std::string key;
    uint64_t hash;
    StoredObject object;
    size_t bytes;  // as stored
    Entry* entry;
  };
  // Entries that were read together, and where the next ones begin.
  struct Batch {
    uint64_t from = 0;
    uint64_t end = 0;
    uint32_t generation = 0;
    size_t bytes = 0;
    size_t placed = 0;
    std::vector<Built> entries;
  };

  Status Build(const StoredEntry& stored, std::vector<Built>& out);
  // False: read again.
  bool PlaceKey(const ColdTarget& target, uint32_t generation, Built* found, bool asked);
  void PlaceAbsent(const EngineThread& thread, int db, const KeyRef& key);
  void DropAbsent(int db, uint16_t slot);
  void Place(int db, const KeyRef& key, Built& built, bool asked);

  // False: the slot is through, or nobody's any more.
  bool BeginBatch(const ColdTarget& target, Batch& batch);
  Status ReadBatch(const ColdTarget& target, Batch& batch);
  // False: the rest is not to be used.
  bool PlaceSome(const ColdTarget& target, Batch& batch);

  bool WaitForWake();
  static bool MarkFor(const EngineThread& thread, uint16_t slot);
  static void Discard(std::vector<Built>& entries);

  Engine& engine_;
  Residency& residency_;
  EngineThread& thread_;
  ColdSource& source_;
  ColdCounters& counters_;
  const uint64_t batch_entries_max_;
  int64_t (*const now_ms_)();
  std::unique_ptr<EntryBuilder> builder_;
  Mutex mutex_;
  std::condition_variable_any condition_;
  bool woken_ TG_GUARDED_BY(mutex_) = false;
  std::atomic<bool> stopping_{false};
};

}  // namespace tidegate
