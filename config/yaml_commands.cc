#include "config/yaml_commands.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"
#include "config/near_miss.h"
#include "config/options.h"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 3> kCommandKeys = {"name", "keys", "access"};
// Arguments that a key rule can name. Nobody's keys stand further behind.
constexpr int64_t kKeyArgumentMax = 100;

std::optional<int> ParseArgument(std::string_view text, int64_t least) {
  const std::optional<int64_t> number = ParseInt64(text);
  if (!number || *number < least || *number > kKeyArgumentMax) return std::nullopt;
  return static_cast<int>(*number);
}

// "@2" behind "count".
std::optional<KeyRuleOptions> ParseCount(std::string_view text, KeyRuleOptions::Kind kind,
                                         int least) {
  const std::optional<int> at = ParseArgument(text, least);
  if (!at || *at > kKeyCountArgumentMax) return std::nullopt;
  return KeyRuleOptions{.kind = kind, .first = *at, .last = 0, .step = 0};
}

std::optional<KeyRuleOptions> ParseRange(std::string_view text) {
  KeyRuleOptions rule;
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::optional<int> step = ParseArgument(text.substr(slash + 1), 1);
    if (!step) return std::nullopt;
    rule.step = *step;
    text = text.substr(0, slash);
  }
  const size_t dots = text.find("..");
  const std::optional<int> first = ParseArgument(text.substr(0, dots), 1);
  if (!first) return std::nullopt;
  rule.first = rule.last = *first;
  if (dots == std::string_view::npos) return rule;
  const std::optional<int> last = ParseArgument(text.substr(dots + 2), -kKeyArgumentMax);
  if (!last || *last == 0 || (*last > 0 && *last < *first)) return std::nullopt;
  rule.last = *last;
  return rule;
}

bool IsName(std::string_view name) {
  if (name.ends_with('*')) name.remove_suffix(1);
  return !name.empty() && name.size() <= kDeclaredNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
         });
}

class CommandsReader {
 public:
  explicit CommandsReader(YamlContext& context) : context_(context) {}

  void Read(const ConfigNode& node) {
    std::vector<DeclaredCommandOptions>& all = context_.builder().options().declared_commands;
    all.clear();
    if (!node.is_list()) return Fail(node, "'commands' must be a list");
    if (node.items.size() > kDeclaredCommandsMax) {
      return Fail(node, "'commands' has more than " + std::to_string(kDeclaredCommandsMax) +
                            " entries; a pattern (\"JSON.*\") stands for many");
    }
    for (const ConfigNode& item : node.items) ReadOne(item, all);
  }

 private:
  void Fail(const ConfigNode& node, std::string_view what) { context_.Fail(node, what); }

  void ReadOne(const ConfigNode& node, std::vector<DeclaredCommandOptions>& all) {
    if (!context_.ExpectMap(node, "a command")) return;
    DeclaredCommandOptions command;
    bool has_keys = false;
    for (const ConfigNode& entry : node.items) {
      has_keys = has_keys || entry.key == "keys";
      ReadEntry(entry, command);
    }
    if (command.name.empty()) return Fail(node, "a command needs a name");
    if (!has_keys) Fail(node, "a command needs keys: where they stand, as 1 or \"1..-1\", or none");
    for (const DeclaredCommandOptions& other : all) {
      if (other.name == command.name)
        Fail(node, "two commands have the name '" + Excerpt(command.name) + "'");
    }
    all.push_back(std::move(command));
  }

  void ReadEntry(const ConfigNode& entry, DeclaredCommandOptions& command) {
    if (entry.key == "name") {
      command.name = ToUpperAscii(context_.ScalarOf(entry));
      if (!IsName(command.name)) {
        Fail(entry, "the name of a command is letters, digits, '.', '-' and '_', at most " +
                        std::to_string(kDeclaredNameBytesMax) + ", and may end with *");
      }
    } else if (entry.key == "keys") {
      const std::string text = context_.ScalarOf(entry);
      const std::optional<KeyRuleOptions> rule = ParseKeyRule(text);
      if (rule) {
        command.keys = *rule;
      } else {
        Fail(entry, "keys: '" + Excerpt(text) +
                        "' says not where keys stand: 1, \"1..-1\", \"1..-1/2\", count@1, "
                        "\"1,count@2\" or none");
      }
    } else if (entry.key == "access") {
      const std::string access = context_.ScalarOf(entry);
      if (access != "read" && access != "write") Fail(entry, "access must be read or write");
      command.is_read = access == "read";
    } else {
      Fail(entry, "unknown key '" + Excerpt(entry.key) + "' in a command" +
                      DidYouMean(NearestName(entry.key, kCommandKeys)));
    }
  }

  YamlContext& context_;
};

}  // namespace

std::optional<KeyRuleOptions> ParseKeyRule(std::string_view text) {
  using Kind = KeyRuleOptions::Kind;
  constexpr std::string_view kCount = "count@";
  constexpr std::string_view kTargetAndCount = "1,count@";
  if (text == "none") return KeyRuleOptions{.kind = Kind::kNone, .first = 0, .last = 0, .step = 0};
  if (text.starts_with(kCount)) return ParseCount(text.substr(kCount.size()), Kind::kCounted, 1);
  if (text.starts_with(kTargetAndCount))
    return ParseCount(text.substr(kTargetAndCount.size()), Kind::kTargetAndCounted, 2);
  return ParseRange(text);
}

void ReadDeclaredCommands(const ConfigNode& node, YamlContext& context) {
  CommandsReader(context).Read(node);
}

}  // namespace tidegate
