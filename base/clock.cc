#include "base/clock.h"

#include <ctime>
#include <fstream>
#include <string>

namespace tidegate {
namespace {

int64_t ReadClock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// The counter is a clock only when it runs at one rate and goes on in idle states.
bool HasConstantCounter() {
#if defined(__x86_64__)
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line)) {
    if (line.rfind("flags", 0) != 0) continue;
    return line.find("constant_tsc") != std::string::npos &&
           line.find("nonstop_tsc") != std::string::npos;
  }
#endif
  return false;
}

// Two readings 2 ms apart: 0.1% exact, which is enough for latencies.
double MeasureNanosPerTick(bool usable) {
  if (!usable) return 1.0;
#if defined(__x86_64__)
  const int64_t t0 = ReadClock(CLOCK_MONOTONIC);
  const uint64_t c0 = __rdtsc();
  int64_t t1 = t0;
  while (t1 - t0 < 2'000'000) t1 = ReadClock(CLOCK_MONOTONIC);
  const uint64_t c1 = __rdtsc();
  return static_cast<double>(t1 - t0) / static_cast<double>(c1 - c0);
#else
  return 1.0;
#endif
}

}  // namespace

namespace internal {
const bool kTimeStampCounterUsable = HasConstantCounter();
const double kNanosPerTick = MeasureNanosPerTick(kTimeStampCounterUsable);
}  // namespace internal

int64_t UnixMillis() { return ReadClock(CLOCK_REALTIME) / 1'000'000; }
int64_t UnixMicros() { return ReadClock(CLOCK_REALTIME) / 1'000; }
int64_t MonotonicNanos() { return ReadClock(CLOCK_MONOTONIC); }
int64_t ThreadCpuNanos() { return ReadClock(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace tidegate
