#include "storage/persist/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "base/log.h"
#include "storage/persist/data_directory.h"
#include "storage/persist/log_guard.h"
#include "storage/persist/wal_check.h"

namespace tidegate {
namespace {

constexpr size_t kKeyBytes = 8;
constexpr size_t kPartBytes = 4;  // a part's number, behind the key

// Memory of a batch that is kept for the next one.
constexpr Bytes kStoreBatchKeptBytes = 4_MiB;

// What strerror says of an error of RocksDB that is told with these words: clients get to see it.
std::string CauseIn(const std::string& text) {
  for (const int code : {ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EFBIG, EIO}) {
    if (text.find(strerror(code)) != std::string::npos) return strerror(code);
  }
  return text.find("IO error") != std::string::npos ? strerror(EIO) : text;
}

std::string CauseOf(const rocksdb::Status& status) {
  return status.IsNoSpace() ? strerror(ENOSPC) : CauseIn(status.ToString());
}

Error ErrorOf(const rocksdb::Status& status, std::string_view what) {
  log::Warning("Store: " + std::string(what) + ": " + status.ToString());
  return Error{CauseOf(status)};
}

std::string KeyOf(uint64_t sequence) {
  std::string key(kKeyBytes, '\0');
  for (size_t i = 0; i < kKeyBytes; ++i)
    key[i] = static_cast<char>(sequence >> (8 * (kKeyBytes - 1 - i)));
  return key;
}

// Of the second value of a group, and the next ones: they follow the first.
std::string PartKeyOf(uint64_t sequence, uint32_t part) {
  std::string key = KeyOf(sequence);
  for (size_t i = 0; i < kPartBytes; ++i)
    key += static_cast<char>(part >> (8 * (kPartBytes - 1 - i)));
  return key;
}

std::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

uint64_t SequenceOf(const rocksdb::Slice& key) {
  uint64_t sequence = 0;
  for (size_t i = 0; i < key.size() && i < kKeyBytes; ++i)
    sequence = sequence << 8 | static_cast<uint8_t>(key[i]);
  return sequence;
}

// A group as it lies in the store: one value, or several if the first one is as long as may be.
struct StoredGroup {
  uint64_t sequence = 0;   // of its key
  bool has_begin = false;  // it begins with the first value of a group
  std::string_view bytes;
};

// The group that begins at the iterator, which is left at its last value. The bytes are in the
// iterator's value or, when there are several, in `joined`.
StoredGroup GroupOf(rocksdb::Iterator& it, size_t value_bytes_max, std::string& joined) {
  StoredGroup group{SequenceOf(it.key()), it.key().size() == kKeyBytes, ViewOf(it.value())};
  if (group.bytes.size() < value_bytes_max) return group;
  joined = group.bytes;
  const std::string prefix = KeyOf(group.sequence);
  for (it.Next(); it.Valid() && it.key().size() > kKeyBytes && it.key().starts_with(prefix);
       it.Next()) {
    joined.append(it.value().data(), it.value().size());
  }
  if (it.Valid()) {
    it.Prev();
  } else {
    it.SeekToLast();
  }
  group.bytes = joined;
  return group;
}

// What RocksDB has to say goes into our log. Not into a file of its own: writing that one again
// after it failed is, as with the write-ahead log, the end of the process where RocksDB checks
// itself.
class StoreLog final : public rocksdb::Logger {
 public:
  StoreLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    log::Verbose("Store: " + std::string(line));
  }
};

rocksdb::DBOptions DatabaseOptions(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  // A record that ends early is the end of the log; one with a wrong checksum is looked at by
  // wal_check, which tells a torn end from damage.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.avoid_flush_during_recovery = true;  // a start need not write
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.max_total_wal_size = 4 * kStoreMemtableBytes.count;
  // Dirty pages of files go to the disk bit by bit. Not those of the log: its writer is not to wait
  // for a disk, and the journal's other thread sees to it.
  options.bytes_per_sync = 1 << 20;
  // One thread writes: what is for many at once only costs.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<StoreLog>();
  // The journal's writer tries again, once a second.
  options.max_bgerror_resume_count = 0;
  return options;
}

rocksdb::ColumnFamilyOptions JournalOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.checksum = rocksdb::kXXH3;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kStoreMemtableBytes.count;
  options.max_write_buffer_number = kStoreMemtablesMax;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  // Two levels: files come into the first and are moved, as they are, into the second.
  options.num_levels = 2;
  // Files wait in the first for a move, which costs nothing: no reason to slow writes down.
  options.level0_slowdown_writes_trigger = 1000;
  options.level0_stop_writes_trigger = 2000;
  return options;
}

}  // namespace

struct Store::Database {
  std::unique_ptr<rocksdb::DB> db;
  std::shared_ptr<rocksdb::Cache> cache;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::ColumnFamilyHandle* journal = nullptr;
  rocksdb::WriteBatch batch;  // the writer's; its memory is used again

