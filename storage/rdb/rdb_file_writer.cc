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

Result<std::unique_ptr<RdbFileWriter>> RdbFileWriter::Create(const std::string& path,
                                                             const RdbWriteOptions& options,
                                                             const FileHeader& header) {
  Result<ReplacedFile> file =
      ReplacedFile::Create(path, "temp-" + std::to_string(getpid()) + ".rdb");
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
  char version[8];
  std::snprintf(version, sizeof version, "%04u", static_cast<unsigned>(header_.version));
  out_.Raw(kMagic);
  out_.Raw(version);
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
  WriteOpcode(Opcode::kSelectDb);
  out_.Length(static_cast<uint64_t>(db));
  WriteOpcode(Opcode::kResizeDb);
  out_.Length(keys);
  out_.Length(expiring);
}

bool RdbFileWriter::LeavesOut(const Entry& entry) {
  if (entry.type() == ValueType::kBloom && options_.for_redis) {
    ++report_.filters_left_out;
    return true;
  }
  if (entry.type() != ValueType::kHash || entry.encoding() != Encoding::kFieldTable) return false;
  if (entry.object<FieldTable>()->expires() == 0) return false;
  // Nothing that reads a file makes a hash without fields.
  if (HashView(entry, header_.now_ms).size() == 0) return true;
  if (options_.for_redis) ++report_.hashes_without_times;
  return false;
}

void RdbFileWriter::WriteAccess(const Entry& entry) {
  if (header_.access == AccessKept::kIdleTime) {
    WriteOpcode(Opcode::kIdle);
    out_.Length(access::LruIdleSeconds(entry.access(), header_.now_ms));
  } else if (header_.access == AccessKept::kFrequency) {
    WriteOpcode(Opcode::kFrequency);
    out_.Byte(static_cast<uint8_t>(
        access::LfuCounter(entry.access(), header_.now_ms, header_.lfu_decay_minutes)));
  }
}

void RdbFileWriter::OnEntry(const Entry& entry) {
  if (failed() || LeavesOut(entry)) return;
  if (entry.has_expire()) {
    WriteOpcode(Opcode::kExpireMillis);
    out_.Fixed64(static_cast<uint64_t>(entry.expire_at_ms()));
  }
  WriteAccess(entry);
  WriteKeyAndValue(entry, {.now_ms = header_.now_ms, .field_times = !options_.for_redis}, out_);
  ++report_.keys;
}

Status RdbFileWriter::Finish() {
  WriteOpcode(Opcode::kEnd);
  Drain(buffer_);
  const uint64_t sum = crc_;
  out_.Fixed64(options_.check_sum ? sum : 0);
  if (status_.ok()) status_ = file_.Append(buffer_);
  buffer_.clear();
  if (status_.ok()) status_ = file_.Commit();
  report_.bytes = file_.bytes();
  return status_;
}

}  // namespace tidegate::rdb
