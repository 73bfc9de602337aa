#include "storage/persist/journal_files.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "storage/persist/journal_file_view.h"
#include "storage/persist/store_database.h"

namespace tidegate {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr size_t kNameDigits = 20;  // of any 64-bit number, so that names sort

using Found = JournalFileView::Found;

// Of a file of ours.
std::optional<uint64_t> NameOf(const std::string& file) {
  if (file.size() != kNameDigits + kSuffix.size() || !file.ends_with(kSuffix)) return std::nullopt;
  uint64_t name = 0;
  const char* end = file.data() + kNameDigits;
  const auto [stop, error] = std::from_chars(file.data(), end, name);
  if (error != std::errc() || stop != end) return std::nullopt;
  return name;
}

rocksdb::EnvOptions FileOptions() {
  rocksdb::EnvOptions options;
  options.use_mmap_writes = false;
  return options;
}

// The names in it are on the disk.
rocksdb::Status SyncDirectory(rocksdb::Env& env, const std::string& path) {
  std::unique_ptr<rocksdb::Directory> directory;
  const rocksdb::Status status = env.NewDirectory(path, &directory);
  return status.ok() ? directory->Fsync() : status;
}

Status CutOff(const std::string& path, uint64_t bytes) {
  if (truncate(path.c_str(), static_cast<off_t>(bytes)) != 0)
    return Error{"cut off " + path + ": " + strerror(errno)};
  return SyncPath(path);
}

Error DamageError(const std::string& path, const JournalFileView& view, std::string_view where) {
  return Error{path + " is damaged at byte " + std::to_string(view.end()) + std::string(where) +
               ": " + view.damage()};
}

}  // namespace

std::string JournalFiles::PathIn(const std::string& directory, uint64_t name) {
  char file[kNameDigits + 1];
  std::snprintf(file, sizeof file, "%020" PRIu64, name);
  return directory + "/" + file + std::string(kSuffix);
}

// --- opening ---

Result<std::unique_ptr<JournalFiles>> JournalFiles::Open(JournalFilesOptions options) {
  std::unique_ptr<JournalFiles> files(new JournalFiles(std::move(options)));
  TG_RETURN_IF_ERROR(files->ListFiles());
  TG_RETURN_IF_ERROR(files->FindEnd());
  return files;
}

JournalFiles::~JournalFiles() = default;

Status JournalFiles::ListFiles() {
  const std::string& directory = options_.directory;
  rocksdb::Env& env = *options_.env;
  rocksdb::Status status;
  if (!options_.read_only) status = env.CreateDirIfMissing(directory);
  std::vector<std::string> names;
  if (status.ok()) status = env.GetChildren(directory, &names);
  if (status.IsNotFound() && options_.read_only) return {};  // of a version that had none
  MutexLock lock(mutex_);
  for (const std::string& file : names) {
    const std::optional<uint64_t> name = NameOf(file);
    if (!name || !status.ok()) continue;
    Complete complete{*name, 0};
    status = env.GetFileSize(PathOf(*name), &complete.bytes);
    complete_.push_back(complete);
  }
  if (!status.ok()) return Error{"read " + directory + ": " + status.ToString()};
  std::sort(complete_.begin(), complete_.end(),
            [](const Complete& a, const Complete& b) { return a.name < b.name; });
  return {};
}

// Before the last group there is: files without any are of somebody who ended before he wrote one.
Status JournalFiles::FindEnd() {
  MutexLock lock(mutex_);
  for (size_t left = complete_.size(); left > 0 && last_ == 0; --left) {
    Result<uint64_t> last = MendEnd(complete_[left - 1]);
    if (!last.ok()) return std::move(last).error();
    last_ = *last;
    if (last_ == 0 && !options_.read_only) complete_.pop_back();
  }
  return {};
}

Result<uint64_t> JournalFiles::MendEnd(Complete& file) {
  const std::string path = PathOf(file.name);
  Result<std::string> bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.error();
  JournalFileView view(*bytes);
  uint64_t last = 0;
  Found found = view.Next();
  for (; found == Found::kGroup; found = view.Next()) last = view.group().last();
  if (found == Found::kDamaged) {
    if (view.HasGroupBehind()) return DamageError(path, view, ", and there are records behind it");
    if (!options_.drops_damage || options_.read_only) return DamageError(path, view, ", its end");
    log::Warning("Store: " + path + " ends in a damaged record at byte " +
                 std::to_string(view.end()) + ": what it held is dropped");
  } else if (found == Found::kTorn) {
    log::Notice("Store: " + path + " was cut off after byte " + std::to_string(view.end()) +
                ", within a record, which is dropped");
  }
  if (options_.read_only) return last;
  if (view.end() == 0) {
    const rocksdb::Status removed = options_.env->DeleteFile(path);
    if (!removed.ok()) return Error{"remove " + path + ": " + removed.ToString()};
  } else if (found != Found::kEnd) {
    TG_RETURN_IF_ERROR(CutOff(path, view.end()));
  }
  file.bytes = view.end();
  return last;
}

