#include "storage/checkpoint/stored_record.h"

#include "storage/checkpoint/big_endian.h"
#include "storage/checkpoint/table_parts.h"

namespace tidegate {
namespace {

// The second has kTable, of which who knows the first alone must not believe anything.
constexpr uint8_t kVersion = 1;
constexpr uint8_t kVersionWithTables = 2;

enum Flag : uint8_t { kExpires = 1, kObject = 2, kTable = 4 };

constexpr size_t kAccessBytes = 3;

bool ParseWhole(BigEndianReader& in, StoredObject& out) {
  out.id = in.Number(8);
  out.parts = static_cast<uint32_t>(in.Number(4));
  out.size = in.Number(8);
  out.rdb_type = static_cast<uint8_t>(in.Number(1));
  const uint64_t parts = (out.size + kObjectPartBytes.count - 1) / kObjectPartBytes.count;
  return out.parts != 0 && out.parts == parts;
}

bool ParseTable(BigEndianReader& in, StoredObject& out) {
  out.by_hash = true;
  out.id = in.Number(8);
  out.part_bits = static_cast<uint8_t>(in.Number(1));
  out.size = in.Number(8);
  out.rdb_type = static_cast<uint8_t>(in.Number(1));
  return out.size != 0 && out.part_bits <= kTablePartBitsMax;
}

}  // namespace

void AppendRecordHead(std::string& out, const Entry& entry, const StoredObject& object) {
  const bool expires = entry.has_expire();
  const int form = !object ? 0 : object.by_hash ? kTable : kObject;
  out.push_back(static_cast<char>(object.by_hash ? kVersionWithTables : kVersion));
  out.push_back(static_cast<char>((expires ? kExpires : 0) | form));
  if (expires) AppendBigEndian(out, static_cast<uint64_t>(entry.expire_at_ms()), 8);
  AppendBigEndian(out, entry.access(), kAccessBytes);
}

void AppendObjectReference(std::string& out, const StoredObject& object) {
  AppendBigEndian(out, object.id, 8);
  if (object.by_hash) {
    AppendBigEndian(out, object.part_bits, 1);
  } else {
    AppendBigEndian(out, object.parts, 4);
  }
  AppendBigEndian(out, object.size, 8);
  AppendBigEndian(out, object.rdb_type, 1);
}

Result<StoredRecord> ParseStoredRecord(std::string_view record) {
  BigEndianReader in(record);
  const uint64_t version = in.Number(1);
  if (version != kVersion && version != kVersionWithTables)
    return Error{"a record of version " + std::to_string(version)};
  const uint64_t flags = in.Number(1);
  const uint64_t known = kExpires | (version == kVersion ? kObject : kTable);
  if ((flags & ~known) != 0) return Error{"a record with unknown flags " + std::to_string(flags)};
  StoredRecord out;
  if ((flags & kExpires) != 0) {
    out.expire_at_ms = static_cast<int64_t>(in.Number(8));
    if (in.ok() && out.expire_at_ms < 0) return Error{"a record with an expiry before 1970"};
  }
  out.access = static_cast<uint32_t>(in.Number(kAccessBytes));
  if ((flags & (kObject | kTable)) != 0) {
    const bool sound =
        (flags & kTable) != 0 ? ParseTable(in, out.object) : ParseWhole(in, out.object);
    if (!sound || !in.ok() || !in.left().empty() || !out.object)
      return Error{"a record that names no object"};
    return out;
  }
  out.value = in.left();
  if (!in.ok() || out.value.empty()) return Error{"a record without a value"};
  return out;
}

}  // namespace tidegate
