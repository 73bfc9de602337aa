#include "storage/keyspace/lazy_freer.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// It works in bursts and rests after each. A thread of lower priority that never rests has a
// worker's processor for a whole time slice now and then, and may lose its own while it holds a
// lock of the allocator.
constexpr int64_t kBurstNanos = 200'000;
constexpr std::chrono::microseconds kRest{300};
constexpr size_t kEntriesPerLook = 64;
constexpr size_t kAllocationsPerLook = 64;

}  // namespace

void DestroyEntry(Entry* entry) {
  if (!entry->embedded()) DestroyValue(ValueObject::Of(*entry));
  MemoryFree(entry, entry->allocated_bytes());
}

LazyFreer::LazyFreer() : thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "tg-free");
}

LazyFreer::~LazyFreer() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_one();
  thread_.join();
}

void LazyFreer::AddTables(std::vector<Table> tables, uint64_t bytes) {
  Work work;
  for (const Table& table : tables) work.objects += table.count();
  work.tables = std::move(tables);
  work.bytes = static_cast<int64_t>(bytes);
  Add(std::move(work));
}

void LazyFreer::AddValue(ValueObject value, uint64_t bytes) {
  Work work;
  work.value = value;
  work.objects = 1;
  work.bytes = static_cast<int64_t>(bytes);
  Add(std::move(work));
}

void LazyFreer::Add(Work work) {
  pending_.fetch_add(work.objects, std::memory_order_relaxed);
  pending_bytes_.fetch_add(work.bytes, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
  }
  ready_.notify_one();
}

void LazyFreer::PutBack(Work work) {
  MutexLock lock(mutex_);
  queue_.push_front(std::move(work));
}

bool LazyFreer::Take(Work& work) {
  MutexLock lock(mutex_);
  if (queue_.empty()) return false;
  work = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void LazyFreer::Help(int64_t budget_nanos) { Burst(MonotonicNanos() + budget_nanos); }

void LazyFreer::Run() {
  for (;;) {
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) ready_.wait(mutex_);
      if (queue_.empty()) return;
      stopping = stopping_;
    }
    Burst(MonotonicNanos() + kBurstNanos);
    // What it keeps for itself comes from all over the place.
    MemoryFlushCache();
    if (!stopping) std::this_thread::sleep_for(kRest);
  }
}

void LazyFreer::Burst(int64_t deadline_nanos) {
  Work work;
  while (MonotonicNanos() < deadline_nanos && Take(work)) {
    const int64_t used_before = MemoryUsedByThread();
    const bool done = FreeSome(work, deadline_nanos);
    const int64_t freed = used_before - MemoryUsedByThread();
    const int64_t settled = done ? work.bytes : std::min(work.bytes, freed);
    work.bytes -= settled;
    pending_bytes_.fetch_sub(settled, std::memory_order_relaxed);
    if (!done) return PutBack(std::move(work));
    pending_.fetch_sub(work.objects, std::memory_order_relaxed);
    freed_.fetch_add(work.objects, std::memory_order_relaxed);
  }
}

bool LazyFreer::FreeSome(Work& work, int64_t deadline_nanos) {
  while (work.value.object != nullptr) {
    if (DestroySome(work.value, kAllocationsPerLook)) {
      work.value.object = nullptr;
    } else if (MonotonicNanos() > deadline_nanos) {
      return false;
    }
  }
  return FreeTables(work, deadline_nanos);
}

// What is big becomes work of its own.
void LazyFreer::FreeValueOf(const Entry& entry, Work& work) {
  const ValueObject value = ValueObject::Of(entry);
  const size_t bytes = ValueBytes(value);
  if (bytes <= kFreeInPlaceBytesMax) return DestroyValue(value);
  Work big;
  big.value = value;
  big.objects = 1;
  big.bytes = std::min(work.bytes, static_cast<int64_t>(bytes));
  work.objects -= big.objects;
  work.bytes -= big.bytes;
  PutBack(std::move(big));
}

bool LazyFreer::FreeTables(Work& work, int64_t deadline_nanos) {
  while (work.table < work.tables.size()) {
    Table& table = work.tables[work.table];
    work.position = table.Visit(work.position, kEntriesPerLook, [&](Entry& entry) {
      if (!entry.embedded()) FreeValueOf(entry, work);
      MemoryFree(&entry, entry.allocated_bytes());
    });
    if (work.position == 0) {
      table.Release();
      ++work.table;
    }
    if (MonotonicNanos() > deadline_nanos) return work.table == work.tables.size();
  }
  return true;
}

}  // namespace tidegate
