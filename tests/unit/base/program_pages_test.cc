#include "base/program_pages.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace tidegate {
namespace {

struct Mapping {
  size_t size_kb = 0;
  size_t resident_kb = 0;
};

// The mapping around an address, by /proc/self/smaps.
Mapping MappingOf(uintptr_t address) {
  std::ifstream file("/proc/self/smaps");
  Mapping mapping;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char dash = 0;
    std::istringstream range(line);
    if (range >> std::hex >> begin >> dash >> end && dash == '-') {
      if (inside) break;
      inside = begin <= address && address < end;
      continue;
    }
    std::istringstream field(line);
    std::string name;
    size_t value = 0;
    if (!inside || !(field >> name >> value)) continue;
    if (name == "Size:") mapping.size_kb = value;
    if (name == "Rss:") mapping.resident_kb = value;
  }
  return mapping;
}

TEST(ProgramPages, AllOfTheCodeIsMapped) {
  if (MapProgramPages() == 0) GTEST_SKIP() << "this kernel cannot";
  const Mapping code = MappingOf(reinterpret_cast<uintptr_t>(&MapProgramPages));
  EXPECT_GT(code.size_kb, 1024u);
  EXPECT_EQ(code.resident_kb, code.size_kb);
}

}  // namespace
}  // namespace tidegate
