// SlabHeap: the shared part of the allocator, and the list of size classes. See memory.h for the
// whole.
//
// A slab is 64 KiB, aligned to its size, so that an object's slab is found by masking its address.
// Its header takes the first 64 bytes; objects are handed out by a rising index first and from a
// free list later.
//
// Fresh memory is expensive: the first touch of a huge page zeroes 2 MiB, which takes 0.1 ms at
// best and 10 ms in a virtual machine whose host has to find the memory too. So a thread of the
// heap touches pages before anybody needs them, a little ahead of the growth; a worker that finds
// nothing ready takes small pages and pays for them one by one. Thread: any; one mutex per class,
// one for the regions. Never called on the common path.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/thread_annotations.h"

namespace tidegate::memory {

inline constexpr Bytes kSlabBytes = 64_KiB;
inline constexpr Bytes kPageBytes = 4_KiB;
// Addresses that are taken from the system at a time: mapping can wait for whatever page faults
// other threads are in, so it is done once per so many bytes. Costs nothing until it is touched.
inline constexpr Bytes kRangeBytes = 64_GiB;
// Of small pages, taken at a time where nothing is ready.
inline constexpr Bytes kUnpreparedBytes = 1_MiB;
// A huge page that takes longer is found page by page by a virtual machine's host. Then so much of
// small pages is prepared before the next is tried, twice as much each time.
inline constexpr std::chrono::milliseconds kHugePageSlow{1};
inline constexpr Bytes kSmallBytesMin = 16_MiB;
inline constexpr Bytes kSmallBytesMax = 1_GiB;
// After each burst of preparing: 2 GiB a second at most.
inline constexpr std::chrono::milliseconds kTopUpRest{1};
inline constexpr Bytes kHugePageBytes = 2_MiB;
// Empty slabs that are kept with their pages: at least these, and a share of those in use. Fewer
// are topped up ahead of need, by a huge page; pages of more go back to the system. A mebibyte
// lasts 10 ms at two million new small keys a second, in which several huge pages can be had.
inline constexpr size_t kReadySlabsMin = 16;
inline constexpr size_t kReadySlabsShare = 64;
// In a smaller heap nothing is readied: a huge page is 3% of 64 MiB.
inline constexpr size_t kReadyFromSlabs = 1024;

// A class is compact enough with so many slabs more than its objects need: a share, and a few.
inline constexpr size_t kLooseSlabsShare = 16;
inline constexpr size_t kLooseSlabsMin = 4;

inline constexpr int kFineClasses = 32;    // 8, 16, … 256
inline constexpr int kMiddleClasses = 24;  // 288, 320, … 1024
inline constexpr int kCoarseClasses = 16;  // 1152, 1280, … 2048, 2304, 2560, … 4096
inline constexpr int kClassCount = kFineClasses + kMiddleClasses + kCoarseClasses;
inline constexpr uint32_t kBatchMax = 32;

constexpr int ClassOf(size_t bytes) {
  if (bytes <= 256) return static_cast<int>((bytes + 7) / 8) - 1;
  if (bytes <= 1024) return kFineClasses + static_cast<int>((bytes - 256 + 31) / 32) - 1;
  constexpr int kBefore = kFineClasses + kMiddleClasses - 1;
  return bytes <= 2048 ? kBefore + static_cast<int>((bytes - 1024 + 127) / 128)
                       : kBefore + 8 + static_cast<int>((bytes - 2048 + 255) / 256);
}
constexpr size_t ClassBytes(int class_index) {
  if (class_index < kFineClasses) return static_cast<size_t>(class_index + 1) * 8;
  const auto above = static_cast<size_t>(class_index - kFineClasses + 1);  // 256 bytes
  if (above <= kMiddleClasses) return 256 + above * 32;
  const size_t coarse = above - kMiddleClasses;
  return coarse <= 8 ? 1024 + coarse * 128 : 2048 + (coarse - 8) * 256;
}
static_assert(ClassBytes(ClassOf(52)) == 56 && ClassBytes(ClassOf(257)) == 288 &&
              ClassBytes(ClassOf(1024)) == 1024 && ClassBytes(ClassOf(1025)) == 1152 &&
              ClassBytes(ClassOf(2048)) == 2048 && ClassBytes(ClassOf(2049)) == 2304);
static_assert(ClassOf(4096) == kClassCount - 1 && ClassBytes(kClassCount - 1) == 4096);

// Objects that move between thread and class at a time: about 8 KiB, two at least.
constexpr uint32_t BatchOf(int class_index) {
  const size_t n = 8192 / ClassBytes(class_index);
  return n > kBatchMax ? kBatchMax : static_cast<uint32_t>(n);
}

// Addresses for slabs, mapped in large pieces. Not thread safe.
class AddressRange final {
 public:
  explicit AddressRange(bool huge) : huge_(huge) {}
  // `bytes` of fresh memory, aligned to its size: a power of two of at most a huge page.
  char* Take(size_t bytes);

