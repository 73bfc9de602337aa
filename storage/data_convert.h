// Data of one form into another, without a server: what `tidegate import`, `export`, `check` and
// `rdb-report` do.
//
// An RDB file is read key by key: each is made in a scratch engine, given on, and removed, so that
// a file of any size takes the memory of its largest value. The commands of an append-only file,
// and the journal of a data directory, need all of the data at once, so that is loaded as a whole.
// A data directory is only read, and no server may have it open. Blocks for as long as it takes.
// Thread: any one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "storage/data_files.h"

namespace tidegate {

class EntrySink;

enum class DataFormat : uint8_t { kRdb, kAof, kAofManifest, kDataDirectory };

struct DataSource {
  DataFormat format = DataFormat::kRdb;
  std::string path;
};

// What is at `path`: an RDB file, an append-only file, the manifest of one, or a directory with a
// manifest in it or in its appendonlydir, or a data directory of ours. A file that begins as RDB is
// taken for an RDB file, unless its name ends in .aof: then commands may follow.
Result<DataSource> FindDataSource(const std::string& path);

struct ConvertOptions {
  bool for_redis = false;     // see RdbWriteOptions
  bool skip_modules = false;  // see LoadOptions
  int databases = 16;         // of an append-only file
  int64_t now_ms = 0;
  std::string redis_version;  // that an RDB file says it is of
  std::function<void(const LoadProgress&)> on_progress = {};
};

inline constexpr size_t kValueTypes = 7;  // of ValueType
struct ConvertReport {
  LoadReport read;
  uint64_t checkpoint_sequence = 0;  // of a data directory: the checkpoint's last record,
  uint64_t records = 0;              // and how many came after it
  SaveReport written;
  std::array<uint64_t, kValueTypes> keys_by_type{};
  uint64_t databases = 0;  // that hold something
  uint64_t expiring = 0;
  bool sum_checked = false;   // of an RDB file, and of all files of a data directory
  uint64_t bytes_behind = 0;  // the end of an RDB file
};

// Reads all of it and keeps nothing: whether it is sound.
Result<ConvertReport> CheckData(const DataSource& source, const ConvertOptions& options);
// The file takes its place when it is whole.
Result<ConvertReport> ConvertToRdb(const DataSource& source, const std::string& path,
                                   const ConvertOptions& options);
Result<ConvertReport> ConvertToAof(const DataSource& source, const std::string& path,
                                   const ConvertOptions& options);
// As SELECT and RESTORE commands, for a server; each is answered with one line.
Result<ConvertReport> ConvertToCommands(const DataSource& source, ByteOutput& output,
                                        const ConvertOptions& options);

// Gives every key to the sink, as it comes.
Result<ConvertReport> ConvertTo(const DataSource& source, EntrySink& sink,
                                const ConvertOptions& options);

// Names of ValueType, by number: "strings", "lists", ….
std::string_view ValueTypeName(size_t type);

}  // namespace tidegate
