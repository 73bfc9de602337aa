#include "base/log.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace tidegate::log {
namespace {

std::atomic<LogSeverity> level{LogSeverity::kNotice};
std::atomic<int> descriptor{STDOUT_FILENO};

// Room for pid, role, time and mark before the text.
constexpr size_t kPrefixBytesMax = 96;

}  // namespace

void SetLevel(LogSeverity severity) { level.store(severity, std::memory_order_relaxed); }

bool Enabled(LogSeverity severity) { return severity >= level.load(std::memory_order_relaxed); }

Status OpenFile(const std::string& path) {
  int fd = STDOUT_FILENO;
  if (!path.empty()) {
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return Error{"open log file " + path + ": " + std::strerror(errno)};
  }
  const int before = descriptor.load();
  if (before == STDOUT_FILENO || fd == STDOUT_FILENO) {
    descriptor.store(fd);
    if (before != STDOUT_FILENO) close(before);
    return {};
  }
  // From file to file under the same number: a thread in the middle of Write never sees it closed.
  if (dup3(fd, before, O_CLOEXEC) < 0) {
    close(fd);
    return Error{"open log file " + path + ": " + std::strerror(errno)};
  }
  close(fd);
  return {};
}

int Descriptor() { return descriptor.load(); }

void Write(LogSeverity severity, std::string_view text) {
  if (!Enabled(severity)) return;
  timeval now{};
  gettimeofday(&now, nullptr);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  char time[64];
  std::strftime(time, sizeof time, "%d %b %Y %H:%M:%S", &local);
  char line[kPrefixBytesMax + kLogLineBytesMax + 1];
  const char mark = ".-*#"[static_cast<size_t>(severity)];
  int size = std::snprintf(line, kPrefixBytesMax, "%d:M %s.%03d %c ", static_cast<int>(getpid()),
                           time, static_cast<int>(now.tv_usec / 1000), mark);
  const size_t bytes = std::min(text.size(), kLogLineBytesMax);
  std::memcpy(line + size, text.data(), bytes);
  size += static_cast<int>(bytes);
  line[size++] = '\n';
  [[maybe_unused]] const ssize_t written =
      write(descriptor.load(), line, static_cast<size_t>(size));
}

}  // namespace tidegate::log
