// FileSource: the bytes of a file for an RdbReader, through a window that moves over it.
//
//   file   …consumed…|=========== window ===========|…to come…
//                    ^ summed up to here ^ unread
//
// The window is a MiB, and as large as one string where that is larger; a length that the file
// cannot hold takes no memory. The CRC-64 of what was consumed is kept on the way. A failed read
// ends the bytes like the end of the file, and status() tells. Owner: one thread. Cost: one copy of
// each byte out of the page cache.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "storage/rdb/rdb_reader.h"

namespace tidegate::rdb {

class FileSource final : public RdbSource {
 public:
  // Borrows the file, and begins at an offset. `sum`: whether anybody asks for Checksum.
  FileSource(const InputFile& file, bool sum, uint64_t begin = 0)
      : file_(file), sum_(sum), end_offset_(begin) {}

  std::string_view More(std::string_view left, size_t wanted) override;

  // Where in the file unread bytes begin, given what the reader has not read.
  uint64_t OffsetOf(std::string_view unread) const { return end_offset_ - unread.size(); }
  // Of all bytes in front of them.
  uint64_t Checksum(std::string_view unread);
  const Status& status() const { return status_; }

 private:
  void Grow(size_t bytes, std::string_view left);
  void SumUpTo(const char* at);

  const InputFile& file_;
  const bool sum_;
  std::unique_ptr<char[]> window_;
  size_t window_bytes_ = 0;
  const char* summed_to_ = nullptr;  // in the window
  uint64_t end_offset_;              // in the file, of the window's last byte
  uint64_t crc_ = 0;
  Status status_;
};

}  // namespace tidegate::rdb
