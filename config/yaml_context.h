// YamlContext: what the readers of the parts of the YAML file share: where a mistake is said, and
// the simplest expectations. Owner: one load; it is handed by reference to each part's reader.
#pragma once

#include <string>
#include <string_view>

#include "config/config_node.h"
#include "config/options_builder.h"

namespace tidegate {

class YamlContext {
 public:
  // `name` is the file in error messages.
  YamlContext(std::string_view name, OptionsBuilder& builder) : name_(name), builder_(builder) {}

  OptionsBuilder& builder() { return builder_; }
  ConfigPlace At(const ConfigNode& node) const { return {name_, node.line}; }
  void Fail(const ConfigNode& node, std::string_view what) { builder_.Fail(At(node), what); }

  bool ExpectMap(const ConfigNode& node, std::string_view what) {
    if (node.is_map()) return true;
    Fail(node, std::string(what) + " must be a map of keys and values");
    return false;
  }

  // Empty after a mistake.
  std::string ScalarOf(const ConfigNode& node) {
    if (node.is_scalar()) return node.scalar;
    Fail(node, "'" + Excerpt(node.key) + "' needs a single value");
    return "";
  }

 private:
  const std::string_view name_;
  OptionsBuilder& builder_;
};

}  // namespace tidegate
