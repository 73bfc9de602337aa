// `hot-keys-predicted` of the YAML file: keys that count as hot before anybody asks for them,
// because somebody knows that they will be.
//
//   hot-keys-predicted:
//     - {key: "item:1"}                                       # always, where its route leads
//     - {key: "sale:7", cluster: cache, db: 2, from: 2026-11-27T12:00:00Z, until: 1795788000}
//
// Times are UTC in that form, or Unix seconds. Thread: the one that loads. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "config/config_node.h"
#include "config/yaml_context.h"

namespace tidegate {

void ReadPredictedKeys(const ConfigNode& node, YamlContext& context);

// Milliseconds of Unix time; none: it is no time.
std::optional<int64_t> ParseMoment(std::string_view text);

}  // namespace tidegate
