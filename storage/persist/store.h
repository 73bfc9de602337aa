// Store: what lies in one data directory: the last checkpoint, in a RocksDB database, whose only
// door this is, and the journal since then, in files of its own (journal_files.h).
//
//   column family "data"     the last checkpoint: keys in storage/checkpoint/data_key.h
//   column family "journal"  of directories that an earlier version wrote, until a checkpoint has
//                            what it says; key: number of the group's first record, 8 bytes,
//                            big-endian; value: the group; of a group longer than
//                            kStoreValueBytesMax the rest under the same key and the number of the
//                            part, 4 bytes
//
// Data comes into RocksDB in sorted files alone (checkpoint_files.h), all those of a checkpoint in
// one step, with the record that says up to where they hold the journal: after a crash either all
// of it is there or nothing. That costs no memtable and no log; one thread tidies up behind it.
// The journal does not go through RocksDB: its log and the files made of its memtables would hold
// every byte twice, which cost more than all the rest of a record's way to the disk.
// The block cache is small. What all this takes in memory is bounded and in Stats().
// Something that fails may leave RocksDB refusing all writes; Recover() and the next checkpoint
// open the database anew then. (Its own way back, Resume, ends the process when it fails too, where
// it was built with its checks on, as Debian's is.) Threads: Write, Recover and Replay by one
// thread at a time; checkpoints by another; Sync by any, but not during Recover; reads and Stats by
// any. RocksDB's headers are seen by this folder alone: they cost seconds to compile.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/checkpoint/checkpoint_info.h"
#include "storage/checkpoint/stored_record.h"
#include "storage/cold/cold_source.h"
#include "storage/journal/journal_log.h"

namespace rocksdb {
class Env;
class Status;
}  // namespace rocksdb

namespace tidegate {

class CheckpointFiles;
class JournalFiles;

// Blocks of data that were read, with their indexes and filters.
inline constexpr Bytes kStoreBlockCacheBytes = 16_MiB;

// Files of data end at about this size.
inline constexpr Bytes kCheckpointFileBytesMax = 64_MiB;

// Free bytes of the disk below which writes are refused: enough for what is under way then, and for
// the files that RocksDB needs to write on the way to a clean end.
inline constexpr Bytes kStoreFreeBytesMin = 64_MiB;

// Bytes of a value of the column family "journal": RocksDB counts them in 32 bits, and one record
// can be longer, that of a transaction which sets several of the longest strings there may be.
inline constexpr Bytes kStoreValueBytesMax = 1_GiB;

struct StoreOptions {
  std::string dir;
  // Whether a journal that ends in a torn group may be opened (aof-load-truncated).
  bool load_truncated = true;
  // Nothing is written or changed, and the directory is not locked: for tools, while no server has
  // it open. What is damaged is an error then.
  bool read_only = false;
  // What RocksDB takes for the file system; null: the real one. For tests that pull the plug.
  rocksdb::Env* env = nullptr;
  Bytes value_bytes_max = kStoreValueBytesMax;  // tests choose less
  Bytes cache_bytes = kStoreBlockCacheBytes;    // see SetCacheBytes
};

struct StoreStats {
  uint64_t disk_bytes = 0;    // of the database's and the journal's files
  uint64_t data_bytes = 0;    // of these, the last checkpoint
  uint64_t memory_bytes = 0;  // of RocksDB
};

struct ReplayProgress {
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t last = 0;  // number of the last record
};

class Store final : public JournalLog, public ColdSource {
 public:
  static Result<std::unique_ptr<Store>> Open(StoreOptions options);
  ~Store() override;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // What keys are hashed with here (base/hash.h).
  uint64_t hash_seed() const { return hash_seed_; }

  // Calls `apply` for each record of the journal that the checkpoint does not hold, in order, and
  // `progress` after each group. Checks checksums and that no number is missing; either is an
  // error, and so is what `apply` returns. (A damaged end is cut off when the store is opened.)
  using ApplyFn = std::function<Status(std::string_view record)>;
  using ProgressFn = std::function<void(const ReplayProgress&)>;
  Result<ReplayProgress> Replay(const ApplyFn& apply, const ProgressFn& progress);

  // The number of the last record, in the journal or the checkpoint; 0: there is none.
  uint64_t LastRecord() const;

