#include "proxy/commands/memory_report.h"

#include <algorithm>
#include <cstdio>

namespace tidegate {
namespace {

// Tables are not counted apart: a word of 8 bytes for each key, at their usual load of 0.8.
constexpr uint64_t kTableBytesPerKey = 10;

}  // namespace

double Ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

uint64_t MemoryReport::overhead_bytes() const {
  return std::min(table_bytes + client_bytes, used_bytes);
}
double MemoryReport::dataset_percent() const { return Ratio(dataset_bytes(), used_bytes) * 100; }
double MemoryReport::peak_percent() const { return Ratio(used_bytes, peak_bytes) * 100; }

AllocatorStats MemoryReport::allocator() const {
  if (process.allocator) return *process.allocator;
  return {.allocated = used_bytes, .active = used_bytes, .resident = used_bytes};
}

double MemoryReport::fragmentation() const { return Ratio(process.resident_bytes, used_bytes); }

int64_t MemoryReport::fragmentation_bytes() const {
  return static_cast<int64_t>(process.resident_bytes) - static_cast<int64_t>(used_bytes);
}

MemoryReport ReadMemoryReport(Server& server) {
  MemoryReport report;
  report.used_bytes = server.engine().UsedMemoryBytes();
  report.peak_bytes = server.activity().PeakMemoryBytes(report.used_bytes);
  for (int db = 0; db < server.engine().databases(); ++db) {
    report.keys += server.engine().StatsOfDb(db).keys;
  }
  report.table_bytes = std::min(report.keys * kTableBytesPerKey, report.used_bytes);
  report.client_bytes = server.engine().ClientMemoryBytes();
  report.pending_free_bytes = server.engine().PendingFreeBytes();
  report.process = ReadMemoryStats();
  return report;
}

std::string HumanBytes(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + "B";
  constexpr char kUnits[] = {'K', 'M', 'G', 'T', 'P'};
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < sizeof kUnits) {
    amount /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.2f%c", amount, kUnits[unit]);
  return text;
}

std::string MemoryDoctorText(const MemoryReport& report) {
  constexpr uint64_t kTooLittleBytes = 5 << 20;
  constexpr double kHighPeak = 1.5;
  constexpr double kHighFragmentation = 1.4;
  constexpr int64_t kHighFragmentationBytes = 10 << 20;
  if (report.used_bytes < kTooLittleBytes) {
    return "There is too little data here to say anything about its memory.\n";
  }
  std::string issues;
  if (Ratio(report.peak_bytes, report.used_bytes) > kHighPeak) {
    issues +=
        " * Peak: once more than 150% of today's memory was in use. What the allocator keeps "
        "of that will be used again by new data; MEMORY PURGE gives back what it can.\n\n";
  }
  if (report.fragmentation() > kHighFragmentation &&
      report.fragmentation_bytes() > kHighFragmentationBytes) {
    issues +=
        " * Resident memory: the process takes more than 1.4 times the memory of its data. "
        "A peak in the past, or values that changed their size again and again are the usual "
        "causes; what the process takes without any data counts too.\n\n";
  }
  if (issues.empty()) return "No memory problem was found.\n";
  return "Memory problems were found:\n\n" + issues;
}

}  // namespace tidegate
