// How RocksDB is set up, for Store: see store.h for why. Seen by the .cc files of this folder
// alone.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include <atomic>
#include <memory>

namespace tidegate {

inline constexpr const char* kJournalFamily = "journal";  // the name of a column family

// `broken` becomes true when something fails that keeps RocksDB from writing from then on.
rocksdb::DBOptions DatabaseOptions(rocksdb::Env* env, std::atomic<bool>& broken);
rocksdb::ColumnFamilyOptions JournalOptionsOf(const std::shared_ptr<rocksdb::Cache>& cache);
// Of the column family of data; also what files of checkpoints are written with.
rocksdb::ColumnFamilyOptions DataOptionsOf(const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace tidegate
