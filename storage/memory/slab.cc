#include "storage/memory/slab.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/clock.h"

namespace tidegate::memory {
namespace {

// Makes the kernel provide the pages now, by touching them: a fault holds a lock of this mapping
// only (since Linux 6.4), where madvise would hold up whoever maps or unmaps anything meanwhile.
void Populate(char* memory, size_t bytes) {
  auto* p = static_cast<volatile char*>(memory);
  for (size_t i = 0; i < bytes; i += kPageBytes.count) p[i] = 0;
}

}  // namespace

uint32_t SlabHeap::Allocate(int class_index, void** out, uint32_t wanted) {
  SizeClass& size_class = classes_[class_index];
  MutexLock lock(size_class.mutex);
  if (size_class.with_room == nullptr) {
    Link(size_class.with_room, NewSlab(class_index));
    ++size_class.slabs;
  }
  Slab* slab = size_class.with_room;
  uint32_t n = 0;
  while (n < wanted && slab->free_list != nullptr) {
    out[n++] = slab->free_list;
    slab->free_list = *static_cast<void**>(slab->free_list);
  }
  char* objects = reinterpret_cast<char*>(slab) + kSlabHeaderBytes;
  while (n < wanted && slab->touched < slab->capacity) {
    out[n++] = objects + static_cast<size_t>(slab->touched++) * slab->object_bytes;
  }
  slab->used += n;
  size_class.used += n;
  if (slab->used == slab->capacity) Unlink(size_class.with_room, slab);
  TG_CHECK(n > 0);
  return n;
}

void SlabHeap::Free(int class_index, void* const* objects, uint32_t count) {
  SizeClass& size_class = classes_[class_index];
  MutexLock lock(size_class.mutex);
  size_class.used -= count;
  for (uint32_t i = 0; i < count; ++i) {
    Slab* slab = SlabOf(objects[i]);
    TG_DCHECK(slab->class_index == static_cast<uint32_t>(class_index));
    *static_cast<void**>(objects[i]) = slab->free_list;
    slab->free_list = objects[i];
    if (!slab->listed) Link(size_class.with_room, slab);
    if (--slab->used > 0) continue;
    // The last slab with room is kept, so that one object going to and fro does not map and unmap.
    if (!slab->chosen && slab->previous == nullptr && slab->next == nullptr) continue;
    Unlink(slab->chosen ? size_class.chosen : size_class.with_room, slab);
    --size_class.slabs;
    ReleaseSlab(slab);
  }
}

size_t SlabHeap::ChooseSparse(int class_index) {
  SizeClass& size_class = classes_[class_index];
  MutexLock lock(size_class.mutex);
  if (size_class.with_room == nullptr) return 0;
  const size_t capacity = size_class.with_room->capacity;
  const size_t needed = (size_class.used + capacity - 1) / capacity;
  const size_t kept = needed + needed / kLooseSlabsShare;
  if (size_class.slabs <= kept + kLooseSlabsMin) return 0;
  size_t surplus = size_class.slabs - kept;
  size_t chosen = 0;
  Slab* next = nullptr;
  for (Slab* slab = size_class.with_room; slab != nullptr && surplus > 0; slab = next) {
    next = slab->next;
    // Of those that hold less than the mean, and leaving one with room at least.
    if (slab->used * size_class.slabs > size_class.used) continue;
    if (slab == size_class.with_room && next == nullptr) break;
    Unlink(size_class.with_room, slab);
    --surplus;
    if (slab->used == 0) {
      --size_class.slabs;
      ReleaseSlab(slab);
      continue;
    }
    Link(size_class.chosen, slab);
    slab->chosen = true;
    ++chosen;
  }
  return chosen;
}

void SlabHeap::Unchoose(int class_index) {
  SizeClass& size_class = classes_[class_index];
  MutexLock lock(size_class.mutex);
  while (size_class.chosen != nullptr) {
    Slab* slab = size_class.chosen;
    Unlink(size_class.chosen, slab);
    slab->chosen = false;
    Link(size_class.with_room, slab);
  }
}

void SlabHeap::Link(Slab*& list, Slab* slab) {
  slab->previous = nullptr;
  slab->next = list;
  if (slab->next != nullptr) slab->next->previous = slab;
  list = slab;
  slab->listed = true;
}

void SlabHeap::Unlink(Slab*& list, Slab* slab) {
  if (slab->previous != nullptr) {
    slab->previous->next = slab->next;
  } else {
    list = slab->next;
  }
  if (slab->next != nullptr) slab->next->previous = slab->previous;
  slab->previous = slab->next = nullptr;
  slab->listed = false;
}

size_t SlabHeap::ReadyWanted() const {
  if (slabs_in_use_ < kReadyFromSlabs) return 0;
  return std::max(kReadySlabsMin, slabs_in_use_ / kReadySlabsShare);
}

SlabHeap::Slab* SlabHeap::NewSlab(int class_index) {
  void* memory = nullptr;
  bool low = false;
  {
    MutexLock lock(regions_mutex_);
    ++slabs_in_use_;
    if (!topping_up_) {
      topping_up_ = true;
      std::thread([this] { TopUp(); }).detach();
    }
    if (ready_.empty() && purged_.empty()) {
      char* fresh = unprepared_.Take(kUnpreparedBytes.count);
      for (size_t i = kUnpreparedBytes.count; i > 0; i -= kSlabBytes.count)
        purged_.push_back(fresh + i - kSlabBytes.count);
    }
    auto& from = ready_.empty() ? purged_ : ready_;
    memory = from.back();
    from.pop_back();
    low = ready_.size() < ReadyWanted();
  }
  if (low) low_.notify_one();
  auto* slab = static_cast<Slab*>(memory);
  *slab = Slab{};
  slab->class_index = static_cast<uint32_t>(class_index);
  slab->object_bytes = static_cast<uint32_t>(ClassBytes(class_index));
  slab->capacity =
      static_cast<uint32_t>((kSlabBytes.count - kSlabHeaderBytes) / slab->object_bytes);
  return slab;
}

void SlabHeap::ReleaseSlab(Slab* slab) {
  MutexLock lock(regions_mutex_);
  --slabs_in_use_;
  if (ready_.size() < ReadyWanted() + kReadySlabsMin) {
    ready_.push_back(slab);
    return;
  }
  GiveBack(slab);
}

void SlabHeap::GiveBack(Slab* slab) {
  // Only advice: when it fails the pages stay, and the slab is as usable.
  (void)madvise(slab, kSlabBytes.count, MADV_DONTNEED);
  purged_.push_back(slab);
}

void SlabHeap::ReleaseEmpty() {
  for (SizeClass& size_class : classes_) {
    MutexLock lock(size_class.mutex);
    Slab* slab = size_class.with_room;
    if (slab == nullptr || slab->used > 0 || slab->next != nullptr) continue;
    Unlink(size_class.with_room, slab);
    --size_class.slabs;
    MutexLock regions_lock(regions_mutex_);
    --slabs_in_use_;
    GiveBack(slab);
  }
}

// The heap's own thread. Lives as long as the process. It works in bursts, short even where they
// take a worker's processor, and rests after each: with a priority of its own below the workers' it
// would be put off in the middle of a page fault, and they would wait for its locks.
void SlabHeap::TopUp() {
  pthread_setname_np(pthread_self(), "tg-memory");
  for (;;) {
    void* given_back = nullptr;
    {
      MutexLock lock(regions_mutex_);
      while (ready_.size() >= ReadyWanted()) low_.wait(regions_mutex_);
      if (!purged_.empty()) {
        given_back = purged_.back();
        purged_.pop_back();
      }
    }
    if (given_back != nullptr) {
      Populate(static_cast<char*>(given_back), kSlabBytes.count);
      AddReady(static_cast<char*>(given_back), kSlabBytes.count);
    } else if (small_bytes_left_ > 0) {
      char* slab = small_pages_.Take(kSlabBytes.count);
      Populate(slab, kSlabBytes.count);
      AddReady(slab, kSlabBytes.count);
      small_bytes_left_ -= kSlabBytes.count;
    } else {
      PrepareHugePage();
    }
    std::this_thread::sleep_for(kTopUpRest);
  }
}

void SlabHeap::PrepareHugePage() {
  char* page = huge_pages_.Take(kHugePageBytes.count);
  const int64_t begin_nanos = MonotonicNanos();
  Populate(page, kHugePageBytes.count);
  if (MonotonicNanos() - begin_nanos <= kHugePageSlow / std::chrono::nanoseconds(1)) {
    small_bytes_ = kSmallBytesMin.count;
  } else {
    small_bytes_left_ = small_bytes_;
    small_bytes_ = std::min(small_bytes_ * 2, kSmallBytesMax.count);
  }
  AddReady(page, kHugePageBytes.count);
}

void SlabHeap::AddReady(char* memory, size_t bytes) {
  MutexLock lock(regions_mutex_);
  // Handed out from the back: lowest address first.
  for (size_t i = bytes; i > 0; i -= kSlabBytes.count)
    ready_.push_back(memory + i - kSlabBytes.count);
}

char* AddressRange::Take(size_t bytes) {
  if (left_ < bytes) Map();
  char* taken = next_;
  next_ += bytes;
  left_ -= bytes;
  return taken;
}

void AddressRange::Map() {
  // A huge page more than needed, so that the first slab can begin at one. Less where the system
  // does not let go of so many addresses (ulimit -v, vm.overcommit_memory=2).
  void* memory = MAP_FAILED;
  size_t bytes = kRangeBytes.count;
  for (;; bytes /= 2) {
    memory = mmap(nullptr, bytes + kHugePageBytes.count, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) break;
    TG_CHECK(bytes > kHugePageBytes.count);
  }
  const uintptr_t mask = kHugePageBytes.count - 1;
  next_ = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(memory) + mask) & ~mask);
  left_ = bytes;
  // Entries are visited at random, so with 4 KiB pages every visit misses the TLB too. Redis must
  // advise against huge pages because of fork; here nothing forks. Only advice: without it all
  // works, slower.
  (void)madvise(next_, bytes, huge_ ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

SlabHeap::Slabs SlabHeap::CountSlabs() {
  MutexLock lock(regions_mutex_);
  return {.in_use = slabs_in_use_, .ready = ready_.size()};
}

void SlabHeap::Purge() {
  for (;;) {
    void* slab = nullptr;
    {
      MutexLock lock(regions_mutex_);
      if (ready_.size() <= kReadySlabsMin) return;
      slab = ready_.back();
      ready_.pop_back();
    }
    (void)madvise(slab, kSlabBytes.count, MADV_DONTNEED);
    MutexLock lock(regions_mutex_);
    purged_.push_back(slab);
  }
}

void CacheRegistry::Add(const ThreadCounters* counters) {
  MutexLock lock(mutex_);
  counters_.push_back(counters);
}

void CacheRegistry::Remove(const ThreadCounters* counters) {
  MutexLock lock(mutex_);
  AddTo(of_gone_threads_, *counters);
  counters_.erase(std::remove(counters_.begin(), counters_.end(), counters), counters_.end());
}

CacheRegistry::Totals CacheRegistry::Sum() {
  MutexLock lock(mutex_);
  Totals sum = of_gone_threads_;
  for (const auto* counters : counters_) AddTo(sum, *counters);
  return sum;
}

void CacheRegistry::AddTo(Totals& totals, const ThreadCounters& counters) {
  totals.used_bytes += counters.used_bytes.load(std::memory_order_relaxed);
  totals.large_bytes += counters.large_bytes.load(std::memory_order_relaxed);
}

}  // namespace tidegate::memory
