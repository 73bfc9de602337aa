#include "storage/gate.h"

#include <utility>

#include "base/check.h"

namespace tidegate {

bool ExclusiveGate::OthersAreOut(const EngineThread& except) const {
  for (const auto& thread : threads_) {
    if (thread.get() != &except && thread->in_engine.load(std::memory_order_seq_cst) != 0)
      return false;
  }
  return true;
}

bool ExclusiveGate::ParkUntilOpen(Waiter waiter) {
  MutexLock lock(mutex_);
  if (owner_.thread == nullptr) return false;
  waiters_.push_back(waiter);
  return true;
}

ExclusiveGate::Entry ExclusiveGate::Close(Waiter waiter) {
  MutexLock lock(mutex_);
  if (owner_.thread == nullptr) {
    owner_ = waiter;
    closed_.store(1, std::memory_order_seq_cst);
  } else if (!(owner_ == waiter)) {
    waiters_.push_back(waiter);
    return Entry::kSuspended;
  }
  // Raised before looking, so that a thread that leaves in between wakes us.
  draining_ = true;
  if (!OthersAreOut(*waiter.thread)) return Entry::kSuspended;
  draining_ = false;
  return Entry::kEntered;
}

void ExclusiveGate::WakeOwnerIfDrained() {
  Waiter woken;
  {
    MutexLock lock(mutex_);
    if (!draining_ || !OthersAreOut(*owner_.thread)) return;
    draining_ = false;
    woken = owner_;
  }
  woken.thread->Wake(woken.ticket);
}

std::vector<Waiter> ExclusiveGate::OpenLocked() {
  owner_ = {};
  draining_ = false;
  closed_.store(0, std::memory_order_seq_cst);
  return std::exchange(waiters_, {});
}

void ExclusiveGate::Open() {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    TG_CHECK(owner_.thread != nullptr);
    woken = OpenLocked();
  }
  for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
}

void ExclusiveGate::Remove(Waiter waiter) {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    std::erase(waiters_, waiter);
    if (owner_ == waiter) woken = OpenLocked();
  }
  for (const Waiter& other : woken) other.thread->Wake(other.ticket);
}

}  // namespace tidegate
