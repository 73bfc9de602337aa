// LogGuard: the file system as RocksDB sees it, which tells of a failed write to the write-ahead
// log before RocksDB learns of it.
//
// Why: RocksDB, built with its own checks on as Debian's is, ends the process when a log that could
// not be written is synced. One thread writes here and another one syncs, so the one that syncs
// must not be able to begin between the failure and RocksDB's noticing it: `on_failure` is called
// before the error is returned, and may wait for a sync that is under way. Costs nothing but a
// virtual call for each write. Threads: those of RocksDB.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace rocksdb {
class Env;
}

namespace tidegate {

// Of the logs in `directory` alone: RocksDB also writes them elsewhere, in copies of the database.
// `base` must outlive what is returned.
std::unique_ptr<rocksdb::Env> GuardLogs(rocksdb::Env* base, const std::string& directory,
                                        std::function<void()> on_failure);

}  // namespace tidegate
