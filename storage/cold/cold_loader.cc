#include "storage/cold/cold_loader.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/cold/residency.h"
#include "storage/engine.h"

namespace tidegate {
namespace {

// Failures that are logged: one in this time.
constexpr int64_t kFailureLineNanos = 1'000'000'000;

// After so long a warm-up goes on for long.
constexpr int64_t kLongWarmUpNanos = 30'000'000'000;

// Keys for which another thread is worth its start.
constexpr size_t kKeysPerThreadMin = 16;

std::string Count(uint64_t n, const char* what) { return std::to_string(n) + " " + what; }

}  // namespace

ColdLoader::ColdLoader(Engine& engine, const ColdStart& start, std::vector<uint32_t> databases)
    : engine_(engine),
      residency_(engine.residency()),
      source_(*start.source),
      warms_up_(start.warms_up),
      warm_up_(std::move(databases), start.hot),
      workers_(MakeWorkers(engine, start, counters_)),
      keeper_(engine, workers_.front()->reader, start, counters_) {}

std::vector<std::unique_ptr<ColdLoader::Worker>> ColdLoader::MakeWorkers(Engine& engine,
                                                                         const ColdStart& start,
                                                                         ColdCounters& counters) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < std::max(start.threads, 1); ++i)
    workers.emplace_back(new Worker{ColdReader(engine, start, counters), std::thread()});
  return workers;
}

ColdLoader::~ColdLoader() { Stop(); }

void ColdLoader::Start() {
  const int64_t now_nanos = MonotonicNanos();
  counters_.begun_ms.store(now_nanos / 1'000'000);
  next_line_nanos_ = now_nanos + kProgressNanos;
  long_after_nanos_ = now_nanos + kLongWarmUpNanos;
  for (auto& worker : workers_) {
    const bool first = &worker == &workers_.front();
    worker->thread = std::thread([this, &worker, first] { Run(*worker, first); });
  }
}

void ColdLoader::Stop() {
  stopping_.store(true);
  for (auto& worker : workers_) worker->reader.Stop();
  queue_.Close(/*forced=*/true);
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

std::shared_ptr<ColdWait> ColdLoader::Add(const std::vector<ColdTarget>& wants,
                                          const Waiter& waiter, ColdWait* last) {
  std::unique_ptr<ColdHold> held = last == nullptr ? nullptr : last->TakeHold();
  const bool replaces = wants.size() == 1 && wants.front().kind == ColdTarget::Kind::kSlot;
  std::unique_ptr<ColdHold> hold =
      held != nullptr && !replaces
          ? std::move(held)
          : std::make_unique<ColdHold>(residency_.pins(), /*counted=*/true);
  for (const ColdTarget& target : wants) hold->Add(target);
  for (const ColdTarget& target : wants) {
    if (target.kind == ColdTarget::Kind::kSlot) {
      counters_.slots_on_demand.fetch_add(1, std::memory_order_relaxed);
      warm_up_.GoTo(target.slot);
    } else {
      counters_.keys_on_demand.fetch_add(1, std::memory_order_relaxed);
    }
  }
  return queue_.Add(wants, waiter, std::move(hold));
}

Status ColdLoader::LoadNow(std::span<const ColdTarget> keys) {
  for (const ColdTarget& target : keys) {
    TG_CHECK(target.kind == ColdTarget::Kind::kKey);
    Status status = workers_.front()->reader.LoadKey(target);
    if (!status.ok()) {
      NoteFailure(status.error());
      return status;
    }
  }
  return {};
}

// Disks are faster at many reads than at one.
void ColdLoader::LoadAhead(std::span<const ColdTarget> keys) {
  std::atomic<size_t> next{0};
  const auto load = [&](ColdReader& reader) {
    for (size_t i = next++; i < keys.size(); i = next++) {
      const Status status = reader.LoadKey(keys[i]);
      if (!status.ok()) NoteFailure(status.error());
    }
  };
  const size_t threads = std::min(workers_.size(), keys.size() / kKeysPerThreadMin + 1);
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i)
    others.emplace_back([&load, reader = &workers_[i]->reader] { load(*reader); });
  load(workers_.front()->reader);
  for (std::thread& thread : others) thread.join();
}

