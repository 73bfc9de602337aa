#include "storage/persist/log_guard.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <string>
#include <utility>

namespace tidegate {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

using OnFailure = std::function<void()>;

class GuardedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  GuardedFile(std::unique_ptr<rocksdb::FSWritableFile> file, const OnFailure& on_failure)
      : FSWritableFileOwnerWrapper(std::move(file)), on_failure_(on_failure) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    return Tell(target()->Append(data, options, debug));
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    return Tell(target()->Append(data, options, info, debug));
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    return Tell(target()->Flush(options, debug));
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    return Tell(target()->RangeSync(offset, bytes, options, debug));
  }

 private:
  IOStatus Tell(IOStatus status) {
    if (!status.ok()) on_failure_();
    return status;
  }
  const OnFailure& on_failure_;
};

class GuardedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  GuardedFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base, const std::string& directory,
                    OnFailure on_failure)
      : FileSystemWrapper(base),
        directory_(Normal(directory)),
        on_failure_(std::move(on_failure)) {}
  const char* Name() const override { return "GuardedFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* debug) override {
    IOStatus status = target()->NewWritableFile(name, options, result, debug);
    if (status.ok() && IsLog(name))
      *result = std::make_unique<GuardedFile>(std::move(*result), on_failure_);
    return status;
  }

 private:
  static std::filesystem::path Normal(const std::filesystem::path& path) {
    return path.lexically_normal();
  }
  bool IsLog(const std::string& name) const {
    const std::filesystem::path path(name);
    return path.extension() == ".log" && Normal(path.parent_path()) == directory_;
  }

  const std::filesystem::path directory_;
  const OnFailure on_failure_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> GuardLogs(rocksdb::Env* base, const std::string& directory,
                                        std::function<void()> on_failure) {
  return rocksdb::NewCompositeEnv(
      std::make_shared<GuardedFileSystem>(base->GetFileSystem(), directory, std::move(on_failure)));
}

}  // namespace tidegate
