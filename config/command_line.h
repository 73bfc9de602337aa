// The command line: files first, then `--name value…` as redis-server takes it, also `--name=value`
// and "--name value" in one word. A value that begins with two dashes is a value when a name is
// waiting for one, as in Redis; `--save` alone means none.
// Pure: names and values are only taken apart here, not looked up.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/loader.h"

namespace tidegate {

// What to print for RunMode::kPrint.
enum class PrintWhat : uint8_t { kNothing, kVersion, kHelp, kOptionsDoc, kDefaultConfig };

struct CommandLine {
  RunMode mode = RunMode::kRun;
  PrintWhat print = PrintWhat::kNothing;
  bool ping = false;               // with --check-config
  std::vector<std::string> files;  // as written; "-" is standard input
  struct Flag {
    std::string name;  // without dashes
    std::vector<std::string> words;
  };
  std::vector<Flag> flags;
};

// `arguments` without the program's name.
Result<CommandLine> ParseCommandLine(std::span<const std::string> arguments);

// The text of --help.
std::string HelpText();

}  // namespace tidegate
