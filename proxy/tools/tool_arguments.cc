#include "proxy/tools/tool_arguments.h"

#include <utility>

#include "base/limits.h"
#include "base/text.h"
#include "config/option_value.h"

namespace tidegate {
namespace {

constexpr int kReportDepthMax = 100;

constexpr std::string_view kSourceUsage =
    "\n"
    "SOURCE is an RDB file, an append-only file, the manifest of one, a directory with\n"
    "a manifest in it or in its appendonlydir, or the data directory of a Tidegate that\n"
    "does not run.\n";

constexpr std::string_view kImportUsage =
    "usage: tidegate import SOURCE DESTINATION [OPTION...]\n"
    "\n"
    "Brings the data of a Redis, or of another Tidegate, to a Tidegate.\n"
    "\n"
    "destinations:\n"
    "  --to-server HOST:PORT  a running server, whose keys of the same names are replaced\n"
    "  --dir DIR              the snapshot that a Tidegate with this `dir` reads at its start\n"
    "  --to-rdb FILE          an RDB file\n"
    "options:\n"
    "  --user NAME            user to log in as\n"
    "  --password-file FILE   file with the password\n"
    "  --skip-modules         leave out values of modules that Tidegate does not have\n"
    "  --databases N          of an append-only file (default 16)\n";

constexpr std::string_view kExportUsage =
    "usage: tidegate export SOURCE DESTINATION [OPTION...]\n"
    "\n"
    "Writes data in a form that others read.\n"
    "\n"
    "destinations:\n"
    "  --to-rdb FILE          an RDB file\n"
    "  --to-aof FILE          an append-only file of plain commands\n"
    "  --to-server HOST:PORT  a running server, whose keys of the same names are replaced\n"
    "options:\n"
    "  --redis                leave out what Redis 7.0 cannot hold: Bloom filters, and the\n"
    "                         times of fields of hashes\n"
    "  --user NAME            user to log in as\n"
    "  --password-file FILE   file with the password\n"
    "  --skip-modules         leave out values of modules that Tidegate does not have\n"
    "  --databases N          of an append-only file (default 16)\n";

constexpr std::string_view kCheckUsage =
    "usage: tidegate check SOURCE [OPTION...]\n"
    "\n"
    "Reads all of it and says what is in it. Ends with 0 when it is sound, with 1 when\n"
    "it is broken, ends early or has the wrong checksum.\n"
    "\n"
    "options:\n"
    "  --skip-modules         pass over values of modules that Tidegate does not have\n"
    "  --databases N          of an append-only file or a data directory (default 16)\n";

constexpr std::string_view kReportUsage =
    "usage: tidegate rdb-report SOURCE [OPTION...]\n"
    "       tidegate rdb-report --live HOST:PORT [OPTION...]\n"
    "\n"
    "Writes a line of CSV for each key, with the columns of rdbtools: database, type,\n"
    "key, size_in_bytes, encoding, num_elements, len_largest_element, expiry. And says\n"
    "what takes the most memory, by the beginning of keys' names.\n"
    "\n"
    "options:\n"
    "  --live HOST:PORT       let a server on this machine, Tidegate or Redis, make a\n"
    "                         snapshot (BGSAVE), and report on that\n"
    "  --user NAME            user to log in as there\n"
    "  --password-file FILE   file with the password\n"
    "  --sizes WHOSE          redis: sizes and encodings are those that Redis has (default\n"
    "                         of RDB and append-only files), tidegate: those of Tidegate\n"
    "                         (default of data directories); --live: of that server\n"
    "  --to-csv FILE          where the lines go (default: the standard output)\n"
    "  --prefixes-csv FILE    all prefixes: prefix, keys, size_in_bytes, largest\n"
    "  --separator C          what ends a prefix (default ':')\n"
    "  --depth N              the so manieth separator does (default 1)\n"
    "  --bytes-min SIZE       no lines of smaller keys: 10kb\n"
    "  --skip-modules         leave out values of modules that Tidegate does not have\n"
    "  --databases N          of an append-only file or a data directory (default 16)\n";

// Where the value of an option goes; null: there is no such option.
std::string* TextOption(ToolArguments& arguments, std::string_view name) {
  if (arguments.tool == Tool::kCheck) return nullptr;
  if (arguments.tool == Tool::kReport) {
    if (name == "--to-csv") return &arguments.to_csv;
    if (name == "--prefixes-csv") return &arguments.prefixes_csv;
    if (name == "--live") return &arguments.live;
    if (name == "--user") return &arguments.user;
    if (name == "--password-file") return &arguments.password_file;
    return nullptr;
  }
  if (name == "--to-rdb") return &arguments.to_rdb;
  if (name == "--to-aof" && arguments.tool == Tool::kExport) return &arguments.to_aof;
  if (name == "--to-server") return &arguments.to_server;
  if (name == "--user") return &arguments.user;
  if (name == "--password-file") return &arguments.password_file;
  return nullptr;
}

bool* SwitchOption(ToolArguments& arguments, std::string_view name) {
  if (name == "--skip-modules") return &arguments.skip_modules;
  if (name == "--redis" && arguments.tool == Tool::kExport) return &arguments.for_redis;
  if (name == "--help" || name == "-h") return &arguments.help;
  return nullptr;
}

// Nothing: it is none of them.
std::optional<Status> SetReportOption(ToolArguments& arguments, const std::string& name,
                                      const std::string& value) {
  KeyReportOptions& report = arguments.report;
  if (name == "--sizes") {
    if (value != "redis" && value != "tidegate") return Error{"--sizes must be redis or tidegate"};
    arguments.sizes = value == "redis" ? SizesOf::kRedis : SizesOf::kTidegate;
    return Status();
  }
  if (name == "--separator") {
    if (value.size() != 1) return Error{"--separator must be one character"};
    report.separator = value[0];
    return Status();
  }
  if (name == "--depth") {
    const std::optional<int64_t> number = ParseInt64(value);
    if (!number || *number < 1 || *number > kReportDepthMax)
      return Error{"--depth must be between 1 and " + std::to_string(kReportDepthMax)};
    report.depth = static_cast<int>(*number);
    return Status();
  }
  if (name == "--bytes-min") {
    const std::optional<int64_t> bytes = ParseMemory(value);
    if (!bytes || *bytes < 0) return Error{"--bytes-min must be a size: 10kb"};
    report.bytes_min = static_cast<uint64_t>(*bytes);
    return Status();
  }
  return std::nullopt;
}

// One option with a value.
Status SetOption(ToolArguments& arguments, const std::string& name, const std::string& value) {
  if (std::string* text = TextOption(arguments, name)) {
    if (value.empty()) return Error{name + " is empty"};
    *text = value;
    return {};
  }
  if (name == "--dir" && arguments.tool == Tool::kImport) {
    arguments.to_rdb = value + "/dump.rdb";
    return {};
  }
  if (name == "--databases") {
    const std::optional<int64_t> number = ParseInt64(value);
    if (!number || *number < 1 || *number > kDatabasesMax)
      return Error{"--databases must be between 1 and " + std::to_string(kDatabasesMax)};
    arguments.databases = static_cast<int>(*number);
    return {};
  }
  if (arguments.tool == Tool::kReport) {
    if (std::optional<Status> set = SetReportOption(arguments, name, value)) return *std::move(set);
  }
  return Error{"unknown option " + name};
}

Status CheckDestination(const ToolArguments& arguments) {
  const int destinations = (arguments.to_rdb.empty() ? 0 : 1) + (arguments.to_aof.empty() ? 0 : 1) +
                           (arguments.to_server.empty() ? 0 : 1);
  const bool converts = arguments.tool == Tool::kImport || arguments.tool == Tool::kExport;
  const int wanted = converts ? 1 : 0;
  if (destinations != wanted) return Error{"say one destination"};
  return {};
}

}  // namespace

std::optional<Tool> ToolOf(std::span<const std::string> arguments) {
  if (arguments.empty()) return std::nullopt;
  if (arguments[0] == "import") return Tool::kImport;
  if (arguments[0] == "export") return Tool::kExport;
  if (arguments[0] == "check") return Tool::kCheck;
  if (arguments[0] == "rdb-report") return Tool::kReport;
  return std::nullopt;
}

std::string_view ToolUsage(Tool tool) {
  static const std::string kTexts[] = {std::string(kImportUsage).append(kSourceUsage),
                                       std::string(kExportUsage).append(kSourceUsage),
                                       std::string(kCheckUsage).append(kSourceUsage),
                                       std::string(kReportUsage).append(kSourceUsage)};
  return kTexts[static_cast<size_t>(tool)];
}

Result<ToolArguments> ParseToolArguments(Tool tool, std::span<const std::string> arguments) {
  ToolArguments parsed;
  parsed.tool = tool;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (bool* given = SwitchOption(parsed, word)) {
      *given = true;
    } else if (word.starts_with("-")) {
      if (i + 1 == arguments.size())
        return Error{"unknown option, or one without its value: " + word};
      TG_RETURN_IF_ERROR(SetOption(parsed, word, arguments[++i]));
    } else if (parsed.source.empty()) {
      parsed.source = word;
    } else {
      return Error{"more than one source: " + word};
    }
  }
  if (parsed.help) return parsed;
  if (parsed.source.empty() == parsed.live.empty()) {
    return Error{parsed.live.empty() ? "say a source" : "say a source or --live, not both"};
  }
  TG_RETURN_IF_ERROR(CheckDestination(parsed));
  return parsed;
}

}  // namespace tidegate
