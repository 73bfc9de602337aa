#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tidegate {

void CheckFailed(const char* file, int line, const char* expression) noexcept {
  std::fprintf(stderr, "CHECK failed: %s:%d: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace tidegate
