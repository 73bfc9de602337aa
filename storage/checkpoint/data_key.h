// The keys of the store's data, see docs/formats/data-directory.md:
//
//   01 | database 4 | slot 2 | hash 8 | key      an entry
//   02 | object 8 | part 4                       a part of a large value
//   02 | object 8 | part 4 | piece 4             what goes on of a part that is too long, from 1 on
//   03 | name                                    what the checkpoint says of itself
//
// Entries of a slot stand in the order of its table (keyspace/table.h), so that the walk of a cut
// is nearly the order on disk, and a place in one means the same in the other. `database` is never
// used again once it was flushed (keyspace/database_map.h), and an object's id begins with it: so
// all that a database has is two ranges. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/checkpoint/big_endian.h"

namespace tidegate {

inline constexpr char kEntrySpace = 1;
inline constexpr char kObjectSpace = 2;
inline constexpr char kInfoSpace = 3;

inline constexpr size_t kSlotPrefixBytes = 1 + 4 + 2;
inline constexpr size_t kEntryPrefixBytes = kSlotPrefixBytes + 8;
inline constexpr size_t kObjectKeyBytes = 1 + 8 + 4;

// Ids of objects: the database's, then a number that is used once.
inline constexpr int kObjectSerialBits = 36;
constexpr uint64_t ObjectId(uint32_t database, uint64_t serial) {
  return uint64_t{database} << kObjectSerialBits | serial;
}
constexpr uint64_t SerialOfObject(uint64_t object) {
  return object & ((uint64_t{1} << kObjectSerialBits) - 1);
}
constexpr uint32_t DatabaseOfObject(uint64_t object) {
  return static_cast<uint32_t>(object >> kObjectSerialBits);
}

inline void AppendEntryKey(std::string& out, uint32_t database, uint16_t slot, uint64_t hash,
                           std::string_view key) {
  out.push_back(kEntrySpace);
  AppendBigEndian(out, database, 4);
  AppendBigEndian(out, slot, 2);
  AppendBigEndian(out, hash, 8);
  out.append(key);
}

inline std::string EntryKey(uint32_t database, uint16_t slot, uint64_t hash, std::string_view key) {
  std::string out;
  out.reserve(kEntryPrefixBytes + key.size());
  AppendEntryKey(out, database, slot, hash, key);
  return out;
}

struct EntryKeyParts {
  uint32_t database = 0;
  uint16_t slot = 0;
  uint64_t hash = 0;
  std::string_view key;
};

// Of a key that begins with kEntrySpace; false: it is too short.
inline bool ParseEntryKey(std::string_view from, EntryKeyParts& parts) {
  if (from.size() < kEntryPrefixBytes) return false;
  parts.database = static_cast<uint32_t>(ReadBigEndian(from.substr(1), 4));
  parts.slot = static_cast<uint16_t>(ReadBigEndian(from.substr(5), 2));
  parts.hash = ReadBigEndian(from.substr(kSlotPrefixBytes), 8);
  parts.key = from.substr(kEntryPrefixBytes);
  return true;
}

inline void AppendObjectKey(std::string& out, uint64_t object, uint32_t part) {
  out.push_back(kObjectSpace);
  AppendBigEndian(out, object, 8);
  AppendBigEndian(out, part, 4);
}

// The part itself is its piece 0.
inline void AppendPieceKey(std::string& out, uint64_t object, uint32_t part, uint32_t piece) {
  AppendObjectKey(out, object, part);
  if (piece != 0) AppendBigEndian(out, piece, 4);
}

struct ObjectKeyParts {
  uint64_t object = 0;
  uint32_t part = 0;
  uint32_t piece = 0;
};

// Of a key that begins with kObjectSpace; false: it is none.
inline bool ParseObjectKey(std::string_view from, ObjectKeyParts& parts) {
  const bool has_piece = from.size() == kObjectKeyBytes + 4;
  if (!has_piece && from.size() != kObjectKeyBytes) return false;
  parts.object = ReadBigEndian(from.substr(1), 8);
  parts.part = static_cast<uint32_t>(ReadBigEndian(from.substr(9), 4));
  parts.piece =
      has_piece ? static_cast<uint32_t>(ReadBigEndian(from.substr(kObjectKeyBytes), 4)) : 0;
  return true;
}

inline std::string ObjectKey(uint64_t object, uint32_t part) {
  std::string out;
  AppendObjectKey(out, object, part);
  return out;
}

inline std::string InfoKey(std::string_view name) {
  std::string out;
  out.reserve(1 + name.size());
  out.push_back(kInfoSpace);
  out.append(name);
  return out;
}

// From `begin` up to and without `end`.
struct DataRange {
  std::string begin;
  std::string end;
};

// Of these databases, the last one too.
inline DataRange EntriesOfDatabases(uint32_t first, uint32_t last) {
  DataRange range;
  range.begin.push_back(kEntrySpace);
  range.end.push_back(kEntrySpace);
  AppendBigEndian(range.begin, first, 4);
  AppendBigEndian(range.end, last + 1, 4);  // ids never reach the last one
  return range;
}

inline DataRange ObjectsOfDatabases(uint32_t first, uint32_t last) {
  return {ObjectKey(ObjectId(first, 0), 0), ObjectKey(ObjectId(last + 1, 0), 0)};
}

// Pieces of a part, from the one of this key on.
inline DataRange PiecesFrom(std::string_view piece_key) {
  ObjectKeyParts at;
  (void)ParseObjectKey(piece_key, at);
  return {std::string(piece_key), ObjectKey(at.object, at.part + 1)};
}

inline DataRange PartsOfObjects(uint64_t first, uint64_t last) {
  return {ObjectKey(first, 0), ObjectKey(last + 1, 0)};
}

}  // namespace tidegate
