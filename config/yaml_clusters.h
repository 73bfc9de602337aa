// Clusters of kinds other than engine, as the YAML file writes them: one row for each key, with the
// kinds that have it, its default and what it is, so that the reader, the messages about a key in
// the wrong place and the reference page all say the same. To add a key: a member of
// ClusterOptions, and a row in yaml_clusters.cc.
//
// Nodes are a list of "host:port". Those of a ring may also be written as twemproxy writes its
// servers, "host:port:weight name", or as maps {address, weight, name}: a file can be taken over.
// Thread: the one that loads. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/config_node.h"
#include "config/upstream_options.h"
#include "config/yaml_context.h"

namespace tidegate {

// Kinds as bits, to say which have a key.
using ClusterKinds = uint8_t;
constexpr ClusterKinds KindBit(ClusterKind kind) {
  return static_cast<ClusterKinds>(1u << static_cast<unsigned>(kind));
}

struct UpstreamKey {
  std::string_view name;
  ClusterKinds kinds = 0;
  std::string_view initial;  // for people; "needed" where there is no default
  std::string_view values;
  std::string_view help;
  void (*read)(YamlContext& context, const ConfigNode& entry, ClusterOptions& cluster) = nullptr;
};

// Beside `name` and `kind`.
std::span<const UpstreamKey> UpstreamKeys();
// "redis, ring"; "all" where all have it.
std::string KindsOf(const UpstreamKey& key);

// The cluster that the map describes; mistakes are told to the context.
ClusterOptions ReadUpstreamCluster(YamlContext& context, const ConfigNode& node, ClusterKind kind);

}  // namespace tidegate
