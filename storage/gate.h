// ExclusiveGate: lets one request have the whole engine, without anybody waiting.
//
// Threads enter shared once per batch: they raise a flag in a line of their own, then look whether
// the gate is closed; the closer closes it, then looks at the flags. Both with sequential
// consistency, so at least one sees the other (Dekker's handshake). A closer that finds flags
// raised is suspended and woken by the last thread to leave; requests that find the gate closed are
// parked here and woken when it opens. So the cost of the gate to the fast path is one exchange per
// batch. Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/engine_thread.h"
#include "storage/parking.h"

namespace tidegate {

class ExclusiveGate final {
 public:
  using Threads = std::vector<std::unique_ptr<EngineThread>>;
  // `threads` is complete before the first request and lives as long as the gate.
  explicit ExclusiveGate(const Threads& threads) : threads_(threads) {}

  // Raises the thread's flag; false (flag down) when the gate is closed.
  bool EnterShared(EngineThread& thread) {
    thread.in_engine.store(1, std::memory_order_seq_cst);
    if (__builtin_expect(closed_.load(std::memory_order_seq_cst) == 0, 1)) return true;
    LeaveShared(thread);
    return false;
  }
  void LeaveShared(EngineThread& thread) {
    thread.in_engine.store(0, std::memory_order_seq_cst);
    if (__builtin_expect(closed_.load(std::memory_order_seq_cst) != 0, 0)) WakeOwnerIfDrained();
  }

  // Waits for the gate to open. False when it is open by now.
  bool ParkUntilOpen(Waiter waiter);

  enum class Entry : uint8_t { kEntered, kSuspended };
  // Closes the gate for this waiter, or goes on doing so. kEntered: nobody else is in, until
  // Open(). kSuspended: the waiter is woken when it should call again.
  Entry Close(Waiter waiter);
  void Open();
  // By the owner: opens, and the thread is one of those that have entered.
  void OpenAndEnter(EngineThread& thread);

  // While a thread has something under way that outlives its batch (a long command) nobody gets the
  // gate: Close does not even close it, and waits. Begun by a thread that has entered; false when
  // others wait for the gate already: the waiter is woken after them.
  bool BeginHold(Waiter waiter);
  void EndHold();

  // Forgets the waiter, whichever way it waits; opens the gate if it was closing it.
  void Remove(Waiter waiter);

 private:
  bool OthersAreOut(const EngineThread& except) const;
  void WakeOwnerIfDrained();
  std::vector<Waiter> OpenLocked() TG_REQUIRES(mutex_);

  const Threads& threads_;
  std::atomic<uint32_t> closed_{0};
  Mutex mutex_;
  Waiter owner_ TG_GUARDED_BY(mutex_);  // thread null: open
  bool draining_ TG_GUARDED_BY(mutex_) = false;
  int holds_ TG_GUARDED_BY(mutex_) = 0;
  std::vector<Waiter> waiters_ TG_GUARDED_BY(mutex_);
  std::vector<Waiter> closers_ TG_GUARDED_BY(mutex_);  // that wait for the holds to end
};

}  // namespace tidegate
