#include "config/command_line.h"

#include "base/text.h"
#include "config/option_value.h"

namespace tidegate {
namespace {

// Flags of Redis and ours that are no settings and take no value.
bool ReadModeFlag(std::string_view argument, CommandLine& line) {
  if (argument == "--ping") {
    line.ping = true;
    return true;
  }
  struct ModeFlag {
    std::string_view flag;
    RunMode mode;
    PrintWhat print;
  };
  static constexpr ModeFlag kModes[] = {
      {"--check-config", RunMode::kCheckConfig, PrintWhat::kNothing},
      {"--version", RunMode::kPrint, PrintWhat::kVersion},
      {"-v", RunMode::kPrint, PrintWhat::kVersion},
      {"--help", RunMode::kPrint, PrintWhat::kHelp},
      {"-h", RunMode::kPrint, PrintWhat::kHelp},
      {"--print-options-doc", RunMode::kPrint, PrintWhat::kOptionsDoc},
      {"--print-default-config", RunMode::kPrint, PrintWhat::kDefaultConfig},
  };
  for (const ModeFlag& known : kModes) {
    if (known.flag != argument) continue;
    line.mode = known.mode;
    line.print = known.print;
    return true;
  }
  return false;
}

bool StartsWithDashes(std::string_view argument) {
  return argument.size() > 2 && argument.substr(0, 2) == "--";
}

// "--name", "--name=value" or "--name value" as one word.
Status ReadFlag(std::string_view argument, CommandLine& line) {
  CommandLine::Flag flag;
  const std::string_view body = argument.substr(2);
  const size_t end = body.find_first_of("= \t");
  flag.name = body.substr(0, end);
  if (flag.name.empty()) return Error{"command line: '" + std::string(argument) + "' has no name"};
  if (end != std::string_view::npos && body[end] == '=') {
    flag.words.emplace_back(body.substr(end + 1));
  } else if (end != std::string_view::npos) {
    std::optional<std::vector<std::string>> words = SplitWords(body.substr(end));
    if (!words) return Error{"command line: unbalanced quotes in '" + std::string(argument) + "'"};
    flag.words = std::move(*words);
  }
  line.flags.push_back(std::move(flag));
  return {};
}

bool WantsValue(const CommandLine& line) {
  if (line.flags.empty()) return false;
  const CommandLine::Flag& last = line.flags.back();
  return last.words.empty() && !EqualsIgnoreCase(last.name, "save");
}

}  // namespace

Result<CommandLine> ParseCommandLine(std::span<const std::string> arguments) {
  CommandLine line;
  for (const std::string& argument : arguments) {
    if (WantsValue(line)) {
      line.flags.back().words.push_back(argument);
    } else if (ReadModeFlag(argument, line)) {
      continue;
    } else if (StartsWithDashes(argument)) {
      TG_RETURN_IF_ERROR(ReadFlag(argument, line));
    } else if (argument == "-" || line.flags.empty()) {
      if (argument.size() > 1 && argument[0] == '-') {
        return Error{"command line: unknown flag '" + argument + "'; see --help"};
      }
      line.files.push_back(argument);
    } else {
      line.flags.back().words.push_back(argument);
    }
  }
  for (CommandLine::Flag& flag : line.flags) {
    if (flag.words.empty() && EqualsIgnoreCase(flag.name, "save")) flag.words.emplace_back();
  }
  if (line.ping && line.mode != RunMode::kCheckConfig)
    return Error{"command line: --ping is a part of --check-config"};
  return line;
}

std::string HelpText() {
  return R"(Usage: tidegate [FILE...] [--name value...]

FILE ending in .yaml or .yml is a YAML configuration, any other a redis.conf, - is a redis.conf on
standard input. Flags are settings by their redis.conf names and win over files.

  tidegate                                   the built-in engine on port 6379
  tidegate tidegate.yaml                     with a configuration
  tidegate redis.conf --port 7000            a redis.conf, another port
  tidegate --maxmemory 1gb --maxmemory-policy allkeys-lru
  tidegate --port 0 --unixsocket /run/tidegate.sock
  tidegate --workers 4 --admin-address 127.0.0.1:9901

  --check-config           read the configuration, report every mistake, do not serve
  --check-config --ping    and ask every node of every upstream cluster whether it answers
  --print-default-config   a YAML configuration with every setting and its default
  --print-options-doc      the reference of all settings, in Markdown
  --print-metrics-doc      the reference of all metrics, in Markdown
  -v, --version            the version
  -h, --help               this text
)";
}

}  // namespace tidegate
