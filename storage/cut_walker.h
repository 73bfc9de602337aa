// CutWalker: makes cuts (cut.h), one at a time, on the thread that calls it; walkers of several
// threads wait for each other.
//
// It obeys the same rules as everybody: an EngineThread of its own, the gate, the slots' locks. A
// slot is held while its entries are encoded and written, as by a long command: requests for it are
// parked and do not take the gate for it. Who wants the gate gets it between two slots. Create it
// before the first command, since the engine's threads are complete by then. Destroy it when Write
// is not under way.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/cut/cut.h"
#include "storage/engine.h"

namespace tidegate {

class StoredState;

class CutWalker final {
 public:
  explicit CutWalker(Engine& engine);
  ~CutWalker();
  CutWalker(const CutWalker&) = delete;
  CutWalker& operator=(const CutWalker&) = delete;

  // Gives the keyspace of one moment to the sink; returns when it has all of it. When the sink
  // fails in between the rest of the walk only sets marks, for the next cut needs them all.
  // `now_ms`: reads the clock.
  void Write(CutSink& sink, int64_t (*now_ms)());

  // Before a cut that has everything: until everything is in memory (cold/residency.h), where it
  // stays until the cut's moment. An error: it cannot be read, or was `cancelled`.
  Status AwaitEverything(const std::atomic<bool>& cancelled);

  // The engine is not used any more, and its gate may never open again: Write returns where it
  // stands. Only at the end of the process.
  void GiveUp();

  // Slots done, of kSlotCount, by the cut that is under way.
  uint32_t slots_walked() const { return slots_walked_.load(std::memory_order_relaxed); }

 private:
  // All false after GiveUp.
  bool CloseGate();
  bool EnterHolding();
  void Leave();
  bool WaitForWake();
  bool WaitAWhile();
  void Begin(Cut& cut, CutSink& sink, int64_t now_ms);
  bool WalkAll(Cut& cut, CutSink& sink);
  bool End(Cut& cut);
  bool WalkSlot(Cut& cut, CutSink& sink, uint16_t slot);
  void WalkRemoved(Cut& cut, uint16_t slot, int db, StoredState& stored) const;
  void CollectDead();
  void FreeDropped(const std::vector<Cut::Dropped>& dropped) const;
  void DrainQueue(CutSink& sink);

  Engine& engine_;
  EngineThread& thread_;
  std::unique_ptr<ColdHold> everything_;  // by the thread that makes the cut
  std::atomic<uint32_t> slots_walked_{0};
  Mutex mutex_;
  std::condition_variable_any condition_;
  bool woken_ TG_GUARDED_BY(mutex_) = false;
  bool given_up_ TG_GUARDED_BY(mutex_) = false;
};

}  // namespace tidegate
