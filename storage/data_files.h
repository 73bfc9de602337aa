// Redis's files of data, RDB and append-only, into an engine and out of it: what the server and the
// tools call.
//
// SaveRdb and LoadRdb want the engine for themselves: nobody else may be in it (the server calls
// them in an atomic section over the whole keyspace, or before there are clients). They block for
// as long as the data is large. The formats are in storage/rdb and storage/aof. Cost: see
// docs/performance.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/engine.h"

namespace tidegate {

class CutWalker;
class EngineThread;

// Where bytes go: a file, or a server.
class ByteOutput {
 public:
  virtual ~ByteOutput() = default;
  virtual Status Write(std::string_view bytes) = 0;
};

// How a file is written.
struct RdbWriteOptions {
  bool compress = true;
  bool check_sum = true;
  // Leaves out what Redis 7.0 cannot hold, so that it loads the file: Bloom filters, and the times
  // of fields of hashes.
  bool for_redis = false;
  std::string redis_version;  // that is said to have written it
};

struct SaveReport {
  uint64_t keys = 0;
  uint64_t bytes = 0;
  // What was left out for_redis.
  uint64_t filters_left_out = 0;
  uint64_t hashes_without_times = 0;
};

// One point in time of all databases. The file takes the place of what was at `path` once it is
// whole and on the disk; after an error that is still there.
Result<SaveReport> SaveRdb(Engine& engine, EngineThread& thread, const std::string& path,
                           const RdbWriteOptions& options);

struct BackgroundSaveReport {
  SaveReport file;
  uint64_t changes = 0;  // EngineStats::changes at its moment
};

struct BackgroundSaveControl {
  const std::atomic<bool>& cancelled;  // once true it ends soon, with an error and without a file
  Mutex& file_mutex;                   // held while the file takes its place
};

// The same while everybody goes on: of the moment at which the cut begins (cut/cut.h). Not
// for_redis. Thread: the walker's.
Result<BackgroundSaveReport> SaveRdbInBackground(Engine& engine, CutWalker& walker,
                                                 const std::string& path,
                                                 const RdbWriteOptions& options,
                                                 const BackgroundSaveControl& control);

// How far reading has come.
struct LoadProgress {
  uint64_t bytes = 0;
  uint64_t bytes_total = 0;
  uint64_t keys = 0;
};

struct LoadOptions {
  bool replace = false;        // keys that are there already; else they are errors
  bool keep_expired = false;   // keys whose time has passed
  bool skip_modules = false;   // values of modules that are not here; else they are errors
  bool may_be_cut_off = true;  // an append-only file, in its last command or transaction
  // Called now and then.
  std::function<void(const LoadProgress&)> on_progress = {};
};

struct LoadReport {
  uint16_t version = 0;       // of the RDB file
  std::string redis_version;  // that wrote it; empty: it does not say
  uint64_t keys = 0;
  uint64_t expired = 0;          // dropped, their time had passed
  uint64_t empty = 0;            // collections without elements, passed over
  uint64_t functions = 0;        // libraries, left out
  uint64_t modules_skipped = 0;  // values of modules
  uint64_t commands = 0;         // of an append-only file
  uint64_t bytes = 0;
  uint64_t failed_commands = 0;  // that answered with an error, as they did when they were logged
  uint64_t first_failure_offset = 0;
  std::string first_failure;
  std::optional<uint64_t> cut_off_at;  // where what is not whole begins, at an early end
};

// Reads an RDB file on top of what the engine holds. After an error what was read before it stays.
Result<LoadReport> LoadRdb(Engine& engine, EngineThread& thread, const std::string& path,
                           const LoadOptions& options);

// Runs an append-only file, or all those of a manifest (its name ends in ".manifest"), on top of
// what the engine holds.
Result<LoadReport> LoadAof(Engine& engine, EngineThread& thread, const std::string& path,
                           const LoadOptions& options);

}  // namespace tidegate
