#include "storage/backup.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/text.h"
#include "storage/persist/store.h"

namespace tidegate {
namespace {

namespace fs = std::filesystem;

// As long as a file's name may be, less what a partial one has more.
constexpr size_t kNameBytesMax = 240;

// Names tried when several are made in one second.
constexpr int kNamesOfSecondMax = 1000;

constexpr std::string_view kPartial = ".partial";

bool IsPlainName(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c != '/' && static_cast<unsigned char>(c) >= ' ' && c != '\x7f';
  });
}

std::string NameOfTime(int64_t unix_ms) {
  const auto seconds = static_cast<time_t>(unix_ms / 1000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
  return std::string(text, size);
}

Error SystemError(const std::string& what, const std::error_code& code) {
  return Error{what + ": " + code.message()};
}

// Of a process that ended while it made them.
Status SweepPartial(const std::string& directory) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.') || !name.ends_with(kPartial)) continue;
    std::error_code stays;
    fs::remove_all(entry.path(), stays);
    if (stays) return SystemError("remove " + entry.path().string(), stays);
  }
  return failed ? Status(SystemError("read directory " + directory, failed)) : Status();
}

Result<uint64_t> BytesOf(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory, failed)) {
    std::error_code code;
    if (entry.is_regular_file(code)) bytes += entry.file_size(code);
    if (code) return SystemError("look at " + entry.path().string(), code);
  }
  if (failed) return SystemError("read directory " + directory, failed);
  return bytes;
}

// A directory that goes unless it is kept.
class PartialDirectory final {
 public:
  explicit PartialDirectory(std::string path) : path_(std::move(path)) {}
  ~PartialDirectory() {
    std::error_code ignored;  // the next one sweeps
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  PartialDirectory(const PartialDirectory&) = delete;
  PartialDirectory& operator=(const PartialDirectory&) = delete;

  const std::string& path() const { return path_; }
  Status Make() {
    std::error_code failed;
    fs::create_directory(path_, failed);
    return failed ? Status(SystemError("make directory " + path_, failed)) : Status();
  }
  Status RenameTo(const std::string& path) {
    if (rename(path_.c_str(), path.c_str()) != 0)
      return Error{"rename to " + path + ": " + strerror(errno)};
    path_.clear();
    return {};
  }

 private:
  std::string path_;
};

}  // namespace

Result<std::string> NameOfBackup(const std::string& directory, std::string_view wanted,
                                 int64_t now_unix_ms) {
  const auto is_there = [&](const std::string& name) { return FileExists(directory + "/" + name); };
  if (!wanted.empty()) {
    std::string name(wanted);
    if (!IsPlainName(name)) return Error{"the name of a backup must be a plain file name"};
    if (is_there(name)) {
      std::string quoted;
      AppendQuoted(quoted, name);
      return Error{"there is a backup " + quoted + " already"};
    }
    return name;
  }
  const std::string base = NameOfTime(now_unix_ms);
  std::string name = base;
  for (int i = 2; is_there(name); ++i) {
    if (i > kNamesOfSecondMax) return Error{"there are too many backups of this second"};
    name = base + "-" + std::to_string(i);
  }
  return name;
}

Result<BackupReport> MakeBackup(Store& store, const std::string& directory,
                                const std::string& name) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return SystemError("make directory " + directory, failed);
  // As RocksDB wants it, and as a client, who is elsewhere, can use it.
  const std::string place = fs::absolute(directory, failed).lexically_normal().string();
  if (failed) return SystemError("find directory " + directory, failed);
  TG_RETURN_IF_ERROR(SweepPartial(place));

  PartialDirectory partial(place + "/." + name + std::string(kPartial));
  TG_RETURN_IF_ERROR(partial.Make());
  Result<uint64_t> sequence = store.CopyTo(partial.path());
  if (!sequence.ok()) return std::move(sequence).error();
  Result<uint64_t> bytes = BytesOf(partial.path());
  if (!bytes.ok()) return std::move(bytes).error();
  BackupReport report{.path = place + "/" + name, .sequence = *sequence, .bytes = *bytes};
  if (FileExists(report.path)) return Error{report.path + " has come to be meanwhile"};
  TG_RETURN_IF_ERROR(partial.RenameTo(report.path));
  TG_RETURN_IF_ERROR(SyncPath(place));
  return report;
}

}  // namespace tidegate
