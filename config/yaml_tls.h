// TLS settings as the YAML file writes them behind `tls` and `sentinel-tls`: `true`, or a map of
// files, names and versions. Only what they say is read here, no file: who makes connections opens
// those at the start. Thread: the one that loads. Pure.
#pragma once

#include "config/config_node.h"
#include "config/upstream_options.h"
#include "config/yaml_context.h"

namespace tidegate {

// Mistakes are told to the context.
TlsOptions ReadTlsOptions(YamlContext& context, const ConfigNode& entry);

}  // namespace tidegate
