// Table parts: a large hash, set or sorted set as it is on disk, where a checkpoint writes only the
// parts of it that have changed.
//
//   hash of a field   | part's number, `part_bits` bits | the rest |
//   a part            fields 4 | bytes 8 | the fields, as RDB has them behind its type
//   a field           of a set: member;  of a sorted set: member, score (8 bytes);
//                     of a hash: its time and one, or 0 for none (a length of RDB); field; value
//
// A part holds the fields whose hashes begin with its number, so what belongs to it does not depend
// on the pages that the table has at the moment (they split, merge and move), and a part that gets
// empty is a part to delete, of which nobody needs to keep a list. Rejected: a part for each page
// has to tell, at each merge and after each load, which parts on disk it stands for. As many bits
// are chosen as make a part about as large as a page. A table that outgrows them by far, or
// shrinks, is written anew, under another object, which growing by half for the same again costs
// once per doubling or two. What is too long for one record goes on in pieces. Behind each other,
// with a head, the parts are the RDB value: so there is one reader for all.
// Needs the slot's lock of the entry. Cost: a look at each page's head; then 2 KiB or so for each
// field that has changed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/keyspace/stored_object.h"
#include "storage/value/field_table.h"

namespace tidegate {

// Memory of a table from which on it is stored in parts.
inline constexpr Bytes kTableInPartsBytesMin = 16_KiB;
// Memory that a part stands for at least, when their number is chosen; at most twice that.
inline constexpr Bytes kTablePartBytes = 2_KiB;

inline constexpr int kTablePartBitsMax = 28;

inline constexpr size_t kTablePartHeadBytes = 4 + 8;

// How many bits the table is cut by best, and whether so many still do.
uint8_t TablePartBits(const FieldTable& table);
bool TablePartBitsFit(const FieldTable& table, uint8_t bits);

// The RDB type of the value that the parts make up.
uint8_t TableRdbType(const FieldTable& table);

// Calls fn with the number of each part that may differ from what is on disk, in ascending order.
void ForEachChangedPart(const FieldTable& table, uint8_t bits,
                        const std::function<void(uint32_t)>& fn);
// Puts a part into `out`; false: it has no fields.
bool EncodeTablePart(const FieldTable& table, uint8_t bits, uint32_t part, std::string& out);

// Makes the value of its parts: the RDB type byte and the value. Nothing is believed.
class TablePartsReader final {
 public:
  // Into `out`, which is emptied.
  TablePartsReader(const StoredObject& object, std::string& out);
  // The pieces in the order of their keys.
  Status Add(uint32_t part, uint32_t piece, std::string_view bytes);
  // All have been.
  Status Finish() const;
  // Whether there was a part of more than one.
  bool has_pieces() const { return has_pieces_; }

 private:
  Status Begin(std::string_view bytes);

  const StoredObject object_;
  std::string& out_;
  uint64_t fields_ = 0;
  uint64_t part_ = 0;        // and one; 0: there was none
  uint32_t next_piece_ = 0;  // of that part
  uint64_t awaited_ = 0;     // bytes of it
  bool has_pieces_ = false;
};

}  // namespace tidegate
