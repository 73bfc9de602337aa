// Journal: the ordered record of everything that changed, on its way to disk.
//
//   engine threads, under slot locks               writer thread                        disk
//     number = ++sequence
//     ring of the thread <- (number, record)   ->  merge to a dense run -> one group -> log
//                                                  about two milliseconds' records each
//
// One shared counter gives each record its place; everything else of an append stays on its
// thread's own cache lines (journal_ring.h). The writer merges the rings, closes a group about
// every two milliseconds and writes it as one value; what it costs is therefore shared by all
// records of a group. A group is all or nothing after a crash, and so is a record: one command's or
// one transaction's changes. When is it safe? With appendfsync always each group is synced, by the
// thread that needs it where the disk is quick (SyncHere) and else by the writer, and who must not
// answer before waits (AwaitSynced). With everysec a second thread syncs, so that
// the writer goes on meanwhile. With no the system decides. Bound: an append never waits and never
// fails, so the bound is kept before: Admit lets a write in only while its thread's ring has room,
// and not at all while writing fails; then the engine is told to rest too from removing what nobody
// asked to be removed, which is not admitted (SetRest). What was appended is kept until it is
// written, and written as soon as that works again. Admit also slows writes down when somebody says
// that the journal grows too fast (JournalOptions::pressure): of every few milliseconds it lets
// none in for a part of them. Threads: Append and Admit by the engine's threads, the rest by any.
// Lives longer than the engine's use of it. Cost of a record, all threads together:
// docs/performance.md.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "config/options.h"
#include "storage/engine.h"
#include "storage/journal/effect_sink.h"
#include "storage/journal/journal_log.h"
#include "storage/journal/journal_progress.h"
#include "storage/journal/journal_ring.h"
#include "storage/journal/journal_tail.h"
#include "storage/journal/journal_waiters.h"
#include "storage/journal/writer_bell.h"
#include "storage/waiter.h"

namespace tidegate {

class JournalCommitter;
class JournalWriter;

// Bytes in the ring of one thread above which its next write waits until the writer has taken some:
// about 100 ms of small writes at full speed, so that a store which is busy for a moment is not
// felt, and one that falls behind is.
inline constexpr Bytes kJournalRingBytesMax = 8_MiB;

// After a failure, and between looks at the free space.
inline constexpr std::chrono::milliseconds kJournalRetryTime{1000};

struct JournalOptions {
  Appendfsync mode = Appendfsync::kEverysec;
  uint64_t last = 0;  // the newest record that the log holds
  std::chrono::milliseconds retry_time = kJournalRetryTime;
  // Which part of the writes should wait, 0 to 1, given the newest record and written_bytes().
  // Called by the writer, every few milliseconds.
  std::function<double(uint64_t sequence, uint64_t bytes)> pressure = nullptr;
};

struct JournalStats {
  uint64_t sequence = 0;  // of the newest record
  uint64_t written_sequence = 0;
  uint64_t synced_sequence = 0;
  uint64_t waiting_bytes = 0;  // in the rings
  uint64_t tail_bytes = 0;     // of groups in memory
  uint64_t lag_us = 0;         // of the last group
  uint64_t lag_p99_us = 0;     // of the last thousand groups
  uint64_t lag_max_us = 0;
  uint64_t groups = 0;
  uint64_t written_bytes = 0;
  uint64_t syncs = 0;
  uint64_t failures = 0;
  uint64_t waits = 0;
  uint64_t refusals = 0;
  uint64_t failing = 0;  // 1: writes are refused now
};

class Journal final : public EffectSink {
 public:
  // The log outlives the journal.
  Journal(JournalLog& log, const JournalOptions& options);
  // Stops.
  ~Journal() override;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // EffectSink.
  Admission Admit(EngineThread& thread, const Waiter& waiter) override;
  std::string refusal() const override;
  uint64_t Append(EngineThread& thread, std::string_view record) override;
  uint64_t last_sequence() const override { return sequence(); }
  void Forget(const Waiter& waiter) override { waiters_.Remove(waiter); }
  void SetRest(std::atomic<bool>& rest) override { rest_.store(&rest, std::memory_order_release); }

  Appendfsync mode() const { return mode_.load(std::memory_order_relaxed); }
  void SetMode(Appendfsync mode);

  // The newest record's number: whatever anybody has seen by now is in it or before it.
  uint64_t sequence() const { return sequence_.load(std::memory_order_seq_cst); }
  uint64_t written() const { return progress_.written(); }
  uint64_t synced() const { return progress_.synced(); }
  bool failing() const { return progress_.failing(); }
  bool broken() const { return progress_.broken(); }
  std::string failure() const { return progress_.failure(); }  // why, the last time
  // With appendfsync always and a quick disk, writes and syncs what was appended. True: the record
  // is synced. False: it is not, for whatever reason; who needs it has to wait. See
  // journal_committer.h for what this may cost a worker's loop. Never under a slot's lock.
  bool SyncHere(uint64_t sequence);
  // Whether it may do so.
  bool SyncsHere() const;
  // Wakes the waiter when the record is synced, or when writing begins to fail; it may be woken for
  // nothing, and then has to try again. With appendfsync always it also sees to it that syncing
  // begins.
  void AwaitSynced(uint64_t sequence, const Waiter& waiter);

  // Since the start, of whole groups.
  uint64_t written_bytes() const {
    return progress_.totals().bytes.load(std::memory_order_relaxed);
  }

  JournalStats Stats() const;
  const JournalTail& tail() const { return tail_; }

  // Writes and syncs what was appended, and ends the threads; nothing may be appended any more. An
  // error: what could not be written, after a few tries.
  Status Stop();

 private:
  friend class JournalCommitter;
  friend class JournalWriter;
  Admission AdmitSlowly(size_t ring, const Waiter& waiter);
  bool HasRoom(size_t ring) const {
    return rings_[ring].waiting_bytes() < kJournalRingBytesMax.count;
  }
  bool IsOpen() const { return open_.load(std::memory_order_relaxed); }
  void SetOpen(bool open);
  // Tells the engine whether there is room for records that nobody admits.
  void UpdateRest();

  alignas(64) std::atomic<uint64_t> sequence_;  // the last number taken
  alignas(64) std::atomic<Appendfsync> mode_;
  std::atomic<bool> open_{true};  // false: nothing is admitted for a moment
  std::atomic<size_t> rings_used_{0};
  std::atomic<std::atomic<bool>*> rest_{nullptr};
  const std::chrono::milliseconds retry_time_;
  JournalProgress progress_;
  WriterBell bell_;
  JournalWaiters waiters_;
  JournalTail tail_;
  std::array<JournalRing, kEngineThreadsMax> rings_;
  std::unique_ptr<JournalWriter> writer_;
  JournalCommitter* committer_;  // the writer's
};

}  // namespace tidegate
