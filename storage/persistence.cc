#include "storage/persistence.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/journal/journal.h"
#include "storage/journal/record_applier.h"
#include "storage/persist/store.h"

namespace tidegate {
namespace {

constexpr int64_t kProgressLineNanos = 2'000'000'000;

std::string Megabytes(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string Seconds(int64_t nanos) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f seconds", static_cast<double>(nanos) / 1e9);
  return text;
}

}  // namespace

Persistence::Persistence(PersistenceOptions options, std::unique_ptr<Store> store)
    : options_(std::move(options)), store_(std::move(store)) {}

Persistence::~Persistence() { static_cast<void>(Stop()); }

Result<std::unique_ptr<Persistence>> Persistence::Open(PersistenceOptions options) {
  Result<std::unique_ptr<Store>> store =
      Store::Open({.dir = options.dir, .load_truncated = options.load_truncated});
  if (!store.ok()) return std::move(store).error();
  return std::unique_ptr<Persistence>(
      new Persistence(std::move(options), std::move(store).value()));
}

Status Persistence::Replay(Engine& engine, EngineThread& thread, const CommandTable& commands) {
  RecordApplier applier(engine, thread, commands);
  const auto apply = [&applier](std::string_view record) {
    return applier.Apply(record, UnixMillis());
  };
  const int64_t begin_nanos = MonotonicNanos();
  const uint64_t disk_bytes = store_->Stats().disk_bytes;
  int64_t next_line_nanos = begin_nanos + kProgressLineNanos;
  Result<ReplayProgress> done = store_->Replay(apply, [&](const ReplayProgress& progress) {
    const int64_t now_nanos = MonotonicNanos();
    if (now_nanos < next_line_nanos) return;
    next_line_nanos = now_nanos + kProgressLineNanos;
    log::Notice("Journal: replayed " + std::to_string(progress.records) + " records, " +
                Megabytes(progress.bytes) + " of " +
                Megabytes(std::max(progress.bytes, disk_bytes)));
  });
  if (!done.ok()) return std::move(done).error().WithContext("replay the journal");
  const int64_t nanos = MonotonicNanos() - begin_nanos;
  last_ = done->last;
  replayed_records_ = done->records;
  replayed_bytes_ = done->bytes;
  replay_seconds_ = static_cast<double>(nanos) / 1e9;
  log::Notice("Journal: replayed " + std::to_string(done->records) + " records (" +
              Megabytes(done->bytes) + ") in " + Seconds(nanos));
  return {};
}

void Persistence::Begin() {
  journal_ =
      std::make_unique<Journal>(*store_, JournalOptions{.mode = options_.fsync, .last = last_});
}

Status Persistence::Stop() { return journal_ == nullptr ? Status() : journal_->Stop(); }

EffectSink& Persistence::sink() {
  TG_CHECK(journal_ != nullptr);
  return *journal_;
}

void Persistence::SetFsync(Appendfsync fsync) { journal_->SetMode(fsync); }

bool Persistence::syncs_always() const { return journal_->mode() == Appendfsync::kAlways; }

uint64_t Persistence::sequence() const { return journal_->sequence(); }

uint64_t Persistence::synced() const { return journal_->synced(); }

bool Persistence::refuses_writes() const { return journal_->failing(); }

bool Persistence::cannot_sync() const { return journal_->broken(); }

std::string Persistence::refusal() const { return journal_->refusal(); }

void Persistence::AwaitSynced(uint64_t sequence, const Waiter& waiter) {
  journal_->AwaitSynced(sequence, waiter);
}

void Persistence::Forget(const Waiter& waiter) { journal_->Forget(waiter); }

PersistenceStats Persistence::Stats() const {
  PersistenceStats stats;
  stats.enabled = 1;
  const StoreStats store = store_->Stats();
  stats.store_disk_bytes = store.disk_bytes;
  stats.store_memory_bytes = store.memory_bytes;
  stats.replayed_records = replayed_records_;
  stats.replay_seconds = replay_seconds_;
  const JournalStats journal = journal_->Stats();
  stats.failing = journal.failing;
  stats.sequence = journal.sequence;
  stats.written_sequence = journal.written_sequence;
  stats.synced_sequence = journal.synced_sequence;
  stats.waiting_bytes = journal.waiting_bytes;
  stats.tail_bytes = journal.tail_bytes;
  stats.lag_us = journal.lag_us;
  stats.lag_p99_us = journal.lag_p99_us;
  stats.lag_max_us = journal.lag_max_us;
  stats.groups = journal.groups;
  stats.written_bytes = journal.written_bytes;
  stats.syncs = journal.syncs;
  stats.failures = journal.failures;
  stats.waits = journal.waits;
  stats.refusals = journal.refusals;
  stats.journal_bytes = replayed_bytes_ + journal.written_bytes;
  return stats;
}

}  // namespace tidegate
