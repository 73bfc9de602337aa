#include "storage/cold/cold_queue.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "storage/engine_thread.h"

namespace tidegate {
namespace {

void Wake(const std::vector<Waiter>& waiters) {
  for (const Waiter& waiter : waiters) waiter.thread->Wake(waiter.ticket);
}

}  // namespace

bool ColdWait::HasFailed(const std::vector<ColdTarget>& wants) const {
  if (!over_.load(std::memory_order_acquire)) return false;
  return std::any_of(wants.begin(), wants.end(), [this](const ColdTarget& target) {
    return std::find(failed_.begin(), failed_.end(), target) != failed_.end();
  });
}

size_t ColdQueue::TargetHash::operator()(const ColdTarget& target) const {
  const uint64_t place = uint64_t{target.database} << 32 | uint64_t{target.slot} << 8 |
                         static_cast<uint64_t>(target.kind);
  return static_cast<size_t>(target.hash ^ (place * 0x9e3779b97f4a7c15u));
}

size_t ColdQueue::WaiterHash::operator()(const Waiter& waiter) const {
  return std::hash<const void*>()(waiter.thread) ^ (waiter.ticket * 0x9e3779b97f4a7c15u);
}

std::shared_ptr<ColdWait> ColdQueue::Add(const std::vector<ColdTarget>& wants, const Waiter& waiter,
                                         std::unique_ptr<ColdHold> hold) {
  auto wait = std::make_shared<ColdWait>();
  wait->hold_ = std::move(hold);
  wait->waiter_ = waiter;
  bool closed = false;
  {
    MutexLock lock(mutex_);
    closed = closed_;
    if (!closed) {
      // Of the same request, woken for another reason.
      std::shared_ptr<ColdWait>& known = waits_[waiter];
      if (known != nullptr) known->waiter_ = {};
      known = wait;
      wait->left_ = wants.size();
      for (const ColdTarget& target : wants) AddLocked(target, wait);
      // Any of the threads takes a key.
      const bool one = wants.size() == 1 && wants.front().kind == ColdTarget::Kind::kKey;
      one ? condition_.notify_one() : condition_.notify_all();
    }
  }
  if (closed) waiter.thread->Wake(waiter.ticket);
  return wait;
}

void ColdQueue::AddLocked(const ColdTarget& target, const std::shared_ptr<ColdWait>& wait) {
  std::shared_ptr<Load>& load = loads_[target];
  if (load == nullptr) {
    load = std::make_shared<Load>();
    load->target = target;
    if (target.kind == ColdTarget::Kind::kKey) keys_.push_back(load);
    if (target.kind == ColdTarget::Kind::kSlot) slots_.push_back(load);
    if (target.kind == ColdTarget::Kind::kEverything) wants_everything_.store(true);
  }
  load->waits.push_back(wait);
}

void ColdQueue::Forget(const Waiter& waiter) {
  MutexLock lock(mutex_);
  const auto found = waits_.find(waiter);
  if (found == waits_.end()) return;
  found->second->waiter_ = {};
  waits_.erase(found);
}

std::shared_ptr<ColdQueue::Load> ColdQueue::Take() {
  MutexLock lock(mutex_);
  std::deque<std::shared_ptr<Load>>& from = keys_.empty() ? slots_ : keys_;
  if (closed_ || from.empty()) return nullptr;
  std::shared_ptr<Load> load = std::move(from.front());
  from.pop_front();
  return load;
}

void ColdQueue::PutBack(std::shared_ptr<Load> load) {
  MutexLock lock(mutex_);
  slots_.push_back(std::move(load));
}

void ColdQueue::End(const Load& load, bool failed) {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    EndLocked(load, failed, woken);
  }
  Wake(woken);
}

void ColdQueue::EndEverything(bool failed) {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    wants_everything_.store(false);
    const auto found = loads_.find(ColdTarget::Everything());
    if (found != loads_.end()) EndLocked(*std::shared_ptr<Load>(found->second), failed, woken);
  }
  Wake(woken);
}

void ColdQueue::EndLocked(const Load& load, bool failed, std::vector<Waiter>& woken) {
  for (const std::shared_ptr<ColdWait>& wait : load.waits) {
    if (failed) wait->failed_.push_back(load.target);
    if (--wait->left_ > 0) continue;
    wait->over_.store(true, std::memory_order_release);
    if (wait->waiter_.thread == nullptr) continue;
    woken.push_back(wait->waiter_);
    waits_.erase(wait->waiter_);
  }
  loads_.erase(load.target);
}

void ColdQueue::WaitForWork(int64_t nanos, bool does_everything) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(nanos);
  MutexLock lock(mutex_);
  while (!closed_ && keys_.empty() && slots_.empty() &&
         !(does_everything && wants_everything_.load())) {
    if (condition_.wait_until(mutex_, until) == std::cv_status::timeout) return;
  }
}

bool ColdQueue::Close(bool forced) {
  MutexLock lock(mutex_);
  if (!forced && !loads_.empty()) return false;
  closed_ = true;
  closed_flag_.store(true, std::memory_order_relaxed);
  condition_.notify_all();
  return true;
}

}  // namespace tidegate
