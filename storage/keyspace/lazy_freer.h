// LazyFreer: a thread that frees what is big, so that no worker does.
//
// FLUSHALL hands over the tables of all slots, DEL of a big value its chunks. Handing over is a
// push under a short mutex; the memory comes back over the next moments, in small steps, so that
// other users of the allocator hardly notice. Work is taken from the queue for one burst and what
// is left of it put back, so that a worker that needs the memory sooner can do a burst of its own
// (Help). What waits is counted in bytes too: it is still used, but eviction needs no second victim
// for it. Thread: any, but for the constructor and the destructor; the freeing on its own, and on
// the threads that help. Ends when destroyed, after everything handed over was freed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
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

  // `bytes`: what they take with their entries, about.
  void AddTables(std::vector<Table> tables, uint64_t bytes);
  void AddValue(ValueObject value, uint64_t bytes);

  // Frees some of what waits, here and now, for about so long.
  void Help(int64_t budget_nanos);

  uint64_t pending_objects() const { return pending_.load(std::memory_order_relaxed); }
  uint64_t freed_objects() const { return freed_.load(std::memory_order_relaxed); }
  // Of what waits and is counted as used. An estimate for tables; 0 when nothing waits.
  uint64_t pending_bytes() const {
    const int64_t bytes = pending_bytes_.load(std::memory_order_relaxed);
    return bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
  }

 private:
  struct Work {
    ValueObject value;  // none: no object
    std::vector<Table> tables;
    size_t table = 0;       // the first that is not freed yet
    uint32_t position = 0;  // and where in it
    uint64_t objects = 0;   // that count when all is freed
    int64_t bytes = 0;      // of pending_bytes_
  };

  void Add(Work work);
  void PutBack(Work work);
  bool Take(Work& work);
  void Run();
  // Both false when the time is over before the work is.
  bool FreeSome(Work& work, int64_t deadline_nanos);
  bool FreeTables(Work& work, int64_t deadline_nanos);
  void FreeValueOf(const Entry& entry, Work& work);
  void Burst(int64_t deadline_nanos);

  Mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<Work> queue_ TG_GUARDED_BY(mutex_);
  bool stopping_ TG_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> pending_{0};
  std::atomic<int64_t> pending_bytes_{0};
  std::atomic<uint64_t> freed_{0};
  std::thread thread_;
};

// Frees an entry with its value, here and now.
void DestroyEntry(Entry* entry);

}  // namespace tidegate
