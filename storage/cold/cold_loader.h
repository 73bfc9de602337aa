// ColdLoader: brings keys from disk into memory, on threads of its own, while everybody goes on.
//
//   request ── a key is not resident ── lets go of its slots ── Add ── parked
//                                                                │
//   a thread of the loader        Take ── ColdReader ── End ── the request is executed again
//
// One of the threads does the warm-up (warm_up.h) when nobody waits, and what else has to be done
// while keys are on disk (tier_keeper.h). Errors of the disk are answered to who waits, and logged;
// the next request tries again. When all is in memory the threads end; but where data may be larger
// than memory (tier.h), and the warm-up ends at maxmemory, for good. Threads: Start and Stop by who
// starts the engine; Add, Forget and Stats by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "storage/cold/cold_queue.h"
#include "storage/cold/cold_reader.h"
#include "storage/cold/cold_start.h"
#include "storage/cold/tier_keeper.h"
#include "storage/cold/warm_up.h"
#include "storage/cold_metrics.h"

namespace tidegate {

class Engine;
class Residency;

class ColdLoader final {
 public:
  // Adds its threads to the engine; they run from Start to Stop. `databases`: ids on disk.
  ColdLoader(Engine& engine, const ColdStart& start, std::vector<uint32_t> databases);
  ~ColdLoader();
  ColdLoader(const ColdLoader&) = delete;
  ColdLoader& operator=(const ColdLoader&) = delete;

  void Start();
  // Who waits then is woken, and finds nothing more.
  void Stop();

  // The waiter is woken when it should be executed again. `last`: what the same request waited for
  // before, or null; what that held stays held, but for a slot, of which a walk needs one at a
  // time.
  std::shared_ptr<ColdWait> Add(const std::vector<ColdTarget>& wants, const Waiter& waiter,
                                ColdWait* last = nullptr);
  // Whether that need not be read, because it is not there: see ColdReader.
  bool LearnAbsent(const EngineThread& thread, const std::vector<ColdTarget>& wants) {
    return wants.size() == 1 && wants.front().kind == ColdTarget::Kind::kKey &&
           workers_.front()->reader.LearnAbsent(thread, wants.front());
  }
  void Forget(const Waiter& waiter) { queue_.Forget(waiter); }

  ColdSource& source() { return source_; }

  // Nothing more is read.
  bool closed() const { return queue_.closed(); }

  // Reads keys here and now: before Start, for who applies records.
  Status LoadNow(std::span<const ColdTarget> keys);
  // The same with several at once, as far as they can be read.
  void LoadAhead(std::span<const ColdTarget> keys);

  ColdStats Stats() const;

 private:
  struct Worker {
    ColdReader reader;
    std::thread thread;
  };

  static std::vector<std::unique_ptr<Worker>> MakeWorkers(Engine& engine, const ColdStart& start,
                                                          ColdCounters& counters);
  void Run(Worker& worker, bool does_everything);
  void Execute(Worker& worker, std::shared_ptr<ColdQueue::Load> load);
  // False: there was nothing to do.
  bool BackgroundStep(Worker& worker);
  bool WarmUpStep(Worker& worker);
  bool WarmUpSlot(Worker& worker);
  bool KeeperStep();
  bool EverythingStep();
  bool LooksForExpiry(int64_t now_nanos) const;
  void Rest();
  bool HasMemory();
  void EndIfThrough();
  void LogProgress(int64_t now_nanos);
  void NoteFailure(const Error& error);

  Engine& engine_;
  Residency& residency_;
  ColdSource& source_;
  const bool warms_up_;
  ColdQueue queue_;
  WarmUp warm_up_;
  ColdCounters counters_;
  std::vector<std::unique_ptr<Worker>> workers_;
  // Of the thread that warms up.
  TierKeeper keeper_;
  std::atomic<bool> warm_up_ended_{false};  // of a tier: memory was full
  bool does_everything_ = false;
  int64_t long_after_nanos_ = 0;
  std::atomic<bool> stopping_{false};
  // Of the thread that warms up: when it says how far it is, and work after which it has not
  // rested.
  int64_t next_line_nanos_ = 0;
  int64_t worked_nanos_ = 0;
  std::atomic<int64_t> logged_nanos_{0};  // the last failure
};

}  // namespace tidegate