void ColdLoader::Run(Worker& worker, bool does_everything) {
  while (!queue_.closed()) {
    if (std::shared_ptr<ColdQueue::Load> load = queue_.Take()) {
      Execute(worker, std::move(load));
    } else if (!does_everything || !BackgroundStep(worker)) {
      EndIfThrough();
      queue_.WaitForWork(does_everything ? kExpiryLookNanos : kRetryNanos, does_everything);
    }
  }
  worker.reader.Release();
}

// When all is in memory who asked is answered, and nobody asks again.
void ColdLoader::EndIfThrough() {
  if (residency_.any()) return;
  queue_.EndEverything(/*failed=*/false);
  if (residency_.tiered()) return;  // nothing stays as it is
  if (!queue_.Close(/*forced=*/false) || counters_.ended_ms.exchange(MonotonicNanos() / 1'000'000))
    return;
  const ColdStats stats = Stats();
  log::Notice("Warm-up: everything is in memory, " + Count(stats.loaded_keys, "keys read in ") +
              Count(stats.elapsed_ms, "ms"));
}

void ColdLoader::Execute(Worker& worker, std::shared_ptr<ColdQueue::Load> load) {
  const ColdTarget& target = load->target;
  if (target.kind == ColdTarget::Kind::kKey) {
    const Status status = worker.reader.LoadKey(target);
    if (!status.ok()) NoteFailure(status.error());
    return queue_.End(*load, !status.ok());
  }
  Result<ColdReader::Progress> progress = worker.reader.LoadSome(target);
  if (!progress.ok()) NoteFailure(progress.error());
  if (progress.ok() && *progress == ColdReader::Progress::kMore)
    return queue_.PutBack(std::move(load));
  queue_.End(*load, !progress.ok());
}

bool ColdLoader::BackgroundStep(Worker& worker) {
  const int64_t began_nanos = MonotonicNanos();
  LogProgress(began_nanos);
  // In turn: either may have work for a long time.
  const bool kept = KeeperStep();
  const bool loaded =
      residency_.tiered() && queue_.wants_everything() ? EverythingStep() : WarmUpStep(worker);
  if (!kept && !loaded) return false;
  worked_nanos_ += MonotonicNanos() - began_nanos;
  Rest();
  return true;
}

// What expires before it is in memory matters where that is never, or late.
bool ColdLoader::LooksForExpiry(int64_t now_nanos) const {
  if (residency_.tiered()) return true;
  return warms_up_ &&
         (counters_.paused.load(std::memory_order_relaxed) || now_nanos > long_after_nanos_);
}

bool ColdLoader::KeeperStep() {
  const int64_t now_nanos = MonotonicNanos();
  if (residency_.tiered()) keeper_.Round(now_nanos);
  if (!residency_.any() || !LooksForExpiry(now_nanos)) return false;
  Result<bool> more = keeper_.StepExpiry(now_nanos);
  if (!more.ok()) NoteFailure(more.error());
  return more.ok() && *more;
}

// Of a tier: what leaves memory is held back meanwhile by who waits for this.
bool ColdLoader::EverythingStep() {
  if (!std::exchange(does_everything_, true)) keeper_.BeginEverything();
  const bool has_memory = HasMemory();
  Result<bool> more = has_memory ? keeper_.StepEverything() : Result<bool>(false);
  if (!more.ok()) NoteFailure(more.error());
  if (more.ok() && *more) return true;
  does_everything_ = false;
  queue_.EndEverything(/*failed=*/!has_memory || !more.ok());
  return true;
}

bool ColdLoader::WarmUpStep(Worker& worker) {
  const bool wanted = warms_up_ || queue_.wants_everything();
  if (!wanted || warm_up_ended_ || !residency_.any()) return false;
  if (!HasMemory()) {
    warm_up_ended_ = residency_.tiered();
    return false;
  }
  if (const std::optional<ColdTarget> key = warm_up_.NextKey()) {
    const Status status = worker.reader.LoadKey(*key, /*asked=*/false);
    if (!status.ok()) NoteFailure(status.error());
  } else if (!WarmUpSlot(worker)) {
    return false;
  }
  return true;
}

