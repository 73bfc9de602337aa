// Reading the configuration at start: YAML files, then redis.conf files, then the flags of the
// command line, later wins; then the checks that need the whole. Every mistake is an error with
// file and line and, for a name, the nearest known one; all mistakes are reported at once, none is
// ignored. Why not a YAML document for everything: a person who comes from Redis has a redis.conf
// and a habit of flags, and both must keep working unchanged or fail loudly. This is yaml-cpp's
// only door: its exceptions end in loader.cc. Thread: the main thread at start, and for reloads.
// Functions without argc are pure but for `include`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "config/options.h"

namespace tidegate {

// Bytes of one configuration file. A real one has a few tens of KiB; a device or a log file given
// by mistake must not be read into memory.
inline constexpr Bytes kConfigFileBytesMax = 4_MiB;

// How deep redis.conf files may include each other. Stops a file that includes itself.
inline constexpr int kIncludeDepthMax = 16;

// What the process was asked to do.
enum class RunMode : uint8_t {
  kRun,          // serve
  kCheckConfig,  // the configuration is valid: print `text`, end with 0
  kPrint,        // --version, --help, --print-options-doc, --print-default-config: print `text`
};

enum class ConfigFormat : uint8_t { kYaml, kRedisConf };

struct ConfigFile {
  std::string path;  // absolute
  ConfigFormat format = ConfigFormat::kRedisConf;
};

struct LoadedConfig {
  RunMode mode = RunMode::kRun;
  Options options;
  std::vector<ConfigFile> files;      // as read, without includes; empty when none was given
  bool from_standard_input = false;   // "-" was among the files: it cannot be read again
  std::vector<std::string> warnings;  // settings that are accepted and do nothing, one line each
  bool ping_nodes = false;            // of kCheckConfig: ask the nodes of upstream clusters too
  std::string text;                   // what to print on standard output for kCheckConfig, kPrint
};

// `tidegate [FILE…] [--name value…]`. FILE ending in .yaml or .yml is YAML, any other redis.conf,
// "-" redis.conf from standard input. The error holds one line per mistake.
Result<LoadedConfig> LoadConfig(int argc, const char* const* argv);
Result<LoadedConfig> LoadConfig(
    std::span<const std::string> arguments);  // without the program name

// One text of either format over the defaults. `name` stands in error messages for the file.
// ParseRedisConf refuses `include`, so that both touch no file (fuzzers, tests).
Result<Options> ParseRedisConf(std::string_view text, std::string_view name);
Result<Options> ParseYaml(std::string_view text, std::string_view name);

}  // namespace tidegate
