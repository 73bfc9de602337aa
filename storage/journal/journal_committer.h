// JournalCommitter: takes what was appended out of the rings, writes it to the log and has it
// synced. By one thread at a time, but not always by the same one.
//
//   the writer's thread      Step         whenever there is something, or after a nap
//   a worker, as its turn    CommitHere   with appendfsync always, while the disk is quick
//     ends with replies
//     that must wait
//
// Why a worker: to hand over to the writer and to be woken again takes three switches between
// threads, which is as long as a quick disk's sync. A worker that commits by itself has what it
// wants when the call returns, as Redis does. It never does so while syncs take longer than
// kJournalQuickSync, nor for much at once, nor while the log is busy with its files: a
// slow disk holds no loop but once, when it becomes slow. Nor does it wait for another that is at
// it: it lets its replies be held, and is told by that one to look again (Journal::AwaitSynced), so
// it mostly finds them synced, or is the next to commit. What fails here is the journal's failure
// whoever found it; the writer's thread makes the log whole again (TryAgain). Threads: any, as told
// for each. Owner: the JournalWriter.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/thread_annotations.h"
#include "storage/journal/journal.h"
#include "storage/journal/journal_merger.h"

namespace tidegate {

// Bytes of groups that were merged and wait for the log. Beyond it the rings fill, and then writes
// wait.
inline constexpr Bytes kJournalMergedBytesMax = 16_MiB;

// Bytes written and not synced, with everysec, above which the writer waits for the disk itself: a
// disk that cannot follow must slow the writes down, not let the loss grow.
inline constexpr Bytes kJournalUnsyncedBytesMax = 256_MiB;

// With appendfsync always: what a write with its sync takes on the average of about the last 32, up
// to which workers commit. An average, so that a few syncs which take milliseconds count for what
// they would cost the loop. With slower ones the writer gets more done: while it syncs a group, the
// loops read, execute and answer the next one.
inline constexpr std::chrono::microseconds kJournalQuickSync{600};

// Bytes of records above which a worker leaves a commit to the writer.
inline constexpr Bytes kJournalCommitHereBytesMax = 256_KiB;

class JournalCommitter final {
 public:
  JournalCommitter(Journal& journal, JournalLog& log);
  JournalCommitter(const JournalCommitter&) = delete;
  JournalCommitter& operator=(const JournalCommitter&) = delete;

  // --- the writer's thread ---
  // Whether a Step would do something.
  bool HasWork() const;
  // Records appended and not taken, and how many the last group had.
  uint64_t unmerged_records() const {
    return journal_.sequence() - merged_sequence_.load(std::memory_order_acquire);
  }
  uint64_t last_group_records() const {
    return last_group_records_.load(std::memory_order_relaxed);
  }
  // There was nothing at that time: what is found next is not older. Monotonic.
  void NothingUntil(int64_t nanos);
  // The rings are merged, and what was in them is written and, with always, synced.
  void Step();
  // After a failure: recovers the log, writes once more what it has lost, then what waits.
  void TryAgain();
  // When to do so; monotonic.
  int64_t next_try_nanos() const { return next_try_nanos_.load(std::memory_order_relaxed); }
  void SetDiskFull(bool full);
  // At the end, when nobody appends any more.
  Status Finish();

  // --- a worker ---
  // Commits what there is, if that is quick. True: the record is synced.
  bool CommitHere(uint64_t sequence);
  // Whether it would, if nobody else does.
  bool IsQuick() const;
  // A worker is at it, and will wake all who wait for syncs once it is done.
  bool worker_commits() const { return worker_commits_.load(std::memory_order_seq_cst); }

  // --- any thread ---
  // What was written is synced when this returns.
  Status SyncNow();
  // For who does that beside the writer: the writer has to deal with it.
  void SyncFailed(const std::string& why);
  bool sync_failed() const { return sync_failed_.load(std::memory_order_acquire); }
  uint64_t unsynced_bytes() const {
    return journal_.progress_.totals().bytes.load(std::memory_order_relaxed) -
           synced_bytes_.load(std::memory_order_relaxed);
  }

 private:
  bool always() const { return journal_.mode() == Appendfsync::kAlways; }
  void StepLocked(int64_t oldest_nanos) TG_REQUIRES(mutex_);
  void Collect() TG_REQUIRES(mutex_);
  // Writes what was merged; false: the log failed.
  bool WriteMerged() TG_REQUIRES(mutex_);
  bool Write(const JournalGroup& group, bool sync) TG_REQUIRES(mutex_);
  Status WriteAndSync(const JournalGroup& group) TG_REQUIRES(mutex_);
  void Fail(const std::string& why) TG_REQUIRES(mutex_);
  Status Recover() TG_REQUIRES(mutex_);
  // Gives the log what it has lost, after `kept`.
  Status WriteLost(uint64_t kept) TG_REQUIRES(mutex_);
  void NoteSyncTime(int64_t nanos) TG_REQUIRES(mutex_);
  void WakeSynced();

  Journal& journal_;
  JournalLog& log_;
  const int64_t retry_nanos_;

  Mutex mutex_;  // held by who commits
  JournalMerger merger_ TG_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<const JournalGroup>> merged_ TG_GUARDED_BY(mutex_);
  size_t merged_bytes_ TG_GUARDED_BY(mutex_) = 0;
  int64_t looked_nanos_ TG_GUARDED_BY(mutex_);  // when there was last nothing, or it was merged
  bool full_ TG_GUARDED_BY(mutex_) = false;

  // Written by who commits.
  std::atomic<uint64_t> merged_sequence_;
  std::atomic<uint64_t> last_group_records_{0};
  std::atomic<int64_t> sync_nanos_;  // their average
  std::atomic<int64_t> next_try_nanos_{0};
  std::atomic<bool> worker_commits_{false};

  Mutex sync_mutex_;  // syncing, and recovering, exclude each other; after mutex_
  std::atomic<bool> sync_failed_{false};
  std::atomic<uint64_t> synced_bytes_{0};  // of Totals::bytes
};

}  // namespace tidegate
