// MemoryReport: one consistent look at the process's memory for INFO memory, MEMORY STATS and
// MEMORY DOCTOR, so that the three never disagree. "Used" is what maxmemory limits: keys, values
// and tables, and what clients' buffers take. What the process takes before it has any data or
// client (code, the slots, the workers' own buffers: some MiB) is in the resident set alone. Cost:
// that of ReadMemoryStats. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/observe/memory_stats.h"
#include "proxy/server.h"

namespace tidegate {

struct MemoryReport {
  uint64_t used_bytes = 0;
  uint64_t peak_bytes = 0;
  uint64_t table_bytes = 0;         // of these, about: the tables
  uint64_t client_bytes = 0;        // of these: sessions and their buffers
  uint64_t pending_free_bytes = 0;  // of these: what waits to be freed
  uint64_t keys = 0;
  MemoryStats process;

  uint64_t overhead_bytes() const;
  uint64_t dataset_bytes() const { return used_bytes - overhead_bytes(); }
  // The rest of used memory that is data, 0 .. 100.
  double dataset_percent() const;
  double peak_percent() const;
  // The slabs and jemalloc together. Without an allocator that tells: what is used.
  AllocatorStats allocator() const;
  // Resident by used bytes; 0 when nothing is used.
  double fragmentation() const;
  int64_t fragmentation_bytes() const;
};

MemoryReport ReadMemoryReport(Server& server);

// "1.42M", as INFO's …_human fields.
std::string HumanBytes(uint64_t bytes);

// a / b, and 0 when b is.
double Ratio(uint64_t a, uint64_t b);

// MEMORY DOCTOR's words.
std::string MemoryDoctorText(const MemoryReport& report);

}  // namespace tidegate
