#include "storage/data_files.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "storage/aof/aof_loader.h"
#include "storage/aof/aof_manifest.h"
#include "storage/cut_walker.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/rdb/engine_walk.h"
#include "storage/rdb/rdb_cut_sink.h"
#include "storage/rdb/rdb_file_reader.h"
#include "storage/rdb/rdb_file_writer.h"
#include "storage/rdb/rdb_loader.h"

namespace tidegate {
namespace {

// What a manifest names, in its own directory; any other file alone.
Result<std::vector<std::string>> FilesOf(const std::string& path) {
  constexpr std::string_view kEnd = ".manifest";
  if (!path.ends_with(kEnd)) return std::vector<std::string>{path};
  constexpr size_t kManifestBytesMax = size_t{16} << 20;
  Result<std::string> text = ReadSmallFile(path, kManifestBytesMax);
  if (!text.ok()) return std::move(text).error();
  Result<std::vector<std::string>> names = ParseAofManifest(*text);
  if (!names.ok()) return std::move(names).error().WithContext(path);
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  for (std::string& name : *names) name.insert(0, directory);
  return names;
}

}  // namespace

Result<SaveReport> SaveRdb(Engine& engine, EngineThread& thread, const std::string& path,
                           const RdbWriteOptions& options) {
  const bool field_times = !options.for_redis && rdb::AnyFieldExpires(engine);
  const rdb::FileHeader header = rdb::HeaderOf(engine, thread.wall_ms, field_times);
  Result<std::unique_ptr<rdb::RdbFileWriter>> writer =
      rdb::RdbFileWriter::Create(path, options, header);
  if (!writer.ok()) return std::move(writer).error();
  TG_RETURN_IF_ERROR(rdb::WalkEngine(engine, **writer));
  TG_RETURN_IF_ERROR((*writer)->Finish());
  return (*writer)->report();
}

Result<BackgroundSaveReport> SaveRdbInBackground(Engine& engine, CutWalker& walker,
                                                 const std::string& path,
                                                 const RdbWriteOptions& options,
                                                 const BackgroundSaveControl& control) {
  TG_CHECK(!options.for_redis);
  rdb::RdbCutSink sink(engine, path, options, control.cancelled);
  walker.Write(sink, &UnixMillis);
  MutexLock lock(control.file_mutex);
  Result<SaveReport> report = sink.Finish();
  if (!report.ok()) return std::move(report).error();
  return BackgroundSaveReport{*report, sink.moment().changes};
}

Result<LoadReport> LoadRdb(Engine& engine, EngineThread& thread, const std::string& path,
                           const LoadOptions& options) {
  Result<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return std::move(file).error();
  rdb::RdbLoader loader(engine, thread, options, file->bytes());
  rdb::RdbFileReader reader(*file, loader, {.databases = engine.databases()});
  const rdb::LoadSection section(engine, thread);
  Result<rdb::RdbFileReader::Summary> summary = reader.Read();
  if (!summary.ok()) return std::move(summary).error();
  LoadReport report = loader.report();
  report.version = summary->version;
  return report;
}

Result<LoadReport> LoadAof(Engine& engine, EngineThread& thread, const std::string& path,
                           const LoadOptions& options) {
  Result<std::vector<std::string>> paths = FilesOf(path);
  if (!paths.ok()) return std::move(paths).error();
  // Opened before anything is loaded: whether they are there, and how large.
  std::vector<InputFile> files;
  uint64_t bytes = 0;
  for (const std::string& name : *paths) {
    Result<InputFile> file = InputFile::Open(name);
    if (!file.ok()) return std::move(file).error();
    bytes += file->bytes();
    files.push_back(std::move(file).value());
  }
  AofLoader loader(engine, thread, options, bytes);
  const rdb::LoadSection section(engine, thread);
  for (const InputFile& file : files) {
    const bool last = &file == &files.back();
    TG_RETURN_IF_ERROR(loader.Run(file, last && options.may_be_cut_off));
  }
  return loader.report();
}

}  // namespace tidegate
