#include "proxy/observe/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>

namespace tidegate {

namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

uint64_t CountOpenFds() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  uint64_t entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries < 3 ? 0 : entries - 3;  // ".", ".." and the directory's own
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    stats.cpu_user_seconds = Seconds(usage.ru_utime);
    stats.cpu_system_seconds = Seconds(usage.ru_stime);
  }
  if (getrusage(RUSAGE_THREAD, &usage) == 0) {
    stats.thread_cpu_user_seconds = Seconds(usage.ru_utime);
    stats.thread_cpu_system_seconds = Seconds(usage.ru_stime);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = limit.rlim_cur;
  stats.open_fds = CountOpenFds();
  return stats;
}

}  // namespace tidegate