  ~Database() {
    for (rocksdb::ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family);
    if (db == nullptr) return;
    const rocksdb::Status closed = db->Close();
    if (!closed.ok()) log::Warning("Store: close: " + closed.ToString());
  }

  rocksdb::Status Open(const std::string& path, rocksdb::DBOptions options) {
    cache = rocksdb::NewLRUCache(kStoreBlockCacheBytes.count);
    rocksdb::ColumnFamilyOptions plain;
    plain.write_buffer_size = 1 << 20;  // nothing is in it
    const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {
        {rocksdb::kDefaultColumnFamilyName, plain},
        {"journal", JournalOptions(cache)},
        {"data", plain},
    };
    rocksdb::DB* opened = nullptr;
    rocksdb::Status status = rocksdb::DB::Open(options, path, descriptors, &families, &opened);
    if (!status.ok()) return status;
    db.reset(opened);
    journal = families[1];
    return status;
  }
};

Store::Store(StoreOptions options)
    : options_(std::move(options)),
      env_(GuardLogs(options_.env != nullptr ? options_.env : rocksdb::Env::Default(),
                     [this] { Break(); })) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Open(StoreOptions options) {
  std::unique_ptr<Store> store(new Store(std::move(options)));
  Result<std::string> path = PrepareDataDirectory(store->options_.dir);
  if (!path.ok()) return std::move(path).error();
  store->path_ = std::move(path).value();
  TG_RETURN_IF_ERROR(store->OpenDatabase());
  return store;
}

Status Store::OpenDatabase() {
  rocksdb::DBOptions options = DatabaseOptions(env_.get());
  auto database = std::make_shared<Database>();
  rocksdb::Status status = database->Open(path_, options);
  if (status.IsCorruption()) {
    const std::optional<WalDamage> damage = FindWalDamage(path_);
    if (damage && damage->at_end && options_.load_truncated) {
      log::Warning("Store: " + damage->file + " ends in a damaged record at byte " +
                   std::to_string(damage->offset) + ": what it held is dropped");
      options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
      // What is whole goes into a file, and the log with it: the next opening would find whole
      // records of a newer log behind this one's damage.
      options.avoid_flush_during_recovery = false;
      database = std::make_shared<Database>();
      status = database->Open(path_, options);
    } else if (damage) {
      return Error{"store " + path_ + ": " + damage->file + " is damaged at byte " +
                   std::to_string(damage->offset) +
                   (damage->at_end ? ", its end (aof-load-truncated is no)"
                                   : ", and there are records behind it")};
    }
  }
  if (!status.ok()) {
    const std::string text = status.ToString();
    if (text.find("lock") != std::string::npos && status.IsIOError())
      return Error{"store " + path_ + " is in use by another process (" + text + ")"};
    return Error{"open store " + path_ + ": " + text};
  }
  {
    MutexLock lock(mutex_);
    database_ = std::move(database);
  }
  {
    MutexLock lock(sync_mutex_);
    broken_ = false;
  }
  NoteStats();
  return {};
}

// As one value, or as several when it is longer than RocksDB's values can be: all in one batch.
rocksdb::Status Store::PutGroup(Database& at, const JournalGroup& group) const {
  std::string key = KeyOf(group.first());
  std::string_view rest = group.bytes();
  at.batch.Clear();
  // Once, and not twice as much in the end.
  if (rest.size() > kStoreBatchKeptBytes.count)
    at.batch = rocksdb::WriteBatch(rest.size() + rest.size() / 16);
  rocksdb::Status status;
  for (uint32_t part = 0; status.ok() && (part == 0 || !rest.empty()); ++part) {
    if (part > 0) key = PartKeyOf(group.first(), part);
    const std::string_view value = rest.substr(0, options_.value_bytes_max.count);
    rest.remove_prefix(value.size());
    status = at.batch.Put(at.journal, key, rocksdb::Slice(value.data(), value.size()));
  }
  return status;
}

Status Store::Write(const JournalGroup& group, bool sync) {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return Error{strerror(EIO)};
  rocksdb::Status status = PutGroup(*at, group);
  rocksdb::WriteOptions options;
  options.sync = sync;
  if (status.ok()) status = at->db->Write(options, &at->batch);
  // What was large is rare, and its room would be kept for ever.
  if (at->batch.GetDataSize() > kStoreBatchKeptBytes.count) at->batch = rocksdb::WriteBatch();
  if (status.ok()) return {};
  Break();
  return ErrorOf(status, "write");
}

void Store::Break() {
  MutexLock lock(sync_mutex_);
  broken_ = true;
}