 private:
  void Map();

  const bool huge_;  // of huge pages, where the system has them
  char* next_ = nullptr;
  size_t left_ = 0;
};

class SlabHeap final {
 public:
  // Fills `out` with 1 .. wanted objects; returns how many.
  uint32_t Allocate(int class_index, void** out, uint32_t wanted);
  void Free(int class_index, void* const* objects, uint32_t count);

  struct Slabs {
    size_t in_use = 0;  // hold an object, or are their class's last with room
    size_t ready = 0;   // empty, with their pages
  };
  Slabs CountSlabs();
  // Gives back the pages of the ready ones.
  void Purge();
  // The same for the last slabs of classes that nothing is in.
  void ReleaseEmpty();

  // Compaction of one class: chooses slabs of which so little is used that the others have room for
  // it, and gives out no object of them from now on; how many. Whoever owns their objects moves
  // them (storage/compaction.h), and an empty slab goes as always. Unchoose ends it for the rest.
  size_t ChooseSparse(int class_index);
  void Unchoose(int class_index);
  static bool IsChosen(const void* object) { return SlabOf(object)->chosen; }

 private:
  struct Slab {
    Slab* previous;
    Slab* next;
    void* free_list;
    uint32_t class_index;
    uint32_t object_bytes;
    uint32_t capacity;
    uint32_t used;     // handed out and not returned
    uint32_t touched;  // objects below this index were handed out at least once
    bool listed;       // in its class's list of slabs with room
    bool chosen;       // to become empty; in the list of those
  };
  static constexpr size_t kSlabHeaderBytes = 64;
  static_assert(sizeof(Slab) <= kSlabHeaderBytes);

  struct alignas(64) SizeClass {
    Mutex mutex;
    Slab* with_room TG_GUARDED_BY(mutex) = nullptr;
    Slab* chosen TG_GUARDED_BY(mutex) = nullptr;
    size_t slabs TG_GUARDED_BY(mutex) = 0;  // all of this class
    size_t used TG_GUARDED_BY(mutex) = 0;   // objects handed out and not returned
  };

  static Slab* SlabOf(const void* object) {
    return reinterpret_cast<Slab*>(reinterpret_cast<uintptr_t>(object) &
                                   ~(uintptr_t{kSlabBytes.count} - 1));
  }
  // Into and out of one of a class's two lists.
  static void Link(Slab*& list, Slab* slab);
  static void Unlink(Slab*& list, Slab* slab);
  Slab* NewSlab(int class_index);
  void ReleaseSlab(Slab* slab);
  void GiveBack(Slab* slab) TG_REQUIRES(regions_mutex_);
  size_t ReadyWanted() const TG_REQUIRES(regions_mutex_);
  void TopUp();
  void PrepareHugePage();
  void AddReady(char* memory, size_t bytes);

  SizeClass classes_[kClassCount];
  Mutex regions_mutex_;
  std::condition_variable_any low_;
  AddressRange unprepared_ TG_GUARDED_BY(regions_mutex_){false};
  // Of the thread that tops up.
  AddressRange small_pages_{false};
  AddressRange huge_pages_{true};
  size_t small_bytes_ = kSmallBytesMin.count;  // to prepare after the next slow huge page
  size_t small_bytes_left_ = 0;

  bool topping_up_ TG_GUARDED_BY(regions_mutex_) = false;  // the thread runs
  size_t slabs_in_use_ TG_GUARDED_BY(regions_mutex_) = 0;
  std::vector<void*> ready_ TG_GUARDED_BY(regions_mutex_);  // empty, pages present
  std::vector<void*> purged_
      TG_GUARDED_BY(regions_mutex_);  // empty, pages given back or never touched
};

// What one thread allocated less what it freed.
struct ThreadCounters {
  std::atomic<int64_t> used_bytes;
  std::atomic<int64_t> large_bytes;  // of these, malloc's
};

// The counters of all threads, for their sum.
class CacheRegistry final {
 public:
  struct Totals {
    int64_t used_bytes = 0;
    int64_t large_bytes = 0;
  };
  void Add(const ThreadCounters* counters);
  // Keeps what the counters say in the sum.
  void Remove(const ThreadCounters* counters);
  Totals Sum();

 private:
  static void AddTo(Totals& totals, const ThreadCounters& counters);

  Mutex mutex_;
  std::vector<const ThreadCounters*> counters_ TG_GUARDED_BY(mutex_);
  Totals of_gone_threads_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate::memory
