// JournalWriter: the two threads behind a Journal.
//
//   writer: nap 2 ms -> merge the rings -> one write per group -> again; sleeps when nothing comes
//   sync:   with appendfsync everysec, once a second or after some MiB, what was written is forced
//           to disk
//
// Two threads, because forcing to disk takes as long as the disk wants, and the writer must not be
// late because of it. With appendfsync always the writer itself syncs, without naps: while one sync
// goes on the next group gathers. On a quick disk workers do that themselves, and the writer sleeps
// (journal_committer.h, which has what both do).
// When the log fails, the journal refuses writes, and the writer tries every second to make it
// whole again: it recovers the log, writes once more what the log may have lost, then what waits.
// The same refusal is given a little before the disk is full, so that what is under way still fits.
// Owner: the Journal. Its threads are the only ones here, but for Stop().
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/bytes.h"
#include "storage/journal/journal.h"
#include "storage/journal/journal_committer.h"

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

// Bytes written and not synced, with everysec, at which the second thread syncs before the second
// is over. What is not synced has to stay in memory, and memory that is used again while it is
// still in a cache costs the writer a third less; the disk gets the same bytes in even portions.
inline constexpr Bytes kJournalSyncBytes = 4_MiB;

class JournalWriter final {
 public:
  JournalWriter(Journal& journal, JournalLog& log, const JournalOptions& options);
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  // See Journal::Stop.
  Status Stop();

  JournalCommitter& committer() { return committer_; }

 private:
  void Run();
  void SlowDown();
  void SleepOrNap();
  void GatherForSync() const;
  void CheckSpace();
  void AwaitNextTry();

  void RunSync();
  void WantSync();
  void AwaitSyncTime();

  bool always() const { return journal_.mode() == Appendfsync::kAlways; }

  Journal& journal_;
  JournalLog& log_;
  JournalCommitter committer_;
  const std::chrono::milliseconds retry_time_;
  const std::function<double(uint64_t, uint64_t)> pressure_;
  int64_t next_pressure_nanos_ = 0;
  bool pressed_ = false;
  double owed_ = 0;  // periods in which nothing is to be admitted
  int idle_naps_ = 0;
  bool napped_ = false;  // nothing was there before this nap, so it was one to gather
  int64_t next_space_check_nanos_ = 0;
  bool full_ = false;
  Status finished_;

  std::atomic<bool> stopping_{false};
  std::mutex sync_sleep_mutex_;
  std::condition_variable sync_sleep_;
  bool sync_wanted_ = false;  // under sync_sleep_mutex_
  std::thread writer_;
  std::thread sync_;
};

}  // namespace tidegate
