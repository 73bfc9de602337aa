#include "storage/memory/memory.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "storage/memory/memory_rest.h"
#include "storage/memory/slab.h"

namespace tidegate {
namespace {

using memory::kClassCount;

#ifdef TIDEGATE_SANITIZE
constexpr bool kUseSlabs = false;
#else
constexpr bool kUseSlabs = true;
#endif

struct FreeObject {
  FreeObject* next;
};

struct ThreadList {
  FreeObject* head;
  uint32_t count;
  uint32_t batch;  // objects taken from the class the last time
};

// Plain data, so that access is one segment-relative load without an initialization guard. The exit
// of the thread is seen by ThreadExit, which is made on the slow path.
struct ThreadCache {
  ThreadList lists[kClassCount];
  memory::ThreadCounters counters;  // written by its thread only
  int64_t rest_used_bytes;          // at the last MemoryRest
  int rest_calls;                   // of it, since that had changed
  bool registered;
};
constinit thread_local ThreadCache t_cache{};
constinit thread_local uint64_t t_moves = 0;

// Never destroyed: threads may outlive main.
memory::CacheRegistry& Registry() {
  static auto* registry = new memory::CacheRegistry;
  return *registry;
}
memory::SlabHeap& Heap() {
  static auto* heap = new memory::SlabHeap;
  return *heap;
}

uint64_t AtLeastZero(int64_t bytes) { return bytes > 0 ? static_cast<uint64_t>(bytes) : 0; }

void ReturnBatch(int class_index, ThreadList& list, uint32_t count) {
  void* batch[memory::kBatchMax];
  while (count > 0) {
    uint32_t n = 0;
    while (n < memory::kBatchMax && count > 0) {
      batch[n++] = list.head;
      list.head = list.head->next;
      --list.count;
      --count;
    }
    Heap().Free(class_index, batch, n);
  }
}

struct ThreadExit {
  ~ThreadExit() {
    for (int i = 0; i < kClassCount; ++i) ReturnBatch(i, t_cache.lists[i], t_cache.lists[i].count);
    Registry().Remove(&t_cache.counters);
    t_cache.counters.used_bytes.store(0, std::memory_order_relaxed);
    t_cache.counters.large_bytes.store(0, std::memory_order_relaxed);
    t_cache.registered = false;
  }
};

void RegisterThread() {
  if (t_cache.registered) return;
  t_cache.registered = true;
  Registry().Add(&t_cache.counters);
  thread_local ThreadExit at_exit;
  (void)at_exit;
}

void CountIn(std::atomic<int64_t>& counter, int64_t bytes) {
  counter.store(counter.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}
void Count(int64_t bytes) { CountIn(t_cache.counters.used_bytes, bytes); }
void CountLarge(int64_t bytes) {
  RegisterThread();
  Count(bytes);
  CountIn(t_cache.counters.large_bytes, bytes);
}

// From here on jemalloc gives whole pages, of which those that nobody touches take no memory.
constexpr size_t kPagesFromBytes = 16 * 1024;

// What malloc takes for a request above kSlabObjectBytesMax: jemalloc's size class, of which there
// are four to each doubling, or pages.
size_t LargeClassBytes(size_t bytes) {
  if (bytes > kPagesFromBytes)
    return (bytes + memory::kPageBytes.count - 1) & ~(memory::kPageBytes.count - 1);
  const size_t spacing = std::bit_floor(bytes - 1) / 4;
  return (bytes + spacing - 1) & ~(spacing - 1);
}

void* AllocateSlow(int class_index) {
  RegisterThread();
  ThreadList& list = t_cache.lists[class_index];
  void* batch[memory::kBatchMax];
  // Twice as many each time, one first: a value that grows goes through many classes, and would
  // touch pages of objects that nobody wants in each.
  list.batch = std::clamp(2 * list.batch, 1u, memory::BatchOf(class_index));
  const uint32_t n = Heap().Allocate(class_index, batch, list.batch);
  for (uint32_t i = n; i > 1; --i) {
    auto* object = static_cast<FreeObject*>(batch[i - 1]);
    object->next = list.head;
    list.head = object;
  }
  list.count += n - 1;
  return batch[0];
}

// What to ask malloc for; 0: nothing. From 16 KiB on jemalloc adds a page to each allocation, to
// let it begin anywhere in the first one, unless it is to begin at a page: 16 KiB would touch 20.
size_t LargeAlignment(size_t bytes, size_t rounded) {
  if (rounded >= kPagesFromBytes) return memory::kPageBytes.count;
  return bytes % 64 == 0 && rounded % 64 == 0 ? 64 : 0;
}

void* AllocateLarge(size_t bytes) {
  const size_t rounded = MemoryRoundUp(bytes);  // what the caller may use, with slabs or without
  CountLarge(static_cast<int64_t>(rounded));
  const size_t alignment = LargeAlignment(bytes, rounded);
  void* p = alignment > 0 ? std::aligned_alloc(alignment, rounded) : std::malloc(rounded);
  TG_CHECK(p != nullptr);
  return p;
}

}  // namespace

size_t MemoryRoundUp(size_t bytes) {
  if (bytes <= kSlabObjectBytesMax) return memory::ClassBytes(memory::ClassOf(bytes));
  return LargeClassBytes(bytes);
}

void* MemoryAllocate(size_t bytes) {
  if (__builtin_expect(!kUseSlabs || bytes > kSlabObjectBytesMax, 0)) return AllocateLarge(bytes);
  const int class_index = memory::ClassOf(bytes);
  Count(static_cast<int64_t>(memory::ClassBytes(class_index)));
  ThreadList& list = t_cache.lists[class_index];
  if (__builtin_expect(list.head == nullptr, 0)) return AllocateSlow(class_index);
  FreeObject* object = list.head;
  list.head = object->next;
  --list.count;
  return object;
}

void MemoryFree(void* memory, size_t bytes) {
  if (__builtin_expect(!kUseSlabs || bytes > kSlabObjectBytesMax, 0)) {
    CountLarge(-static_cast<int64_t>(MemoryRoundUp(bytes)));
    std::free(memory);
    return;
  }
  const int class_index = memory::ClassOf(bytes);
  Count(-static_cast<int64_t>(memory::ClassBytes(class_index)));
  ThreadList& list = t_cache.lists[class_index];
  auto* object = static_cast<FreeObject*>(memory);
  object->next = list.head;
  list.head = object;
  if (__builtin_expect(++list.count > 2 * memory::BatchOf(class_index), 0)) {
    RegisterThread();
    ReturnBatch(class_index, list, memory::BatchOf(class_index));
  }
}

uint64_t MemoryUsedBytes() { return AtLeastZero(Registry().Sum().used_bytes); }

int64_t MemoryUsedByThread() { return t_cache.counters.used_bytes.load(std::memory_order_relaxed); }

SlabMemory ReadSlabMemory() {
  if (!kUseSlabs) return {};
  const memory::CacheRegistry::Totals totals = Registry().Sum();
  const memory::SlabHeap::Slabs slabs = Heap().CountSlabs();
  const uint64_t active = slabs.in_use * memory::kSlabBytes.count;
  return {.used_bytes = std::min(AtLeastZero(totals.used_bytes - totals.large_bytes), active),
          .active_bytes = active,
          .resident_bytes = active + slabs.ready * memory::kSlabBytes.count};
}

void MemoryFlushCache() {
  for (int i = 0; i < kClassCount; ++i) ReturnBatch(i, t_cache.lists[i], t_cache.lists[i].count);
}

void MemoryRest() {
  if (!kUseSlabs) return;
  const int64_t used = MemoryUsedByThread();
  if (used != std::exchange(t_cache.rest_used_bytes, used)) {
    t_cache.rest_calls = 0;
  } else if (t_cache.rest_calls < kMemoryRestCalls && ++t_cache.rest_calls == kMemoryRestCalls) {
    MemoryFlushCache();
    Heap().ReleaseEmpty();
  }
}

size_t MemoryChooseSparse(int class_index) {
  return kUseSlabs ? Heap().ChooseSparse(class_index) : 0;
}
void MemoryUnchoose(int class_index) {
  if (kUseSlabs) Heap().Unchoose(class_index);
}
int MemoryClassCount() { return kClassCount; }

bool MemoryIsSparse(const void* memory, size_t bytes) {
  return kUseSlabs && bytes <= kSlabObjectBytesMax && memory::SlabHeap::IsChosen(memory);
}

void* MemoryMove(void* memory, size_t bytes) {
  TG_DCHECK(MemoryIsSparse(memory, bytes));
  // Past the thread's own list, which may have objects of the slabs that shall become empty.
  const int class_index = memory::ClassOf(bytes);
  void* fresh = nullptr;
  Heap().Allocate(class_index, &fresh, 1);
  std::memcpy(fresh, memory, bytes);
  Heap().Free(class_index, &memory, 1);
  ++t_moves;
  return fresh;
}
uint64_t MemoryMoves() { return t_moves; }

void MemoryPurge() {
  if (kUseSlabs) Heap().Purge();
}

}  // namespace tidegate
