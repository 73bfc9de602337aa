// What the YAML file says: Tidegate's own structure (listeners, admin, clusters, routes) and
// Redis's settings under their redis.conf names, those of the engine inside its cluster, the others
// at the top. What this version cannot do yet (TLS, policies) is refused by name. Clusters of other
// kinds than engine have a reader of their own, yaml_clusters.h. Thread: the one that loads. Pure.
#pragma once

#include <string_view>

#include "config/config_node.h"
#include "config/options_builder.h"

namespace tidegate {

// Reads the document into the builder; `name` is the file in error messages.
void ReadYamlOptions(const ConfigNode& root, std::string_view name, OptionsBuilder& builder);

}  // namespace tidegate
