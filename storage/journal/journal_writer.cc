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

// Tries of Stop() to write what is left.
constexpr int kStopTriesMax = 3;

constexpr std::chrono::milliseconds kSleepMax{10'000};
// With appendfsync always records that nobody waits for do not wake the writer.
constexpr std::chrono::milliseconds kAlwaysSleepMax{100};

int64_t NanosOf(std::chrono::nanoseconds time) { return time.count(); }

// The writer works for a tenth of a millisecond and naps for two. With a slice that says so
// Linux (6.12 and later) runs it soon after its nap although all processors are busy; with the
// usual one it waits until a worker has used its own of several milliseconds. An older kernel
// ignores it.
void AskForShortSlices() {
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
      retry_time_(options.retry_time),
      pressure_(options.pressure),
      merger_(journal.rings_, journal.sequence()) {
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
  looked_nanos_ = MonotonicNanos();
  while (!stopping_.load(std::memory_order_acquire)) {
    CheckSpace();
    SlowDown();
    if (failed_) {
      TryAgain();
    } else if (!HasWork()) {
      looked_nanos_ = MonotonicNanos();
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
      Step();
    }
  }
  journal_.SetOpen(true);
  finished_ = Finish();
}

// In periods of the time that records gather, some of them closed: as many as the pressure asks
// for.
void JournalWriter::SlowDown() {
  const int64_t now_nanos = MonotonicNanos();
  if (pressure_ == nullptr || now_nanos < next_pressure_nanos_) return;
  next_pressure_nanos_ = now_nanos + NanosOf(kJournalGatherTime);
  const double pressure = pressure_(journal_.sequence(), journal_.written_bytes());
  owed_ = pressure > 0 ? owed_ + pressure : 0;
  const bool open = owed_ < 1;
  if (!open) owed_ -= 1;
  journal_.SetOpen(open);
}

bool JournalWriter::HasWork() const {
  return merger_.last() != journal_.sequence() || !merged_.empty() ||
         sync_failed_.load(std::memory_order_acquire) ||
         (always() && journal_.progress_.written() != journal_.progress_.synced());
}

void JournalWriter::SleepOrNap() {
  if (!journal_.IsOpen()) return std::this_thread::sleep_for(kJournalGatherTime);
  const bool for_turns = always();
  if (!for_turns && ++idle_naps_ <= kJournalIdleNapsMax) {
    napped_ = true;
    return std::this_thread::sleep_for(kJournalGatherTime);
  }
  WriterBell& bell = journal_.bell_;
  bell.LieDown(for_turns ? WriterBell::Sleep::kForTurns : WriterBell::Sleep::kForRecords);
  if (HasWork() || stopping_.load(std::memory_order_seq_cst)) return bell.GetUp();
  bell.Wait(full_ ? retry_time_ : for_turns ? kAlwaysSleepMax : kSleepMax);
  // Before it was rung there was nothing.
  looked_nanos_ = std::max(looked_nanos_, bell.rung_nanos());
}

void JournalWriter::GatherForSync() const {
  if (last_group_records_ < 2) return;
  const int64_t until_nanos = MonotonicNanos() + NanosOf(kJournalAlwaysGatherMax);
  for (uint64_t before = 0, now = journal_.sequence(); now != before;) {
    if (now - merger_.last() >= last_group_records_ || MonotonicNanos() >= until_nanos) return;
    std::this_thread::sleep_for(kJournalAlwaysGatherStep);
    before = std::exchange(now, journal_.sequence());
  }
}

void JournalWriter::Step() {
  const int64_t oldest_nanos = looked_nanos_;
  if (sync_failed_.exchange(false, std::memory_order_acq_rel))
    return Fail(journal_.progress_.failure());
  looked_nanos_ = MonotonicNanos();
  Collect();
  // A number was taken by somebody who has not published his record yet.
  if (merged_.empty() && always() && merger_.last() != journal_.sequence())
    std::this_thread::yield();
  const bool any = !merged_.empty();
  if (!WriteMerged()) return;
  if (any) journal_.progress_.NoteLag(MonotonicNanos() - oldest_nanos);
}

void JournalWriter::Collect() {
  const size_t before = merged_.size();
  for (size_t count = kJournalPassRecords;
       count == kJournalPassRecords && merged_bytes_ <= kJournalMergedBytesMax.count;) {
    const uint64_t taken = journal_.sequence();
    const size_t used = journal_.rings_used_.load(std::memory_order_acquire);
    const size_t known = merged_.size();
    count = merger_.Collect(taken, used, UnixMillis(), merged_);
    for (size_t i = known; i < merged_.size(); ++i) merged_bytes_ += merged_[i]->bytes().size();
  }
  if (merged_.size() == before) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (journal_.IsOpen() && journal_.waiters_.any_for_room()) journal_.waiters_.WakeForRoom();
  journal_.UpdateRest();
}

bool JournalWriter::Write(const std::shared_ptr<const JournalGroup>& group, bool sync) {
  const Status status = [&]() -> Status {
    if (!sync) return log_.Write(*group, false);
    MutexLock lock(sync_mutex_);
    return log_.Write(*group, true);
  }();
  if (status.ok()) return true;
  Fail(status.error().message);
  return false;
}

bool JournalWriter::WriteMerged() {
  JournalProgress& progress = journal_.progress_;
  const bool sync = always();
  while (!merged_.empty()) {
    const std::shared_ptr<const JournalGroup> group = merged_.front();
    last_group_records_ = group->count();
    if (!Write(group, sync && merged_.size() == 1)) return false;
    merged_.pop_front();
    merged_bytes_ -= group->bytes().size();
    journal_.tail_.Add(group);
    progress.totals().groups.fetch_add(1, std::memory_order_relaxed);
    progress.totals().bytes.fetch_add(group->bytes().size(), std::memory_order_relaxed);
    progress.Wrote(group->last());
    if (sync && merged_.empty()) {
      synced_bytes_.store(progress.totals().bytes.load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
      progress.totals().syncs.fetch_add(1, std::memory_order_relaxed);
      NoteSynced(group->last());
    }
  }
  journal_.tail_.Trim(journal_.mode() == Appendfsync::kNo ? progress.written() : progress.synced());
  const bool everysec = journal_.mode() == Appendfsync::kEverysec;
  if (!sync && !(everysec && unsynced_bytes() > kJournalUnsyncedBytesMax.count)) {
    if (everysec && unsynced_bytes() >= kJournalSyncBytes.count) WantSync();
    return true;
  }
  const Status synced = SyncNow();
  if (!synced.ok()) Fail(synced.error().message);
  return synced.ok();
}

// --- failures ---

void JournalWriter::CheckSpace() {
  const int64_t now_nanos = MonotonicNanos();
  if (now_nanos < next_space_check_nanos_) return;
  next_space_check_nanos_ = now_nanos + NanosOf(retry_time_);
  const bool full = log_.IsNearlyFull();
  if (full == full_) return;
  full_ = full;
  if (failed_) return;
  if (full) {
    log::Warning("Journal: the disk is nearly full: writes are refused until it is not");
    journal_.progress_.Failed(strerror(ENOSPC));
    journal_.waiters_.WakeForRoom();
  } else {
    log::Notice("Journal: there is room on the disk again");
    journal_.progress_.Healed();
  }
  journal_.UpdateRest();
}

void JournalWriter::Fail(const std::string& why) {
  if (!failed_) log::Warning("Journal: error writing: " + why + ": writes are refused meanwhile");
  failed_ = true;
  next_try_nanos_ = MonotonicNanos() + NanosOf(retry_time_);
  journal_.progress_.set_broken(true);
  journal_.progress_.Failed(why);
  journal_.progress_.totals().failures.fetch_add(1, std::memory_order_relaxed);
  journal_.UpdateRest();
  // Who waits looks what has become of the journal.
  journal_.waiters_.WakeForRoom();
  journal_.waiters_.WakeForSync(UINT64_MAX);
}

void JournalWriter::TryAgain() {
  const int64_t wait_nanos = next_try_nanos_ - MonotonicNanos();
  if (wait_nanos > 0) {
    journal_.bell_.LieDown(WriterBell::Sleep::kForTurns);
    if (stopping_.load(std::memory_order_seq_cst)) return journal_.bell_.GetUp();
    return journal_.bell_.Wait(std::chrono::milliseconds(wait_nanos / 1'000'000 + 1));
  }
  Result<uint64_t> kept = [&]() -> Result<uint64_t> {
    MutexLock lock(sync_mutex_);
    sync_failed_.store(false, std::memory_order_relaxed);
    return log_.Recover();
  }();
  if (!kept.ok()) return Fail(kept.error().message);
  if (const Status lost = WriteLost(*kept); !lost.ok()) return Fail(lost.error().message);
  Collect();
  if (!WriteMerged()) return;
  if (const Status synced = SyncNow(); !synced.ok()) return Fail(synced.error().message);
  failed_ = false;
  journal_.progress_.set_broken(false);
  log::Notice("Journal: writing works again");
  if (full_) {
    journal_.progress_.Failed(strerror(ENOSPC));
  } else {
    journal_.progress_.Healed();
  }
  journal_.UpdateRest();
}

Status JournalWriter::WriteLost(uint64_t kept) {
  if (kept >= journal_.progress_.written()) return {};
  const auto groups = journal_.tail_.From(kept + 1);
  if (groups.empty()) {
    return Error{"records from " + std::to_string(kept + 1) + " on are lost"};
  }
  for (const auto& group : groups) TG_RETURN_IF_ERROR(log_.Write(*group, false));
  return {};
}

Status JournalWriter::Finish() {
  Status result;
  for (int i = 0; i < kStopTriesMax; ++i) {
    if (failed_) {
      std::this_thread::sleep_for(retry_time_);
      next_try_nanos_ = 0;
      TryAgain();
    }
    while (!failed_ && merger_.last() != journal_.sequence()) Step();
    if (!failed_ && WriteMerged()) {
      result = SyncNow();
      if (result.ok()) return {};
      Fail(result.error().message);
    }
  }
  return Error{journal_.progress_.failure()};
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
    if (std::exchange(sync_wanted_, false) && unsynced_bytes() >= kJournalSyncBytes.count) return;
    if (sync_sleep_.wait_until(lock, until) == std::cv_status::timeout) return;
  }
}

void JournalWriter::RunSync() {
  pthread_setname_np(pthread_self(), "journal-sync");
  while (!stopping_.load(std::memory_order_acquire)) {
    AwaitSyncTime();
    if (journal_.mode() != Appendfsync::kEverysec || stopping_.load(std::memory_order_acquire))
      continue;
    if (journal_.progress_.failing() && sync_failed_.load(std::memory_order_acquire)) continue;
    const Status synced = SyncNow();
    if (!synced.ok()) {
      journal_.progress_.Failed(synced.error().message);
      sync_failed_.store(true, std::memory_order_release);
      journal_.bell_.Ring();
    }
  }
}

Status JournalWriter::SyncNow() {
  MutexLock lock(sync_mutex_);
  JournalProgress& progress = journal_.progress_;
  const uint64_t bytes = progress.totals().bytes.load(std::memory_order_relaxed);
  const uint64_t written = progress.written();
  if (written == progress.synced()) return {};
  TG_RETURN_IF_ERROR(log_.Sync());
  synced_bytes_.store(bytes, std::memory_order_relaxed);
  progress.totals().syncs.fetch_add(1, std::memory_order_relaxed);
  NoteSynced(written);
  return {};
}

void JournalWriter::NoteSynced(uint64_t sequence) {
  journal_.progress_.Synced(sequence);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (journal_.waiters_.any_for_sync()) journal_.waiters_.WakeForSync(sequence);
}

}  // namespace tidegate