Result<std::string> JournalFiles::ReadFile(const std::string& path) const {
  std::string bytes;
  const rocksdb::Status status = rocksdb::ReadFileToString(options_.env, path, &bytes);
  if (!status.ok()) return Error{"read " + path + ": " + status.ToString()};
  return bytes;
}

// --- writing ---

Status JournalFiles::BeginFile(uint64_t name) {
  std::shared_ptr<Current> before;
  {
    MutexLock lock(mutex_);
    before = current_;
  }
  if (before != nullptr) TG_RETURN_IF_ERROR(SyncFile(before));
  auto fresh = std::make_shared<Current>();
  fresh->name = name;
  const std::string path = PathOf(name);
  rocksdb::Status status = options_.env->NewWritableFile(path, &fresh->file, FileOptions());
  if (status.ok()) status = SyncDirectory(*options_.env, options_.directory);
  if (!status.ok()) return StoreError(status, "begin " + path);
  MutexLock lock(mutex_);
  if (before != nullptr) {
    complete_.push_back({before->name, before->written.bytes});
    last_ = before->written.last;
  }
  fresh->written.last = fresh->synced.last = last_;
  current_ = std::move(fresh);
  return {};
}

Status JournalFiles::Write(const JournalGroup& group, bool sync) {
  std::shared_ptr<Current> current;
  bool full = false;
  {
    MutexLock lock(mutex_);
    if (!failure_.empty()) return Error{failure_};
    full = current_ == nullptr || current_->written.bytes >= options_.file_bytes_max.count;
    current = current_;
  }
  if (full) {
    if (Status begun = BeginFile(group.first()); !begun.ok()) return Failed(std::move(begun));
    MutexLock lock(mutex_);
    current = current_;
  }
  const rocksdb::Status status = current->file->Append(SliceOf(group.bytes()));
  if (!status.ok()) return Failed(StoreError(status, "write to " + PathOf(current->name)));
  {
    MutexLock lock(mutex_);
    current->written.bytes += group.bytes().size();
    current->written.last = group.last();
  }
  return sync ? SyncFile(current) : Status();
}

Status JournalFiles::Failed(Status status) {
  MutexLock lock(mutex_);
  if (failure_.empty()) failure_ = status.error().message;
  return status;
}

Status JournalFiles::Sync() {
  std::shared_ptr<Current> current;
  {
    MutexLock lock(mutex_);
    if (!failure_.empty()) return Error{failure_};
    current = current_;
  }
  return current == nullptr ? Status() : SyncFile(current);
}

Status JournalFiles::SyncFile(const std::shared_ptr<Current>& current) {
  Mark written;
  {
    MutexLock lock(mutex_);
    written = current->written;
    if (written.bytes == current->synced.bytes) return {};
  }
  const rocksdb::Status status = current->file->Sync();
  MutexLock lock(mutex_);
  if (!status.ok()) {
    current->sync_failed = true;
    Error error = StoreError(status, "sync " + PathOf(current->name));
    if (failure_.empty()) failure_ = error.message;
    return error;
  }
  if (written.bytes > current->synced.bytes) current->synced = written;
  return {};
}

// --- after an error ---

Result<uint64_t> JournalFiles::Recover() {
  std::shared_ptr<Current> broken;
  {
    MutexLock lock(mutex_);
    broken = current_;
  }
  if (broken != nullptr) {
    Mark kept = broken->written;
    if (broken->sync_failed) {
      TG_RETURN_IF_ERROR(KeepUnsynced(*broken));
      kept = broken->synced;
    }
    TG_RETURN_IF_ERROR(CutOffAt(*broken, kept.bytes));
    MutexLock lock(mutex_);
    if (kept.bytes > 0) complete_.push_back({broken->name, kept.bytes});
    last_ = kept.last;
    current_ = nullptr;
  }
  TG_RETURN_IF_ERROR(BeginFile(last() + 1));
  TG_RETURN_IF_ERROR(WriteKept());
  MutexLock lock(mutex_);
  failure_.clear();
  return current_->written.last;
}

Status JournalFiles::CutOffAt(Current& current, uint64_t bytes) {
  rocksdb::Status status;
  if (bytes == 0) {
    status = options_.env->DeleteFile(PathOf(current.name));
  } else {
    status = current.file->Truncate(bytes);
    if (status.ok()) {
      status = current.file->Sync();
      current.sync_failed = !status.ok();
    }
  }
  return status.ok() ? Status() : Status(StoreError(status, "cut off " + PathOf(current.name)));
}

// Into memory what was written to the file and not synced. It is what the kernel has of the file,
// which need not be what the disk has.
Status JournalFiles::KeepUnsynced(const Current& current) {
  if (!unsaved_.empty()) return {};  // which is all that the file has: nothing went well since
  const uint64_t begin = current.synced.bytes;
  Result<std::string> bytes = ReadFile(PathOf(current.name));
  if (!bytes.ok() || bytes->size() < begin) return Error{strerror(EIO)};
  JournalFileView view(std::string_view(*bytes).substr(0, current.written.bytes).substr(begin));
  // Groups that cannot be read are lost, as far as this knows; the journal has the newest itself.
  while (view.Next() == Found::kGroup) unsaved_last_ = view.group().last();
  unsaved_.append(*bytes, begin, view.end());
  return {};
}