Status Store::Sync() {
  const std::shared_ptr<Database> at = database();
  MutexLock lock(sync_mutex_);
  if (at == nullptr || broken_) return Error{strerror(EIO)};  // see log_guard.h
  const rocksdb::Status status = at->db->SyncWAL();
  if (status.ok()) return {};
  return ErrorOf(status, "sync");
}

Result<uint64_t> Store::Recover() {
  // Closed outside the lock, and before it is opened again.
  [this] {
    MutexLock lock(mutex_);
    return std::exchange(database_, nullptr);
  }();
  const Status opened = OpenDatabase();
  if (opened.ok()) return LastRecord();
  log::Warning("Store: " + opened.error().message);
  return Error{CauseIn(opened.error().message)};
}

Result<uint64_t> Store::LastRecord() const {
  const std::shared_ptr<Database> at = database();
  const std::unique_ptr<rocksdb::Iterator> it(
      at->db->NewIterator(rocksdb::ReadOptions(), at->journal));
  for (it->SeekToLast(); it->Valid() && it->key().size() > kKeyBytes;) it->Prev();
  if (!it->status().ok()) return ErrorOf(it->status(), "read");
  if (!it->Valid()) return uint64_t{0};
  std::string joined;
  const StoredGroup stored = GroupOf(*it, options_.value_bytes_max.count, joined);
  Result<JournalGroupView> group = JournalGroupView::Parse(stored.bytes);
  if (!group.ok()) return std::move(group).error();
  return group->last();
}

bool Store::IsNearlyFull() {
  NoteStats();
  uint64_t free_bytes = 0;
  if (!env_->GetFreeSpace(path_, &free_bytes).ok()) return false;
  return free_bytes < kStoreFreeBytesMin.count;
}

void Store::NoteStats() {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return;
  const auto figure = [&](const std::string& name) {
    uint64_t value = 0;
    at->db->GetIntProperty(at->journal, name, &value);
    return value;
  };
  disk_bytes_.store(figure(rocksdb::DB::Properties::kTotalSstFilesSize) +
                        figure(rocksdb::DB::Properties::kCurSizeAllMemTables),
                    std::memory_order_relaxed);
  memory_bytes_.store(figure(rocksdb::DB::Properties::kSizeAllMemTables) + at->cache->GetUsage(),
                      std::memory_order_relaxed);
}

// --- replay ---

namespace {

// What is stored, checked; `last` is the record before it, 0 for the first group.
Result<JournalGroupView> CheckGroup(const StoredGroup& stored, uint64_t last) {
  Result<JournalGroupView> group = JournalGroupView::Parse(stored.bytes);
  if (!group.ok()) return group;
  if (!stored.has_begin || stored.sequence != group->first())
    return Error{"it says that it begins with record " + std::to_string(group->first())};
  if (last != 0 && group->first() != last + 1)
    return Error{"the record before it is " + std::to_string(last) + ": some are missing"};
  return group;
}

Status ApplyGroup(JournalGroupView group, const Store::ApplyFn& apply, ReplayProgress& done) {
  std::string_view record;
  while (group.Next(&record)) {
    const Status applied = apply(record);
    if (!applied.ok()) {
      return Error{"record " + std::to_string(done.last + 1) + ": " + applied.error().message};
    }
    ++done.records;
    ++done.last;
  }
  return {};
}

}  // namespace

Result<ReplayProgress> Store::Replay(const ApplyFn& apply, const ProgressFn& progress) {
  const std::shared_ptr<Database> at = database();
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 2 << 20;
  const std::unique_ptr<rocksdb::Iterator> it(at->db->NewIterator(options, at->journal));
  ReplayProgress done;
  std::string joined;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const StoredGroup stored = GroupOf(*it, options_.value_bytes_max.count, joined);
    Result<JournalGroupView> group = CheckGroup(stored, done.last);
    if (!group.ok()) {
      const std::string what = "the journal's group at record " + std::to_string(stored.sequence) +
                               " (" + std::to_string(stored.bytes.size()) + " bytes, after " +
                               std::to_string(done.bytes) +
                               ") is damaged: " + group.error().message;
      it->Next();
      if (it->Valid() || !options_.load_truncated) return Error{what};
      log::Warning("Store: " + what + ": it is the last one, and is dropped");
      rocksdb::WriteOptions synced;
      synced.sync = true;
      const rocksdb::Status removed = at->db->DeleteRange(
          synced, at->journal, KeyOf(stored.sequence), KeyOf(stored.sequence + 1));
      if (!removed.ok()) return ErrorOf(removed, "remove a damaged group");
      break;
    }
    done.last = group->first() - 1;
    TG_RETURN_IF_ERROR(ApplyGroup(*group, apply, done));
    done.bytes += stored.bytes.size();
    if (progress) progress(done);
  }
  if (!it->status().ok()) {
    return Error{"read the journal after record " + std::to_string(done.last) + ": " +
                 it->status().ToString()};
  }
  return done;
}

}  // namespace tidegate
