#include "storage/journal/journal.h"

#include "storage/engine_thread.h"
#include "storage/journal/journal_writer.h"

namespace tidegate {

Journal::Journal(JournalLog& log, const JournalOptions& options)
    : sequence_(options.last),
      mode_(options.mode),
      retry_time_(options.retry_time),
      progress_(options.last),
      writer_(std::make_unique<JournalWriter>(*this, log, options)),
      committer_(&writer_->committer()) {}

Journal::~Journal() { static_cast<void>(Stop()); }

EffectSink::Admission Journal::Admit(EngineThread& thread, const Waiter& waiter) {
  const auto ring = static_cast<size_t>(thread.index());
  if (__builtin_expect(!progress_.failing() && IsOpen() && HasRoom(ring), 1))
    return Admission::kYes;
  return AdmitSlowly(ring, waiter);
}

EffectSink::Admission Journal::AdmitSlowly(size_t ring, const Waiter& waiter) {
  // Look once it is known that somebody waits: the writer may have made room meanwhile, or failed.
  waiters_.AddForRoom(waiter);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool failing = progress_.failing();
  if (failing || (IsOpen() && HasRoom(ring))) {
    waiters_.Remove(waiter);
    if (!failing) return Admission::kYes;
    progress_.totals().refusals.fetch_add(1, std::memory_order_relaxed);
    return Admission::kRefused;
  }
  progress_.totals().waits.fetch_add(1, std::memory_order_relaxed);
  bell_.Ring();
  return Admission::kLater;
}

std::string Journal::refusal() const {
  return "MISCONF Errors writing to the AOF file: " + progress_.failure();
}

uint64_t Journal::Append(EngineThread& thread, std::string_view record) {
  const auto ring = static_cast<size_t>(thread.index());
  // Before the number is taken: who sees the number looks into the ring.
  if (__builtin_expect(ring >= rings_used_.load(std::memory_order_relaxed), 0)) {
    size_t used = rings_used_.load(std::memory_order_relaxed);
    while (used <= ring && !rings_used_.compare_exchange_weak(used, ring + 1)) {
    }
  }
  const uint64_t sequence = sequence_.fetch_add(1, std::memory_order_seq_cst) + 1;
  const bool fresh_block = rings_[ring].Push(sequence, record);
  if (__builtin_expect(fresh_block, 0) && !HasRoom(ring)) UpdateRest();
  bell_.OnRecord();
  return sequence;
}

// The writer asks again whenever it has taken something, so a thread that finds its ring full
// meanwhile, and is overwritten here, is put right by the next one of them.
void Journal::UpdateRest() {
  std::atomic<bool>* rest = rest_.load(std::memory_order_acquire);
  if (rest == nullptr) return;
  bool full = progress_.failing();
  const size_t used = rings_used_.load(std::memory_order_acquire);
  for (size_t ring = 0; ring < used && !full; ++ring) full = !HasRoom(ring);
  if (rest->load(std::memory_order_relaxed) != full) rest->store(full, std::memory_order_relaxed);
}

void Journal::SetOpen(bool open) {
  if (IsOpen() == open) return;
  open_.store(open, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (open && waiters_.any_for_room()) waiters_.WakeForRoom();
}

void Journal::SetMode(Appendfsync mode) {
  mode_.store(mode, std::memory_order_seq_cst);
  bell_.Ring();
}

bool Journal::SyncHere(uint64_t sequence) { return committer_->CommitHere(sequence); }

bool Journal::SyncsHere() const { return committer_->IsQuick(); }

void Journal::AwaitSynced(uint64_t sequence, const Waiter& waiter) {
  waiters_.AddForSync(sequence, waiter);
  // Who commits looks for waiters after it has said how far it is, a worker also after it has said
  // that it is done.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (progress_.synced() >= sequence) return waiters_.WakeForSync(progress_.synced());
  // The one who had just been at it may be done: then it is up to us, which wakes the waiter too.
  if (committer_->worker_commits() || committer_->CommitHere(sequence)) return;
  if (!committer_->worker_commits()) bell_.Ring();
}

JournalStats Journal::Stats() const {
  JournalStats stats;
  // The other way round than they advance, so that none is ahead of what comes before it.
  stats.synced_sequence = progress_.synced();
  stats.written_sequence = progress_.written();
  stats.sequence = sequence();
  for (const JournalRing& ring : rings_) stats.waiting_bytes += ring.waiting_bytes();
  stats.tail_bytes = tail_.bytes();
  const JournalProgress::Lag lag = progress_.lag();
  stats.lag_us = lag.last_us;
  stats.lag_p99_us = lag.p99_us;
  stats.lag_max_us = lag.max_us;
  const JournalProgress::Totals& totals = progress_.totals();
  stats.groups = totals.groups.load(std::memory_order_relaxed);
  stats.written_bytes = totals.bytes.load(std::memory_order_relaxed);
  stats.syncs = totals.syncs.load(std::memory_order_relaxed);
  stats.failures = totals.failures.load(std::memory_order_relaxed);
  stats.waits = totals.waits.load(std::memory_order_relaxed);
  stats.refusals = totals.refusals.load(std::memory_order_relaxed);
  stats.failing = progress_.failing() ? 1 : 0;
  return stats;
}

Status Journal::Stop() { return writer_->Stop(); }

}  // namespace tidegate
