#include "storage/key_report.h"

#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "storage/entry_sink.h"
#include "storage/rdb/rdb_file_reader.h"
#include "storage/rdb/rdb_value_writer.h"
#include "storage/rdb/redis_memory.h"
#include "storage/rdb/value_measure.h"
#include "storage/report_lines.h"
#include "storage/value/encoding_name.h"
#include "storage/value/key_size.h"

namespace tidegate {
namespace {

ReportedKey KeyAsMeasured(const rdb::ValueMeasure& value, std::string_view name) {
  return {.name = name,
          .type = value.type,
          .encoding = value.encoding,
          .bytes = value.bytes + rdb::redis_memory::Key(name.size()),
          .elements = value.elements};
}

// Keys that are there as entries: asked, or measured as what an RDB file would hold of them.
class EntryReport final : public EntrySink {
 public:
  EntryReport(ReportLines& lines, SizesOf sizes, int64_t now_ms)
      : lines_(lines), sizes_(sizes), now_ms_(now_ms) {}

  void OnDatabase(int db, uint64_t /*keys*/, uint64_t /*expiring*/) override { db_ = db; }
  void OnEntry(const Entry& entry) override {
    if (failed()) return;
    ReportedKey key = sizes_ == SizesOf::kRedis ? AsRedis(entry) : AsTidegate(entry);
    key.db = db_;
    if (entry.has_expire()) key.expire_at_ms = entry.expire_at_ms();
    lines_.Add(key);
  }
  bool failed() const override { return lines_.failed(); }
  Status Finish() override { return lines_.Finish(); }

 private:
  ReportedKey AsTidegate(const Entry& entry) const {
    ReportedKey key;
    key.name = entry.key();
    key.type = entry.type();
    key.encoding = EncodingName(entry);
    key.bytes = KeyBytes(entry);
    if (lines_.Wants(key.bytes)) key.elements = ElementsOf(entry, now_ms_);
    return key;
  }
  ReportedKey AsRedis(const Entry& entry) {
    encoded_.clear();
    rdb::RdbWriter writer(encoded_, /*compress=*/false);
    rdb::WriteValue(entry, {.now_ms = now_ms_}, writer);
    rdb::RdbReader in(encoded_);
    const auto type = static_cast<rdb::Type>(in.Byte());
    rdb::ValueMeasure value;
    if (type == rdb::Type::kModule2) {
      (void)in.Length();  // a Bloom filter's
      (void)rdb::MeasureBloomFilter(in, value);
    } else {
      (void)rdb::MeasureValue(type, in, now_ms_, value);
    }
    TG_CHECK(in.ok());
    return KeyAsMeasured(value, entry.key());
  }

  ReportLines& lines_;
  const SizesOf sizes_;
  const int64_t now_ms_;
  std::string encoded_;
  int db_ = 0;
};

// Keys of an RDB file, measured as they are read.
class RdbReport final : public rdb::FileVisitor {
 public:
  RdbReport(ReportLines& lines, const ConvertOptions& options, uint64_t file_bytes)
      : lines_(lines), options_(options), file_bytes_(file_bytes) {}

  Status OnKey(const rdb::FileKey& key, rdb::Type type, rdb::RdbReader& in) override {
    rdb::ValueMeasure value;
    if (type == rdb::Type::kModule)
      return Error{"a value of a module, in the form before Redis 4.0"};
    if (type == rdb::Type::kModule2) return OnModule(key, in, value);
    switch (rdb::MeasureValue(type, in, options_.now_ms, value)) {
      case rdb::ValueOutcome::kBroken:
        return Error{"a broken " + std::string(rdb::TypeName(type)) + " (type " +
                     std::to_string(static_cast<int>(type)) + ")"};
      case rdb::ValueOutcome::kEmpty:
        ++report_.empty;
        return {};
      case rdb::ValueOutcome::kRead:
        break;
    }
    return Add(key, value);
  }
  void OnAux(std::string_view name, std::string_view text) override {
    if (name == "redis-ver") report_.redis_version = text;
  }
  void OnFunctions(std::string_view /*code*/) override { ++report_.functions; }
  void OnProgress(uint64_t offset) override {
    report_.bytes = offset;
    if (options_.on_progress) options_.on_progress({offset, file_bytes_, report_.keys});
  }

  const LoadReport& report() const { return report_; }

 private:
  Status Add(const rdb::FileKey& key, const rdb::ValueMeasure& value) {
    ReportedKey reported = KeyAsMeasured(value, key.name);
    reported.db = key.db;
    reported.expire_at_ms = key.expire_at_ms;
    lines_.Add(reported);
    ++report_.keys;
    return lines_.failed() ? lines_.Finish() : Status();
  }
  Status OnModule(const rdb::FileKey& key, rdb::RdbReader& in, rdb::ValueMeasure& value) {
    const uint64_t id = in.Length();
    if (!in.ok()) return Error{"a broken value"};
    if (id == rdb::kBloomModuleId) {
      if (rdb::MeasureBloomFilter(in, value) != rdb::ValueOutcome::kRead)
        return Error{"a broken Bloom filter"};
      return Add(key, value);
    }
    if (!options_.skip_modules) {
      return Error{"a value of the module type " + rdb::ModuleName(id) +
                   ", which Tidegate does not have"};
    }
    if (!rdb::SkipModuleParts(in))
      return Error{"a broken value of the module type " + rdb::ModuleName(id)};
    ++report_.modules_skipped;
    return {};
  }

  ReportLines& lines_;
  const ConvertOptions& options_;
  const uint64_t file_bytes_;
  LoadReport report_;
};

Result<ConvertReport> MeasureRdb(const std::string& path, ReportLines& lines,
                                 const ConvertOptions& options) {
  Result<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return std::move(file).error();
  RdbReport visitor(lines, options, file->bytes());
  rdb::RdbFileReader reader(*file, visitor, {.databases = std::numeric_limits<int>::max()});
  Result<rdb::RdbFileReader::Summary> summary = reader.Read();
  if (!summary.ok()) return std::move(summary).error();
  TG_RETURN_IF_ERROR(lines.Finish());
  ConvertReport report;
  report.read = visitor.report();
  report.read.version = summary->version;
  report.sum_checked = summary->sum_checked;
  report.bytes_behind = file->bytes() - summary->end_offset;
  return report;
}

Result<ConvertReport> Measure(const DataSource& source, ReportLines& lines, SizesOf sizes,
                              const ConvertOptions& convert) {
  if (source.format == DataFormat::kRdb && sizes == SizesOf::kRedis)
    return MeasureRdb(source.path, lines, convert);
  EntryReport sink(lines, sizes, convert.now_ms);
  return ConvertTo(source, sink, convert);
}

}  // namespace

Result<KeyReport> ReportKeys(const DataSource& source, ByteOutput& csv,
                             const KeyReportOptions& options, const ConvertOptions& convert) {
  ReportLines lines(csv, options);
  Result<ConvertReport> read = Measure(source, lines, options.sizes, convert);
  if (!read.ok()) return std::move(read).error();
  KeyReport report;
  report.source = std::move(read).value();
  lines.Take(report);
  return report;
}

}  // namespace tidegate
