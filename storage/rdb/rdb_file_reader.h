// RdbFileReader: an RDB file from its first byte to its checksum, key by key.
//
//   "REDIS" version(4 digits)
//   [ AUX name text ] …                                   who wrote it and when
//   [ SELECTDB db | RESIZEDB keys expiring | FUNCTION2 code | MODULE_AUX … | SLOT_INFO … ]
//   [ EXPIRETIME_MS at | EXPIRETIME s ] [ IDLE s | FREQ n ] type key value
//   …
//   EOF [ CRC-64 ]                                        since version 5; 0: not checked
//
// Reads versions 1 to 12. What it finds goes to a FileVisitor, which reads the value of each key by
// itself, into whatever it likes. Nothing is believed: whatever is not as it must be is an error
// with the offset, and what was visited before stays visited. A file of any size takes the memory
// of its largest value. Owner: one thread. Source: Redis's rdb.c and redis-check-rdb.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "storage/keyspace/entry.h"
#include "storage/rdb/file_source.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_reader.h"

namespace tidegate::rdb {

// What stands in front of a value.
struct FileKey {
  int db = 0;
  std::string_view name;
  int64_t expire_at_ms = kNoExpire;
  int64_t idle_seconds = -1;  // -1: not told
  int64_t frequency = -1;
};

class FileVisitor {
 public:
  virtual ~FileVisitor() = default;
  // Reads the value at `in`. An error ends the reading; in.ok() tells whether the bytes were sound.
  virtual Status OnKey(const FileKey& key, Type type, RdbReader& in) = 0;
  virtual void OnAux(std::string_view /*name*/, std::string_view /*text*/) {}
  // How many keys of the database the file is going to bring, of which so many expire.
  virtual void OnSizes(int /*db*/, uint64_t /*keys*/, uint64_t /*expiring*/) {}
  virtual void OnFunctions(std::string_view /*code*/) {}
  virtual void OnModuleAux(std::string_view /*module*/) {}
  // Now and then, with the number of bytes that were read.
  virtual void OnProgress(uint64_t /*offset*/) {}
};

class RdbFileReader final {
 public:
  struct Options {
    int databases = 16;  // a key of another is an error
    bool check_sum = true;
  };
  // What the file says of itself, once it was read.
  struct Summary {
    uint16_t version = 0;
    bool sum_checked = false;
    uint64_t end_offset = 0;  // where the RDB part ends: of an append-only file, more follows
  };

  // Borrows both.
  RdbFileReader(const InputFile& file, FileVisitor& visitor, const Options& options);

  // The whole file from its beginning.
  Result<Summary> Read();
  // Where it has come to.
  uint64_t offset() const { return source_.OffsetOf(in_.unread()); }

 private:
  Status ReadHeader();
  Status ReadParts();
  // One part, whose first byte was `first`; true: that was the end.
  Result<bool> ReadPart(uint8_t first);
  Status ReadKey(Type type);
  Status SelectDb();
  Status ReadModuleAux();
  Status ReadChecksum();
  Error Fail(std::string_view what) const;

  const InputFile& file_;
  FileVisitor& visitor_;
  const Options options_;
  FileSource source_;
  RdbReader in_;
  Summary summary_;
  FileKey key_;
  std::string key_scratch_;
  std::string scratch_;
  uint64_t parts_ = 0;
};

// The nine characters of a module's type.
std::string ModuleName(uint64_t id);

// "string", "list", … of a type that values of keys have; empty for others.
std::string_view TypeName(Type type);

}  // namespace tidegate::rdb
