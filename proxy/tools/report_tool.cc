#include "proxy/tools/report_tool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "proxy/tools/tool_output.h"

namespace tidegate {
namespace {

// Prefixes that are told to people; a file has them all.
constexpr size_t kPrefixesShown = 20;

// A file that takes its place when it is whole, or the standard output.
class CsvOutput final : public ByteOutput {
 public:
  static Result<CsvOutput> Open(const std::string& path) {
    if (path.empty()) return CsvOutput(std::nullopt);
    const std::string temporary = "temp-" + std::to_string(getpid()) + ".csv";
    Result<ReplacedFile> file = ReplacedFile::Create(path, temporary);
    if (!file.ok()) return std::move(file).error();
    return CsvOutput(std::move(file).value());
  }

  Status Write(std::string_view bytes) override {
    if (file_) return file_->Append(bytes);
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size()) return {};
    return Error{std::string("write to the standard output: ") + std::strerror(errno)};
  }
  Status Finish() {
    if (file_) return file_->Commit();
    if (std::fflush(stdout) == 0) return {};
    return Error{std::string("write to the standard output: ") + std::strerror(errno)};
  }

 private:
  explicit CsvOutput(std::optional<ReplacedFile> file) : file_(std::move(file)) {}
  std::optional<ReplacedFile> file_;
};

Status WritePrefixes(const std::string& path, const KeyReport& report) {
  Result<CsvOutput> output = CsvOutput::Open(path);
  if (!output.ok()) return std::move(output).error();
  TG_RETURN_IF_ERROR(output->Write("prefix,keys,size_in_bytes,largest\n"));
  for (const PrefixTotal& total : report.prefixes) {
    TG_RETURN_IF_ERROR(output->Write(CsvText(total.prefix) + "," + std::to_string(total.keys) +
                                     "," + std::to_string(total.bytes) + "," +
                                     std::to_string(total.largest_bytes) + "\n"));
  }
  return output->Finish();
}

void Tell(std::FILE* to, const ToolArguments& arguments, const KeyReport& report) {
  std::fprintf(to, "%s: %llu keys, %llu bytes; %llu lines\n", arguments.source.c_str(),
               static_cast<unsigned long long>(report.source.read.keys),
               static_cast<unsigned long long>(report.bytes),
               static_cast<unsigned long long>(report.lines));
  const double all = static_cast<double>(std::max<uint64_t>(report.bytes, 1));
  const size_t shown = std::min(report.prefixes.size(), kPrefixesShown);
  for (size_t i = 0; i < shown; ++i) {
    const PrefixTotal& total = report.prefixes[i];
    std::fprintf(
        to, "  %5.1f%%  %llu keys  %llu bytes  largest %llu  %s\n",
        100 * static_cast<double>(total.bytes) / all, static_cast<unsigned long long>(total.keys),
        static_cast<unsigned long long>(total.bytes),
        static_cast<unsigned long long>(total.largest_bytes), CsvText(total.prefix).c_str());
  }
  if (shown < report.prefixes.size())
    std::fprintf(to, "  and %zu prefixes more\n", report.prefixes.size() - shown);
}

Result<KeyReport> Report(const DataSource& source, const ToolArguments& arguments,
                         ConvertOptions options) {
  Result<CsvOutput> csv = CsvOutput::Open(arguments.to_csv);
  if (!csv.ok()) return std::move(csv).error();
  Result<KeyReport> report = [&] {
    ProgressBar bar;
    options.on_progress = [&bar](const LoadProgress& progress) { bar.Show(progress); };
    return ReportKeys(source, *csv, arguments.report, options);
  }();
  if (!report.ok()) return report;
  TG_RETURN_IF_ERROR(csv->Finish());
  if (!arguments.prefixes_csv.empty())
    TG_RETURN_IF_ERROR(WritePrefixes(arguments.prefixes_csv, *report));
  return report;
}

}  // namespace

int RunReport(const DataSource& source, const ToolArguments& arguments, ConvertOptions options) {
  Result<KeyReport> report = Report(source, arguments, std::move(options));
  if (!report.ok()) {
    ToolWarn(report.error().message);
    return kToolNotWell;
  }
  Tell(arguments.to_csv.empty() ? stderr : stdout, arguments, *report);
  if (report->source.read.cut_off_at || report->source.bytes_behind > 0)
    ToolWarn("the source is not whole, or more follows it: `tidegate check` says what");
  return kToolWell;
}

}  // namespace tidegate
