#include "config/loader.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "base/version.h"
#include "config/command_line.h"
#include "config/config_node.h"
#include "config/options_builder.h"
#include "config/redis_conf.h"
#include "config/reference.h"
#include "config/yaml_options.h"

namespace tidegate {
namespace {

// Nodes of one YAML document. Aliases can make a small file large; a real one has a few hundred.
constexpr size_t kYamlNodesMax = 100'000;

// Turns yaml-cpp's nodes into ConfigNodes; may throw what yaml-cpp throws.
class TreeCopier {
 public:
  TreeCopier(std::string_view name, OptionsBuilder& builder) : name_(name), builder_(builder) {}

  ConfigNode Copy(const YAML::Node& node) {
    ConfigNode copy;
    copy.line = node.Mark().line + 1;
    if (++nodes_ > kYamlNodesMax) return copy;
    if (node.IsScalar()) {
      copy.kind = ConfigNode::Kind::kScalar;
      copy.scalar = node.Scalar();
    } else if (node.IsSequence()) {
      copy.kind = ConfigNode::Kind::kList;
      for (const YAML::Node& item : node) copy.items.push_back(Copy(item));
    } else if (node.IsMap()) {
      copy.kind = ConfigNode::Kind::kMap;
      CopyEntries(node, copy);
    }
    return copy;
  }

  bool too_large() const { return nodes_ > kYamlNodesMax; }

 private:
  void CopyEntries(const YAML::Node& node, ConfigNode& copy) {
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const int line = entry.first.Mark().line + 1;
      if (!entry.first.IsScalar()) {
        builder_.Fail({name_, line}, "a key must be a single value");
        continue;
      }
      const std::string& key = entry.first.Scalar();
      if (!seen.insert(key).second) {
        builder_.Fail({name_, line}, "'" + key + "' stands here twice");
      }
      copy.items.push_back(Copy(entry.second));
      copy.items.back().key = key;
      copy.items.back().line = line;
    }
  }

  std::string_view name_;
  OptionsBuilder& builder_;
  size_t nodes_ = 0;
};

// yaml-cpp throws on what is not YAML, and here the exceptions end.
void ReadYaml(std::string_view text, std::string_view name, OptionsBuilder& builder) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) return;
    if (documents.size() > 1) {
      builder.Fail({name, 0}, "more than one YAML document in the file");
      return;
    }
    TreeCopier copier(name, builder);
    const ConfigNode root = copier.Copy(documents[0]);
    if (copier.too_large()) {
      builder.Fail({name, 0}, "the YAML document has too many nodes");
      return;
    }
    ReadYamlOptions(root, name, builder);
  } catch (const YAML::Exception& exception) {
    builder.Fail({name, exception.mark.is_null() ? 0 : exception.mark.line + 1},
                 "not valid YAML: " + exception.msg);
  } catch (const std::exception& exception) {
    builder.Fail({name, 0}, std::string("not valid YAML: ") + exception.what());
  }
}

bool HasSuffix(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() &&
         EqualsIgnoreCase(text.substr(text.size() - suffix.size()), suffix);
}

ConfigFile DescribeFile(const std::string& path) {
  std::error_code ignored;  // an unresolvable path is reported when it is opened
  const std::filesystem::path absolute = std::filesystem::absolute(path, ignored);
  const bool is_yaml = HasSuffix(path, ".yaml") || HasSuffix(path, ".yml");
  return {ignored ? path : absolute.lexically_normal().string(),
          is_yaml ? ConfigFormat::kYaml : ConfigFormat::kRedisConf};
}

void ReadFile(const std::string& path, OptionsBuilder& builder) {
  const Result<std::string> text = ReadConfigFile(path);
  const std::string_view name = path == "-" ? "standard input" : std::string_view(path);
  if (!text.ok()) {
    builder.Fail({"cannot read the configuration", 0}, text.error().message);
  } else if (DescribeFile(path).format == ConfigFormat::kYaml) {
    ReadYaml(text.value(), name, builder);
  } else {
    ReadRedisConf(text.value(), name, Includes::kRead, builder);
  }
}

// YAML before redis.conf, else in the order given.
void ReadFiles(std::vector<std::string> paths, OptionsBuilder& builder) {
  std::stable_partition(paths.begin(), paths.end(), [](const std::string& path) {
    return DescribeFile(path).format == ConfigFormat::kYaml;
  });
  for (const std::string& path : paths) ReadFile(path, builder);
}

std::string TextToPrint(PrintWhat what) {
  switch (what) {
    case PrintWhat::kVersion:
      return "Tidegate v=" + std::string(kTidegateVersion) + "\n";
    case PrintWhat::kHelp:
      return HelpText();
    case PrintWhat::kOptionsDoc:
      return OptionsReference();
    case PrintWhat::kDefaultConfig:
      return DefaultConfig();
    case PrintWhat::kNothing:
      break;
  }
  return "";
}

}  // namespace

Result<LoadedConfig> LoadConfig(std::span<const std::string> arguments) {
  Result<CommandLine> parsed = ParseCommandLine(arguments);
  if (!parsed.ok()) return std::move(parsed).error();
  const CommandLine& line = *parsed;
  LoadedConfig loaded;
  loaded.mode = line.mode;
  if (line.mode == RunMode::kPrint) {
    loaded.text = TextToPrint(line.print);
    return loaded;
  }
  OptionsBuilder builder;
  ReadFiles(line.files, builder);
  for (const CommandLine::Flag& flag : line.flags) {
    builder.Assign(flag.name, flag.words, {"command line", 0});
  }
  loaded.warnings = builder.warnings();
  for (const std::string& path : line.files) {
    if (path != "-") loaded.files.push_back(DescribeFile(path));
  }
  Result<Options> options = std::move(builder).Finish();
  if (!options.ok()) return std::move(options).error();
  loaded.options = std::move(*options);
  if (line.mode == RunMode::kCheckConfig) {
    for (const std::string& warning : loaded.warnings) loaded.text += "warning: " + warning + "\n";
    loaded.text += "configuration is valid\n";
  }
  return loaded;
}

Result<LoadedConfig> LoadConfig(int argc, const char* const* argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return LoadConfig(arguments);
}

Result<Options> ParseRedisConf(std::string_view text, std::string_view name) {
  OptionsBuilder builder;
  ReadRedisConf(text, name, Includes::kRefuse, builder);
  return std::move(builder).Finish();
}

Result<Options> ParseYaml(std::string_view text, std::string_view name) {
  OptionsBuilder builder;
  ReadYaml(text, name, builder);
  return std::move(builder).Finish();
}

}  // namespace tidegate
