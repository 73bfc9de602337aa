// What the machine grants this process: processors, and descriptors.
// Processors: the CPU quota of the cgroup (v2 cpu.max on the way up from our own group, else v1's
// cfs quota), the affinity mask, the cores; the least of them, so that a container with two CPUs on
// a machine of 64 runs two workers. Descriptors: as redis-server, maxclients and a reserve are
// asked of RLIMIT_NOFILE, and maxclients shrinks to what is granted. Threads: the main thread at
// start.
#pragma once

#include <cstdint>
#include <string>

namespace tidegate {

// Descriptors for everything that is not a client. As Redis's CONFIG_MIN_RESERVED_FDS.
inline constexpr int64_t kReservedDescriptors = 32;

// Worker threads to run by default, at least 1, at most kWorkersMax.
int DefaultWorkers();

// The quota in whole processors (rounded up) that cgroup files under `root` ("/") grant; 0: none.
int CgroupCpuQuota(const std::string& root);

// Raises the descriptor limit so that `maxclients` fit; returns how many do.
int64_t RaiseDescriptorLimit(int64_t maxclients);

}  // namespace tidegate
