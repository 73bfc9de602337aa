#include "proxy/tools/data_tool.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "proxy/commands/version.h"
#include "proxy/tools/server_feed.h"
#include "proxy/tools/tool_arguments.h"
#include "storage/data_convert.h"

namespace tidegate {
namespace {

constexpr int kWell = 0;
constexpr int kNotWell = 1;
constexpr int kUsage = 2;

void Print(const std::string& line) { std::printf("%s\n", line.c_str()); }
void Warn(const std::string& line) { std::fprintf(stderr, "tidegate: %s\n", line.c_str()); }

std::string Count(uint64_t number, std::string_view what) {
  return std::to_string(number) + " " + std::string(what);
}

// A line that is written over, where somebody looks at it.
class ProgressBar final {
 public:
  ProgressBar() : shown_(isatty(STDERR_FILENO) == 1), begin_nanos_(MonotonicNanos()) {}
  ~ProgressBar() {
    if (any_) std::fprintf(stderr, "\r\x1b[K");
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Show(const LoadProgress& progress) {
    constexpr int64_t kEveryNanos = 100'000'000;
    const int64_t now = MonotonicNanos();
    if (!shown_ || now - last_nanos_ < kEveryNanos) return;
    last_nanos_ = now;
    any_ = true;
    constexpr int kWidth = 40;
    const double part = static_cast<double>(progress.bytes) /
                        static_cast<double>(std::max<uint64_t>(progress.bytes_total, 1));
    const int filled = std::clamp(static_cast<int>(part * kWidth), 0, kWidth);
    const double seconds = static_cast<double>(now - begin_nanos_) / 1e9;
    std::fprintf(stderr, "\r[%-*s] %3.0f%%  %.0f MB/s", kWidth,
                 std::string(static_cast<size_t>(filled), '#').c_str(), part * 100,
                 static_cast<double>(progress.bytes) / 1e6 / std::max(seconds, 0.001));
    std::fflush(stderr);
  }

 private:
  const bool shown_;
  const int64_t begin_nanos_;
  int64_t last_nanos_ = 0;
  bool any_ = false;
};

void PrintSource(const DataSource& source, const ConvertReport& report) {
  const LoadReport& read = report.read;
  std::string what;
  if (source.format == DataFormat::kDataDirectory) {
    what = "data directory, a checkpoint up to record " +
           std::to_string(report.checkpoint_sequence) + " and " +
           Count(report.records, "records after it");
  } else if (source.format != DataFormat::kRdb) {
    what = "append-only file of " + Count(read.commands, "commands");
  }
  if (read.version != 0) {
    what +=
        (what.empty() ? "RDB version " : ", begun as RDB version ") + std::to_string(read.version);
    if (!read.redis_version.empty()) what += " of Redis " + read.redis_version;
  }
  Print(source.path + ": " + what);
  Print("  " + Count(read.keys, "keys") + " in " + Count(report.databases, "databases") + ", " +
        Count(report.expiring, "of them expire"));
  for (size_t type = 0; type < kValueTypes; ++type) {
    if (report.keys_by_type[type] > 0)
      Print("  " + Count(report.keys_by_type[type], ValueTypeName(type)));
  }
  if (source.format == DataFormat::kDataDirectory) Print("  all checksums are right");
  if (source.format == DataFormat::kRdb)
    Print(report.sum_checked ? "  the checksum is right" : "  there is no checksum");
}

void WarnOf(const ConvertReport& report) {
  const LoadReport& read = report.read;
  if (read.functions > 0)
    Warn(Count(read.functions, "libraries of functions are left out: Tidegate has no functions"));
  if (read.modules_skipped > 0) Warn(Count(read.modules_skipped, "values of modules are left out"));
  if (read.empty > 0) Warn(Count(read.empty, "collections without elements are left out"));
  if (read.failed_commands > 0) {
    Warn(Count(read.failed_commands, "commands answered with an error, the first at offset ") +
         std::to_string(read.first_failure_offset) + ": " + read.first_failure);
  }
  if (read.cut_off_at)
    Warn("the file ends early: what begins at offset " + std::to_string(*read.cut_off_at) +
         " is not whole and left out");
  if (report.bytes_behind > 0) Warn(Count(report.bytes_behind, "bytes follow the end of the RDB"));
  if (report.written.filters_left_out > 0)
    Warn(Count(report.written.filters_left_out, "Bloom filters are left out"));
  if (report.written.hashes_without_times > 0)
    Warn(Count(report.written.hashes_without_times, "hashes lost the times of their fields"));
}

std::string FirstLine(const std::string& text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

Result<std::unique_ptr<ServerFeed>> OpenServer(const ToolArguments& arguments) {
  Result<std::unique_ptr<ServerFeed>> feed = ServerFeed::Connect(arguments.to_server);
  if (!feed.ok()) return feed;
  if (arguments.password_file.empty()) {
    // Whether it wants a password: one that does cuts off who sends data without.
    TG_RETURN_IF_ERROR((*feed)->Greet());
    return feed;
  }
  constexpr size_t kPasswordFileBytesMax = 65536;
  Result<std::string> text = ReadSmallFile(arguments.password_file, kPasswordFileBytesMax);
  if (!text.ok()) return std::move(text).error();
  TG_RETURN_IF_ERROR((*feed)->LogIn(arguments.user, FirstLine(*text)));
  return feed;
}

// What the server refused is an error at the end.
Result<ConvertReport> ToServer(const DataSource& source, const ToolArguments& arguments,
                               const ConvertOptions& options) {
  Result<std::unique_ptr<ServerFeed>> feed = OpenServer(arguments);
  if (!feed.ok()) return std::move(feed).error();
  Result<ConvertReport> report = ConvertToCommands(source, **feed, options);
  if (!report.ok()) return report;
  TG_RETURN_IF_ERROR((*feed)->Wait());
  if ((*feed)->errors() > 0) {
    return Error{arguments.to_server + " refused " + Count((*feed)->errors(), "commands") +
                 ", the first: " + (*feed)->first_error()};
  }
  return report;
}

Result<ConvertReport> Convert(const DataSource& source, const ToolArguments& arguments,
                              const ConvertOptions& options) {
  if (arguments.tool == Tool::kCheck) return CheckData(source, options);
  if (!arguments.to_server.empty()) return ToServer(source, arguments, options);
  if (!arguments.to_aof.empty()) return ConvertToAof(source, arguments.to_aof, options);
  std::error_code ignored;  // what does not work is said when the file is made
  std::filesystem::create_directories(std::filesystem::path(arguments.to_rdb).parent_path(),
                                      ignored);
  return ConvertToRdb(source, arguments.to_rdb, options);
}

void PrintWritten(const ToolArguments& arguments, const ConvertReport& report) {
  if (arguments.tool == Tool::kCheck) return;
  const std::string keys = Count(report.written.keys, "keys");
  if (!arguments.to_server.empty()) return Print(arguments.to_server + ": took " + keys);
  Print((arguments.to_aof.empty() ? arguments.to_rdb : arguments.to_aof) + ": " + keys + ", " +
        Count(report.written.bytes, "bytes written"));
}

int Run(const ToolArguments& arguments) {
  Result<DataSource> source = FindDataSource(arguments.source);
  if (!source.ok()) {
    Warn(source.error().message);
    return kNotWell;
  }
  ConvertOptions options{.for_redis = arguments.for_redis,
                         .skip_modules = arguments.skip_modules,
                         .databases = arguments.databases,
                         .now_ms = UnixMillis(),
                         .redis_version = std::string(kRedisVersion)};
  Result<ConvertReport> report = [&] {
    ProgressBar bar;
    options.on_progress = [&bar](const LoadProgress& progress) { bar.Show(progress); };
    return Convert(*source, arguments, options);
  }();
  if (!report.ok()) {
    Warn(report.error().message);
    return kNotWell;
  }
  PrintSource(*source, *report);
  WarnOf(*report);
  PrintWritten(arguments, *report);
  const bool whole = !report->read.cut_off_at && report->bytes_behind == 0;
  return arguments.tool == Tool::kCheck && !whole ? kNotWell : kWell;
}

}  // namespace

std::optional<int> RunDataTool(std::span<const std::string> arguments) {
  const std::optional<Tool> tool = ToolOf(arguments);
  if (!tool) return std::nullopt;
  Result<ToolArguments> parsed = ParseToolArguments(*tool, arguments);
  if (!parsed.ok()) {
    Warn(parsed.error().message);
    std::fputs(std::string(ToolUsage(*tool)).c_str(), stderr);
    return kUsage;
  }
  if (parsed->help) {
    std::fputs(std::string(ToolUsage(*tool)).c_str(), stdout);
    return kWell;
  }
  return Run(*parsed);
}

}  // namespace tidegate
