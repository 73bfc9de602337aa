// Persistence: what makes the engine's data outlive the process: the store of a data directory, and
// the journal that is written to it. The one header about it that the proxy sees.
//
//   Open      the directory is checked, locked and opened; nothing is read yet but the seed that
//             keys are hashed with
//   Load      what the last checkpoint says of itself, and every record of the journal after it,
//             in order, before anybody is served. Its keys stay on disk until somebody asks for
//             them (storage/cold)
//   Begin     the journal's threads run, and sink() is the engine's from now on
//   BeginCheckpoints   one is made whenever the journal has become long, and what it holds of the
//             journal is dropped
//   Stop      what was appended is written and synced
//
// The engine reads from the store until Engine::StopLoading, which comes before Stop.
// Threads: Open to Begin and Stop by the main thread; the rest by any, but a backup by none that
// may not wait. Owner: the Server, which
// destroys it after the last command.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "config/options.h"
#include "storage/backup.h"
#include "storage/persistence_metrics.h"
#include "storage/waiter.h"

namespace tidegate {

struct CheckpointLimits;
class Checkpointer;
class CommandTable;
class EffectSink;
class Engine;
class EngineThread;
class Journal;
class Store;

struct PersistenceOptions {
  std::string dir;
  Appendfsync fsync = Appendfsync::kEverysec;
  bool load_truncated = true;
  // Of the journal since the last checkpoint, when the next one is due.
  uint64_t checkpoint_records = 0;
  Bytes checkpoint_bytes{};
  std::string backup_dir;  // empty: "backups" in dir
  // Data may be larger than memory (tier.h), which is limited to so much.
  bool tiered = false;
  Bytes maxmemory{};
};

class Persistence final {
 public:
  static Result<std::unique_ptr<Persistence>> Open(PersistenceOptions options);
  ~Persistence();
  Persistence(const Persistence&) = delete;
  Persistence& operator=(const Persistence&) = delete;

  // On `thread`, which nobody else uses, as nobody uses the engine. Says in the log how far it is,
  // every few seconds.
  Status Load(Engine& engine, EngineThread& thread, const CommandTable& commands);
  // Before the engine's first command.
  void Begin(Engine& engine);
  void BeginCheckpoints();
  // Before the engine is destroyed. AbandonCheckpoints: one that is under way ends soon, and
  // nothing is waited for. `engine_is_closed`: nor does the engine's gate ever open again.
  void AbandonCheckpoints(bool engine_is_closed);
  Status Stop();

  // Makes a checkpoint soon; false while one is under way.
  bool StartCheckpoint();
  void SetCheckpointLimits(uint64_t records, Bytes bytes);
  // What follows from the limit where data may be larger than memory.
  void SetMaxmemory(Bytes bytes);

  // A backup (backup.h) that holds at least everything that was appended before the call. Waits for
  // the journal's writer, until `cancelled`, and for the disk. One at a time.
  Result<std::string> NameOfBackup(std::string_view wanted, int64_t now_unix_ms) const;
  Result<BackupReport> MakeBackup(const std::string& name, const std::atomic<bool>& cancelled);

  EffectSink& sink();

  void SetFsync(Appendfsync fsync);
  // Whether a reply may be sent only when what it tells of is synced.
  bool syncs_always() const;
  // Numbers of records: the newest, and the newest that is synced. Whatever anybody has seen by now
  // is in the newest or before it.
  uint64_t sequence() const;
  uint64_t synced() const;
  // Writes are refused; refusal() is the error reply.
  bool refuses_writes() const;
  // Nothing can be synced now: who only read need not wait for it.
  bool cannot_sync() const;
  std::string refusal() const;
  // See Journal: true, the record is synced. What it takes is known to be short.
  bool SyncHere(uint64_t sequence);
  bool SyncsHere() const;
  // See Journal: wakes the waiter when the record is synced, or cannot be now.
  void AwaitSynced(uint64_t sequence, const Waiter& waiter);
  void Forget(const Waiter& waiter);

  PersistenceStats Stats() const;

 private:
  explicit Persistence(PersistenceOptions options, std::unique_ptr<Store> store);

  Status BeginCold(Engine& engine);
  std::string BackupDirectory() const;
  CheckpointLimits CheckpointLimitsNow() const;

  PersistenceOptions options_;  // the limits change, by one thread at a time
  std::unique_ptr<Store> store_;
  uint64_t last_ = 0;
  uint64_t replayed_records_ = 0;
  uint64_t replayed_bytes_ = 0;
  double replay_seconds_ = 0;
  uint64_t checkpoint_keys_ = 0;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Checkpointer> checkpointer_;
};

}  // namespace tidegate
