// RdbCutSink: writes a cut as an RDB file, without anybody waiting for it.
//
// Entries that were encoded by those who changed them come between those of the walk, in any order
// and from any database, which the format allows for. The file is made once the moment is over:
// under the gate there is no disk. Owner: the cut's thread, but for Encode.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "storage/cut/cut_sink.h"
#include "storage/data_files.h"
#include "storage/rdb/rdb_file_writer.h"

namespace tidegate::rdb {

class RdbCutSink final : public CutSink {
 public:
  // `cancelled`: when it becomes true the cut ends soon, and there is no file.
  RdbCutSink(Engine& engine, std::string path, const RdbWriteOptions& options,
             const std::atomic<bool>& cancelled);

  void OnMoment(const CutMoment& moment) override;
  StoredObject Encode(int db, const Entry& entry, const StoredObject& old,
                      std::string& out) override;
  StoredObject OnEntry(int db, const Entry& entry, const StoredObject& old) override;
  void OnEncoded(int db, std::string_view entries) override;
  void OnUnreadable(Error error) override { status_ = std::move(error); }
  bool failed() const override { return !status_.ok() || cancelled_.load(); }

  // After the cut: the file takes its place.
  Result<SaveReport> Finish();
  const CutMoment& moment() const { return moment_; }

 private:
  // False when there is none to be had.
  bool HasWriter();

  Engine& engine_;
  const std::string path_;
  const RdbWriteOptions options_;
  const std::atomic<bool>& cancelled_;
  CutMoment moment_;
  FileHeader header_;
  std::unique_ptr<RdbFileWriter> writer_;
  Status status_;
  std::atomic<uint64_t> encoded_keys_{0};
  std::atomic<bool> encoded_field_times_{false};
};

}  // namespace tidegate::rdb
