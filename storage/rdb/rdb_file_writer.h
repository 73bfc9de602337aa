// RdbFileWriter: an RDB file, one key after the other. The grammar is in rdb_file_reader.h.
//
// Writes version 10, which Redis 7.0 reads; 12, when fields of hashes expire, which Redis has since
// 7.4: when it is told so before, or when it comes upon such a hash, and then puts the version
// right at the end, and the check sum with it. What Redis has not (Bloom filters) is a module's
// value, see rdb_value_writer.h. The file takes its place when Finish is through. Owner: one
// thread, which has the slots of the entries. Cost: memory for one buffer, whatever the size of
// values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "storage/data_files.h"
#include "storage/entry_sink.h"
#include "storage/keyspace/entry.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_writer.h"

namespace tidegate::rdb {

// What of an entry's use a file tells.
enum class AccessKept : uint8_t { kNone, kIdleTime, kFrequency };

struct FileHeader {
  uint16_t version = kVersion;
  int64_t now_ms = 0;
  uint64_t used_memory_bytes = 0;
  AccessKept access = AccessKept::kNone;
  int lfu_decay_minutes = 1;
};

// What a file of this engine begins with. `field_times`: there may be hashes with fields that
// expire.
FileHeader HeaderOf(Engine& engine, int64_t now_ms, bool field_times);

// What a file says of one key: its expiry, its use, type, name and value. Any thread that has the
// entry's slot.
void WriteEntry(const Entry& entry, const FileHeader& header, bool field_times, RdbWriter& out);

// Whether nothing is left of the entry at the time of the file: nothing that reads a file makes a
// hash without fields.
bool IsGone(const Entry& entry, int64_t now_ms);

// Whether it is a hash of which some fields expire.
bool HasFieldTimes(const Entry& entry);

class RdbFileWriter final : public EntrySink, private RdbSink {
 public:
  static Result<std::unique_ptr<RdbFileWriter>> Create(const std::string& path,
                                                       const RdbWriteOptions& options,
                                                       const FileHeader& header);

  void OnDatabase(int db, uint64_t keys, uint64_t expiring) override;
  void OnEntry(const Entry& entry) override;
  // The same for keys whose database is not the one of those before, mostly: none is announced.
  void SelectDatabase(int db);
  // Keys of the database that is selected, as WriteEntry writes them.
  void OnEncoded(std::string_view entries, uint64_t keys);
  // Some of these are hashes with fields that expire.
  void NoteFieldTimes() { has_field_times_ = true; }
  bool failed() const override { return !status_.ok(); }
  Status Finish() override;

  const SaveReport& report() const { return report_; }

 private:
  RdbFileWriter(ReplacedFile file, const RdbWriteOptions& options, const FileHeader& header);

  void Drain(std::string& buffer) override;
  void WriteHeader();
  void WriteAux(std::string_view name, std::string_view text);
  // Whether the entry is left out, for what this file is.
  bool LeavesOut(const Entry& entry);
  void RaiseVersion();
  void WriteOpcode(Opcode opcode) { out_.Byte(static_cast<uint8_t>(opcode)); }

  ReplacedFile file_;
  const RdbWriteOptions options_;
  const FileHeader header_;
  std::string buffer_;
  RdbWriter out_;
  uint64_t crc_ = 0;
  Status status_;
  SaveReport report_;
  bool has_field_times_ = false;
  int selected_ = -1;
};

}  // namespace tidegate::rdb
