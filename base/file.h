// Files on disk that are read and written from beginning to end: InputFile and ReplacedFile.
//
// The door to the file system for data: every call gives a Result with the path and the system's
// own words ("write /data/dump.rdb: No space left on device"). Calls block for as long as the disk
// takes, so loops never make them. Owner: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidegate {

// Read only, from any offset on. Closed when it goes.
class InputFile final {
 public:
  // Only a regular file: of anything else nobody knows how much there is.
  static Result<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  // When it was opened.
  uint64_t bytes() const { return bytes_; }
  // Reads up to `size` bytes; fewer only at the end of the file, none there.
  Result<size_t> ReadAt(uint64_t offset, char* out, size_t size) const;

 private:
  InputFile(std::string path, int descriptor, uint64_t bytes);

  std::string path_;
  int descriptor_;
  uint64_t bytes_;
};

// A file that takes the place of another of that name once it is whole, and never before:
//
//   Create: a temporary file beside it -> Append … -> Commit: fsync, rename, fsync of the directory
//
// Whatever fails, and when the process ends in between, the file that was there is untouched; the
// destructor of one that was not committed removes its temporary file. What was appended is given
// to the disk piece by piece, so that the fsync at the end does not meet gigabytes.
class ReplacedFile final {
 public:
  // `temporary_name`: without a directory.
  static Result<ReplacedFile> Create(const std::string& path, const std::string& temporary_name);
  ReplacedFile(ReplacedFile&& other) noexcept;
  ReplacedFile& operator=(ReplacedFile&&) = delete;
  ~ReplacedFile();

  uint64_t bytes() const { return bytes_; }
  Status Append(std::string_view bytes);
  // Over what was appended.
  Status WriteAt(uint64_t offset, std::string_view bytes);
  Status Commit();

 private:
  ReplacedFile(std::string path, std::string temporary_path, int descriptor);
  Error Failed(std::string_view what) const;

  std::string path_;
  std::string temporary_path_;
  int descriptor_;
  uint64_t bytes_ = 0;
  uint64_t given_to_disk_ = 0;
};

// A whole small file, of up to `bytes_max` bytes.
Result<std::string> ReadSmallFile(const std::string& path, size_t bytes_max);

// A file, or the names in a directory, are on the disk.
Status SyncPath(const std::string& path);

// Whether something of that name is there.
bool FileExists(const std::string& path);

}  // namespace tidegate
