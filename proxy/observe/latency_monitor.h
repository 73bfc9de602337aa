// LatencyMonitor: spikes by event, as LATENCY HISTORY/LATEST/RESET/GRAPH show them.
// Events over latency-monitor-threshold only, so a mutex is cheap enough. One sample per second and
// event is kept, the worst of it, 160 of them, as Redis does. Event names are Redis's: "command",
// "fast-command", "expire-cycle", "eviction-cycle". Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"

namespace tidegate {

inline constexpr size_t kLatencySamplesMax = 160;

struct LatencySample {
  int64_t unix_seconds = 0;
  uint32_t latency_ms = 0;
};

struct LatencyEvent {
  std::string name;
  LatencySample latest;
  uint32_t max_ms = 0;  // of all time
};

class LatencyMonitor final {
 public:
  // The caller has checked the threshold.
  void Add(std::string_view event, int64_t unix_seconds, uint32_t latency_ms) TG_EXCLUDES(mutex_);
  // Oldest first; empty for an event that never happened.
  std::vector<LatencySample> History(std::string_view event) const TG_EXCLUDES(mutex_);
  std::vector<LatencyEvent> Latest() const TG_EXCLUDES(mutex_);
  std::vector<std::string> Events() const TG_EXCLUDES(mutex_);
  // Forgets one event; returns whether there was one.
  bool Reset(std::string_view event) TG_EXCLUDES(mutex_);
  // Forgets all; returns how many there were.
  int64_t ResetAll() TG_EXCLUDES(mutex_);

 private:
  struct Series {
    std::array<LatencySample, kLatencySamplesMax> samples{};
    size_t next = 0;
    uint32_t max_ms = 0;
  };

  mutable Mutex mutex_;
  std::map<std::string, Series, std::less<>> series_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
