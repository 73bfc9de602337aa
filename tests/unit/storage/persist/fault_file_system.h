// FaultFileSystem: RocksDB's file system with a plug to pull.
//
// Files are real ones, and for each it is known how much of it was synced. PowerOff() makes every
// call that writes fail from then on; TearFiles(), once the database is closed, leaves of each file
// what was synced and a random part of the rest, of which the end may be garbage: what a disk shows
// after a power loss. FailWith() makes writes and syncs fail until it is taken back, as a full or
// broken disk does. Hold() lets who makes a file wait, as a disk that is busy does. Real syncs are
// left out: nothing here looks at the disk itself.
// Directories are taken to be synced at once. Threads: any.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>

namespace tidegate {

class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault : uint8_t { kNone, kNoSpace, kIoError };

  FaultFileSystem() : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultFileSystem"; }

  void PowerOff() {
    const std::lock_guard lock(mutex_);
    off_ = true;
  }
  // After so many more calls that write.
  void PowerOffAfter(uint64_t calls) {
    const std::lock_guard lock(mutex_);
    calls_left_ = calls;
  }
  // From the call that writes on that comes after so many others.
  void FailWith(Fault fault, uint64_t after_calls = 0) {
    const std::lock_guard lock(mutex_);
    fault_ = fault;
    calls_before_fault_ = after_calls;
  }
  // After so many calls that write to files of a folder, those in it fail. UINT64_MAX: none does.
  void FailWritesAfter(uint64_t calls, std::string folder) {
    const std::lock_guard lock(mutex_);
    folder_calls_left_ = calls;
    folder_ = std::move(folder);
  }
  void Hold(bool hold) {
    const std::lock_guard lock(mutex_);
    holds_ = hold;
    condition_.notify_all();
  }
  // Until somebody is held up.
  void AwaitHeld() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return held_ > 0; });
  }
  void SetFreeBytes(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    free_bytes_ = bytes;
  }
  // After PowerOff(), when nobody has a file open any more.
  void TearFiles(std::minstd_rand& random) {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, file] : files_) {
      if (file.size == file.synced) continue;
      const uint64_t kept = file.synced + random() % (file.size - file.synced + 1);
      if (truncate(name.c_str(), static_cast<off_t>(kept)) != 0) continue;
      const uint64_t unsynced = kept - file.synced;
      if (unsynced == 0 || random() % 2 == 0) continue;
      std::fstream bytes(name, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(
          static_cast<std::streamoff>(kept - std::min<uint64_t>(unsynced, 1 + random() % 64)));
      while (static_cast<uint64_t>(bytes.tellp()) < kept) bytes.put(static_cast<char>(random()));
    }
  }

  using FileSystemWrapper::GetFreeSpace;
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override {
    AwaitRelease();
    return Wrap(name, /*empties=*/true, result,
                [&] { return target()->NewWritableFile(name, options, result, debug); });
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* debug) override {
    return Wrap(name, /*empties=*/false, result,
                [&] { return target()->ReopenWritableFile(name, options, result, debug); });
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Check();
    if (status.ok()) status = target()->RenameFile(from, to, options, debug);
    const std::lock_guard lock(mutex_);
    if (auto moved = files_.extract(from); status.ok() && !moved.empty()) {
      files_.erase(to);
      moved.key() = to;
      files_.insert(std::move(moved));
    }
    return status;
  }
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Check(to);
    if (status.ok()) status = target()->LinkFile(from, to, options, debug);
    const std::lock_guard lock(mutex_);
    if (status.ok()) files_[to] = files_[from];
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Check();
    if (status.ok()) status = target()->DeleteFile(name, options, debug);
    const std::lock_guard lock(mutex_);
    if (status.ok()) files_.erase(name);
    return status;
  }
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 uint64_t* bytes, rocksdb::IODebugContext* debug) override {
    {
      const std::lock_guard lock(mutex_);
      if (free_bytes_ != 0) {
        *bytes = free_bytes_;
        return rocksdb::IOStatus::OK();
      }
    }
    return target()->GetFreeSpace(path, options, bytes, debug);
  }

 private:
  void AwaitRelease() {
    std::unique_lock lock(mutex_);
    ++held_;
    condition_.notify_all();
    condition_.wait(lock, [this] { return !holds_; });
    --held_;
  }

  struct FileState {
    uint64_t size = 0;
    uint64_t synced = 0;
  };

  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(FaultFileSystem& system, std::string name, std::unique_ptr<rocksdb::FSWritableFile> file)
        : FSWritableFileOwnerWrapper(std::move(file)), system_(system), name_(std::move(name)) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus status = system_.Check(name_);
      if (status.ok()) status = target()->Append(data, options, debug);
      if (status.ok()) system_.Grew(name_, data.size());
      return status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& /*info*/,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Truncate(uint64_t size, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus status = system_.Check(name_);
      if (status.ok()) status = target()->Truncate(size, options, debug);
      if (status.ok()) system_.Shrank(name_, size);
      return status;
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& /*options*/,
                           rocksdb::IODebugContext* /*debug*/) override {
      return system_.Sync(name_);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& /*options*/,
                            rocksdb::IODebugContext* /*debug*/) override {
      return system_.Sync(name_);
    }
    bool IsSyncThreadSafe() const override { return true; }

   private:
    FaultFileSystem& system_;
    const std::string name_;
  };

  template <typename Open>
  rocksdb::IOStatus Wrap(const std::string& name, bool empties,
                         std::unique_ptr<rocksdb::FSWritableFile>* result, Open&& open) {
    rocksdb::IOStatus status = Check(name);
    if (status.ok()) status = open();
    if (!status.ok()) return status;
    *result = std::make_unique<File>(*this, name, std::move(*result));
    const std::lock_guard lock(mutex_);
    if (empties) files_[name] = {};
    return status;
  }

  rocksdb::IOStatus Check(const std::string& name = "") {
    const std::lock_guard lock(mutex_);
    if (folder_calls_left_ != UINT64_MAX && name.starts_with(folder_)) {
      if (folder_calls_left_ == 0) return rocksdb::IOStatus::NoSpace("No space left on device");
      --folder_calls_left_;
    }
    return CheckLocked();
  }
  rocksdb::IOStatus CheckLocked() {
    if (calls_left_ != UINT64_MAX && calls_left_-- == 0) {
      calls_left_ = UINT64_MAX;
      off_ = true;
    }
    if (off_) return rocksdb::IOStatus::IOError("the power is off");
    if (fault_ != Fault::kNone && calls_before_fault_ > 0) {
      --calls_before_fault_;
      return rocksdb::IOStatus::OK();
    }
    if (fault_ == Fault::kNoSpace) return rocksdb::IOStatus::NoSpace("No space left on device");
    if (fault_ == Fault::kIoError) return rocksdb::IOStatus::IOError("Input/output error");
    return rocksdb::IOStatus::OK();
  }
  void Grew(const std::string& name, size_t bytes) {
    const std::lock_guard lock(mutex_);
    files_[name].size += bytes;
  }
  void Shrank(const std::string& name, uint64_t size) {
    const std::lock_guard lock(mutex_);
    FileState& file = files_[name];
    file = {size, std::min(file.synced, size)};
  }
  rocksdb::IOStatus Sync(const std::string& name) {
    const std::lock_guard lock(mutex_);
    rocksdb::IOStatus status = CheckLocked();
    if (status.ok()) files_[name].synced = files_[name].size;
    return status;
  }

  mutable std::mutex mutex_;
  std::condition_variable condition_;
  int held_ = 0;
  bool holds_ = false;
  std::map<std::string, FileState> files_;
  uint64_t calls_left_ = UINT64_MAX;
  uint64_t calls_before_fault_ = 0;
  uint64_t folder_calls_left_ = UINT64_MAX;
  std::string folder_;
  uint64_t free_bytes_ = 0;  // 0: what the disk has
  Fault fault_ = Fault::kNone;
  bool off_ = false;
};

}  // namespace tidegate
