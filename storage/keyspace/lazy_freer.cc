#include "storage/keyspace/lazy_freer.h"

#include <pthread.h>
#include <sys/resource.h>

#include <utility>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

constexpr int kPriorityLowest = 19;

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
  // Linux has a priority for each thread. Lowest: it gets what workers leave, and a little.
  (void)setpriority(PRIO_PROCESS, 0, kPriorityLowest);
  for (;;) {
    std::vector<Work> batch;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) ready_.wait(mutex_);
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    for (Work& work : batch) Free(work);
  }
}

void LazyFreer::Free(Work& work) {
  uint64_t objects = 0;
  if (work.value.object != nullptr) {
    DestroyValue(work.value);
    objects = 1;
  }
  for (Table& table : work.tables) {
    objects += table.count();
    table.ForEach([](Entry& entry) { DestroyEntry(&entry); });
    table.Release();
  }
  pending_.fetch_sub(objects, std::memory_order_relaxed);
  freed_.fetch_add(objects, std::memory_order_relaxed);
}

}  // namespace tidegate
