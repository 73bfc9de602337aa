#include "storage/memory/memory.h"

#include <atomic>
#include <cstdlib>

#include "base/check.h"
#include "storage/memory/slab.h"

namespace tidegate {
namespace {

using memory::kClassCount;

#ifdef TIDEGATE_SANITIZE
constexpr bool kUseSlabs = false;
#else
constexpr bool kUseSlabs = true;
#endif

// Of jemalloc: its classes, four per doubling; above them it takes whole pages.
constexpr size_t kMallocClassesPerDoubling = 4;
constexpr size_t kMallocClassBytesMax = (16_KiB).count;

struct FreeObject {
  FreeObject* next;
};

struct ThreadList {
  FreeObject* head;
  uint32_t count;
};

// Plain data, so that access is one segment-relative load without an initialization guard. The exit
// of the thread is seen by ThreadExit, which is made on the slow path.
struct ThreadCache {
  ThreadList lists[kClassCount];
  std::atomic<int64_t> used_bytes;  // written by its thread only
  bool registered;
};
constinit thread_local ThreadCache t_cache{};

// Never destroyed: threads may outlive main.
memory::CacheRegistry& Registry() {
  static auto* registry = new memory::CacheRegistry;
  return *registry;
}
memory::SlabHeap& Heap() {
  static auto* heap = new memory::SlabHeap;
  return *heap;
}

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
    Registry().Remove(&t_cache.used_bytes);
    t_cache.used_bytes.store(0, std::memory_order_relaxed);
    t_cache.registered = false;
  }
};

void RegisterThread() {
  if (t_cache.registered) return;
  t_cache.registered = true;
  Registry().Add(&t_cache.used_bytes);
  thread_local ThreadExit at_exit;
  (void)at_exit;
}

void Count(int64_t bytes) {
  t_cache.used_bytes.store(t_cache.used_bytes.load(std::memory_order_relaxed) + bytes,
                           std::memory_order_relaxed);
}

void* AllocateSlow(int class_index) {
  RegisterThread();
  ThreadList& list = t_cache.lists[class_index];
  void* batch[memory::kBatchMax];
  const uint32_t n = Heap().Allocate(class_index, batch, memory::BatchOf(class_index));
  for (uint32_t i = n; i > 1; --i) {
    auto* object = static_cast<FreeObject*>(batch[i - 1]);
    object->next = list.head;
    list.head = object;
  }
  list.count += n - 1;
  return batch[0];
}

void* AllocateLarge(size_t bytes) {
  RegisterThread();
  const size_t rounded = MemoryRoundUp(bytes);  // what the caller may use, with slabs or without
  Count(static_cast<int64_t>(rounded));
  void* p = rounded % 64 == 0 ? std::aligned_alloc(64, rounded) : std::malloc(rounded);
  TG_CHECK(p != nullptr);
  return p;
}

}  // namespace

size_t MemoryRoundUp(size_t bytes) {
  if (bytes <= kSlabObjectBytesMax) return memory::ClassBytes(memory::ClassOf(bytes));
  size_t step = memory::kPageBytes.count;
  if (bytes <= kMallocClassBytesMax) {
    // Of the power of two that is below `bytes`.
    const int log2 = 63 - __builtin_clzll(bytes - 1);
    step = (size_t{1} << log2) / kMallocClassesPerDoubling;
  }
  return (bytes + step - 1) / step * step;
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
    RegisterThread();
    Count(-static_cast<int64_t>(MemoryRoundUp(bytes)));
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

uint64_t MemoryUsedBytes() {
  const int64_t used = Registry().Sum();
  return used > 0 ? static_cast<uint64_t>(used) : 0;
}

}  // namespace tidegate
