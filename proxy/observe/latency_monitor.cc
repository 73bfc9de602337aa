#include "proxy/observe/latency_monitor.h"

#include <algorithm>

namespace tidegate {

void LatencyMonitor::Add(std::string_view event, int64_t unix_seconds, uint32_t latency_ms) {
  MutexLock lock(mutex_);
  auto found = series_.find(event);
  if (found == series_.end()) found = series_.emplace(std::string(event), Series{}).first;
  Series& series = found->second;
  series.max_ms = std::max(series.max_ms, latency_ms);
  LatencySample& last = series.samples[(series.next + kLatencySamplesMax - 1) % kLatencySamplesMax];
  if (last.unix_seconds == unix_seconds) {
    last.latency_ms = std::max(last.latency_ms, latency_ms);
    return;
  }
  series.samples[series.next] = {unix_seconds, latency_ms};
  series.next = (series.next + 1) % kLatencySamplesMax;
}

std::vector<LatencySample> LatencyMonitor::History(std::string_view event) const {
  MutexLock lock(mutex_);
  std::vector<LatencySample> history;
  const auto found = series_.find(event);
  if (found == series_.end()) return history;
  const Series& series = found->second;
  for (size_t i = 0; i < kLatencySamplesMax; ++i) {
    const LatencySample& sample = series.samples[(series.next + i) % kLatencySamplesMax];
    if (sample.unix_seconds != 0) history.push_back(sample);
  }
  return history;
}

std::vector<LatencyEvent> LatencyMonitor::Latest() const {
  MutexLock lock(mutex_);
  std::vector<LatencyEvent> events;
  for (const auto& [name, series] : series_) {
    const size_t last = (series.next + kLatencySamplesMax - 1) % kLatencySamplesMax;
    events.push_back({name, series.samples[last], series.max_ms});
  }
  return events;
}

std::vector<std::string> LatencyMonitor::Events() const {
  MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, series] : series_) names.push_back(name);
  return names;
}

bool LatencyMonitor::Reset(std::string_view event) {
  MutexLock lock(mutex_);
  const auto found = series_.find(event);
  if (found == series_.end()) return false;
  series_.erase(found);
  return true;
}

int64_t LatencyMonitor::ResetAll() {
  MutexLock lock(mutex_);
  const auto count = static_cast<int64_t>(series_.size());
  series_.clear();
  return count;
}

}  // namespace tidegate
