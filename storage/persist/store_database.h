// Store::Database: the open RocksDB database behind a Store, with its column families. Shared by
// who uses it at the moment, since a failed one is closed and opened anew (Store::Recover) while
// others read. Seen by the .cc files of this folder alone.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/persist/store.h"

namespace tidegate {

// Says in the log what RocksDB says, and returns what clients get to see of it: what strerror says
// of its cause.
Error StoreError(const rocksdb::Status& status, std::string_view what);

inline std::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline rocksdb::Slice SliceOf(std::string_view view) { return {view.data(), view.size()}; }

struct Store::Database {
  std::unique_ptr<rocksdb::DB> db;
  std::shared_ptr<rocksdb::Cache> cache;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::ColumnFamilyHandle* journal = nullptr;
  rocksdb::ColumnFamilyHandle* data = nullptr;
  rocksdb::WriteBatch batch;  // the writer's; its memory is used again
  // What failed first: later failures of the log say only that something has.
  Mutex mutex;
  std::string broken_by TG_GUARDED_BY(mutex);

  Database() = default;
  ~Database();
  // The first error of all that it is told of.
  Error FirstOf(Error error) {
    MutexLock lock(mutex);
    if (broken_by.empty()) broken_by = std::move(error.message);
    return Error{broken_by};
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // What it may take in memory.
  struct Limits {
    uint64_t cache_bytes;
    uint64_t memtable_bytes;
  };
  rocksdb::Status Open(const std::string& path, const rocksdb::DBOptions& options, bool read_only,
                       const Limits& limits);
};

}  // namespace tidegate
