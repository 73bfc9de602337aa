#include "storage/persist/store.h"

#include <rocksdb/env.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/log.h"
#include "storage/persist/data_directory.h"
#include "storage/persist/journal_files.h"
#include "storage/persist/store_database.h"
#include "storage/persist/store_options.h"
#include "storage/persist/wal_check.h"

namespace tidegate {
namespace {

// How long opening the database anew waits for who still reads the old one.
constexpr std::chrono::milliseconds kReadersWait{1000};
constexpr std::chrono::milliseconds kReadersWaitStep{1};

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

}  // namespace

Error StoreError(const rocksdb::Status& status, std::string_view what) {
  log::Warning("Store: " + std::string(what) + ": " + status.ToString());
  return Error{CauseOf(status)};
}

Store::Database::~Database() {
  for (rocksdb::ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family);
  if (db == nullptr) return;
  const rocksdb::Status closed = db->Close();
  if (!closed.ok()) log::Warning("Store: close: " + closed.ToString());
}

rocksdb::Status Store::Database::Open(const std::string& path, const rocksdb::DBOptions& options,
                                      bool read_only, uint64_t cache_bytes) {
  cache = rocksdb::NewLRUCache(cache_bytes);
  rocksdb::ColumnFamilyOptions plain;
  plain.write_buffer_size = 1 << 20;  // nothing is in it
  const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {
      {rocksdb::kDefaultColumnFamilyName, plain},
      {kJournalFamily, JournalOptionsOf(cache)},
      {"data", DataOptionsOf(cache)},
  };
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status =
      read_only ? rocksdb::DB::OpenForReadOnly(options, path, descriptors, &families, &opened)
                : rocksdb::DB::Open(options, path, descriptors, &families, &opened);
  if (!status.ok()) return status;
  db.reset(opened);
  journal = families[1];
  data = families[2];
  return status;
}

Store::Store(StoreOptions options)
    : options_(std::move(options)),
      cache_bytes_(options_.cache_bytes.count),
      env_(options_.env != nullptr ? options_.env : rocksdb::Env::Default()) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Open(StoreOptions options) {
  std::unique_ptr<Store> store(new Store(std::move(options)));
  const StoreOptions& wanted = store->options_;
  Result<DataDirectory> directory =
      wanted.read_only ? FindDataDirectory(wanted.dir) : PrepareDataDirectory(wanted.dir);
  if (!directory.ok()) return std::move(directory).error();
  store->path_ = directory->store;
  store->checkpoint_path_ = directory->checkpoint;
  store->hash_seed_ = directory->hash_seed;
  TG_RETURN_IF_ERROR(store->OpenDatabase());
  TG_RETURN_IF_ERROR(store->ReadStoredLast());
  Result<std::unique_ptr<JournalFiles>> journal =
      JournalFiles::Open({.env = store->env_,
                          .directory = directory->journal,
                          .drops_damage = wanted.load_truncated,
                          .read_only = wanted.read_only});
  if (!journal.ok()) return std::move(journal).error().WithContext("store " + store->path_);
  store->journal_ = std::move(journal).value();
  if (!wanted.read_only) TG_RETURN_IF_ERROR(store->SweepCheckpointFiles());
  store->NoteStats();
  return store;
}

Status Store::OpenDatabase() {
  const rocksdb::DBOptions options = DatabaseOptions(env_, broken_);
  broken_.store(false, std::memory_order_relaxed);
  auto database = std::make_shared<Database>();
  const uint64_t cache_bytes = cache_bytes_.load();
  rocksdb::Status status = database->Open(path_, options, options_.read_only, cache_bytes);
  while (status.IsCorruption()) {
    const std::optional<WalDamage> damage = FindWalDamage(path_);
    if (!damage) break;
    if (!damage->at_end || !drops_damage()) {
      return Error{"store " + path_ + ": " + damage->file + " is damaged at byte " +
                   std::to_string(damage->offset) +
                   (damage->at_end ? ", its end" : ", and there are records behind it")};
    }
    log::Warning("Store: " + damage->file + " ends in a damaged record at byte " +
                 std::to_string(damage->offset) + ": what it held is dropped");
    TG_RETURN_IF_ERROR(CutOffDamage(*damage));  // so there is less of it each time
    database = std::make_shared<Database>();
    status = database->Open(path_, options, options_.read_only, cache_bytes);
  }
  if (!status.ok()) {
    const std::string text = status.ToString();
    if (text.find("lock") != std::string::npos && status.IsIOError())
      return Error{"store " + path_ + " is in use by another process (" + text + ")"};
    return Error{"open store " + path_ + ": " + text};
  }
  TG_RETURN_IF_ERROR(ReadCheckpointInfo(*database));
  MutexLock lock(mutex_);
  database_ = std::move(database);
  return {};
}

Status Store::ReopenDatabase() {
  MutexLock reopening(reopen_mutex_);
  if (!broken_.load(std::memory_order_relaxed) && database() != nullptr) return {};
  // Closed outside the lock, and before it is opened again: by the last one who has it.
  std::weak_ptr<Database> old = [this] {
    MutexLock lock(mutex_);
    return std::exchange(database_, nullptr);
  }();
  for (auto waited = kReadersWaitStep; !old.expired() && waited < kReadersWait;
       waited += kReadersWaitStep) {
    std::this_thread::sleep_for(kReadersWaitStep);
  }
  const Status opened = OpenDatabase();
  if (opened.ok()) return {};
  broken_.store(true, std::memory_order_relaxed);
  log::Warning("Store: " + opened.error().message);
  return Error{CauseIn(opened.error().message)};
}

bool Store::IsNearlyFull() {
  NoteStats();
  uint64_t free_bytes = 0;
  if (!env_->GetFreeSpace(path_, &free_bytes).ok()) return false;
  return free_bytes < kStoreFreeBytesMin.count;
}

void Store::SetCacheBytes(Bytes bytes) {
  cache_bytes_.store(bytes.count);
  if (const std::shared_ptr<Database> at = database()) at->cache->SetCapacity(bytes.count);
}

void Store::NoteStats() {
  const std::shared_ptr<Database> at = database();
  if (at == nullptr) return;
  const auto figure = [&](rocksdb::ColumnFamilyHandle* family, const std::string& name) {
    uint64_t value = 0;
    at->db->GetIntProperty(family, name, &value);
    return value;
  };
  const uint64_t data = figure(at->data, rocksdb::DB::Properties::kTotalSstFilesSize);
  disk_bytes_.store(
      data + figure(at->journal, rocksdb::DB::Properties::kTotalSstFilesSize) + journal_->bytes(),
      std::memory_order_relaxed);
  data_bytes_.store(data, std::memory_order_relaxed);
  memory_bytes_.store(
      figure(at->journal, rocksdb::DB::Properties::kSizeAllMemTables) + at->cache->GetUsage(),
      std::memory_order_relaxed);
}

}  // namespace tidegate
