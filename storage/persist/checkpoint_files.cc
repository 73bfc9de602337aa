#include "storage/persist/checkpoint_files.h"

#include <rocksdb/env.h>
#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "storage/persist/store_database.h"
#include "storage/persist/store_options.h"

namespace tidegate {
namespace {

// Dirty pages go to the disk bit by bit, so that the sync at the end finds few.
constexpr uint64_t kBytesPerSync = uint64_t{1} << 20;

}  // namespace

struct CheckpointFiles::Setup {
  explicit Setup(rocksdb::Env* env) : options({}, DataOptionsOf(nullptr)) {
    options.env = env;
    options.bytes_per_sync = kBytesPerSync;
    // Files of a checkpoint are soon read again, by who tidies up: compressed is what stays.
    options.bottommost_compression = rocksdb::kDisableCompressionOption;
    file.bytes_per_sync = kBytesPerSync;
  }
  rocksdb::Options options;
  rocksdb::EnvOptions file;
};

struct CheckpointFiles::Run {
  std::unique_ptr<rocksdb::SstFileWriter> writer;  // null: no file is open
  uint64_t bytes = 0;                              // added to the file
};

CheckpointFiles::CheckpointFiles(rocksdb::Env* env, std::string directory,
                                 std::atomic<uint64_t>& next_file)
    : setup_(std::make_unique<Setup>(env)),
      directory_(std::move(directory)),
      next_file_(next_file) {}

CheckpointFiles::~CheckpointFiles() {
  runs_.clear();
  for (const std::string& path : paths_)
    setup_->options.env->DeleteFile(path).PermitUncheckedError();
}

size_t CheckpointFiles::NewRun() {
  runs_.push_back(std::make_unique<Run>());
  return runs_.size() - 1;
}

Status CheckpointFiles::OpenFile(Run& run) {
  uint64_t free_bytes = 0;
  if (setup_->options.env->GetFreeSpace(directory_, &free_bytes).ok() &&
      free_bytes < kStoreFreeBytesMin.count)
    return Error{strerror(ENOSPC)};
  char name[32];
  std::snprintf(name, sizeof name, "/%06llu.sst",
                static_cast<unsigned long long>(next_file_.fetch_add(1)));
  const std::string path = directory_ + name;
  run.writer = std::make_unique<rocksdb::SstFileWriter>(
      setup_->file, setup_->options, /*column_family=*/nullptr, /*invalidate_page_cache=*/false);
  run.bytes = 0;
  const rocksdb::Status status = run.writer->Open(path);
  paths_.push_back(path);
  if (status.ok()) return {};
  run.writer.reset();
  return StoreError(status, "open " + path);
}

Result<CheckpointFiles::Run*> CheckpointFiles::RunFor(size_t at, size_t bytes) {
  Run& run = *runs_[at];
  if (run.writer != nullptr && run.bytes >= kCheckpointFileBytesMax.count)
    TG_RETURN_IF_ERROR(EndRun(at));
  if (run.writer == nullptr) TG_RETURN_IF_ERROR(OpenFile(run));
  run.bytes += bytes;
  return &run;
}

Status CheckpointFiles::Put(size_t at, std::string_view key, std::string_view value) {
  const Result<Run*> run = RunFor(at, key.size() + value.size());
  if (!run.ok()) return run.error();
  const rocksdb::Status status = run.value()->writer->Put(SliceOf(key), SliceOf(value));
  return status.ok() ? Status() : Status(StoreError(status, "write a checkpoint"));
}

Status CheckpointFiles::Delete(size_t at, std::string_view key) {
  const Result<Run*> run = RunFor(at, key.size());
  if (!run.ok()) return run.error();
  const rocksdb::Status status = run.value()->writer->Delete(SliceOf(key));
  return status.ok() ? Status() : Status(StoreError(status, "write a checkpoint"));
}

Status CheckpointFiles::EndRun(size_t at) {
  Run& run = *runs_[at];
  if (run.writer == nullptr) return {};
  rocksdb::ExternalSstFileInfo info;
  const rocksdb::Status status = run.writer->Finish(&info);
  run.writer.reset();
  if (!status.ok()) return StoreError(status, "write a checkpoint");
  bytes_ += info.file_size;
  return {};
}

void CheckpointFiles::DeleteAll(DataRange range) {
  dropped_.push_back(range);
  DeleteRange(std::move(range));
}

void CheckpointFiles::PutInfo(std::string_view name, std::string value) {
  infos_.emplace_back(InfoKey(name), std::move(value));
}

Status CheckpointFiles::Finish() {
  for (size_t at = 0; at < runs_.size(); ++at) TG_RETURN_IF_ERROR(EndRun(at));
  std::sort(infos_.begin(), infos_.end());
  Run front;
  TG_RETURN_IF_ERROR(OpenFile(front));
  std::rotate(paths_.begin(), paths_.end() - 1, paths_.end());
  rocksdb::Status status;
  for (const DataRange& range : dead_) {
    if (status.ok()) status = front.writer->DeleteRange(range.begin, range.end);
  }
  for (const auto& [key, value] : infos_) {
    if (status.ok()) status = front.writer->Put(key, value);
  }
  rocksdb::ExternalSstFileInfo info;
  if (status.ok()) status = front.writer->Finish(&info);
  if (!status.ok()) return StoreError(status, "write a checkpoint");
  bytes_ += info.file_size;
  return {};
}

}  // namespace tidegate
