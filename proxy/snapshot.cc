#include "proxy/snapshot.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/background_save.h"
#include "proxy/commands/version.h"
#include "proxy/server.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

double SecondsSince(int64_t begin_nanos) {
  return static_cast<double>(MonotonicNanos() - begin_nanos) / kNanosPerSecond;
}

// A line each second.
class ProgressLog final {
 public:
  explicit ProgressLog(int64_t begin_nanos)
      : begin_nanos_(begin_nanos), next_nanos_(begin_nanos + kNanosPerSecond) {}

  void operator()(const LoadProgress& progress) {
    const int64_t now = MonotonicNanos();
    if (now < next_nanos_) return;
    next_nanos_ = now + kNanosPerSecond;
    constexpr double kMegabyte = 1e6;
    char line[160];
    std::snprintf(line, sizeof line, "Loading: %.0f of %.0f MB (%.0f%%), %llu keys, %.0f keys/s",
                  static_cast<double>(progress.bytes) / kMegabyte,
                  static_cast<double>(progress.bytes_total) / kMegabyte,
                  100.0 * static_cast<double>(progress.bytes) /
                      static_cast<double>(std::max<uint64_t>(progress.bytes_total, 1)),
                  static_cast<unsigned long long>(progress.keys),
                  static_cast<double>(progress.keys) / SecondsSince(begin_nanos_));
    log::Notice(line);
  }

 private:
  const int64_t begin_nanos_;
  int64_t next_nanos_;
};

void LogLoaded(const LoadReport& report, const std::string& path, double seconds) {
  log::Notice("Loaded " + path + ": RDB version " + std::to_string(report.version) + " of Redis " +
              (report.redis_version.empty() ? "unknown" : report.redis_version) +
              ", keys loaded: " + std::to_string(report.keys) +
              ", keys expired: " + std::to_string(report.expired) + ", empty keys skipped: " +
              std::to_string(report.empty) + ", " + FormatFixed(seconds, 3) + " seconds");
  if (report.functions > 0) {
    log::Warning(path + " holds " + std::to_string(report.functions) +
                 " libraries of functions, which are left out: Tidegate has no functions");
  }
}

}  // namespace

std::string SnapshotPath(const Options& options) { return options.dir + "/" + options.dbfilename; }

Status SaveSnapshot(Server& server, EngineThread& thread, const Options& options) {
  const int64_t begin_nanos = MonotonicNanos();
  server.background_save().Abandon();
  MutexLock lock(server.background_save().file_mutex());
  std::error_code ignored;  // what does not work is said when the file is made
  std::filesystem::create_directories(options.dir, ignored);
  Result<SaveReport> saved = SaveRdb(server.engine(), thread, SnapshotPath(options),
                                     {.compress = options.rdbcompression,
                                      .check_sum = options.rdbchecksum,
                                      .redis_version = std::string(kRedisVersion)});
  if (!saved.ok()) {
    log::Warning("Saving failed: " + saved.error().message);
    return std::move(saved).error();
  }
  server.save_status().Saved(UnixMillis() / 1000, server.engine().StatsSinceStart().changes);
  log::Notice("DB saved on disk: " + std::to_string(saved->keys) + " keys, " +
              std::to_string(saved->bytes) + " bytes, " +
              FormatFixed(SecondsSince(begin_nanos), 3) + " seconds");
  return {};
}

Status LoadSnapshot(Server& server, EngineThread& thread, const Options& options, bool replace) {
  const std::string path = SnapshotPath(options);
  const int64_t begin_nanos = MonotonicNanos();
  ProgressLog progress(begin_nanos);
  Result<LoadReport> loaded = LoadRdb(
      server.engine(), thread, path,
      {.replace = replace, .on_progress = [&progress](const LoadProgress& p) { progress(p); }});
  if (!loaded.ok()) return std::move(loaded).error();
  server.save_status().Loaded(*loaded, server.engine().StatsSinceStart().changes);
  LogLoaded(*loaded, path, SecondsSince(begin_nanos));
  return {};
}

std::optional<std::string> AppendOnlyFilePath(const Options& options) {
  std::string path =
      options.dir + "/" + options.appenddirname + "/" + options.appendfilename + ".manifest";
  if (FileExists(path)) return path;
  path = options.dir + "/" + options.appendfilename;
  if (FileExists(path)) return path;
  return std::nullopt;
}

Status LoadAppendOnlyFile(Server& server, EngineThread& thread, const Options& options,
                          const std::string& path) {
  const int64_t begin_nanos = MonotonicNanos();
  ProgressLog progress(begin_nanos);
  Result<LoadReport> loaded =
      LoadAof(server.engine(), thread, path,
              {.may_be_cut_off = options.aof_load_truncated,
               .on_progress = [&progress](const LoadProgress& p) { progress(p); }});
  if (!loaded.ok()) return std::move(loaded).error();
  server.save_status().Loaded(*loaded, server.engine().StatsSinceStart().changes);
  log::Notice("Loaded " + path + ": " + std::to_string(loaded->commands) + " commands, " +
              FormatFixed(SecondsSince(begin_nanos), 3) + " seconds");
  if (loaded->cut_off_at) {
    log::Warning(path + " ends early: what begins at offset " +
                 std::to_string(*loaded->cut_off_at) + " is not whole and left out");
  }
  if (loaded->failed_commands > 0) {
    log::Warning(path + ": " + std::to_string(loaded->failed_commands) +
                 " commands answered with an error, the first at offset " +
                 std::to_string(loaded->first_failure_offset) + ": " + loaded->first_failure);
  }
  return {};
}

Status LoadSnapshotAtStart(Server& server) {
  const auto options = server.config().Snapshot();
  const std::string path = SnapshotPath(*options);
  if (options->appendonly) {
    server.save_status().Loaded({}, server.engine().StatsSinceStart().changes);
    if (FileExists(path))
      log::Warning(path + " is not read: with appendonly yes the data is in " + options->dir +
                   "/store");
    return {};
  }
  if (!FileExists(path)) return {};
  Engine& engine = server.engine();
  EngineThread& thread = server.engine_thread();
  ClientState nobody;
  engine.BeginBatch(thread, UnixMillis());
  const ExecStatus entered = engine.BeginAtomic(thread, {}, /*whole=*/true, nobody);
  TG_CHECK(entered == ExecStatus::kDone);
  Status status = LoadSnapshot(server, thread, *options, /*replace=*/false);
  engine.EndAtomic(thread);
  engine.EndBatch(thread);
  return status;
}

}  // namespace tidegate
