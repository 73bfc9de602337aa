#include "proxy/server_stats.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

// Sums that RESETSTAT sets back, so that summing and subtracting cannot disagree on the list.
constexpr std::pair<uint64_t ServerTotals::*, WorkerCounter WorkerCounters::*> kResettable[] = {
    {&ServerTotals::connections_received, &WorkerCounters::connections_received},
    {&ServerTotals::commands_processed, &WorkerCounters::commands_processed},
    {&ServerTotals::net_input_bytes, &WorkerCounters::net_input_bytes},
    {&ServerTotals::net_output_bytes, &WorkerCounters::net_output_bytes},
    {&ServerTotals::input_buffer_closings, &WorkerCounters::input_buffer_closings},
    {&ServerTotals::output_limit_closings, &WorkerCounters::output_limit_closings},
    {&ServerTotals::idle_closings, &WorkerCounters::idle_closings},
    {&ServerTotals::age_closings, &WorkerCounters::age_closings},
    {&ServerTotals::protocol_errors, &WorkerCounters::protocol_errors},
    {&ServerTotals::reads_processed, &WorkerCounters::reads_processed},
    {&ServerTotals::writes_processed, &WorkerCounters::writes_processed},
    {&ServerTotals::auth_failures, &WorkerCounters::auth_failures},
};

constexpr std::pair<uint64_t ServerTotals::*, WorkerCounter WorkerCounters::*> kPresent[] = {
    {&ServerTotals::sessions, &WorkerCounters::sessions},
    {&ServerTotals::sessions_suspended, &WorkerCounters::sessions_suspended},
    {&ServerTotals::monitors, &WorkerCounters::monitors},
};

ServerTotals SumOf(std::span<const std::unique_ptr<Worker>> workers) {
  ServerTotals totals;
  for (const auto& worker : workers) {
    const WorkerCounters& counters = worker->counters();
    for (const auto& [total, counter] : kResettable) totals.*total += (counters.*counter).Get();
    for (const auto& [total, counter] : kPresent) totals.*total += (counters.*counter).Get();
    totals.session_input_bytes_max =
        std::max(totals.session_input_bytes_max, counters.session_input_bytes_max.Get());
    totals.session_output_bytes_max =
        std::max(totals.session_output_bytes_max, counters.session_output_bytes_max.Get());
    totals.loop_turn_nanos_max =
        std::max(totals.loop_turn_nanos_max, TicksToNanos(counters.loop_turn_ticks_max.Get()));
  }
  return totals;
}

CommandTotals SumOfCommand(std::span<const std::unique_ptr<Worker>> workers, uint32_t id,
                           bool with_latency) {
  CommandTotals sum;
  for (const auto& worker : workers) {
    const CommandCounters& counters = worker->command_stats().of(id);
    sum.calls += counters.calls.Get();
    sum.nanos += static_cast<uint64_t>(counters.nanos());
    sum.failed += counters.failed.Get();
    sum.rejected += counters.rejected.Get();
    const LatencyHistogram* latency = counters.latency.load(std::memory_order_acquire);
    if (!with_latency || latency == nullptr) continue;
    sum.latency.resize(LatencyHistogram::kBuckets);
    for (int i = 0; i < LatencyHistogram::kBuckets; ++i)
      sum.latency[static_cast<size_t>(i)] += latency->CountOf(i);
  }
  return sum;
}

}  // namespace

void Server::SampleActivity() {
  const ServerTotals totals = SumOf(workers_);
  activity_.Sample(MonotonicNanos(),
                   {totals.commands_processed, totals.net_input_bytes, totals.net_output_bytes},
                   engine_->UsedMemoryBytes());
}

ServerTotals Server::Totals() const {
  ServerTotals totals = SumOf(workers_);
  totals.connections_rejected = connections_rejected_.Get();
  MutexLock lock(stats_base_mutex_);
  for (const auto& [total, counter] : kResettable) totals.*total -= stats_base_->totals.*total;
  totals.connections_rejected -= stats_base_->totals.connections_rejected;
  return totals;
}

CommandTotals Server::TotalsOfCommand(uint32_t command_id, bool with_latency) const {
  CommandTotals sum = SumOfCommand(workers_, command_id, with_latency);
  MutexLock lock(stats_base_mutex_);
  if (stats_base_->commands.empty()) return sum;
  const CommandTotals& base = stats_base_->commands[command_id];
  sum.calls -= base.calls;
  sum.nanos -= base.nanos;
  sum.failed -= base.failed;
  sum.rejected -= base.rejected;
  for (size_t i = 0; i < std::min(sum.latency.size(), base.latency.size()); ++i)
    sum.latency[i] -= base.latency[i];
  if (sum.calls == 0) sum.latency.clear();
  return sum;
}

void Server::ForgetStatsOf(uint32_t command_id) {
  MutexLock lock(stats_base_mutex_);
  stats_base_->commands.resize(command_ids_max_);
  stats_base_->commands[command_id] = SumOfCommand(workers_, command_id, true);
}

void Server::ResetStats() {
  {
    MutexLock lock(stats_base_mutex_);
    stats_base_->totals = SumOf(workers_);
    stats_base_->totals.connections_rejected = connections_rejected_.Get();
    stats_base_->commands.clear();
    for (uint32_t id = 0; id < command_ids_max_; ++id)
      stats_base_->commands.push_back(SumOfCommand(workers_, id, true));
  }
  for (const auto& worker : workers_)
    worker->Post([](Worker& at) {
      at.mutable_counters().loop_turn_ticks_max.Set(0);
      at.mutable_counters().loop_turn_work_nanos_max.Set(0);
      at.mutable_counters().loop_lag_nanos_max.Set(0);
    });
  error_stats_.Reset();
  engine_->ResetStats();
}

}  // namespace tidegate
