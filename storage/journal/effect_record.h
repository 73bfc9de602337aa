// The grammar of a record: what one execution did to the data, as commands that do it again.
//
//   record  := command command … note note …         at least one command
//   command := varint(database) varint(arguments) argument …
//   argument:= varint(bytes) bytes                    the first one is the command's name
//   note    := varint(database) 0 1 zigzag(keys) zigzag(expires)         counts
//            | 0 0 2 varint(ids) varint(id) …                            objects
//   varint  := 7 bits a byte, lowest first, the high bit says that more follow; no idle byte
//
// Commands rather than a format of our own for each type: whoever can execute a command can apply a
// record, a replica that is a real Redis included, and a new type needs nothing here. Names are
// spelled out because the table's ids change between versions; they cost three to ten bytes. There
// is no checksum and no version: the journal has them for whole groups of records. A SET takes
// its key, its value and eight bytes more.
// Counts say by how much the record changes the number of keys of a database, and of those with a
// time to live; a database without change has none, nor has a record that drops or swaps databases.
// Objects are those on disk (keyspace/stored_state.h) whose keys the record overwrites or removes.
// So whoever applies a record that overwrites a key need not read from disk what it held.
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

enum class EffectNote : uint8_t { kCounts = 1, kObjects = 2 };

// What a record changes about the size of a database.
struct EffectCounts {
  int db = 0;
  int64_t keys = 0;
  int64_t expires = 0;
};

class EffectReader final {
 public:
  explicit EffectReader(std::string_view record) : left_(record) {}

  // The next command of the record, into `out`; false behind the last one, and then the notes have
  // been read. An error: it is no record.
  Result<bool> Next(EffectCommand& out);
  const std::vector<EffectCounts>& counts() const { return counts_; }
  const std::vector<uint64_t>& objects() const { return objects_; }

 private:
  bool TakeVarint(uint64_t& value);
  bool TakeNote(uint64_t db);
  bool TakeObjects();
  Result<bool> ReadNotes(uint64_t db);

  std::string_view left_;
  std::vector<EffectCounts> counts_;
  std::vector<uint64_t> objects_;
  bool first_ = true;
};

}  // namespace tidegate
