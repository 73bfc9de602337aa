#include "base/program_pages.h"

#include <link.h>
#include <sys/mman.h>

#include <cstdint>

namespace tidegate {
namespace {

// The kernel's number; headers before 5.14 lack the name.
constexpr int kPopulateRead = 22;
constexpr uintptr_t kPageBytes = 4096;

// Called for each object of the process, the program first.
int MapFirst(dl_phdr_info* info, size_t /*size*/, void* data) {
  auto& mapped = *static_cast<size_t*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (info->dlpi_addr + segment.p_vaddr) & ~(kPageBytes - 1);
    const uintptr_t end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    const size_t bytes = (end - begin + kPageBytes - 1) & ~(kPageBytes - 1);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the linker gives addresses as numbers
    if (madvise(reinterpret_cast<void*>(begin), bytes, kPopulateRead) == 0) mapped += bytes;
  }
  return 1;
}

}  // namespace

size_t MapProgramPages() {
  size_t mapped = 0;
  dl_iterate_phdr(MapFirst, &mapped);
  return mapped;
}

}  // namespace tidegate
