#include "proxy/tools/data_tool.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "proxy/commands/version.h"
#include "proxy/tools/live_snapshot.h"
#include "proxy/tools/report_tool.h"
#include "proxy/tools/server_feed.h"
#include "proxy/tools/tool_arguments.h"
#include "proxy/tools/tool_output.h"
#include "storage/data_convert.h"

namespace tidegate {
namespace {

void Print(const std::string& line) { std::printf("%s\n", line.c_str()); }

std::string Count(uint64_t number, std::string_view what) {
  return std::to_string(number) + " " + std::string(what);
}

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
    ToolWarn(
        Count(read.functions, "libraries of functions are left out: Tidegate has no functions"));
  if (read.modules_skipped > 0)
    ToolWarn(Count(read.modules_skipped, "values of modules are left out"));
  if (read.empty > 0) ToolWarn(Count(read.empty, "collections without elements are left out"));
  if (read.failed_commands > 0) {
    ToolWarn(Count(read.failed_commands, "commands answered with an error, the first at offset ") +
             std::to_string(read.first_failure_offset) + ": " + read.first_failure);
  }
  if (read.cut_off_at)
    ToolWarn("the file ends early: what begins at offset " + std::to_string(*read.cut_off_at) +
             " is not whole and left out");
  if (report.bytes_behind > 0)
    ToolWarn(Count(report.bytes_behind, "bytes follow the end of the RDB"));
  if (report.written.filters_left_out > 0)
    ToolWarn(Count(report.written.filters_left_out, "Bloom filters are left out"));
  if (report.written.hashes_without_times > 0)
    ToolWarn(Count(report.written.hashes_without_times, "hashes lost the times of their fields"));
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

// A server that runs is asked for a snapshot, which then is the source.
Status TakeLiveSource(ToolArguments& arguments) {
  if (arguments.live.empty()) return {};
  Result<LiveSnapshot> snapshot = SaveLiveServer({.address = arguments.live,
                                                  .user = arguments.user,
                                                  .password_file = arguments.password_file});
  if (!snapshot.ok()) return std::move(snapshot).error();
  arguments.source = snapshot->path;
  if (!arguments.sizes) arguments.sizes = snapshot->kind;
  return {};
}

int Run(ToolArguments arguments) {
  if (Status live = TakeLiveSource(arguments); !live.ok()) {
    ToolWarn(live.error().message);
    return kToolNotWell;
  }
  Result<DataSource> source = FindDataSource(arguments.source);
  if (!source.ok()) {
    ToolWarn(source.error().message);
    return kToolNotWell;
  }
  ConvertOptions options{.for_redis = arguments.for_redis,
                         .skip_modules = arguments.skip_modules,
                         .databases = arguments.databases,
                         .now_ms = UnixMillis(),
                         .redis_version = std::string(kRedisVersion)};
  if (arguments.tool == Tool::kReport) {
    const bool ours = source->format == DataFormat::kDataDirectory;
    arguments.report.sizes = arguments.sizes.value_or(ours ? SizesOf::kTidegate : SizesOf::kRedis);
    return RunReport(*source, arguments, options);
  }
  Result<ConvertReport> report = [&] {
    ProgressBar bar;
    options.on_progress = [&bar](const LoadProgress& progress) { bar.Show(progress); };
    return Convert(*source, arguments, options);
  }();
  if (!report.ok()) {
    ToolWarn(report.error().message);
    return kToolNotWell;
  }
  PrintSource(*source, *report);
  WarnOf(*report);
  PrintWritten(arguments, *report);
  const bool whole = !report->read.cut_off_at && report->bytes_behind == 0;
  return arguments.tool == Tool::kCheck && !whole ? kToolNotWell : kToolWell;
}

}  // namespace

std::optional<int> RunDataTool(std::span<const std::string> arguments) {
  const std::optional<Tool> tool = ToolOf(arguments);
  if (!tool) return std::nullopt;
  Result<ToolArguments> parsed = ParseToolArguments(*tool, arguments);
  if (!parsed.ok()) {
    ToolWarn(parsed.error().message);
    std::fputs(std::string(ToolUsage(*tool)).c_str(), stderr);
    return kToolUsage;
  }
  if (parsed->help) {
    std::fputs(std::string(ToolUsage(*tool)).c_str(), stdout);
    return kToolWell;
  }
  return Run(std::move(*parsed));
}

}  // namespace tidegate
