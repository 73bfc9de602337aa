// ColdQueue: what has to be read from disk, and the requests that wait for it.
//
// A key is read once however many requests want it: who comes while its load is queued or under way
// waits for the same one. Keys come before whole slots, which are read in steps and go to the end
// of their queue after each. A request may want several things and is woken when all of them are
// there, or could not be read; it is then executed again from the start and finds out, with what it
// keeps of its wait, which it was. Thread: any; loads are taken and ended by the loader's. Limits:
// one wait per request that is under way, and no more targets than the request has keys.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/cold/cold_pins.h"
#include "storage/cold/cold_target.h"
#include "storage/waiter.h"

namespace tidegate {

// What one request waits for. Belongs to the queue and to the client's state.
class ColdWait final {
 public:
  // Whether it could not be read, of what the request still wants.
  bool HasFailed(const std::vector<ColdTarget>& wants) const;

  // What stays in memory for the request, until it has been executed or its client has left. By the
  // request's thread.
  ColdHold& hold() { return *hold_; }
  std::unique_ptr<ColdHold> TakeHold() { return std::move(hold_); }
  void Release() { hold_.reset(); }

 private:
  friend class ColdQueue;
  std::unique_ptr<ColdHold> hold_;
  Waiter waiter_;
  size_t left_ = 0;
  std::atomic<bool> over_{false};
  std::vector<ColdTarget> failed_;  // complete when it is over
};

class ColdQueue final {
 public:
  struct Load {
    ColdTarget target;
    std::vector<std::shared_ptr<ColdWait>> waits;
  };

  // The waiter is woken when it should be executed again. `hold` has what it wants.
  std::shared_ptr<ColdWait> Add(const std::vector<ColdTarget>& wants, const Waiter& waiter,
                                std::unique_ptr<ColdHold> hold);
  void Forget(const Waiter& waiter);

  // The next that somebody waits for; null: none.
  std::shared_ptr<Load> Take();
  // A slot that is not through yet.
  void PutBack(std::shared_ptr<Load> load);
  void End(const Load& load, bool failed);
  // Everything is read, or cannot be.
  void EndEverything(bool failed);
  bool wants_everything() const { return wants_everything_.load(std::memory_order_relaxed); }

  // Until there is something to take, or the time is up; or, for who does that, somebody wants
  // everything.
  void WaitForWork(int64_t nanos, bool does_everything);
  // Nothing is taken any more; who comes is woken at once. Only when nothing waits, unless forced.
  bool Close(bool forced);
  bool closed() const { return closed_flag_.load(std::memory_order_relaxed); }

 private:
  struct TargetHash {
    size_t operator()(const ColdTarget& target) const;
  };
  struct WaiterHash {
    size_t operator()(const Waiter& waiter) const;
  };

  void AddLocked(const ColdTarget& target, const std::shared_ptr<ColdWait>& wait)
      TG_REQUIRES(mutex_);
  void EndLocked(const Load& load, bool failed, std::vector<Waiter>& woken) TG_REQUIRES(mutex_);

  std::atomic<bool> wants_everything_{false};
  std::atomic<bool> closed_flag_{false};
  Mutex mutex_;
  std::condition_variable_any condition_;
  bool closed_ TG_GUARDED_BY(mutex_) = false;
  // Queued, and under way.
  std::unordered_map<ColdTarget, std::shared_ptr<Load>, TargetHash> loads_ TG_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Load>> keys_ TG_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Load>> slots_ TG_GUARDED_BY(mutex_);
  std::unordered_map<Waiter, std::shared_ptr<ColdWait>, WaiterHash> waits_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
