#include "storage/rdb/rdb_cut_sink.h"

#include <utility>

#include "storage/rdb/engine_walk.h"

namespace tidegate::rdb {

RdbCutSink::RdbCutSink(Engine& engine, std::string path, const RdbWriteOptions& options,
                       const std::atomic<bool>& cancelled)
    : engine_(engine), path_(std::move(path)), options_(options), cancelled_(cancelled) {}

void RdbCutSink::OnMoment(const CutMoment& moment) {
  moment_ = moment;
  header_ = HeaderOf(engine_, moment.unix_ms, FieldsMayExpire(engine_));
}

StoredObject RdbCutSink::Encode(int /*db*/, const Entry& entry, const StoredObject& /*old*/,
                                std::string& out) {
  if (IsGone(entry, header_.now_ms)) return {};
  if (HasFieldTimes(entry)) encoded_field_times_.store(true, std::memory_order_relaxed);
  RdbWriter writer(out, options_.compress);
  WriteEntry(entry, header_, /*field_times=*/true, writer);
  encoded_keys_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

bool RdbCutSink::HasWriter() {
  if (writer_ != nullptr) return true;
  if (!status_.ok()) return false;
  Result<std::unique_ptr<RdbFileWriter>> writer = RdbFileWriter::Create(path_, options_, header_);
  if (!writer.ok()) {
    status_ = std::move(writer).error();
    return false;
  }
  writer_ = std::move(writer).value();
  for (size_t db = 0; db < moment_.dbs.size(); ++db) {
    const DbStats& stats = moment_.dbs[db];
    if (stats.keys > 0) writer_->OnDatabase(static_cast<int>(db), stats.keys, stats.expires);
  }
  return true;
}

StoredObject RdbCutSink::OnEntry(int db, const Entry& entry, const StoredObject& /*old*/) {
  if (!HasWriter()) return {};
  writer_->SelectDatabase(db);
  writer_->OnEntry(entry);
  return {};
}

void RdbCutSink::OnEncoded(int db, std::string_view entries) {
  if (!HasWriter()) return;
  writer_->SelectDatabase(db);
  writer_->OnEncoded(entries, encoded_keys_.exchange(0, std::memory_order_relaxed));
}

Result<SaveReport> RdbCutSink::Finish() {
  if (cancelled_.load()) return Error{"given up"};
  if (!HasWriter() || !status_.ok()) return std::move(status_).error();
  if (encoded_field_times_.load()) writer_->NoteFieldTimes();
  TG_RETURN_IF_ERROR(writer_->Finish());
  return writer_->report();
}

}  // namespace tidegate::rdb
