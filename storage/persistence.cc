#include "storage/persistence.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "storage/checkpoint/checkpointer.h"
#include "storage/cold/cold_start.h"
#include "storage/cold/hot_keys.h"
#include "storage/journal/journal.h"
#include "storage/journal/record_applier.h"
#include "storage/journal/replay_ahead.h"
#include "storage/keyspace/keyspace.h"
#include "storage/persist/store.h"
#include "storage/tier.h"

namespace tidegate {
namespace {

constexpr int64_t kProgressLineNanos = 2'000'000'000;

// Between two looks at how far the journal's writer is, which is done every two milliseconds.
constexpr std::chrono::milliseconds kWrittenPause{1};

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

Bytes CacheBytesFor(Bytes maxmemory) {
  if (maxmemory.count == 0) return kStoreBlockCacheBytes;
  return Bytes{std::max(maxmemory.count / kStoreCachePart, kStoreCacheBytesMin.count)};
}

}  // namespace

Persistence::Persistence(PersistenceOptions options, std::unique_ptr<Store> store)
    : options_(std::move(options)), store_(std::move(store)) {}

Persistence::~Persistence() { static_cast<void>(Stop()); }

Result<std::unique_ptr<Persistence>> Persistence::Open(PersistenceOptions options) {
  StoreOptions wanted{.dir = options.dir, .load_truncated = options.load_truncated};
  if (options.tiered) wanted.cache_bytes = CacheBytesFor(options.maxmemory);
  Result<std::unique_ptr<Store>> store = Store::Open(std::move(wanted));
  if (!store.ok()) return std::move(store).error();
  SetKeyHashSeed((*store)->hash_seed());
  return std::unique_ptr<Persistence>(
      new Persistence(std::move(options), std::move(store).value()));
}

// Only what the checkpoint says of itself: its keys come in as they are asked for.
Status Persistence::BeginCold(Engine& engine) {
  const auto checkpoint = store_->checkpoint();
  ColdStart start{.source = store_.get()};
  if (options_.tiered) {
    engine.MakeTiered();
    engine.CountStoreMemory(store_->memory_bytes());
  }
  if (!checkpoint) {
    if (options_.tiered) engine.BeginCold(start);
    return {};
  }
  for (size_t db = 0; db < checkpoint->stats.size(); ++db) {
    const DbStats& stats = checkpoint->stats[db];
    if (stats.keys == 0) continue;
    if (db >= static_cast<size_t>(engine.databases())) {
      return Error{"the checkpoint has keys in database " + std::to_string(db) +
                   ", and there are only " + std::to_string(engine.databases())};
    }
    checkpoint_keys_ += stats.keys;
    start.databases.push_back(
        {static_cast<int>(db), stats.keys, stats.expires, stats.mean_expire_at_s});
  }
  Result<std::vector<HotKey>> hot = ParseHotKeys(store_->Info(kHotKeysName));
  if (hot.ok()) start.hot = std::move(hot).value();
  engine.keyspace().database_map().Restore({checkpoint->databases, checkpoint->next_database});
  if (!start.databases.empty() || options_.tiered) engine.BeginCold(start);
  log::Notice("Checkpoint: " + std::to_string(checkpoint_keys_) + " keys as of record " +
              std::to_string(checkpoint->sequence) + " are read as they are asked for");
  return {};
}

Status Persistence::Load(Engine& engine, EngineThread& thread, const CommandTable& commands) {
  engine.SetTracksChanges();
  TG_RETURN_IF_ERROR(BeginCold(engine));
  RecordApplier applier(engine, thread, commands);
  ReplayAhead ahead(engine, commands, applier);
  const auto apply = [&ahead](std::string_view record) { return ahead.Add(record, UnixMillis()); };
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
  constexpr const char* kContext = "replay the journal";
  if (!done.ok()) return std::move(done).error().WithContext(kContext);
  Status finished = ahead.Finish(UnixMillis());
  if (!finished.ok()) return std::move(finished).error().WithContext(kContext);
  const int64_t nanos = MonotonicNanos() - begin_nanos;
  last_ = done->last;
  replayed_records_ = done->records;
  replayed_bytes_ = done->bytes;
  replay_seconds_ = static_cast<double>(nanos) / 1e9;
  log::Notice("Journal: replayed " + std::to_string(done->records) + " records (" +
              Megabytes(done->bytes) + ") in " + Seconds(nanos));
  return {};
}

void Persistence::Begin(Engine& engine) {
  checkpointer_ = std::make_unique<Checkpointer>(engine, *store_, [this]() -> JournalPosition {
    return {journal_->sequence(), replayed_bytes_ + journal_->written_bytes()};
  });
  journal_ = std::make_unique<Journal>(
      *store_, JournalOptions{.mode = options_.fsync,
                              .last = last_,
                              .pressure = [this](uint64_t sequence, uint64_t bytes) {
                                return checkpointer_->Pressure({sequence, replayed_bytes_ + bytes});
                              }});
  if (engine.tier() == nullptr) return;
  engine.tier()->SetCheckpointRequest(
      [](void* checkpointer) { static_cast<Checkpointer*>(checkpointer)->Ask(); },
      checkpointer_.get());
}

void Persistence::BeginCheckpoints() {
  checkpointer_->Begin(CheckpointLimitsNow(), replayed_bytes_);
}

// What has changed must not fill memory before it may leave.
CheckpointLimits Persistence::CheckpointLimitsNow() const {
  CheckpointLimits limits{options_.checkpoint_records, options_.checkpoint_bytes};
  if (options_.tiered && options_.maxmemory.count != 0)
    limits.bytes_max.count =
        std::min(limits.bytes_max.count, options_.maxmemory.count / kDirtyPart);
  return limits;
}

void Persistence::SetMaxmemory(Bytes bytes) {
  if (!options_.tiered) return;
  options_.maxmemory = bytes;
  store_->SetCacheBytes(CacheBytesFor(bytes));
  checkpointer_->SetLimits(CheckpointLimitsNow());
}

void Persistence::AbandonCheckpoints(bool engine_is_closed) {
  if (checkpointer_ != nullptr) checkpointer_->Abandon(engine_is_closed);
}

Status Persistence::Stop() {
  if (checkpointer_ != nullptr) checkpointer_->Stop();
  return journal_ == nullptr ? Status() : journal_->Stop();
}

bool Persistence::StartCheckpoint() { return checkpointer_->Start(); }

void Persistence::SetCheckpointLimits(uint64_t records, Bytes bytes) {
  options_.checkpoint_records = records;
  options_.checkpoint_bytes = bytes;
  checkpointer_->SetLimits(CheckpointLimitsNow());
}

std::string Persistence::BackupDirectory() const {
  return options_.backup_dir.empty() ? options_.dir + "/backups" : options_.backup_dir;
}

Result<std::string> Persistence::NameOfBackup(std::string_view wanted, int64_t now_unix_ms) const {
  return tidegate::NameOfBackup(BackupDirectory(), wanted, now_unix_ms);
}

Result<BackupReport> Persistence::MakeBackup(const std::string& name,
                                             const std::atomic<bool>& cancelled) {
  const uint64_t wanted = journal_->sequence();
  while (journal_->written() < wanted) {
    if (journal_->broken()) return Error{"the journal cannot be written: " + journal_->failure()};
    if (cancelled.load()) return Error{"given up"};
    std::this_thread::sleep_for(kWrittenPause);
  }
  return tidegate::MakeBackup(*store_, BackupDirectory(), name);
}

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

bool Persistence::SyncHere(uint64_t sequence) { return journal_->SyncHere(sequence); }

bool Persistence::SyncsHere() const { return journal_->SyncsHere(); }

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
  stats.pressure =
      checkpointer_->Pressure({journal.sequence, replayed_bytes_ + journal.written_bytes});
  stats.store_data_bytes = store.data_bytes;
  stats.checkpoint_keys = checkpoint_keys_;
  const CheckpointStats checkpoint = checkpointer_->Stats();
  stats.journal_bytes = checkpoint.journal_bytes;
  stats.journal_records = checkpoint.journal_records;
  stats.checkpoint_in_progress = checkpoint.in_progress;
  stats.checkpoints = checkpoint.count;
  stats.checkpoint_failures = checkpoint.failures;
  stats.checkpoint_failed = checkpoint.consecutive_failures;
  stats.checkpoint_entries = checkpoint.entries;
  stats.checkpoint_bytes = checkpoint.bytes;
  stats.checkpoint_seconds = checkpoint.last_seconds;
  stats.checkpoint_begin_nanos = checkpoint.begin_nanos;
  stats.checkpoint_unix_ms = checkpoint.last_unix_ms;
  stats.checkpoint_sequence = checkpoint.last_sequence;
  return stats;
}

}  // namespace tidegate