  // The checkpoint that the store holds; none: there was none yet. As it was opened, or ingested.
  std::optional<CheckpointInfo> checkpoint() const;
  // The last record that it holds; 0: none.
  uint64_t checkpoint_sequence() const {
    return checkpoint_sequence_.load(std::memory_order_acquire);
  }
  // What a checkpoint has said under this name; empty: nothing, or it cannot be read.
  std::string Info(std::string_view name);
  // Files to write the next one into. One at a time.
  std::unique_ptr<CheckpointFiles> NewCheckpoint();
  // They are the store's from here on, all of them at once: after a crash, or an error, all are
  // there or none. Then lets go of what the journal holds of it.
  Status Ingest(CheckpointFiles& files, const CheckpointInfo& info);

  // A data directory in `directory`, which is there and empty, with what the store holds at some
  // moment of the call, on the disk when it returns. It was opened once: the number of the last
  // record. The files are linked where that can be done.
  Result<uint64_t> CopyTo(const std::string& directory);

  // Whether all blocks of all files have the right checksum: reads everything.
  Status VerifyFiles();

  // ColdSource.
  Result<bool> Read(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key,
                    const std::function<void(const StoredEntry&)>& fn) override;
  bool IsAbsent(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key) override;
  Status ReadSlot(uint32_t database, uint16_t slot, uint64_t from_hash,
                  const std::function<bool(const StoredEntry&)>& fn) override;
  Status ReadExpiries(uint32_t database, uint16_t slot, uint64_t from_hash,
                      const std::function<bool(const StoredExpiry&)>& fn) override;

  // JournalLog.
  Status Write(const JournalGroup& group, bool sync) override;
  Status Sync() override;
  Result<uint64_t> Recover() override;
  bool IsBusy() const override { return ingesting_.load(std::memory_order_relaxed); }
  bool IsNearlyFull() override;

  // For blocks of data that were read, with their indexes and filters.
  void SetCacheBytes(Bytes bytes);
  // Of Stats(), for who counts it.
  const std::atomic<uint64_t>& memory_bytes() const { return memory_bytes_; }

  // As they were when IsNearlyFull was last asked: RocksDB takes locks to tell them.
  StoreStats Stats() const {
    return {disk_bytes_.load(std::memory_order_relaxed),
            data_bytes_.load(std::memory_order_relaxed),
            memory_bytes_.load(std::memory_order_relaxed)};
  }

 private:
  struct Database;
  explicit Store(StoreOptions options);
  bool drops_damage() const { return options_.load_truncated && !options_.read_only; }
  Status OpenDatabase();
  // If something has broken it.
  Status ReopenDatabase();
  // The journal in the database, of an earlier version.
  Status ReadStoredLast();
  Status ReplayStored(const ApplyFn& apply, const ProgressFn& progress, ReplayProgress& done);
  Status DropDamaged(uint64_t sequence, const std::string& what);
  void DropStoredUpTo(uint64_t sequence);
  Status ReadCheckpointInfo(const Database& at);
  void NoteCheckpoint(const CheckpointInfo& info);
  static void DropRanges(const Database& at, const CheckpointFiles& files);
  // Of a checkpoint that never became one.
  Status SweepCheckpointFiles();
  void NoteStats();

  std::shared_ptr<Database> AwaitDatabase() const;
  std::shared_ptr<Database> database() const {
    MutexLock lock(mutex_);
    return database_;
  }

  const StoreOptions options_;
  std::atomic<uint64_t> cache_bytes_;
  rocksdb::Env* const env_;
  std::string path_;
  std::string checkpoint_path_;
  uint64_t hash_seed_ = 0;
  std::unique_ptr<JournalFiles> journal_;
  std::atomic<uint64_t> stored_last_{0};  // record of the journal in the database; 0: there is none
  Mutex reopen_mutex_;
  std::atomic<bool> broken_{false};     // RocksDB refuses writes, or may
  std::atomic<bool> ingesting_{false};  // the disk has more to do than the journal
  std::atomic<uint64_t> disk_bytes_{0};
  std::atomic<uint64_t> data_bytes_{0};
  std::atomic<uint64_t> memory_bytes_{0};
  std::atomic<uint64_t> checkpoint_sequence_{0};
  std::atomic<uint64_t> next_file_{1};  // names are never used twice
  mutable Mutex mutex_;
  std::shared_ptr<Database> database_ TG_GUARDED_BY(mutex_);  // null: between two openings
  std::optional<CheckpointInfo> checkpoint_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
