#include "storage/checkpoint/checkpoint_info.h"

#include "base/check.h"
#include "storage/checkpoint/big_endian.h"

namespace tidegate {
namespace {

constexpr uint8_t kVersion = 1;

}  // namespace

std::string CheckpointInfo::Encode() const {
  TG_CHECK(stats.size() == databases.size());
  std::string out(1, static_cast<char>(kVersion));
  AppendBigEndian(out, sequence, 8);
  AppendBigEndian(out, static_cast<uint64_t>(unix_ms), 8);
  AppendBigEndian(out, next_object_serial, 8);
  AppendBigEndian(out, next_database, 4);
  AppendBigEndian(out, databases.size(), 4);
  for (size_t db = 0; db < databases.size(); ++db) {
    AppendBigEndian(out, databases[db], 4);
    AppendBigEndian(out, stats[db].keys, 8);
    AppendBigEndian(out, stats[db].expires, 8);
    AppendBigEndian(out, static_cast<uint64_t>(stats[db].mean_expire_at_s), 8);
  }
  return out;
}

Result<CheckpointInfo> CheckpointInfo::Parse(std::string_view bytes) {
  BigEndianReader in(bytes);
  const uint64_t version = in.Number(1);
  if (version != kVersion)
    return Error{"the checkpoint is described in version " + std::to_string(version)};
  CheckpointInfo info;
  info.sequence = in.Number(8);
  info.unix_ms = static_cast<int64_t>(in.Number(8));
  info.next_object_serial = in.Number(8);
  info.next_database = static_cast<uint32_t>(in.Number(4));
  const uint64_t count = in.Number(4);
  for (uint64_t db = 0; db < count && in.ok(); ++db) {
    info.databases.push_back(static_cast<uint32_t>(in.Number(4)));
    info.stats.push_back({in.Number(8), in.Number(8), static_cast<int64_t>(in.Number(8))});
  }
  if (!in.ok() || !in.left().empty()) return Error{"the checkpoint's description is damaged"};
  return info;
}

}  // namespace tidegate
