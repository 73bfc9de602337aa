#include "proxy/observe/memory_stats.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "storage/store_memory.h"

// Only there when the program was linked with jemalloc.
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_size,
                                             void* new_value, size_t new_size);

namespace tidegate {

namespace {

// The start of a small file of /proc or /sys; empty when it cannot be read.
std::string ReadSmallFile(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char buffer[256];
  const ssize_t bytes = read(fd, buffer, sizeof(buffer));
  close(fd);
  return bytes > 0 ? std::string(buffer, static_cast<size_t>(bytes)) : std::string();
}

// The number that `text` begins with, which is then removed with the space behind it; 0: none.
uint64_t TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return 0;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.empty()) text.remove_prefix(1);
  return number;
}

uint64_t AllocatorFigure(const char* name) {
  size_t value = 0;
  size_t size = sizeof(value);
  return mallctl(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

std::optional<AllocatorStats> ReadAllocatorStats() {
  if (mallctl == nullptr) return std::nullopt;
  uint64_t epoch = 1;  // any write makes jemalloc add up its figures anew
  size_t size = sizeof(epoch);
  if (mallctl("epoch", &epoch, &size, &epoch, size) != 0) return std::nullopt;
  const SlabMemory slabs = ReadSlabMemory();
  return AllocatorStats{.allocated = AllocatorFigure("stats.allocated") + slabs.used_bytes,
                        .active = AllocatorFigure("stats.active") + slabs.active_bytes,
                        .resident = AllocatorFigure("stats.resident") + slabs.resident_bytes,
                        .mapped = AllocatorFigure("stats.mapped"),
                        .retained = AllocatorFigure("stats.retained"),
                        .metadata = AllocatorFigure("stats.metadata")};
}

}  // namespace

uint64_t ReadResidentBytes() {
  const std::string statm = ReadSmallFile("/proc/self/statm");
  std::string_view rest = statm;
  TakeNumber(rest);  // the virtual size
  return TakeNumber(rest) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

MemoryStats ReadMemoryStats() {
  MemoryStats stats;
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const std::string statm = ReadSmallFile("/proc/self/statm");
  std::string_view rest = statm;
  stats.virtual_bytes = TakeNumber(rest) * page_bytes;
  stats.resident_bytes = TakeNumber(rest) * page_bytes;
  stats.allocator = ReadAllocatorStats();
  return stats;
}

bool PurgeAllocator() {
  MemoryPurge();
  // 4096 is MALLCTL_ARENAS_ALL.
  return mallctl != nullptr && mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) == 0;
}

std::string AllocatorName() {
  const char* version = nullptr;
  size_t size = sizeof(version);
  if (mallctl == nullptr || mallctl("version", &version, &size, nullptr, 0) != 0) return "libc";
  const std::string_view text = version;  // "5.3.0-0-g54eaed1d8b…"
  return "jemalloc-" + std::string(text.substr(0, text.find('-')));
}

uint64_t SystemMemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  uint64_t bytes = static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes);
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const std::string limit = ReadSmallFile(path);  // a number, or "max"
    std::string_view rest = limit;
    if (const uint64_t number = TakeNumber(rest); number > 0) bytes = std::min(bytes, number);
  }
  return bytes;
}

}  // namespace tidegate
