#include "storage/cut/cut_queue.h"

#include <utility>

#include "storage/engine_thread.h"

namespace tidegate {
namespace {

void Wake(const std::vector<Waiter>& waiters) {
  for (const Waiter& waiter : waiters) waiter.thread->Wake(waiter.ticket);
}

}  // namespace

void CutQueue::Push(PreservedEntries entries) {
  waiting_bytes_.fetch_add(entries.bytes.size(), std::memory_order_relaxed);
  MutexLock lock(mutex_);
  entries_.push_back(std::move(entries));
}

std::vector<PreservedEntries> CutQueue::Take() {
  std::vector<PreservedEntries> taken;
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    taken = std::exchange(entries_, {});
    woken = std::exchange(for_room_, {});
    waiting_bytes_.store(0, std::memory_order_relaxed);
  }
  Wake(woken);
  return taken;
}

bool CutQueue::ParkUntilRoom(Waiter waiter) {
  MutexLock lock(mutex_);
  if (!full()) return false;
  for_room_.push_back(waiter);
  return true;
}

bool CutQueue::ParkUntilWalked(uint16_t slot, const std::atomic<bool>& walked, Waiter waiter) {
  MutexLock lock(mutex_);
  if (walked.load(std::memory_order_relaxed)) return false;
  for_slots_.push_back({slot, waiter});
  wanted_slots_.push_back(slot);
  wanted_.store(true, std::memory_order_relaxed);
  return true;
}

std::optional<uint16_t> CutQueue::NextWanted() {
  if (!wanted_.load(std::memory_order_relaxed)) return std::nullopt;
  MutexLock lock(mutex_);
  if (wanted_slots_.empty()) {
    wanted_.store(false, std::memory_order_relaxed);
    return std::nullopt;
  }
  const uint16_t slot = wanted_slots_.back();
  wanted_slots_.pop_back();
  return slot;
}

void CutQueue::SlotWalked(uint16_t slot) {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    std::erase_if(for_slots_, [&](const SlotWaiter& waiting) {
      if (waiting.slot != slot) return false;
      woken.push_back(waiting.waiter);
      return true;
    });
  }
  Wake(woken);
}

void CutQueue::WakeAll() {
  std::vector<Waiter> woken;
  {
    MutexLock lock(mutex_);
    woken = std::exchange(for_room_, {});
    for (const SlotWaiter& waiting : for_slots_) woken.push_back(waiting.waiter);
    for_slots_.clear();
    wanted_slots_.clear();
  }
  Wake(woken);
}

void CutQueue::Forget(Waiter waiter) {
  MutexLock lock(mutex_);
  std::erase(for_room_, waiter);
  std::erase_if(for_slots_, [&](const SlotWaiter& waiting) { return waiting.waiter == waiter; });
}

}  // namespace tidegate
