#include "storage/checkpoint/checkpointer.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "storage/checkpoint/checkpoint_sink.h"
#include "storage/persist/checkpoint_files.h"
#include "storage/persist/store.h"

namespace tidegate {
namespace {

// How often the journal's length is looked at.
constexpr std::chrono::milliseconds kLookPeriod{50};

// After a failure.
constexpr int64_t kRetryDelayNanos = 5'000'000'000;

// Between two lists of hot keys, each of which costs up to 0.2 s of a core.
constexpr int64_t kSamplePeriodNanos = 60'000'000'000;

constexpr double kNanosPerSecond = 1e9;

uint64_t Since(uint64_t now, uint64_t then) { return now > then ? now - then : 0; }

}  // namespace

Checkpointer::Checkpointer(Engine& engine, Store& store, std::function<JournalPosition()> position)
    : engine_(engine),
      store_(store),
      position_(std::move(position)),
      walker_(engine),
      sampler_(engine) {}

Checkpointer::~Checkpointer() { Stop(); }

void Checkpointer::Begin(const CheckpointLimits& limits, uint64_t replayed_bytes) {
  SetLimits(limits);
  base_bytes_.store(Since(position_().bytes, replayed_bytes), std::memory_order_relaxed);
  if (const auto checkpoint = store_.checkpoint())
    next_object_serial_ = checkpoint->next_object_serial;
  thread_ = std::thread([this] { Run(); });
}

void Checkpointer::SetLimits(const CheckpointLimits& limits) {
  records_max_.store(limits.records_max, std::memory_order_relaxed);
  bytes_max_.store(limits.bytes_max.count, std::memory_order_relaxed);
}

bool Checkpointer::Start() {
  MutexLock lock(mutex_);
  if (wanted_ || in_progress() || stopping_) return false;
  wanted_ = true;
  in_progress_.store(true, std::memory_order_relaxed);
  stats_.begin_nanos = MonotonicNanos();
  condition_.notify_one();
  return true;
}

void Checkpointer::Ask() {
  if (asked_.exchange(true)) return;
  MutexLock lock(mutex_);
  condition_.notify_one();
}

void Checkpointer::Abandon(bool engine_is_closed) {
  cancelled_.store(true);
  MutexLock lock(mutex_);
  stopping_ = true;
  condition_.notify_one();
  if (engine_is_closed) walker_.GiveUp();
}

void Checkpointer::Stop() {
  Abandon(/*engine_is_closed=*/false);
  if (thread_.joinable()) thread_.join();
}

void Checkpointer::Run() {
  pthread_setname_np(pthread_self(), "checkpoint");
  for (;;) {
    {
      MutexLock lock(mutex_);
      const bool asked = asked_.load() && MonotonicNanos() >= retry_at_nanos_;
      if (!wanted_ && !stopping_ && !asked) condition_.wait_for(mutex_, kLookPeriod);
      if (stopping_) return;
      if (!wanted_ && !IsDue()) continue;
      wanted_ = false;
      if (!in_progress()) stats_.begin_nanos = MonotonicNanos();
      in_progress_.store(true, std::memory_order_relaxed);
    }
    Make();
    in_progress_.store(false, std::memory_order_relaxed);
  }
}

bool Checkpointer::IsDue() const {
  if (MonotonicNanos() < retry_at_nanos_) return false;
  if (asked_.load()) return true;
  const JournalPosition now = position_();
  if (now.sequence <= store_.checkpoint_sequence()) return false;
  return Since(now.sequence, store_.checkpoint_sequence()) >=
             records_max_.load(std::memory_order_relaxed) ||
         Since(now.bytes, base_bytes_.load(std::memory_order_relaxed)) >=
             bytes_max_.load(std::memory_order_relaxed);
}

Status Checkpointer::Write(uint64_t& entries, uint64_t& bytes) {
  const std::unique_ptr<CheckpointFiles> files = store_.NewCheckpoint();
  CheckpointSink sink(*files, {.next_object_serial = next_object_serial_,
                               .attempt = {.number = ++attempts_, .saved = saved_attempt_},
                               .dead_objects = dead_objects_,
                               .cancelled = cancelled_,
                               .at_moment = [this](const CutMoment& moment) {
                                 moment_sequence_.store(moment.sequence, std::memory_order_relaxed);
                                 moment_bytes_.store(position_().bytes, std::memory_order_relaxed);
                                 has_moment_.store(true, std::memory_order_release);
                               }});
  walker_.Write(sink, &UnixMillis);
  next_object_serial_ = sink.next_object_serial();
  if (MonotonicNanos() >= sample_at_nanos_ && !cancelled_.load()) {
    sample_at_nanos_ = MonotonicNanos() + kSamplePeriodNanos;
    files->PutInfo(kHotKeysName, EncodeHotKeys(sampler_.Sample(UnixMillis())));
  }
  Status ended = [&]() -> Status {
    Result<CheckpointInfo> info = sink.Finish();
    if (!info.ok()) return std::move(info).error();
    return store_.Ingest(*files, *info);
  }();
  if (ended.ok()) saved_attempt_ = attempts_;
  dead_objects_ = ended.ok() ? std::vector<uint64_t>() : sink.TakeReplacedObjects();
  entries = sink.entries();
  bytes = files->bytes();
  return ended;
}

double Checkpointer::Pressure(const JournalPosition& now) const {
  if (!has_moment_.load(std::memory_order_acquire)) return 0;
  const auto grown = [](uint64_t at, const std::atomic<uint64_t>& from,
                        const std::atomic<uint64_t>& max) {
    const auto limit =
        static_cast<double>(std::max<uint64_t>(max.load(std::memory_order_relaxed), 1));
    return static_cast<double>(Since(at, from.load(std::memory_order_relaxed))) / limit;
  };
  const double growth = std::max(grown(now.sequence, moment_sequence_, records_max_),
                                 grown(now.bytes, moment_bytes_, bytes_max_));
  return std::clamp((growth - kUnhurriedGrowth) / (kGrowthMax - kUnhurriedGrowth), 0.0, 1.0);
}

void Checkpointer::Make() {
  asked_.store(false);
  uint64_t entries = 0;
  uint64_t bytes = 0;
  const Status made = Write(entries, bytes);
  const uint64_t journal_bytes = moment_bytes_.load(std::memory_order_relaxed);
  has_moment_.store(false, std::memory_order_relaxed);
  engine_.CheckpointEnded(made.ok());
  if (cancelled_.load()) return;
  MutexLock lock(mutex_);
  const int64_t nanos = MonotonicNanos() - stats_.begin_nanos;
  stats_.last_seconds = static_cast<double>(nanos) / kNanosPerSecond;
  if (!made.ok()) {
    ++stats_.failures;
    ++stats_.consecutive_failures;
    retry_at_nanos_ = MonotonicNanos() + kRetryDelayNanos;
    return log::Warning("Checkpoint failed: " + made.error().message + ": the journal is kept");
  }
  base_bytes_.store(journal_bytes, std::memory_order_relaxed);
  ++stats_.count;
  stats_.consecutive_failures = 0;
  stats_.entries += entries;
  stats_.bytes += bytes;
  stats_.last_entries = entries;
  stats_.last_bytes = bytes;
  log::Notice("Checkpoint at record " + std::to_string(store_.checkpoint_sequence()) + ": " +
              std::to_string(entries) + " changed keys, " + std::to_string(bytes) + " bytes, " +
              FormatFixed(stats_.last_seconds, 3) + " seconds");
}

CheckpointStats Checkpointer::Stats() const {
  const JournalPosition now = position_();
  const auto checkpoint = store_.checkpoint();
  MutexLock lock(mutex_);
  CheckpointStats stats = stats_;
  stats.in_progress = in_progress() ? 1 : 0;
  if (checkpoint) {
    stats.last_unix_ms = checkpoint->unix_ms;
    stats.last_sequence = checkpoint->sequence;
  }
  stats.journal_records = Since(now.sequence, stats.last_sequence);
  stats.journal_bytes = Since(now.bytes, base_bytes_.load(std::memory_order_relaxed));
  return stats;
}

}  // namespace tidegate
