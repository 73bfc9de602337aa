#include "storage/keyspace/lazy_freer.h"

#include <pthread.h>

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
constexpr uint32_t kEntriesPerLook = 64;
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

void LazyFreer::AddTables(std::vector<Table> tables) {
  uint64_t objects = 0;
  for (const Table& table : tables) objects += table.count();
  Add({std::move(tables), {}}, objects);
}

void LazyFreer::AddValue(ValueObject value) { Add({{}, value}, 1); }

void LazyFreer::Add(Work work, uint64_t objects) {
  pending_.fetch_add(objects, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
  }
  ready_.notify_one();
}

void LazyFreer::Run() {
  for (;;) {
    std::vector<Work> batch;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) ready_.wait(mutex_);
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    burst_began_nanos_ = MonotonicNanos();
    for (Work& work : batch) Free(work);
  }
}

void LazyFreer::RestIfDue() {
  if (MonotonicNanos() - burst_began_nanos_ < kBurstNanos) return;
  if (!stopping_.load(std::memory_order_relaxed)) std::this_thread::sleep_for(kRest);
  burst_began_nanos_ = MonotonicNanos();
}

void LazyFreer::Free(Work& work) {
  uint64_t objects = 0;
  if (work.value.object != nullptr) {
    while (!DestroySome(work.value, kAllocationsPerLook)) RestIfDue();
    RestIfDue();
    objects = 1;
  }
  for (Table& table : work.tables) {
    objects += table.count();
    uint32_t count = 0;
    table.ForEach([&](Entry& entry) {
      DestroyEntry(&entry);
      if (++count % kEntriesPerLook == 0) RestIfDue();
    });
    table.Release();
    RestIfDue();
  }
  pending_.fetch_sub(objects, std::memory_order_relaxed);
  freed_.fetch_add(objects, std::memory_order_relaxed);
}

}  // namespace tidegate
