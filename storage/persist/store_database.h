// Store::Database: the open RocksDB database behind a Store, with its column families. Shared by
// who uses it at the moment, since a failed one is closed and opened anew (Store::Recover) while
// others read. Seen by the .cc files of this folder alone.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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
  rocksdb::ColumnFamilyHandle* journal = nullptr;  // of directories up to version 3
  rocksdb::ColumnFamilyHandle* data = nullptr;

  Database() = default;
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::Status Open(const std::string& path, const rocksdb::DBOptions& options, bool read_only,
                       uint64_t cache_bytes);
};

}  // namespace tidegate