Status JournalFiles::WriteKept() {
  if (unsaved_.empty()) return {};
  std::shared_ptr<Current> current;
  {
    MutexLock lock(mutex_);
    current = current_;
  }
  const rocksdb::Status status = current->file->Append(unsaved_);
  if (!status.ok()) return StoreError(status, "write to " + PathOf(current->name));
  {
    MutexLock lock(mutex_);
    current->written = {unsaved_.size(), unsaved_last_};
  }
  TG_RETURN_IF_ERROR(SyncFile(current));
  unsaved_ = std::string();
  return {};
}

// --- reading, dropping, copying ---

uint64_t JournalFiles::last() const {
  MutexLock lock(mutex_);
  return current_ == nullptr ? last_ : current_->written.last;
}

uint64_t JournalFiles::bytes() const {
  MutexLock lock(mutex_);
  uint64_t bytes = current_ == nullptr ? 0 : current_->written.bytes;
  for (const Complete& file : complete_) bytes += file.bytes;
  return bytes;
}

Status JournalFiles::ForEach(const GroupFn& fn) const {
  std::vector<Complete> files;
  {
    MutexLock lock(mutex_);
    files.assign(complete_.begin(), complete_.end());
    if (current_ != nullptr) files.push_back({current_->name, current_->written.bytes});
  }
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string path = PathOf(files[i].name);
    Result<std::string> bytes = ReadFile(path);
    if (!bytes.ok()) return bytes.error();
    JournalFileView view(std::string_view(*bytes).substr(0, files[i].bytes));
    Found found = view.Next();
    for (; found == Found::kGroup; found = view.Next())
      TG_RETURN_IF_ERROR(fn(view.group(), view.group_bytes()));
    if (found == Found::kDamaged) return DamageError(path, view, "");
    const bool may_be_torn = options_.read_only && i + 1 == files.size();
    if (found == Found::kTorn && !may_be_torn)
      return Error{path + " ends within a record, after byte " + std::to_string(view.end())};
  }
  return {};
}

void JournalFiles::DropUpTo(uint64_t sequence) {
  std::vector<uint64_t> dropped;
  {
    MutexLock lock(mutex_);
    while (!complete_.empty()) {
      const bool is_last = complete_.size() == 1;
      if (is_last && current_ == nullptr) break;
      if ((is_last ? current_->name : complete_[1].name) > sequence + 1) break;
      dropped.push_back(complete_.front().name);
      complete_.pop_front();
    }
  }
  for (const uint64_t name : dropped) {
    const rocksdb::Status status = options_.env->DeleteFile(PathOf(name));
    // A start finds it, and passes over what the checkpoint has.
    if (!status.ok()) static_cast<void>(StoreError(status, "drop a file of the journal"));
  }
}

Status JournalFiles::CopyTo(const std::string& directory) const {
  rocksdb::Env& env = *options_.env;
  std::vector<Complete> files;
  size_t complete = 0;
  {
    MutexLock lock(mutex_);
    files.assign(complete_.begin(), complete_.end());
    complete = files.size();
    if (current_ != nullptr) files.push_back({current_->name, current_->written.bytes});
  }
  rocksdb::Status status = env.CreateDirIfMissing(directory);
  if (!status.ok()) return StoreError(status, "make " + directory);
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string from = PathOf(files[i].name);
    // A checkpoint has it, and the copy of the data, which is made after this, has that checkpoint.
    if (env.FileExists(from).IsNotFound()) continue;
    if (i < complete && env.LinkFile(from, PathIn(directory, files[i].name)).ok()) continue;
    if (files[i].bytes > 0) TG_RETURN_IF_ERROR(CopyFile(files[i], directory));
  }
  status = SyncDirectory(env, directory);
  return status.ok() ? Status() : Status(StoreError(status, "sync " + directory));
}

Status JournalFiles::CopyFile(const Complete& file, const std::string& directory) const {
  const std::string from = PathOf(file.name);
  const std::string to = PathIn(directory, file.name);
  Result<std::string> bytes = ReadFile(from);
  if (!bytes.ok())
    return options_.env->FileExists(from).IsNotFound() ? Status() : Status(bytes.error());
  if (bytes->size() < file.bytes) return Error{"copy " + from + ": it was cut off meanwhile"};
  std::unique_ptr<rocksdb::WritableFile> copy;
  rocksdb::Status status = options_.env->NewWritableFile(to, &copy, FileOptions());
  if (status.ok()) status = copy->Append(rocksdb::Slice(bytes->data(), file.bytes));
  if (status.ok()) status = copy->Sync();
  if (status.ok()) status = copy->Close();
  return status.ok() ? Status() : Status(StoreError(status, "copy to " + to));
}

}  // namespace tidegate
