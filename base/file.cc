#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace tidegate {
namespace {

// Bytes after which the disk is told to begin writing.
constexpr uint64_t kGivenToDiskBytes = uint64_t{4} << 20;

Error SystemError(std::string_view what, const std::string& path) {
  return Error{std::string(what) + " " + path + ": " + std::strerror(errno)};
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

InputFile::InputFile(std::string path, int descriptor, uint64_t bytes)
    : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes) {}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_) {}

InputFile::~InputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<InputFile> InputFile::Open(const std::string& path) {
  // Without waiting for a writer, should it be a pipe.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError("open", path);
  struct stat status {};
  InputFile file(path, fd, 0);
  if (fstat(fd, &status) != 0) return SystemError("look at", path);
  if (!S_ISREG(status.st_mode)) return Error{"open " + path + ": not a regular file"};
  file.bytes_ = static_cast<uint64_t>(status.st_size);
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return file;
}

Result<size_t> InputFile::ReadAt(uint64_t offset, char* out, size_t size) const {
  size_t done = 0;
  while (done < size) {
    const ssize_t n =
        pread(descriptor_, out + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("read", path_);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

ReplacedFile::ReplacedFile(std::string path, std::string temporary_path, int descriptor)
    : path_(std::move(path)), temporary_path_(std::move(temporary_path)), descriptor_(descriptor) {}

ReplacedFile::ReplacedFile(ReplacedFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_path_(std::move(other.temporary_path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_),
      given_to_disk_(other.given_to_disk_) {}

ReplacedFile::~ReplacedFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_path_.c_str());
}

Error ReplacedFile::Failed(std::string_view what) const { return SystemError(what, path_); }

Result<ReplacedFile> ReplacedFile::Create(const std::string& path,
                                          const std::string& temporary_name) {
  const std::string temporary_path = DirectoryOf(path) + "/" + temporary_name;
  const int fd = open(temporary_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError("create", temporary_path);
  return ReplacedFile(path, temporary_path, fd);
}

Status ReplacedFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write");
    bytes.remove_prefix(static_cast<size_t>(n));
    bytes_ += static_cast<uint64_t>(n);
  }
  if (bytes_ - given_to_disk_ >= kGivenToDiskBytes) {
    (void)sync_file_range(descriptor_, static_cast<off_t>(given_to_disk_),
                          static_cast<off_t>(bytes_ - given_to_disk_), SYNC_FILE_RANGE_WRITE);
    given_to_disk_ = bytes_;
  }
  return {};
}

Status ReplacedFile::WriteAt(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write");
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Status ReplacedFile::Commit() {
  if (fsync(descriptor_) != 0) return Failed("sync");
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) return Failed("rename to");
  close(std::exchange(descriptor_, -1));
  return SyncPath(DirectoryOf(path_));  // the file's new name
}

Result<std::string> ReadSmallFile(const std::string& path, size_t bytes_max) {
  Result<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return std::move(file).error();
  if (file->bytes() > bytes_max) return Error{"read " + path + ": larger than it can be"};
  std::string text(static_cast<size_t>(file->bytes()), '\0');
  Result<size_t> size = file->ReadAt(0, text.data(), text.size());
  if (!size.ok()) return std::move(size).error();
  text.resize(*size);
  return text;
}

Status SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError("open", path);
  Status status;
  // Some file systems cannot do it for directories, and need not.
  if (fsync(fd) != 0 && errno != EINVAL) status = SystemError("sync", path);
  close(fd);
  return status;
}

bool FileExists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

}  // namespace tidegate
