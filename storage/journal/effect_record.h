// The grammar of a record: what one execution did to the data, as commands that do it again.
//
//   record  := command command … counts …            at least one command
//   command := varint(database) varint(arguments) argument …
//   argument:= varint(bytes) bytes                    the first one is the command's name
//   counts  := varint(database) 0 zigzag(keys) zigzag(expires)
//   varint  := 7 bits a byte, lowest first, the high bit says that more follow; no idle byte
//
// Commands rather than a format of our own for each type: whoever can execute a command can apply a
// record, a replica that is a real Redis included, and a new type needs nothing here. Names are
// spelled out because the table's ids change between versions; they cost three to ten bytes. There
// is no checksum and no version: the journal has them for whole groups of records. A SET takes
// its key, its value and eight bytes more.
// Counts say by how much the record changes the number of keys of a database, and of those with a
// time to live; a database without change has none. So the size of a database is known after a
// start although nobody has applied the records yet. A record that drops or swaps databases has
// none at all.
// Reading believes nothing: every length is held against what is left, so a broken record is an
// error and never more memory than its own bytes. Views are into the record. Owner: the caller.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidegate {

// Bytes that the varint of any 64-bit number takes at most.
inline constexpr size_t kVarintBytesMax = 10;

// Writes the number to `out` (room for kVarintBytesMax); returns where it ends.
inline char* PutVarint(char* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

// So that numbers near zero are short, whatever their sign.
inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// One command of a record.
struct EffectCommand {
  int db = 0;
  std::vector<std::string_view> args;
};

// What a record changes about the size of a database.
struct EffectCounts {
  int db = 0;
  int64_t keys = 0;
  int64_t expires = 0;
};

class EffectReader final {
 public:
  explicit EffectReader(std::string_view record) : left_(record) {}

  // The next command of the record, into `out`; false behind the last one, and then counts() has
  // been read. An error: it is no record.
  Result<bool> Next(EffectCommand& out);
  const std::vector<EffectCounts>& counts() const { return counts_; }

 private:
  bool TakeVarint(uint64_t& value);
  bool TakeCounts(int db);
  Result<bool> ReadCounts(int db);

  std::string_view left_;
  std::vector<EffectCounts> counts_;
  bool first_ = true;
};

}  // namespace tidegate
