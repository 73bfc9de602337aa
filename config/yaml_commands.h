// `commands` of the YAML file: commands that upstreams know and Tidegate does not, and where their
// keys stand, so that they can be routed.
//
//   commands:
//     - {name: "JSON.*", keys: 1}                    # the first argument
//     - {name: JSON.MGET, keys: "1..-2", access: read}
//     - {name: MY.SET, keys: "1..-1/2"}              # every second
//     - {name: MY.SUM, keys: "count@1"}              # as many as argument 1 says, behind it
//     - {name: MY.MERGE, keys: "1,count@2"}          # argument 1, and as many as argument 2 says
//     - {name: FT.SEARCH, keys: none}                # goes to the cluster of the route "*"
//
// A pattern stands for the names that begin so and are said nowhere else. Thread: the one that
// loads. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "config/config_node.h"
#include "config/options.h"
#include "config/yaml_context.h"

namespace tidegate {

void ReadDeclaredCommands(const ConfigNode& node, YamlContext& context);

// As written behind `keys`; none: it is no key rule.
std::optional<KeyRuleOptions> ParseKeyRule(std::string_view text);

}  // namespace tidegate
