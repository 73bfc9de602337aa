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

namespace rocksdb {
class Env;
}

namespace tidegate {

// `base` must outlive what is returned.
std::unique_ptr<rocksdb::Env> GuardLogs(rocksdb::Env* base, std::function<void()> on_failure);

}  // namespace tidegate
