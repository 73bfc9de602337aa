// MemoryStats: where the process's memory is, as the system and the allocator see it. INFO memory,
// MEMORY STATS, MEMORY DOCTOR and /metrics read the same figures from here.
//
//   engine    Engine::UsedMemoryBytes(): keys, values, tables and clients, what maxmemory limits
//   allocator jemalloc's view and the engine's slabs (storage/memory/memory.h) added up:
//             allocated <= active <= resident
//   system    resident and virtual size of the whole process
//
// Threads: any; nothing is kept. Cost: one read of /proc/self/statm, and jemalloc's sum over its
// arenas, about 50 microseconds together; not for the request path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tidegate {

// In bytes; mapped and below are jemalloc's alone.
struct AllocatorStats {
  uint64_t allocated = 0;  // asked for by the program, rounded to size classes
  uint64_t active = 0;     // pages that hold any of it
  uint64_t resident = 0;   // pages in memory: active, unused ones that are kept, and metadata
  uint64_t mapped = 0;
  uint64_t retained = 0;  // address space kept without memory
  uint64_t metadata = 0;
};

struct MemoryStats {
  uint64_t resident_bytes = 0;  // RSS; 0 where /proc is missing
  uint64_t virtual_bytes = 0;
  std::optional<AllocatorStats> allocator;  // none: the process runs with another malloc
};

MemoryStats ReadMemoryStats();
// Of these the first alone, which is cheap.
uint64_t ReadResidentBytes();

// Gives back to the system what the allocator keeps unused (MEMORY PURGE). Whether it could.
bool PurgeAllocator();

// "jemalloc-5.3.0", or "libc" for any other. INFO's mem_allocator.
std::string AllocatorName();

// Memory of the machine, and what this process may use of it (the cgroup's limit; as much as the
// machine has when there is none). 0: unknown.
uint64_t SystemMemoryBytes();

}  // namespace tidegate
