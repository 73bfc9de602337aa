// ScriptToken: the one right, in the whole process, to run a script that writes or that takes long.
//
// A script finds out on its way which keys it uses. Once it has written it can neither be undone
// nor begun again, so it may have to wait for a key's slot while it holds others, which nobody else
// ever does (docs/decisions/0001). With one such holder nobody waits for it that it waits for; two
// could wait for each other. Scripts run one at a time in Redis, too.
//
// Thread: any. Cost: one compare-and-swap to take it and one exchange to give it back, as long as
// nobody waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/engine_thread.h"
#include "storage/waiter.h"

namespace tidegate {

class ScriptToken final {
 public:
  // False: somebody has it; the waiter is woken when it should try again.
  bool Take(Waiter waiter) {
    for (int spins = 0; spins < kSpinsMax; ++spins) {
      if (TryTake()) return true;
      if (state_.load(std::memory_order_relaxed) == kLong) break;
      Pause();
    }
    MutexLock lock(mutex_);
    waiters_.push_back(waiter);
    any_waiters_.store(true, std::memory_order_seq_cst);
    if (!TryTake()) return false;
    std::erase(waiters_, waiter);
    return true;
  }
  // By its holder: it goes on for several turns, so that nobody spins for it.
  void HoldLong() { state_.store(kLong, std::memory_order_relaxed); }
  void GiveBack() {
    state_.store(kFree, std::memory_order_seq_cst);
    if (__builtin_expect(any_waiters_.load(std::memory_order_seq_cst), 0)) WakeAll();
  }

 private:
  enum State : uint32_t { kFree, kTaken, kLong };
  // A short script takes a few microseconds.
  static constexpr int kSpinsMax = 200;

  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  bool TryTake() {
    uint32_t expected = kFree;
    return state_.compare_exchange_strong(expected, kTaken, std::memory_order_seq_cst);
  }
  void WakeAll() {
    std::vector<Waiter> woken;
    {
      MutexLock lock(mutex_);
      woken = std::exchange(waiters_, {});
      any_waiters_.store(false, std::memory_order_seq_cst);
    }
    for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
  }

  std::atomic<uint32_t> state_{kFree};
  std::atomic<bool> any_waiters_{false};
  Mutex mutex_;
  std::vector<Waiter> waiters_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
