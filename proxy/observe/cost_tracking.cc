#include "proxy/observe/cost_tracking.h"

#include <sys/resource.h>

#include <algorithm>
#include <unordered_map>

#include "proxy/observe/key_observer.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

struct ProcessorTime {
  int64_t user_ms = 0;
  int64_t system_ms = 0;
};

ProcessorTime TimeOfProcess() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto millis = [](const timeval& time) {
    return static_cast<int64_t>(time.tv_sec) * 1000 + time.tv_usec / 1000;
  };
  return {.user_ms = millis(usage.ru_utime), .system_ms = millis(usage.ru_stime)};
}

}  // namespace

std::shared_ptr<const CostSession> CostTracking::Begin(CostOptions options, size_t workers,
                                                       int64_t unix_ms) {
  const MutexLock lock(mutex_);
  if (IsActive(unix_ms)) return nullptr;
  auto session = std::make_shared<CostSession>();
  session->options = std::move(options);
  session->begin_unix_ms = unix_ms;
  const ProcessorTime now = TimeOfProcess();
  session->user_ms = now.user_ms;
  session->system_ms = now.system_ms;
  for (size_t i = 0; i < workers; ++i)
    session->workers.push_back(std::make_shared<KeyCosts>(session->options.selection));
  session_ = session;
  end_unix_ms_ = 0;
  return session;
}

bool CostTracking::IsActive(int64_t unix_ms) const {
  if (session_ == nullptr || end_unix_ms_ != 0) return false;
  return session_->options.duration_ms == 0 || unix_ms < EndTime(unix_ms);
}

int64_t CostTracking::EndTime(int64_t unix_ms) const {
  if (end_unix_ms_ != 0) return end_unix_ms_;
  const int64_t duration_ms = session_->options.duration_ms;
  return duration_ms == 0 ? unix_ms : session_->begin_unix_ms + duration_ms;
}

bool CostTracking::End(int64_t unix_ms) {
  const MutexLock lock(mutex_);
  if (!IsActive(unix_ms)) return false;
  end_unix_ms_ = std::max<int64_t>(unix_ms, 1);
  return true;
}

std::shared_ptr<const CostSession> CostTracking::EndIfOver(int64_t unix_ms) {
  const MutexLock lock(mutex_);
  if (session_ == nullptr || end_unix_ms_ != 0 || IsActive(unix_ms)) return nullptr;
  end_unix_ms_ = EndTime(unix_ms);
  return session_;
}

bool CostTracking::Reset(int64_t unix_ms) {
  const MutexLock lock(mutex_);
  if (IsActive(unix_ms)) return false;
  session_.reset();
  return true;
}

std::unique_ptr<CostReport> CostTracking::Report(int64_t unix_ms) const {
  std::shared_ptr<const CostSession> session;
  auto report = std::make_unique<CostReport>();
  {
    const MutexLock lock(mutex_);
    if (session_ == nullptr) return nullptr;
    session = session_;
    report->active = IsActive(unix_ms);
    report->duration_ms = std::min(unix_ms, EndTime(unix_ms)) - session_->begin_unix_ms;
  }
  report->options = session->options;
  report->begin_unix_ms = session->begin_unix_ms;
  const ProcessorTime now = TimeOfProcess();
  report->user_ms = now.user_ms - session->user_ms;
  report->system_ms = now.system_ms - session->system_ms;
  std::unordered_map<std::string, KeyCost> by_name;
  for (const auto& worker : session->workers) {
    const KeyCosts::Sums sums = worker->Take();
    for (const KeyCosts::Entry& entry : sums.keys) by_name[entry.name] += entry.cost;
    report->sums.all += sums.all;
    report->sums.selected += sums.selected;
    report->sums.sampled += sums.sampled;
  }
  for (auto& [name, cost] : by_name) report->sums.keys.push_back({name, cost});
  return report;
}

void TrackCosts(Worker& worker, const CostSession* session) {
  worker.key_observer().set_costs(
      session == nullptr ? nullptr : session->workers[static_cast<size_t>(worker.index())]);
  worker.FollowObserving();
}

void StopTrackingCosts(Worker& worker, const CostSession& session) {
  const auto& table = session.workers[static_cast<size_t>(worker.index())];
  if (worker.key_observer().costs() == table.get()) TrackCosts(worker, nullptr);
}

}  // namespace tidegate
