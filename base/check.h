// Assertions. A bug ends the process with file, line and expression; it never limps on.
// TG_CHECK is always on. TG_DCHECK is for hot paths: on in debug and sanitizer builds only.
// Errors that a client, the network or the disk can cause are not bugs: see result.h.
#pragma once

namespace tidegate {

// Prints "CHECK failed: file:line: expression" and aborts; the crash reporter adds stack and
// context.
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression) noexcept;

}  // namespace tidegate

#define TG_CHECK(condition)                                  \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::tidegate::CheckFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define TG_DCHECK(condition) static_cast<void>(sizeof(!(condition)))
#else
#define TG_DCHECK(condition) TG_CHECK(condition)
#endif
