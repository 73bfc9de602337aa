// AofReader: the commands of an append-only file, one after the other.
//
//   *<arguments>\r\n $<bytes>\r\n<argument>\r\n …       a command, as clients send them
//   #TS:<seconds>\r\n                                    a note between commands, passed over
//
// A file that ends in the middle of a command is cut off (the server died while it wrote); anything
// else that is not as it must be is broken. Nothing is believed, and no length takes memory before
// the bytes are there. Owner: one thread. Source: Redis's aof.c, loadSingleAppendOnlyFile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "storage/rdb/file_source.h"
#include "storage/rdb/rdb_reader.h"

namespace tidegate {

// Arguments of one command; a client may send no more.
inline constexpr int64_t kAofArgumentsMax = 1024 * 1024;

class AofReader final {
 public:
  enum class Step : uint8_t { kCommand, kEnd, kCutOff, kBroken };

  // Borrows the file, and begins at an offset.
  AofReader(const InputFile& file, uint64_t begin) : source_(file, false, begin), in_(source_) {}

  Step Next();
  // Of the last command: valid until the next.
  std::span<const std::string_view> args() const { return args_; }
  // Where the last command begins (after kCutOff and kBroken: that which is not whole), and where
  // the reader stands.
  uint64_t command_offset() const { return command_offset_; }
  uint64_t offset() const { return source_.OffsetOf(in_.unread()); }
  // Why the file could not be read, when it was that: kBroken.
  const Status& status() const { return source_.status(); }

 private:
  enum class Line : uint8_t { kRead, kCutOff, kBroken };

  Line ReadNumber(char mark, int64_t max, int64_t& number);
  Line ReadArgument();
  Line ReadCommand();
  Line SkipNote();
  Line ExpectLineEnd();

  rdb::FileSource source_;
  rdb::RdbReader in_;
  uint64_t command_offset_ = 0;
  std::string bytes_;         // of all arguments
  std::vector<size_t> ends_;  // in them
  std::vector<std::string_view> args_;
};

}  // namespace tidegate
