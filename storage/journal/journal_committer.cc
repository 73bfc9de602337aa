#include "storage/journal/journal_committer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace tidegate {
namespace {

// Tries of Finish() to write what is left.
constexpr int kFinishTriesMax = 3;

constexpr int64_t kSyncsOfAverage = 32;
// What the average begins with: the writer finds out.
constexpr std::chrono::microseconds kSyncUnknown{1000};
// What one sync counts at the most: about two hundred quick ones after it make up for that.
constexpr std::chrono::microseconds kSyncCountedMax{1'000'000};

int64_t NanosOf(std::chrono::nanoseconds time) { return time.count(); }

}  // namespace

JournalCommitter::JournalCommitter(Journal& journal, JournalLog& log)
    : journal_(journal),
      log_(log),
      retry_nanos_(NanosOf(journal.retry_time_)),
      merger_(journal.rings_, journal.sequence()),
      looked_nanos_(MonotonicNanos()),
      merged_sequence_(journal.sequence()),
      sync_nanos_(NanosOf(kSyncUnknown)) {}

bool JournalCommitter::HasWork() const {
  const JournalProgress& progress = journal_.progress_;
  const uint64_t merged = merged_sequence_.load(std::memory_order_acquire);
  return merged != journal_.sequence() || progress.written() != merged || sync_failed() ||
         (always() && progress.written() != progress.synced());
}

void JournalCommitter::NothingUntil(int64_t nanos) {
  MutexLock lock(mutex_);
  looked_nanos_ = std::max(looked_nanos_, nanos);
}

// --- committing ---

void JournalCommitter::Step() {
  const uint64_t merged = merged_sequence_.load(std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    if (journal_.progress_.broken()) return;
    if (sync_failed_.exchange(false, std::memory_order_acq_rel))
      return Fail(journal_.progress_.failure());
    StepLocked(looked_nanos_);
  }
  WakeSynced();
  // A number was taken by somebody who has not published his record yet.
  if (always() && merged == merged_sequence_.load(std::memory_order_relaxed) &&
      unmerged_records() != 0)
    std::this_thread::yield();
}

void JournalCommitter::StepLocked(int64_t oldest_nanos) {
  looked_nanos_ = MonotonicNanos();
  Collect();
  const bool any = !merged_.empty();
  if (!WriteMerged()) return;
  if (any) journal_.progress_.NoteLag(MonotonicNanos() - oldest_nanos);
}

void JournalCommitter::Collect() {
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
  merged_sequence_.store(merger_.last(), std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (journal_.IsOpen() && journal_.waiters_.any_for_room()) journal_.waiters_.WakeForRoom();
  journal_.UpdateRest();
}

bool JournalCommitter::Write(const JournalGroup& group, bool sync) {
  const Status status = sync ? WriteAndSync(group) : log_.Write(group, false);
  if (status.ok()) return true;
  Fail(status.error().message);
  return false;
}

Status JournalCommitter::WriteAndSync(const JournalGroup& group) {
  MutexLock lock(sync_mutex_);
  const int64_t begin_nanos = MonotonicNanos();
  Status status = log_.Write(group, true);
  NoteSyncTime(MonotonicNanos() - begin_nanos);
  return status;
}

void JournalCommitter::NoteSyncTime(int64_t nanos) {
  const int64_t before = sync_nanos_.load(std::memory_order_relaxed);
  const int64_t counted = std::min(nanos, NanosOf(kSyncCountedMax));
  sync_nanos_.store(before + (counted - before) / kSyncsOfAverage, std::memory_order_relaxed);
}

bool JournalCommitter::WriteMerged() {
  JournalProgress& progress = journal_.progress_;
  const bool sync = always();
  while (!merged_.empty()) {
    const std::shared_ptr<const JournalGroup> group = merged_.front();
    last_group_records_.store(group->count(), std::memory_order_relaxed);
    if (!Write(*group, sync && merged_.size() == 1)) return false;
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
      progress.Synced(group->last());
    }
  }
  journal_.tail_.Trim(journal_.mode() == Appendfsync::kNo ? progress.written() : progress.synced());
  const bool everysec = journal_.mode() == Appendfsync::kEverysec;
  if (!sync && !(everysec && unsynced_bytes() > kJournalUnsyncedBytesMax.count)) return true;
  const Status synced = SyncNow();
  if (!synced.ok()) Fail(synced.error().message);
  return synced.ok();
}

// --- a worker's own commit ---

bool JournalCommitter::IsQuick() const {
  if (!always() || journal_.progress_.broken() || sync_failed() || log_.IsBusy()) return false;
  if (sync_nanos_.load(std::memory_order_relaxed) > NanosOf(kJournalQuickSync)) return false;
  uint64_t bytes = unsynced_bytes();
  const size_t used = journal_.rings_used_.load(std::memory_order_acquire);
  for (size_t ring = 0; ring < used; ++ring) bytes += journal_.rings_[ring].waiting_bytes();
  return bytes <= kJournalCommitHereBytesMax.count;
}

