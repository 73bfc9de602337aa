// The command line of `tidegate import`, `export`, `check` and `rdb-report`: what it may say, and
// the text that tells so. Values, parsed once; no thread of their own.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/key_report.h"

namespace tidegate {

enum class Tool : uint8_t { kImport, kExport, kCheck, kReport };

struct ToolArguments {
  Tool tool = Tool::kCheck;
  bool help = false;
  std::string source;
  std::string to_rdb;  // empty: not there
  std::string to_aof;
  std::string to_server;  // host:port
  std::string user;
  std::string password_file;
  bool for_redis = false;
  bool skip_modules = false;
  int databases = 16;
  // kReport. Files; empty: the lines go to the standard output, and the prefixes nowhere.
  std::string to_csv;
  std::string prefixes_csv;
  std::string live;              // host:port of a server, in place of a source
  std::optional<SizesOf> sizes;  // none: as the source is
  KeyReportOptions report;
};

// Nothing: the first argument names no tool.
std::optional<Tool> ToolOf(std::span<const std::string> arguments);
Result<ToolArguments> ParseToolArguments(Tool tool, std::span<const std::string> arguments);
std::string_view ToolUsage(Tool tool);

}  // namespace tidegate
