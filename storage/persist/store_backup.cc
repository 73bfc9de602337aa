// The part of Store that makes a copy of itself, for backups (storage/backup.h).
#include <rocksdb/utilities/checkpoint.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/file.h"
#include "storage/persist/data_directory.h"
#include "storage/persist/journal_files.h"
#include "storage/persist/store_database.h"

namespace tidegate {
namespace {

// RocksDB links files of the log that are complete as they are, and these may not be on the disk
// yet.
Status SyncLogs(const std::string& path) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(path, failed)) {
    if (entry.path().extension() == ".log") TG_RETURN_IF_ERROR(SyncPath(entry.path().string()));
  }
  if (failed) return Error{"read directory " + path + ": " + failed.message()};
  return SyncPath(path);
}

}  // namespace

// The journal first: what a checkpoint drops of it meanwhile, that checkpoint has, and the copy of
// the data, which is made after it, has the checkpoint.
Result<uint64_t> Store::CopyTo(const std::string& directory) {
  TG_RETURN_IF_ERROR(WriteDataFormat(directory, hash_seed_));
  TG_RETURN_IF_ERROR(journal_->CopyTo(directory + "/journal"));
  const std::string path = directory + "/store";
  {
    const std::shared_ptr<Database> at = database();
    if (at == nullptr) return Error{strerror(EIO)};
    rocksdb::Checkpoint* created = nullptr;
    rocksdb::Status status = rocksdb::Checkpoint::Create(at->db.get(), &created);
    const std::unique_ptr<rocksdb::Checkpoint> copy(created);
    if (status.ok()) status = copy->CreateCheckpoint(path, /*log_size_for_flush=*/UINT64_MAX);
    if (!status.ok()) return StoreError(status, "copy to " + path);
  }
  TG_RETURN_IF_ERROR(SyncLogs(path));
  TG_RETURN_IF_ERROR(SyncPath(directory));
  Result<std::unique_ptr<Store>> opened = Open({.dir = directory,
                                                .load_truncated = true,
                                                .read_only = true,
                                                .env = options_.env,
                                                .value_bytes_max = options_.value_bytes_max});
  if (!opened.ok()) return std::move(opened).error().WithContext("the copy");
  return (*opened)->LastRecord();
}

}  // namespace tidegate
