#include "proxy/process_limits.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/limits.h"

namespace tidegate {
namespace {

int Quotient(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<int>((quota + period - 1) / period);
}

// "max 100000" or "200000 100000".
int QuotaOfV2(const std::string& path) {
  std::ifstream file(path);
  int64_t quota = 0;
  int64_t period = 0;
  if (!(file >> quota >> period)) return 0;  // "max", or no such file
  return Quotient(quota, period);
}

int QuotaOfV1(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  int64_t quota = 0;
  int64_t period = 0;
  if (!(quota_file >> quota) || !(period_file >> period)) return 0;
  return Quotient(quota, period);
}

int LeastNonZero(int a, int b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// Path of our group in a line of /proc/self/cgroup: "0::/a/b" (v2), "4:cpu,cpuacct:/a/b" (v1).
struct GroupLine {
  std::string controllers;
  std::string path;
};

GroupLine ParseGroupLine(const std::string& line) {
  const size_t first = line.find(':');
  const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) return {};
  return {line.substr(first + 1, second - first - 1), line.substr(second + 1)};
}

bool NamesCpu(const std::string& controllers) {
  std::istringstream list(controllers);
  std::string one;
  while (std::getline(list, one, ',')) {
    if (one == "cpu") return true;
  }
  return false;
}

// A limit of any group above ours holds for us too.
template <typename ReadFn>
int LeastOnTheWayUp(const std::string& mount, std::string path, ReadFn read) {
  int least = 0;
  for (;;) {
    if (path == "/") path.clear();
    least = LeastNonZero(least, read(mount + path));
    if (path.empty()) return least;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

}  // namespace

int CgroupCpuQuota(const std::string& root) {
  const std::string mount = root + "sys/fs/cgroup";
  std::ifstream groups(root + "proc/self/cgroup");
  std::string line;
  int least = 0;
  while (std::getline(groups, line)) {
    const GroupLine group = ParseGroupLine(line);
    if (group.path.empty()) continue;
    if (group.controllers.empty()) {
      least = LeastNonZero(least, LeastOnTheWayUp(mount, group.path, [](const std::string& f) {
                             return QuotaOfV2(f + "/cpu.max");
                           }));
    } else if (NamesCpu(group.controllers)) {
      for (const char* name : {"/cpu", "/cpu,cpuacct"})
        least = LeastNonZero(least, LeastOnTheWayUp(mount + name, group.path, QuotaOfV1));
    }
  }
  return least;
}

int DefaultWorkers() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const int cores = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const int workers = LeastNonZero(CgroupCpuQuota("/"), cores);
  return std::clamp(workers, 1, kWorkersMax);
}

int64_t RaiseDescriptorLimit(int64_t maxclients) {
  const auto wanted = static_cast<rlim_t>(maxclients + kReservedDescriptors);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return maxclients;
  if (limit.rlim_cur >= wanted) return maxclients;
  rlimit raised = limit;
  raised.rlim_cur = wanted;
  raised.rlim_max = std::max(limit.rlim_max, wanted);
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return maxclients;
  raised.rlim_max = limit.rlim_max;
  raised.rlim_cur = std::min(wanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &raised) != 0) raised = limit;
  const auto granted = static_cast<int64_t>(raised.rlim_cur) - kReservedDescriptors;
  return std::clamp<int64_t>(granted, 1, maxclients);
}

}  // namespace tidegate
