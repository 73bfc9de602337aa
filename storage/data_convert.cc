#include "storage/data_convert.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "storage/aof/command_writer.h"
#include "storage/checkpoint/checkpoint_loader.h"
#include "storage/commands/families.h"
#include "storage/engine_thread.h"
#include "storage/entry_sink.h"
#include "storage/journal/record_applier.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/persist/data_directory.h"
#include "storage/persist/store.h"
#include "storage/rdb/engine_walk.h"
#include "storage/rdb/rdb_file_reader.h"
#include "storage/rdb/rdb_file_writer.h"
#include "storage/rdb/rdb_loader.h"

namespace tidegate {
namespace {

// Counts what goes by.
class CountingSink final : public EntrySink {
 public:
  // Null: nobody else wants it.
  CountingSink(EntrySink* next, ConvertReport& report) : next_(next), report_(report) {}

  void OnDatabase(int db, uint64_t keys, uint64_t expiring) override {
    ++report_.databases;
    if (next_ != nullptr) next_->OnDatabase(db, keys, expiring);
  }
  void OnEntry(const Entry& entry) override {
    ++report_.keys_by_type[static_cast<size_t>(entry.type())];
    if (entry.has_expire()) ++report_.expiring;
    if (next_ != nullptr) next_->OnEntry(entry);
  }
  bool failed() const override { return next_ != nullptr && next_->failed(); }
  Status Finish() override { return next_ != nullptr ? next_->Finish() : Status(); }

