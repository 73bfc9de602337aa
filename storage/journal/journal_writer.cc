#include "storage/journal/journal_writer.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace tidegate {
namespace {

constexpr std::chrono::milliseconds kSleepMax{10'000};
// With appendfsync always records that nobody waits for do not wake the writer.
constexpr std::chrono::milliseconds kAlwaysSleepMax{100};

int64_t NanosOf(std::chrono::nanoseconds time) { return time.count(); }

// The writer works for a tenth of a millisecond and naps for two. With a slice that says so
// Linux (6.12 and later) runs it soon after its nap although all processors are busy; with the
// usual one it waits until a worker has used its own of several milliseconds. An older kernel
// ignores it. Whoever runs the process in another class of scheduling knows better.
void AskForShortSlices() {
  if (sched_getscheduler(0) != SCHED_OTHER) return;
  struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
  } attributes{};
  constexpr uint64_t kSliceNanos = 200'000;
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  attributes.nice = getpriority(PRIO_PROCESS, 0);
  attributes.runtime = kSliceNanos;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

JournalWriter::JournalWriter(Journal& journal, JournalLog& log, const JournalOptions& options)
    : journal_(journal),
      log_(log),
      committer_(journal, log),
      retry_time_(options.retry_time),
      pressure_(options.pressure) {
  writer_ = std::thread([this] { Run(); });
  sync_ = std::thread([this] { RunSync(); });
}

JournalWriter::~JournalWriter() { static_cast<void>(Stop()); }

Status JournalWriter::Stop() {
  if (writer_.joinable()) {
    stopping_.store(true, std::memory_order_seq_cst);
    journal_.bell_.Ring();
    {
      const std::lock_guard lock(sync_sleep_mutex_);
      sync_sleep_.notify_all();
    }
    writer_.join();
    sync_.join();
  }
  return finished_;
}

// --- the writer ---

void JournalWriter::Run() {
  pthread_setname_np(pthread_self(), "journal");
  AskForShortSlices();
  while (!stopping_.load(std::memory_order_acquire)) {
    CheckSpace();
    SlowDown();
    if (journal_.broken()) {
      AwaitNextTry();
    } else if (!committer_.HasWork()) {
      committer_.NothingUntil(MonotonicNanos());
      napped_ = false;
      SleepOrNap();
    } else {
      idle_naps_ = 0;
      if (always()) {
        GatherForSync();
      } else if (!napped_) {
        std::this_thread::sleep_for(kJournalGatherTime);
      }
      napped_ = false;
      committer_.Step();
      if (committer_.unsynced_bytes() >= kJournalSyncBytes.count) WantSync();
    }
  }
  journal_.SetOpen(true);
  finished_ = committer_.Finish();
}

// In periods of the time that records gather, some of them closed: as many as the pressure asks
// for.
void JournalWriter::SlowDown() {
  const int64_t now_nanos = MonotonicNanos();
  if (pressure_ == nullptr || now_nanos < next_pressure_nanos_) return;
  next_pressure_nanos_ = now_nanos + NanosOf(kJournalGatherTime);
  const double pressure = pressure_(journal_.sequence(), journal_.written_bytes());
  pressed_ = pressure > 0;
  owed_ = pressed_ ? owed_ + pressure : 0;
  const bool open = owed_ < 1;
  if (!open) owed_ -= 1;
  journal_.SetOpen(open);
}

void JournalWriter::SleepOrNap() {
  if (!journal_.IsOpen() || pressed_) return std::this_thread::sleep_for(kJournalGatherTime);
  const bool for_turns = always();
  if (!for_turns && ++idle_naps_ <= kJournalIdleNapsMax) {
    napped_ = true;
    return std::this_thread::sleep_for(kJournalGatherTime);
  }
  WriterBell& bell = journal_.bell_;
  bell.LieDown(for_turns ? WriterBell::Sleep::kForTurns : WriterBell::Sleep::kForRecords);
  if (committer_.HasWork() || stopping_.load(std::memory_order_seq_cst)) return bell.GetUp();
  bell.Wait(full_ ? retry_time_ : for_turns ? kAlwaysSleepMax : kSleepMax);
  // Before it was rung there was nothing.
  committer_.NothingUntil(bell.rung_nanos());
}

void JournalWriter::GatherForSync() const {
  const uint64_t wanted = committer_.last_group_records();
  if (wanted < 2) return;
  const int64_t until_nanos = MonotonicNanos() + NanosOf(kJournalAlwaysGatherMax);
  for (uint64_t before = 0, now = journal_.sequence(); now != before;) {
    if (committer_.unmerged_records() >= wanted || MonotonicNanos() >= until_nanos) return;
    std::this_thread::sleep_for(kJournalAlwaysGatherStep);
    before = std::exchange(now, journal_.sequence());
  }
}

// --- failures ---

void JournalWriter::CheckSpace() {
  const int64_t now_nanos = MonotonicNanos();
  if (now_nanos < next_space_check_nanos_) return;
  next_space_check_nanos_ = now_nanos + NanosOf(retry_time_);
  const bool full = log_.IsNearlyFull();
  if (full == full_) return;
  full_ = full;
  committer_.SetDiskFull(full);
}

void JournalWriter::AwaitNextTry() {
  const int64_t wait_nanos = committer_.next_try_nanos() - MonotonicNanos();
  if (wait_nanos <= 0) return committer_.TryAgain();
  journal_.bell_.LieDown(WriterBell::Sleep::kForTurns);
  if (stopping_.load(std::memory_order_seq_cst)) return journal_.bell_.GetUp();
  journal_.bell_.Wait(std::chrono::milliseconds(wait_nanos / 1'000'000 + 1));
}

// --- syncing ---

void JournalWriter::WantSync() {
  const std::lock_guard lock(sync_sleep_mutex_);
  if (std::exchange(sync_wanted_, true)) return;
  sync_sleep_.notify_one();
}

// A second, or until there is much to sync; what was asked for while a sync went on may be synced.
void JournalWriter::AwaitSyncTime() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  std::unique_lock lock(sync_sleep_mutex_);
  while (!stopping_.load(std::memory_order_acquire)) {
    if (std::exchange(sync_wanted_, false) &&
        committer_.unsynced_bytes() >= kJournalSyncBytes.count)
      return;
    if (sync_sleep_.wait_until(lock, until) == std::cv_status::timeout) return;
  }
}

void JournalWriter::RunSync() {
  pthread_setname_np(pthread_self(), "journal-sync");
  while (!stopping_.load(std::memory_order_acquire)) {
    AwaitSyncTime();
    if (journal_.mode() != Appendfsync::kEverysec || stopping_.load(std::memory_order_acquire))
      continue;
    if (journal_.progress_.failing() && committer_.sync_failed()) continue;
    const Status synced = committer_.SyncNow();
    if (!synced.ok()) committer_.SyncFailed(synced.error().message);
  }
}

}  // namespace tidegate
