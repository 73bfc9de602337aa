// LazyFreer: a thread that frees what is big, so that no worker does.
//
// FLUSHALL hands over the tables of all slots, DEL of a big value its chunks. Handing over is a
// push under a short mutex; the memory comes back over the next moments, in small steps, so that
// other users of the allocator hardly notice. Thread: Add… from any; the freeing on its own. Ends
// when destroyed, after everything handed over was freed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "storage/keyspace/table.h"
#include "storage/value/value_object.h"

namespace tidegate {

// Values of more than this are freed here even when nobody asked for it: about 50 us of work.
inline constexpr size_t kFreeInPlaceBytesMax = 1024 * 1024;

// And values of no more than this are never freed here: less work than to hand them over.
inline constexpr size_t kFreeLazilyBytesMin = 2048;

class LazyFreer final {
 public:
  LazyFreer();
  ~LazyFreer();
  LazyFreer(const LazyFreer&) = delete;
  LazyFreer& operator=(const LazyFreer&) = delete;

  void AddTables(std::vector<Table> tables);
  void AddValue(ValueObject value);

  uint64_t pending_objects() const { return pending_.load(std::memory_order_relaxed); }
  uint64_t freed_objects() const { return freed_.load(std::memory_order_relaxed); }

 private:
  struct Work {
    std::vector<Table> tables;
    ValueObject value;  // none: no object
  };
  void Add(Work work, uint64_t objects);
  void Run();
  void Free(Work& work);
  void RestIfDue();

  Mutex mutex_;
  std::condition_variable_any ready_;
  std::vector<Work> queue_ TG_GUARDED_BY(mutex_);
  std::atomic<bool> stopping_{false};  // set under mutex_
  std::atomic<uint64_t> pending_{0};
  std::atomic<uint64_t> freed_{0};
  int64_t burst_began_nanos_ = 0;  // of the thread
  std::thread thread_;
};

// Frees an entry with its value, here and now.
void DestroyEntry(Entry* entry);

}  // namespace tidegate