bool JournalCommitter::CommitHere(uint64_t sequence) {
  if (!IsQuick() || !mutex_.try_lock()) return false;
  worker_commits_.store(true, std::memory_order_seq_cst);
  if (!journal_.progress_.broken()) StepLocked(MonotonicNanos());
  worker_commits_.store(false, std::memory_order_seq_cst);
  mutex_.unlock();
  // Those who came meanwhile: their records may be synced, or it is theirs to commit now.
  if (journal_.waiters_.any_for_sync()) journal_.waiters_.WakeForSync(UINT64_MAX);
  if (journal_.progress_.broken()) journal_.bell_.Ring();
  return journal_.progress_.synced() >= sequence;
}

// --- failures ---

void JournalCommitter::SetDiskFull(bool full) {
  MutexLock lock(mutex_);
  full_ = full;
  if (journal_.progress_.broken()) return;
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

void JournalCommitter::Fail(const std::string& why) {
  JournalProgress& progress = journal_.progress_;
  if (!progress.broken())
    log::Warning("Journal: error writing: " + why + ": writes are refused meanwhile");
  next_try_nanos_.store(MonotonicNanos() + retry_nanos_, std::memory_order_relaxed);
  progress.set_broken(true);
  progress.Failed(why);
  progress.totals().failures.fetch_add(1, std::memory_order_relaxed);
  journal_.UpdateRest();
  // Who waits looks what has become of the journal.
  journal_.waiters_.WakeForRoom();
  journal_.waiters_.WakeForSync(UINT64_MAX);
}

void JournalCommitter::TryAgain() {
  {
    MutexLock lock(mutex_);
    if (const Status recovered = Recover(); !recovered.ok()) return Fail(recovered.error().message);
    Collect();
    if (!WriteMerged()) return;
    if (const Status synced = SyncNow(); !synced.ok()) return Fail(synced.error().message);
    journal_.progress_.set_broken(false);
    log::Notice("Journal: writing works again");
    if (full_) {
      journal_.progress_.Failed(strerror(ENOSPC));
    } else {
      journal_.progress_.Healed();
    }
    journal_.UpdateRest();
  }
  WakeSynced();
}

Status JournalCommitter::Recover() {
  Result<uint64_t> kept = [&]() -> Result<uint64_t> {
    MutexLock lock(sync_mutex_);
    sync_failed_.store(false, std::memory_order_relaxed);
    return log_.Recover();
  }();
  if (!kept.ok()) return std::move(kept).error();
  return WriteLost(*kept);
}

Status JournalCommitter::WriteLost(uint64_t kept) {
  if (kept >= journal_.progress_.written()) return {};
  const auto groups = journal_.tail_.From(kept + 1);
  if (groups.empty()) {
    return Error{"records from " + std::to_string(kept + 1) + " on are lost"};
  }
  for (const auto& group : groups) TG_RETURN_IF_ERROR(log_.Write(*group, false));
  return {};
}

Status JournalCommitter::Finish() {
  for (int i = 0; i < kFinishTriesMax; ++i) {
    if (journal_.progress_.broken()) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(retry_nanos_));
      TryAgain();
    }
    while (!journal_.progress_.broken() && HasWork()) Step();
    if (!journal_.progress_.broken()) {
      const Status synced = SyncNow();
      if (synced.ok()) return {};
      MutexLock lock(mutex_);
      Fail(synced.error().message);
    }
  }
  return Error{journal_.progress_.failure()};
}

// --- syncing ---

Status JournalCommitter::SyncNow() {
  MutexLock lock(sync_mutex_);
  JournalProgress& progress = journal_.progress_;
  const uint64_t bytes = progress.totals().bytes.load(std::memory_order_relaxed);
  const uint64_t written = progress.written();
  if (written == progress.synced()) return {};
  TG_RETURN_IF_ERROR(log_.Sync());
  synced_bytes_.store(bytes, std::memory_order_relaxed);
  progress.totals().syncs.fetch_add(1, std::memory_order_relaxed);
  progress.Synced(written);
  WakeSynced();
  return {};
}

void JournalCommitter::SyncFailed(const std::string& why) {
  journal_.progress_.Failed(why);
  sync_failed_.store(true, std::memory_order_release);
  journal_.bell_.Ring();
}

void JournalCommitter::WakeSynced() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (journal_.waiters_.any_for_sync()) journal_.waiters_.WakeForSync(journal_.progress_.synced());
}

}  // namespace tidegate
