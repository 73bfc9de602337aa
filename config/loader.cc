#include "config/loader.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>

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

// Less memory for data than anybody wants: most likely somebody forgot the unit. As Redis.
constexpr Bytes kMaxmemoryDoubtful = 1_MiB;

// Builds a ConfigNode from the parser's events. Why not yaml-cpp's own node tree: its loader of all
// documents does not end on some broken texts, and with the tree a small file of aliases is large
// before anything can count its nodes.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view name, OptionsBuilder& builder) : name_(name), builder_(builder) {}

  const ConfigNode& root() const { return root_; }
  bool too_large() const { return nodes_ + copied_ > kYamlNodesMax; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add({.line = mark.line + 1}, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                const std::string& value) override {
    Add({.kind = ConfigNode::Kind::kScalar, .line = mark.line + 1, .scalar = value}, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (too_large()) return;
    const auto anchored = anchored_.find(anchor);
    if (anchored == anchored_.end()) {
      builder_.Fail({name_, mark.line + 1}, "an alias inside what it stands for");
      Add({.line = mark.line + 1}, 0);
      return;
    }
    nodes_ += anchored->second.nodes;
    if (too_large()) return;
    Add(anchored->second.node, 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(ConfigNode::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(ConfigNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A list or map whose end has not come yet.
  struct Frame {
    ConfigNode node;
    YAML::anchor_t anchor = 0;
    size_t nodes_before = 0;
    std::optional<ConfigNode> key = {};  // of a map: read, its value not yet
    std::set<std::string> keys = {};
  };
  struct Anchored {
    ConfigNode node;
    size_t nodes = 0;
  };

  void Open(ConfigNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    frames_.push_back({{.kind = kind, .line = mark.line + 1}, anchor, nodes_});
  }

  void Close() {
    if (too_large()) return;
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.anchor != 0) {
      const size_t nodes = nodes_ - frame.nodes_before + 1;
      copied_ += nodes;
      if (too_large()) return;
      anchored_[frame.anchor] = {frame.node, nodes};
    }
    Add(std::move(frame.node), 0);
  }

  void Add(ConfigNode node, YAML::anchor_t anchor) {
    ++nodes_;
    if (too_large()) return;
    if (anchor != 0) anchored_[anchor] = {node, 1};
    if (frames_.empty()) {
      root_ = std::move(node);
    } else if (frames_.back().node.is_list()) {
      frames_.back().node.items.push_back(std::move(node));
    } else if (!frames_.back().key) {
      AddKey(std::move(node));
    } else {
      AddEntry(std::move(node));
    }
  }

  void AddKey(ConfigNode node) {
    if (!node.is_scalar()) {
      builder_.Fail({name_, node.line}, "a key must be a single value");
    } else if (!frames_.back().keys.insert(node.scalar).second) {
      builder_.Fail({name_, node.line}, "'" + Excerpt(node.scalar) + "' stands here twice");
    }
    frames_.back().key = std::move(node);
  }

  void AddEntry(ConfigNode node) {
    Frame& map = frames_.back();
    node.key = std::move(map.key->scalar);
    node.line = map.key->line;
    map.key.reset();
    map.node.items.push_back(std::move(node));
  }

  const std::string_view name_;
  OptionsBuilder& builder_;
  ConfigNode root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchored_;
  size_t nodes_ = 0;
  size_t copied_ = 0;  // for anchors: those inside each other each have a copy of the same nodes
};

// yaml-cpp throws on what is not YAML, and here the exceptions end.
void ReadYaml(std::string_view text, std::string_view name, OptionsBuilder& builder) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder tree(name, builder);
    parser.HandleNextDocument(tree);
    if (tree.too_large()) {
      builder.Fail({name, 0}, "the YAML document has too many nodes");
      return;
    }
    TreeBuilder ignored(name, builder);
    if (parser.HandleNextDocument(ignored)) {
      builder.Fail({name, 0}, "more than one YAML document in the file");
      return;
    }
    ReadYamlOptions(tree.root(), name, builder);
  } catch (const YAML::DeepRecursion& exception) {
    builder.Fail({name, exception.mark.line + 1}, "not valid YAML: nested too deeply");
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

// A number that is right and hardly meant.
void WarnOfDoubts(const Options& options, std::vector<std::string>& warnings) {
  if (options.maxmemory.count > 0 && options.maxmemory.count < kMaxmemoryDoubtful.count) {
    warnings.push_back("maxmemory is " + std::to_string(options.maxmemory.count) +
                       " bytes, less than 1mb; is a unit missing?");
  }
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
  loaded.ping_nodes = line.ping;
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
    if (path == "-") {
      loaded.from_standard_input = true;
    } else {
      loaded.files.push_back(DescribeFile(path));
    }
  }
  Result<Options> options = std::move(builder).Finish();
  if (!options.ok()) return std::move(options).error();
  loaded.options = std::move(*options);
  WarnOfDoubts(loaded.options, loaded.warnings);
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
