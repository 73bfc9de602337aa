// ProcessStats: what the system knows about this process, for INFO cpu and /metrics.
// Threads: any; nothing is kept. Cost: two system calls and a listing of
// /proc/self/fd; not for the request path.
#pragma once

#include <cstdint>

namespace tidegate {

struct ProcessStats {
  double cpu_user_seconds = 0;  // all threads
  double cpu_system_seconds = 0;
  double thread_cpu_user_seconds = 0;  // the calling thread alone
  double thread_cpu_system_seconds = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
};

ProcessStats ReadProcessStats();

}  // namespace tidegate