 private:
  EntrySink* const next_;
  ConvertReport& report_;
};

// An engine of its own, which this thread has for itself.
class Scratch final {
 public:
  static Result<std::unique_ptr<Scratch>> Create(int databases, int64_t now_ms) {
    Result<std::unique_ptr<Engine>> engine = Engine::Create({.databases = databases});
    if (!engine.ok()) return std::move(engine).error();
    return std::unique_ptr<Scratch>(new Scratch(std::move(engine).value(), now_ms));
  }
  ~Scratch() {
    engine_->EndAtomic(thread_);
    engine_->EndBatch(thread_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  Engine& engine() { return *engine_; }
  EngineThread& thread() { return thread_; }

 private:
  Scratch(std::unique_ptr<Engine> engine, int64_t now_ms)
      : engine_(std::move(engine)), thread_(engine_->AddThread(nullptr, nullptr)) {
    engine_->BeginBatch(thread_, now_ms);
    const ExecStatus entered = engine_->BeginAtomic(thread_, {}, /*whole=*/true, nobody_);
    TG_CHECK(entered == ExecStatus::kDone);
  }

  const std::unique_ptr<Engine> engine_;
  EngineThread& thread_;
  ClientState nobody_;
};

// Makes one key after the other, gives it on and removes it.
class KeyStream final : public rdb::FileVisitor {
 public:
  KeyStream(Scratch& scratch, EntrySink& sink, const ConvertOptions& options, uint64_t file_bytes)
      : scratch_(scratch), sink_(sink), options_(options), file_bytes_(file_bytes) {}

  Status OnKey(const rdb::FileKey& key, rdb::Type type, rdb::RdbReader& in) override {
    // As of the beginning of time, so that no key is past its time.
    Database db(scratch_.engine().keyspace(), scratch_.thread(), 0, 0, {.no_touch = true});
    const KeyRef ref = KeyRef::Of(key.name);
    Result<rdb::KeyOutcome> outcome =
        rdb::ReadKey(key, ref, type, in, db, nullptr, options_.skip_modules);
    if (!outcome.ok()) return std::move(outcome).error();
    if (*outcome == rdb::KeyOutcome::kEmpty) ++report_.empty;
    if (*outcome == rdb::KeyOutcome::kModule) ++report_.modules_skipped;
    const Entry* entry = db.Peek(ref);
    if (entry == nullptr) return {};
    SelectDb(key.db);
    sink_.OnEntry(*entry);
    db.Delete(ref);
    if (++report_.keys % kKeysPerDelivery == 0) scratch_.engine().DeliverAtomic(scratch_.thread());
    return sink_.failed() ? sink_.Finish() : Status();
  }

  void OnAux(std::string_view name, std::string_view text) override {
    if (name == "redis-ver") report_.redis_version = text;
  }
  void OnSizes(int db, uint64_t keys, uint64_t expiring) override {
    sizes_of_ = db;
    keys_ = keys;
    expiring_ = expiring;
  }
  void OnFunctions(std::string_view /*code*/) override { ++report_.functions; }
  void OnProgress(uint64_t offset) override {
    report_.bytes = offset;
    if (options_.on_progress) options_.on_progress({offset, file_bytes_, report_.keys});
  }

  const LoadReport& report() const { return report_; }

 private:
  static constexpr uint64_t kKeysPerDelivery = 64;

  void SelectDb(int db) {
    if (db == selected_) return;
    selected_ = db;
    const bool known = db == sizes_of_;
    sink_.OnDatabase(db, known ? keys_ : 0, known ? expiring_ : 0);
  }

  Scratch& scratch_;
  EntrySink& sink_;
  const ConvertOptions& options_;
  const uint64_t file_bytes_;
  LoadReport report_;
  int selected_ = -1;
  int sizes_of_ = -1;
  uint64_t keys_ = 0;
  uint64_t expiring_ = 0;
};

// Makes what the keys go to, once it is known whether fields of hashes may expire. It may be null,
// and is its maker's.
using SinkMaker = std::function<Result<EntrySink*>(bool field_times)>;

Result<uint16_t> VersionOf(const InputFile& file) {
  char header[rdb::kHeaderBytes] = {};
  Result<size_t> size = file.ReadAt(0, header, sizeof header);
  if (!size.ok()) return std::move(size).error();
  uint16_t version = 0;
  for (size_t i = rdb::kMagic.size(); i < rdb::kHeaderBytes; ++i)
    version = static_cast<uint16_t>(version * 10 + (header[i] - '0'));
  return version;
}

Result<ConvertReport> ConvertRdb(const DataSource& source, const ConvertOptions& options,
                                 const SinkMaker& make) {
  Result<InputFile> file = InputFile::Open(source.path);
  if (!file.ok()) return std::move(file).error();
  Result<uint16_t> version = VersionOf(*file);
  if (!version.ok()) return std::move(version).error();
  Result<EntrySink*> next = make(*version >= rdb::kVersionOfFieldExpiry);
  if (!next.ok()) return std::move(next).error();
  Result<std::unique_ptr<Scratch>> scratch = Scratch::Create(1, options.now_ms);
  if (!scratch.ok()) return std::move(scratch).error();
  ConvertReport report;
  CountingSink sink(*next, report);
  KeyStream stream(**scratch, sink, options, file->bytes());
  rdb::RdbFileReader reader(*file, stream, {.databases = std::numeric_limits<int>::max()});
  Result<rdb::RdbFileReader::Summary> summary = reader.Read();
  if (!summary.ok()) return std::move(summary).error();
  TG_RETURN_IF_ERROR(sink.Finish());
  report.read = stream.report();
  report.read.version = summary->version;
  report.sum_checked = summary->sum_checked;
  report.bytes_behind = file->bytes() - summary->end_offset;
  return report;
}

// Gives on what the engine holds.
Status WalkInto(Engine& engine, const SinkMaker& make, ConvertReport& report) {
  Result<EntrySink*> next = make(rdb::AnyFieldExpires(engine));
  if (!next.ok()) return std::move(next).error();
  CountingSink sink(*next, report);
  TG_RETURN_IF_ERROR(rdb::WalkEngine(engine, sink));
  TG_RETURN_IF_ERROR(sink.Finish());
  report.read.keys = 0;
  for (const uint64_t keys : report.keys_by_type) report.read.keys += keys;
  return {};
}

Result<ConvertReport> ConvertAof(const DataSource& source, const ConvertOptions& options,
                                 const SinkMaker& make) {
  Result<std::unique_ptr<Scratch>> scratch = Scratch::Create(options.databases, options.now_ms);
  if (!scratch.ok()) return std::move(scratch).error();
  Engine& engine = (*scratch)->engine();
  Result<LoadReport> loaded =
      LoadAof(engine, (*scratch)->thread(), source.path,
              {.skip_modules = options.skip_modules, .on_progress = options.on_progress});
  if (!loaded.ok()) return std::move(loaded).error();
  ConvertReport report;
  report.read = *loaded;
  TG_RETURN_IF_ERROR(WalkInto(engine, make, report));
  return report;
}

// As a start does it: the checkpoint, and the records after it.
Result<ConvertReport> ConvertDirectory(const DataSource& source, const ConvertOptions& options,
                                       const SinkMaker& make) {
  Result<std::unique_ptr<Store>> store = Store::Open({.dir = source.path, .read_only = true});
  if (!store.ok()) return std::move(store).error();
  TG_RETURN_IF_ERROR((*store)->VerifyFiles());
  SetKeyHashSeed((*store)->hash_seed());
  ConvertReport report;
  report.sum_checked = true;
  Result<std::unique_ptr<Engine>> engine = Engine::Create({.databases = options.databases});
  if (!engine.ok()) return std::move(engine).error();
  EngineThread& thread = (*engine)->AddThread(nullptr, nullptr);
  if (const auto checkpoint = (*store)->checkpoint()) {
    report.checkpoint_sequence = checkpoint->sequence;
    const Result<CheckpointProgress> loaded =
        LoadCheckpoint(**store, *checkpoint, **engine, thread, nullptr);
    if (!loaded.ok()) return loaded.error();
  }
  const std::unique_ptr<CommandTable> commands = CommandTable::Create(StorageCommandFamilies());
  RecordApplier applier(**engine, thread, *commands);
  const Result<ReplayProgress> replayed = (*store)->Replay(
      [&](std::string_view record) { return applier.Apply(record, options.now_ms); }, nullptr);
  if (!replayed.ok()) return replayed.error();
  report.records = replayed.value().records;
  TG_RETURN_IF_ERROR(WalkInto(**engine, make, report));
  return report;
}

Result<ConvertReport> Convert(const DataSource& source, const ConvertOptions& options,
                              const SinkMaker& make) {
  if (source.format == DataFormat::kRdb) return ConvertRdb(source, options, make);
  if (source.format == DataFormat::kDataDirectory) return ConvertDirectory(source, options, make);
  return ConvertAof(source, options, make);
}

// Borrows the file.
class FileOutput final : public ByteOutput {
 public:
  explicit FileOutput(ReplacedFile& file) : file_(file) {}
  Status Write(std::string_view bytes) override { return file_.Append(bytes); }

 private:
  ReplacedFile& file_;
};

// The manifests in a directory, by name.
std::vector<std::string> ManifestsIn(const std::string& directory) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    std::string path = entry.path().string();
    if (path.ends_with(".manifest")) found.push_back(std::move(path));
  }
  return found;
}

Result<DataSource> SourceInDirectory(const std::string& directory) {
  if (IsDataDirectory(directory)) return DataSource{DataFormat::kDataDirectory, directory};
  std::vector<std::string> found = ManifestsIn(directory);
  if (found.empty()) found = ManifestsIn(directory + "/appendonlydir");
  if (found.size() == 1) return DataSource{DataFormat::kAofManifest, found[0]};
  return Error{directory + (found.empty() ? ": no manifest of an append-only file in this directory"
                                          : ": more than one manifest; say which")};
}

}  // namespace

Result<DataSource> FindDataSource(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return SourceInDirectory(path);
  if (path.ends_with(".manifest")) return DataSource{DataFormat::kAofManifest, path};
  if (path.ends_with(".aof")) return DataSource{DataFormat::kAof, path};
  Result<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return std::move(file).error();
  char magic[rdb::kMagic.size()];
  Result<size_t> size = file->ReadAt(0, magic, sizeof magic);
  if (!size.ok()) return std::move(size).error();
  const std::string_view begin(magic, *size);
  if (begin == rdb::kMagic) return DataSource{DataFormat::kRdb, path};
  if (!begin.empty() && (begin[0] == '*' || begin[0] == '#'))
    return DataSource{DataFormat::kAof, path};
  return Error{path + ": neither an RDB file nor an append-only file"};
}

Result<ConvertReport> ConvertTo(const DataSource& source, EntrySink& sink,
                                const ConvertOptions& options) {
  return Convert(source, options, [&sink](bool) { return &sink; });
}

Result<ConvertReport> CheckData(const DataSource& source, const ConvertOptions& options) {
  return Convert(source, options, [](bool) { return static_cast<EntrySink*>(nullptr); });
}

Result<ConvertReport> ConvertToRdb(const DataSource& source, const std::string& path,
                                   const ConvertOptions& options) {
  std::unique_ptr<rdb::RdbFileWriter> writer;
  const SinkMaker make = [&](bool field_times) -> Result<EntrySink*> {
    rdb::FileHeader header;
    if (field_times && !options.for_redis) header.version = rdb::kVersionOfFieldExpiry;
    header.now_ms = options.now_ms;
    Result<std::unique_ptr<rdb::RdbFileWriter>> made = rdb::RdbFileWriter::Create(
        path, {.for_redis = options.for_redis, .redis_version = options.redis_version}, header);
    if (!made.ok()) return std::move(made).error();
    writer = std::move(made).value();
    return static_cast<EntrySink*>(writer.get());
  };
  Result<ConvertReport> report = Convert(source, options, make);
  if (report.ok()) report->written = writer->report();
  return report;
}

Result<ConvertReport> ConvertToAof(const DataSource& source, const std::string& path,
                                   const ConvertOptions& options) {
  Result<ReplacedFile> file =
      ReplacedFile::Create(path, "temp-" + std::to_string(getpid()) + ".aof");
  if (!file.ok()) return std::move(file).error();
  FileOutput output(*file);
  CommandWriter writer(output, options.now_ms, options.for_redis);
  Result<ConvertReport> report =
      Convert(source, options, [&writer](bool) { return static_cast<EntrySink*>(&writer); });
  if (!report.ok()) return report;
  TG_RETURN_IF_ERROR(file->Commit());
  report->written = writer.report();
  report->written.bytes = file->bytes();
  return report;
}

Result<ConvertReport> ConvertToCommands(const DataSource& source, ByteOutput& output,
                                        const ConvertOptions& options) {
  RestoreWriter writer(output, options.now_ms, options.for_redis);
  Result<ConvertReport> report =
      Convert(source, options, [&writer](bool) { return static_cast<EntrySink*>(&writer); });
  if (report.ok()) report->written = writer.report();
  return report;
}

std::string_view ValueTypeName(size_t type) {
  static constexpr std::string_view kNames[kValueTypes] = {
      "strings", "lists", "sets", "sorted sets", "hashes", "streams", "Bloom filters"};
  return kNames[type];
}

}  // namespace tidegate
