#include "storage/checkpoint/stored_record.h"

#include "storage/checkpoint/big_endian.h"

namespace tidegate {
namespace {

constexpr uint8_t kVersion = 1;

enum Flag : uint8_t { kExpires = 1, kObject = 2 };

constexpr size_t kAccessBytes = 3;

}  // namespace

void AppendRecordHead(std::string& out, const Entry& entry, bool is_object) {
  const bool expires = entry.has_expire();
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>((expires ? kExpires : 0) | (is_object ? kObject : 0)));
  if (expires) AppendBigEndian(out, static_cast<uint64_t>(entry.expire_at_ms()), 8);
  AppendBigEndian(out, entry.access(), kAccessBytes);
}

void AppendObjectReference(std::string& out, uint64_t object, uint32_t parts, uint64_t bytes,
                           uint8_t rdb_type) {
  AppendBigEndian(out, object, 8);
  AppendBigEndian(out, parts, 4);
  AppendBigEndian(out, bytes, 8);
  out.push_back(static_cast<char>(rdb_type));
}

Result<StoredRecord> ParseStoredRecord(std::string_view record) {
  BigEndianReader in(record);
  const uint64_t version = in.Number(1);
  if (version != kVersion) return Error{"a record of version " + std::to_string(version)};
  const uint64_t flags = in.Number(1);
  if ((flags & ~uint64_t{kExpires | kObject}) != 0)
    return Error{"a record with unknown flags " + std::to_string(flags)};
  StoredRecord out;
  if ((flags & kExpires) != 0) {
    out.expire_at_ms = static_cast<int64_t>(in.Number(8));
    if (in.ok() && out.expire_at_ms < 0) return Error{"a record with an expiry before 1970"};
  }
  out.access = static_cast<uint32_t>(in.Number(kAccessBytes));
  if ((flags & kObject) != 0) {
    out.object_id = in.Number(8);
    out.parts = static_cast<uint32_t>(in.Number(4));
    out.value_bytes = in.Number(8);
    out.rdb_type = static_cast<uint8_t>(in.Number(1));
    const uint64_t parts = (out.value_bytes + kObjectPartBytes.count - 1) / kObjectPartBytes.count;
    if (!in.ok() || !in.left().empty() || out.object_id == 0 || out.parts == 0 ||
        out.parts != parts) {
      return Error{"a record that names no object"};
    }
    return out;
  }
  out.value = in.left();
  if (!in.ok() || out.value.empty()) return Error{"a record without a value"};
  out.value_bytes = out.value.size();
  out.rdb_type = static_cast<uint8_t>(out.value[0]);
  return out;
}

}  // namespace tidegate
