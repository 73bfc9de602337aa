#include "storage/rdb/rdb_file_writer.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/version.h"
#include "storage/keyspace/access.h"
#include "storage/rdb/crc64.h"
#include "storage/rdb/rdb_value_writer.h"
#include "storage/value/field_table.h"
#include "storage/value/hash_value.h"

namespace tidegate::rdb {
namespace {

void WriteAccess(const Entry& entry, const FileHeader& header, RdbWriter& out) {
  if (header.access == AccessKept::kIdleTime) {
    out.Byte(static_cast<uint8_t>(Opcode::kIdle));
    out.Length(access::LruIdleSeconds(entry.access(), header.now_ms));
  } else if (header.access == AccessKept::kFrequency) {
    out.Byte(static_cast<uint8_t>(Opcode::kFrequency));
    out.Byte(static_cast<uint8_t>(
        access::LfuCounter(entry.access(), header.now_ms, header.lfu_decay_minutes)));
  }
}

AccessKept AccessKeptUnder(EvictionPolicy policy) {
  switch (policy) {
    case EvictionPolicy::kAllKeysLru:
    case EvictionPolicy::kVolatileLru:
      return AccessKept::kIdleTime;
    case EvictionPolicy::kAllKeysLfu:
    case EvictionPolicy::kVolatileLfu:
      return AccessKept::kFrequency;
    default:
      return AccessKept::kNone;
  }
}

std::string VersionText(uint16_t version) {
  char text[8];
  std::snprintf(text, sizeof text, "%04u", static_cast<unsigned>(version));
  return text;
}

}  // namespace

bool HasFieldTimes(const Entry& entry) {
  return entry.type() == ValueType::kHash && entry.encoding() == Encoding::kFieldTable &&
         entry.object<FieldTable>()->expires() > 0;
}

FileHeader HeaderOf(Engine& engine, int64_t now_ms, bool field_times) {
  const EngineSettings& settings = engine.settings();
  return {.version = field_times ? kVersionOfFieldExpiry : kVersion,
          .now_ms = now_ms,
          .used_memory_bytes = engine.UsedMemoryBytes(),
          .access = AccessKeptUnder(settings.maxmemory_policy.load(std::memory_order_relaxed)),
          .lfu_decay_minutes = settings.lfu_decay_minutes.load(std::memory_order_relaxed)};
}

bool IsGone(const Entry& entry, int64_t now_ms) {
  return HasFieldTimes(entry) && HashView(entry, now_ms).size() == 0;
}

void WriteEntry(const Entry& entry, const FileHeader& header, bool field_times, RdbWriter& out) {
  if (entry.has_expire()) {
    out.Byte(static_cast<uint8_t>(Opcode::kExpireMillis));
    out.Fixed64(static_cast<uint64_t>(entry.expire_at_ms()));
  }
  WriteAccess(entry, header, out);
  WriteKeyAndValue(entry, {.now_ms = header.now_ms, .field_times = field_times}, out);
}

Result<std::unique_ptr<RdbFileWriter>> RdbFileWriter::Create(const std::string& path,
                                                             const RdbWriteOptions& options,
                                                             const FileHeader& header) {
  Result<ReplacedFile> file =
      ReplacedFile::Create(path, "temp-" + std::to_string(gettid()) + ".rdb");
  if (!file.ok()) return std::move(file).error();
  std::unique_ptr<RdbFileWriter> writer(
      new RdbFileWriter(std::move(file).value(), options, header));
  writer->WriteHeader();
  return writer;
}

RdbFileWriter::RdbFileWriter(ReplacedFile file, const RdbWriteOptions& options,
                             const FileHeader& header)
    : file_(std::move(file)),
      options_(options),
      header_(header),
      out_(buffer_, *this, options.compress) {}

void RdbFileWriter::Drain(std::string& buffer) {
  if (status_.ok()) {
    if (options_.check_sum) crc_ = Crc64(crc_, buffer);
    status_ = file_.Append(buffer);
  }
  buffer.clear();
}

void RdbFileWriter::WriteHeader() {
  out_.Raw(kMagic);
  out_.Raw(VersionText(header_.version));
  if (!options_.redis_version.empty()) WriteAux("redis-ver", options_.redis_version);
  WriteAux("redis-bits", "64");
  WriteAux("ctime", std::to_string(header_.now_ms / 1000));
  WriteAux("used-mem", std::to_string(header_.used_memory_bytes));
  WriteAux("aof-base", "0");
  WriteAux("tidegate-ver", kTidegateVersion);
}

void RdbFileWriter::WriteAux(std::string_view name, std::string_view text) {
  WriteOpcode(Opcode::kAux);
  out_.String(name);
  out_.String(text);
}

void RdbFileWriter::OnDatabase(int db, uint64_t keys, uint64_t expiring) {
  SelectDatabase(db);
  WriteOpcode(Opcode::kResizeDb);
  out_.Length(keys);
  out_.Length(expiring);
}

void RdbFileWriter::SelectDatabase(int db) {
  if (std::exchange(selected_, db) == db) return;
  WriteOpcode(Opcode::kSelectDb);
  out_.Length(static_cast<uint64_t>(db));
}

void RdbFileWriter::OnEncoded(std::string_view entries, uint64_t keys) {
  if (failed()) return;
  out_.Raw(entries);
  report_.keys += keys;
}

bool RdbFileWriter::LeavesOut(const Entry& entry) {
  if (entry.type() == ValueType::kBloom && options_.for_redis) {
    ++report_.filters_left_out;
    return true;
  }
  if (!HasFieldTimes(entry)) return false;
  if (IsGone(entry, header_.now_ms)) return true;
  has_field_times_ = has_field_times_ || !options_.for_redis;
  if (options_.for_redis) ++report_.hashes_without_times;
  return false;
}

void RdbFileWriter::OnEntry(const Entry& entry) {
  if (failed() || LeavesOut(entry)) return;
  WriteEntry(entry, header_, !options_.for_redis, out_);
  ++report_.keys;
}

// The sum of what two texts differ in is what their sums differ in.
void RdbFileWriter::RaiseVersion() {
  const std::string before = VersionText(header_.version);
  std::string text = VersionText(kVersionOfFieldExpiry);
  if (status_.ok()) status_ = file_.WriteAt(kMagic.size(), text);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(text[i] ^ before[i]);
  if (options_.check_sum)
    crc_ ^= Crc64OfZeros(Crc64(0, text), file_.bytes() - kMagic.size() - text.size());
}

Status RdbFileWriter::Finish() {
  WriteOpcode(Opcode::kEnd);
  Drain(buffer_);
  if (has_field_times_ && header_.version < kVersionOfFieldExpiry) RaiseVersion();
  const uint64_t sum = crc_;
  out_.Fixed64(options_.check_sum ? sum : 0);
  if (status_.ok()) status_ = file_.Append(buffer_);
  buffer_.clear();
  if (status_.ok()) status_ = file_.Commit();
  report_.bytes = file_.bytes();
  return status_;
}

}  // namespace tidegate::rdb
