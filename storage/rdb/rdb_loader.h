// RdbLoader: makes keys of an engine out of what RdbFileReader finds, directly, with no command in
// between; and ReadKey, the part of it that others use to make single keys.
//
// As a Redis primary does it: a key whose time has passed is dropped (unless the file is the front
// of an append-only file, whose own DEL follows), a collection without elements is passed over, a
// key that comes twice is an error. Functions are counted and left out. Nothing is notified, and
// maxmemory does not count. Owner: one thread that has the engine to itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "storage/data_files.h"
#include "storage/engine.h"
#include "storage/keyspace/database.h"
#include "storage/rdb/rdb_file_reader.h"

namespace tidegate::rdb {

enum class KeyOutcome : uint8_t { kRead, kEmpty, kModule };

// Reads the value of a key into `db`, under `ref`, with its expiry and access state. kModule: it is
// of a module that is not here, and was passed over (`skip_modules`; else an error).
Result<KeyOutcome> ReadKey(const FileKey& key, const KeyRef& ref, Type type, RdbReader& in,
                           Database& db, Entry* existing, bool skip_modules);

class RdbLoader final : public FileVisitor {
 public:
  RdbLoader(Engine& engine, EngineThread& thread, const LoadOptions& options, uint64_t file_bytes);

  Status OnKey(const FileKey& key, Type type, RdbReader& in) override;
  void OnAux(std::string_view name, std::string_view text) override;
  void OnFunctions(std::string_view code) override;
  void OnProgress(uint64_t offset) override;

  const LoadReport& report() const { return report_; }

 private:
  Engine& engine_;
  EngineThread& thread_;
  const LoadOptions& options_;
  const uint64_t file_bytes_;
  LoadReport report_;
};

}  // namespace tidegate::rdb
