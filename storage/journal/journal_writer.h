// JournalWriter: the two threads behind a Journal.
//
//   writer: nap 2 ms -> merge the rings -> one write per group -> again; sleeps when nothing comes
//   sync:   with appendfsync everysec, once a second or after some MiB, what was written is forced
//           to disk
//
// Two threads, because forcing to disk takes as long as the disk wants, and the writer must not be
// late because of it. With appendfsync always the writer itself syncs, without naps: while one sync
// goes on the next group gathers.
// When the log fails, the journal refuses writes, and the writer tries every second to make it
// whole again: it recovers the log, writes once more what the log may have lost, then what waits.
// The same refusal is given a little before the disk is full, so that what is under way still fits.
// Owner: the Journal. Its threads are the only ones here, but for Stop().
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/bytes.h"
#include "base/thread_annotations.h"
#include "storage/journal/journal.h"
#include "storage/journal/journal_merger.h"

namespace tidegate {

// How long records gather before they are written, and so about how long one waits at the most. To
// nap and to be woken costs 20 to 40 us on a virtual machine, which all records of a group share.
inline constexpr std::chrono::microseconds kJournalGatherTime{2000};

// With appendfsync always: how long a group that several clients write to goes on gathering, as
// long as records come. Clients that were all answered by one sync come again at about the same
// time; without this the first of them has a sync for itself, and the others wait for it.
inline constexpr std::chrono::microseconds kJournalAlwaysGatherMax{200};
inline constexpr std::chrono::microseconds kJournalAlwaysGatherStep{25};

// Naps without a record after which the writer sleeps until there is one: waking it costs the
// thread that does a system call, napping costs the writer one.
inline constexpr int kJournalIdleNapsMax = 10;

// Bytes of groups that were merged and wait for the log. Beyond it the rings fill, and then writes
// wait.
inline constexpr Bytes kJournalMergedBytesMax = 16_MiB;

// Bytes written and not synced, with everysec, at which the second thread syncs before the second
// is over. What is not synced has to stay in memory, and memory that is used again while it is
// still in a cache costs the writer a third less; the disk gets the same bytes in even portions.
inline constexpr Bytes kJournalSyncBytes = 4_MiB;

// Bytes written and not synced, with everysec, above which the writer waits for the disk itself: a
// disk that cannot follow must slow the writes down, not let the loss grow.
inline constexpr Bytes kJournalUnsyncedBytesMax = 256_MiB;

class JournalWriter final {
 public:
  JournalWriter(Journal& journal, JournalLog& log, const JournalOptions& options);
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  // See Journal::Stop.
  Status Stop();

 private:
  void Run();
  void SlowDown();
  bool HasWork() const;
  void SleepOrNap();
  void GatherForSync() const;
  void Step();
  void Collect();
  // Writes what was merged; false: the log failed.
  bool WriteMerged();
  bool Write(const std::shared_ptr<const JournalGroup>& group, bool sync);
  void CheckSpace();
  void Fail(const std::string& why);
  void TryAgain();
  // Gives the log what it has lost, after `kept`.
  Status WriteLost(uint64_t kept);
  Status Finish();

  void RunSync();
  void WantSync();
  void AwaitSyncTime();
  Status SyncNow();
  void NoteSynced(uint64_t sequence);

  bool always() const { return journal_.mode() == Appendfsync::kAlways; }
  uint64_t unsynced_bytes() const {
    return journal_.progress_.totals().bytes.load(std::memory_order_relaxed) -
           synced_bytes_.load(std::memory_order_relaxed);
  }

  Journal& journal_;
  JournalLog& log_;
  const std::chrono::milliseconds retry_time_;
  const std::function<double(uint64_t, uint64_t)> pressure_;
  int64_t next_pressure_nanos_ = 0;
  double owed_ = 0;  // periods in which nothing is to be admitted
  JournalMerger merger_;
  std::deque<std::shared_ptr<const JournalGroup>> merged_;
  size_t merged_bytes_ = 0;
  uint64_t last_group_records_ = 0;
  int idle_naps_ = 0;
  bool napped_ = false;       // nothing was there before this nap, so it was one to gather
  int64_t looked_nanos_ = 0;  // when there was last nothing to merge, or it was merged
  int64_t next_try_nanos_ = 0;
  int64_t next_space_check_nanos_ = 0;
  bool failed_ = false;
  bool full_ = false;
  Status finished_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> sync_failed_{false};
  std::atomic<uint64_t> synced_bytes_{0};  // of Totals::bytes
  Mutex sync_mutex_;                       // syncing, and recovering, exclude each other
  std::mutex sync_sleep_mutex_;
  std::condition_variable sync_sleep_;
  bool sync_wanted_ = false;  // under sync_sleep_mutex_
  std::thread writer_;
  std::thread sync_;
};

}  // namespace tidegate