bool ColdLoader::WarmUpSlot(Worker& worker) {
  const std::optional<ColdTarget> slot = warm_up_.NextSlot();
  if (!slot) {
    warm_up_ended_ = warm_up_.through() && residency_.tiered();
    if (warm_up_.through()) return false;
    // What could not be read keeps all from being there.
    queue_.EndEverything(/*failed=*/true);
    queue_.WaitForWork(kRetryNanos, /*does_everything=*/true);
    return warm_up_.BeginRound();
  }
  Result<ColdReader::Progress> progress = worker.reader.LoadSome(*slot);
  if (!progress.ok()) {
    NoteFailure(progress.error());
    warm_up_.Failed();
  } else if (*progress == ColdReader::Progress::kThrough) {
    warm_up_.Done();
  }
  return true;
}

// As long as it has worked, so that requests have their part of the processors.
void ColdLoader::Rest() {
  if (worked_nanos_ < kWorkNanosMin) return;
  const int64_t rest_nanos = std::min(std::exchange(worked_nanos_, 0), kRestNanosMax);
  if (!queue_.wants_everything()) queue_.WaitForWork(rest_nanos, /*does_everything=*/true);
}

// Who waits for everything said so knowing what it takes; but where data may be larger than memory
// that is no limit at all.
bool ColdLoader::HasMemory() {
  const uint64_t limit = engine_.settings().maxmemory_bytes.load(std::memory_order_relaxed);
  const bool goes_over = queue_.wants_everything() && !residency_.tiered();
  const bool has = limit == 0 || goes_over || engine_.UsedMemoryBytes() < limit;
  counters_.paused.store(!has, std::memory_order_relaxed);
  return has;
}

void ColdLoader::LogProgress(int64_t now_nanos) {
  if (now_nanos < next_line_nanos_ || !residency_.any() || warm_up_ended_) return;
  next_line_nanos_ = now_nanos + kProgressNanos;
  const ColdStats stats = Stats();
  log::Notice("Warm-up: " + Count(stats.slots - std::min(stats.slots, stats.slots_left), "of ") +
              Count(stats.slots, "slots, ") + Count(stats.loaded_keys, "keys, ") +
              Count(stats.loaded_bytes / 1'000'000, "MB read") +
              (stats.paused != 0 ? "; it waits, maxmemory is reached" : ""));
}

void ColdLoader::NoteFailure(const Error& error) {
  counters_.failures.fetch_add(1, std::memory_order_relaxed);
  const int64_t now_nanos = MonotonicNanos();
  int64_t last = logged_nanos_.load(std::memory_order_relaxed);
  if (now_nanos - last < kFailureLineNanos ||
      !logged_nanos_.compare_exchange_strong(last, now_nanos))
    return;
  log::Warning("Keys that are not in memory yet cannot be read: " + error.message);
}

ColdStats ColdLoader::Stats() const {
  ColdStats stats;
  stats.slots = residency_.slots_at_start();
  stats.slots_left = residency_.cold_slots();
  stats.warming = stats.slots_left != 0 && !warm_up_ended_.load(std::memory_order_relaxed) ? 1 : 0;
  stats.paused = counters_.paused.load(std::memory_order_relaxed) && stats.warming != 0 ? 1 : 0;
  stats.loaded_keys = counters_.loaded_keys.load(std::memory_order_relaxed);
  stats.loaded_bytes = counters_.loaded_bytes.load(std::memory_order_relaxed);
  stats.keys_on_demand = counters_.keys_on_demand.load(std::memory_order_relaxed);
  stats.slots_on_demand = counters_.slots_on_demand.load(std::memory_order_relaxed);
  stats.failures = counters_.failures.load(std::memory_order_relaxed);
  stats.tiered = residency_.tiered() ? 1 : 0;
  stats.keys_in_memory = counters_.keys_in_memory.load(std::memory_order_relaxed);
  stats.absent_keys = counters_.absent_keys.load(std::memory_order_relaxed);
  stats.expired_on_disk = counters_.expired_on_disk.load(std::memory_order_relaxed);
  stats.holds = residency_.pins().holds();
  const int64_t begun_ms = counters_.begun_ms.load();
  const int64_t ended_ms = counters_.ended_ms.load();
  if (begun_ms != 0) {
    const int64_t until_ms = ended_ms != 0 ? ended_ms : MonotonicNanos() / 1'000'000;
    stats.elapsed_ms = static_cast<uint64_t>(until_ms - begun_ms);
  }
  return stats;
}

}  // namespace tidegate
