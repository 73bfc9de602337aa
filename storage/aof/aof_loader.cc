#include "storage/aof/aof_loader.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "storage/engine_thread.h"
#include "storage/rdb/rdb_file_reader.h"
#include "storage/rdb/rdb_loader.h"

namespace tidegate {
namespace {

// Commands after which what they freed is freed indeed, and somebody may look at the clock.
constexpr uint64_t kCommandsPerStep = 1024;

std::string At(const InputFile& file, uint64_t offset) {
  return file.path() + ": offset " + std::to_string(offset);
}

std::string Quoted(std::string_view name) {
  constexpr size_t kShownMax = 128;
  std::string quoted;
  AppendQuoted(quoted, name.substr(0, kShownMax));
  return quoted;
}

bool HasWord(std::span<const std::string_view> args, size_t from, std::string_view word) {
  return std::any_of(args.begin() + static_cast<ptrdiff_t>(std::min(from, args.size())), args.end(),
                     [word](std::string_view arg) { return EqualsIgnoreCase(arg, word); });
}

// Whether a time to live counts from now. Redis writes none that does, but people do.
bool CountsFromNow(std::span<const std::string_view> args) {
  static constexpr std::string_view kAlways[] = {"expire", "pexpire", "setex", "psetex"};
  for (const std::string_view name : kAlways) {
    if (EqualsIgnoreCase(args[0], name)) return true;
  }
  constexpr size_t kAfterValue = 3;
  constexpr size_t kAfterKey = 2;
  const bool set = EqualsIgnoreCase(args[0], "set");
  if (!set && !EqualsIgnoreCase(args[0], "getex")) return false;
  const size_t from = set ? kAfterValue : kAfterKey;
  return HasWord(args, from, "ex") || HasWord(args, from, "px");
}

Result<bool> BeginsWithRdb(const InputFile& file) {
  char magic[rdb::kMagic.size()];
  Result<size_t> size = file.ReadAt(0, magic, sizeof magic);
  if (!size.ok()) return std::move(size).error();
  return std::string_view(magic, *size) == rdb::kMagic;
}

}  // namespace

AofLoader::AofLoader(Engine& engine, EngineThread& thread, const LoadOptions& options,
                     uint64_t bytes_total)
    : engine_(engine),
      thread_(thread),
      options_(options),
      bytes_total_(bytes_total),
      table_(CommandTable::Create(StorageCommandFamilies())),
      out_(pool_),
      reply_(out_) {}

Status AofLoader::Run(const InputFile& file, bool may_be_cut_off) {
  client_.db = 0;
  uint64_t begin = 0;
  Result<bool> with_rdb = BeginsWithRdb(file);
  if (!with_rdb.ok()) return std::move(with_rdb).error();
  if (*with_rdb) {
    LoadOptions options = options_;
    options.keep_expired = true;
    options.on_progress = [this](const LoadProgress& progress) { Progress(progress.bytes); };
    rdb::RdbLoader loader(engine_, thread_, options, file.bytes());
    rdb::RdbFileReader reader(file, loader, {.databases = engine_.databases()});
    Result<rdb::RdbFileReader::Summary> summary = reader.Read();
    if (!summary.ok()) return std::move(summary).error();
    const LoadReport& loaded = loader.report();
    report_.version = summary->version;
    report_.redis_version = loaded.redis_version;
    report_.keys += loaded.keys;
    report_.empty += loaded.empty;
    report_.functions += loaded.functions;
    report_.modules_skipped += loaded.modules_skipped;
    begin = summary->end_offset;
  }
  TG_RETURN_IF_ERROR(RunCommands(file, begin, may_be_cut_off));
  bytes_before_ += file.bytes();
  report_.bytes = bytes_before_;
  return {};
}

Status AofLoader::RunCommands(const InputFile& file, uint64_t begin, bool may_be_cut_off) {
  AofReader reader(file, begin);
  for (;;) {
    switch (reader.Next()) {
      case AofReader::Step::kEnd:
        return transaction_ ? CutOff(file, transaction_offset_, may_be_cut_off) : Status();
      case AofReader::Step::kCutOff:
        return CutOff(file, transaction_ ? transaction_offset_ : reader.command_offset(),
                      may_be_cut_off);
      case AofReader::Step::kBroken:
        if (!reader.status().ok()) return reader.status();
        return Error{At(file, reader.offset()) + ": this is no command; the last one begins at " +
                     std::to_string(reader.command_offset())};
      case AofReader::Step::kCommand:
        break;
    }
    Status status = Take(reader.args(), reader.command_offset());
    if (!status.ok())
      return std::move(status).error().WithContext(At(file, reader.command_offset()));
    if (++report_.commands % kCommandsPerStep == 0) {
      engine_.DeliverAtomic(thread_);
      Progress(reader.offset());
    }
  }
}

Status AofLoader::CutOff(const InputFile& file, uint64_t offset, bool may_be) {
  transaction_.reset();
  if (!may_be) {
    return Error{At(file, offset) + ": the file ends in the middle of what begins here"};
  }
  report_.cut_off_at = offset;
  return {};
}

void AofLoader::Progress(uint64_t offset_in_file) {
  if (options_.on_progress)
    options_.on_progress({bytes_before_ + offset_in_file, bytes_total_, report_.keys});
}

Status AofLoader::Take(Args args, uint64_t offset) {
  if (EqualsIgnoreCase(args[0], "multi")) {
    if (transaction_) return Error{"MULTI within MULTI"};
    transaction_.emplace();
    transaction_offset_ = offset;
    return {};
  }
  if (EqualsIgnoreCase(args[0], "exec")) return TakeExec();
  if (!transaction_) return RunOne(args, offset);
  transaction_->push_back({offset, {args.begin(), args.end()}});
  return {};
}

Status AofLoader::TakeExec() {
  if (!transaction_) return Error{"EXEC without MULTI"};
  const std::vector<Queued> queue = std::move(*transaction_);
  transaction_.reset();
  std::vector<std::string_view> views;
  for (const Queued& queued : queue) {
    views.assign(queued.args.begin(), queued.args.end());
    TG_RETURN_IF_ERROR(RunOne(views, queued.offset));
  }
  return {};
}

Status AofLoader::Select(Args args) {
  const std::optional<int64_t> db = args.size() == 2 ? ParseInt64(args[1]) : std::nullopt;
  if (!db || *db < 0 || *db >= engine_.databases()) {
    return Error{"SELECT of a database that there is not: there are " +
                 std::to_string(engine_.databases()) + ", `databases` says how many"};
  }
  client_.db = static_cast<int>(*db);
  return {};
}

const Command* AofLoader::Find(Args args) const {
  const Command* command = table_->Find(args[0]);
  if (command == nullptr || !command->is_container()) return command;
  return args.size() < 2 ? nullptr : CommandTable::FindSubcommand(*command, args[1]);
}

Status AofLoader::RunOne(Args args, uint64_t offset) {
  if (EqualsIgnoreCase(args[0], "select")) return Select(args);
  if (EqualsIgnoreCase(args[0], "function")) {
    ++report_.functions;
    return {};
  }
  const Command* command = Find(args);
  if (command == nullptr) return Error{"unknown command " + Quoted(args[0])};
  if (!command->spec->arity.Accepts(args.size()))
    return Error{"wrong number of arguments for " + Quoted(args[0])};
  key_positions_.clear();
  keys_.clear();
  (void)FindKeyArguments(*command->spec, args, key_positions_);
  for (const int position : key_positions_)
    keys_.push_back(KeyRef::Of(args[static_cast<size_t>(position)]));
  Execute({.command = command, .args = args, .keys = keys_}, offset);
  return {};
}

void AofLoader::Execute(const Request& request, uint64_t offset) {
  // Otherwise it is before all times: no key expires while commands are run, since what happened to
  // it stands in the file.
  thread_.now_ms = CountsFromNow(request.args) ? thread_.wall_ms : kLoadingNowMs;
  engine_.ExecuteAtomic(thread_, request, client_, reply_);
  OutputBuffer::Piece piece{};
  if (out_.Peek(&piece, 1) == 1 && piece.data[0] == '-') {
    if (report_.failed_commands++ == 0) {
      report_.first_failure_offset = offset;
      const std::string_view text(piece.data, piece.size);
      report_.first_failure = std::string(text.substr(1, text.find('\r') - 1));
    }
  }
  out_.Consume(out_.size());
}

}  // namespace tidegate
