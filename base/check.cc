#include "base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/log.h"

namespace tidegate {

void CheckFailed(const char* file, int line, const char* expression) noexcept {
  char text[kLogLineBytesMax];
  std::snprintf(text, sizeof text, "CHECK failed: %s:%d: %s", file, line, expression);
  std::fprintf(stderr, "%s\n", text);
  std::fflush(stderr);
  // Where the crash report will stand, which does not know the reason.
  if (log::Descriptor() != STDOUT_FILENO) log::Warning(text);
  std::abort();
}

}  // namespace tidegate
