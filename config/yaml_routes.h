// Routes, as the YAML file writes them: which keys go to which cluster, how their names change on
// the way, and which other cluster has a part in it.
//
// What cannot work is refused here, where the file has a line for it: a prefix that not every key
// of the route has, since two keys could become one; names that change on the way to the engine,
// which has no way; a mirror that is the cluster itself. Thread: the one that loads. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "config/config_node.h"
#include "config/yaml_context.h"

namespace tidegate {

// A name that has to be shorter than this is no prefix any more.
inline constexpr size_t kRoutePrefixBytesMax = 1024;

// A key of a route, for the reference page.
struct RouteKey {
  std::string_view name;
  std::string_view initial;  // for people; "needed" where there is no default
  std::string_view values;
  std::string_view help;
};
std::span<const RouteKey> RouteKeys();

// The name of a cluster that there is, which `entry` has as its value; else that is told as a
// mistake.
std::string ReadClusterName(YamlContext& context, const ConfigNode& entry);

// Appends the route that the map describes to the options; mistakes are told to the context.
// Clusters are known already.
void ReadYamlRoute(YamlContext& context, const ConfigNode& node);

}  // namespace tidegate
