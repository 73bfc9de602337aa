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
  if (owner_.thread == nullptr && holds_ > 0) {
    closers_.push_back(waiter);
    return Entry::kSuspended;
  }
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

void ExclusiveGate::OpenAndEnter(EngineThread& thread) {
  thread.in_engine.store(1, std::memory_order_seq_cst);
  Open();
}

bool ExclusiveGate::BeginHold(Waiter waiter) {
  MutexLock lock(mutex_);
  if (owner_.thread != nullptr || !closers_.empty()) {
    waiters_.push_back(waiter);
    return false;
  }
  ++holds_;
  return true;
}

void ExclusiveGate::EndHold() {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    TG_CHECK(holds_ > 0);
    if (--holds_ > 0 || closers_.empty()) return;
    // First those that want the gate.
    woken = std::exchange(closers_, {});
    woken.insert(woken.end(), waiters_.begin(), waiters_.end());
    waiters_.clear();
  }
  for (const Waiter& waiter : woken) waiter.thread->Wake(waiter.ticket);
}

void ExclusiveGate::Remove(Waiter waiter) {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    std::erase(waiters_, waiter);
    const bool wanted_it = std::erase(closers_, waiter) > 0;
    if (owner_ == waiter) {
      woken = OpenLocked();
    } else if (wanted_it && closers_.empty()) {
      woken = std::exchange(waiters_, {});
    }
  }
  for (const Waiter& other : woken) other.thread->Wake(other.ticket);
}

}  // namespace tidegate
