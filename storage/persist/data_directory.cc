#include "storage/persist/data_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "base/text.h"

namespace tidegate {
namespace {

constexpr std::string_view kFormatWord = "tidegate-data ";

Error SystemError(const std::string& what) { return Error{what + ": " + strerror(errno)}; }

Status SyncPath(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return SystemError("open " + path);
  const bool synced = fsync(fd) == 0;
  const Status status = synced ? Status() : Status(SystemError("sync " + path));
  close(fd);
  return status;
}

// Whole or not at all, also after a crash.
Status WriteFormat(const std::string& dir, const std::string& path) {
  const std::string fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << kFormatWord << kDataFormatVersion << '\n' << std::flush;
    if (!file) return SystemError("write " + fresh);
  }
  TG_RETURN_IF_ERROR(SyncPath(fresh, O_RDONLY));
  if (rename(fresh.c_str(), path.c_str()) != 0) return SystemError("rename " + fresh);
  return SyncPath(dir, O_RDONLY | O_DIRECTORY);
}

Status CheckFormat(const std::string& path, const std::string& line) {
  std::optional<int64_t> version;
  if (line.starts_with(kFormatWord))
    version = ParseInt64(std::string_view(line).substr(kFormatWord.size()));
  if (!version) return Error{path + " is no format file of Tidegate"};
  if (*version > kDataFormatVersion) {
    return Error{path + " says format " + std::to_string(*version) +
                 ", written by a newer version of Tidegate; this one reads up to " +
                 std::to_string(kDataFormatVersion)};
  }
  return {};
}

}  // namespace

Result<std::string> PrepareDataDirectory(const std::string& dir) {
  const std::string format = dir + "/FORMAT";
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (failed) return Error{"make directory " + dir + ": " + failed.message()};
  if (std::ifstream file(format); file) {
    std::string line;
    std::getline(file, line);
    TG_RETURN_IF_ERROR(CheckFormat(format, line));
  } else {
    TG_RETURN_IF_ERROR(WriteFormat(dir, format));
  }
  return dir + "/store";
}

}  // namespace tidegate
