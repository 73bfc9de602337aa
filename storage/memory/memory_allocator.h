// MemoryAllocator: lets containers of the standard library take their memory where values do.
//
// For the small ordered maps inside of values: what they hold is then counted and limited like all
// other memory of the keyspace. Stateless; any thread that may allocate.
#pragma once

#include <cstddef>

#include "storage/memory/memory.h"

namespace tidegate {

template <typename T>
struct MemoryAllocator {
  using value_type = T;  // NOLINT(readability-identifier-naming): the standard's name

  MemoryAllocator() = default;
  template <typename U>
  MemoryAllocator(const MemoryAllocator<U>& /*other*/) {}  // NOLINT(google-explicit-constructor)

  T* allocate(size_t n) { return static_cast<T*>(MemoryAllocate(n * sizeof(T))); }
  void deallocate(T* memory, size_t n) { MemoryFree(memory, n * sizeof(T)); }

  template <typename U>
  bool operator==(const MemoryAllocator<U>& /*other*/) const {
    return true;
  }
};

}  // namespace tidegate
