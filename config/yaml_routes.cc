#include "config/yaml_routes.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/text.h"
#include "config/near_miss.h"
#include "config/options.h"
#include "config/yaml_policies.h"

namespace tidegate {
namespace {

constexpr RouteKey kRouteKeys[] = {
    {"match", "needed", "pattern",
     "Of the patterns that match a key the longest wins; `*` is everything else."},
    {"cluster", "needed", "name of a cluster", "Who serves these keys."},
    {"strip-prefix", "none", "text",
     "Taken off keys on their way to an upstream. Every key of the route has to begin so: `match` "
     "does."},
    {"add-prefix", "none", "text", "Put in front of keys on their way to an upstream, after that."},
    {"mirror", "none", "map of `cluster` and `percent`",
     "Writes go to that upstream cluster as well, without anybody waiting for it; with `percent` "
     "(1 to 100) those of so many keys."},
    {"move-from", "none", "name of a cluster",
     "An upstream cluster that has keys of this route: each is moved here when a client first "
     "wants it."},
    {"priority", "normal", "low, normal, high",
     "Which requests are refused first when load is shed; see "
     "[load shedding](../guards/load_shedding.md)."},
    {"policies", "none", "map of `rate_limit`, `key_shape`, `big_key`",
     "What may act on requests of the route; see [guards](../guards/index.md)."},
};
constexpr std::array<std::string_view, 2> kMirrorKeys = {"cluster", "percent"};

std::string Quoted(std::string_view text) { return "'" + Excerpt(text) + "'"; }

const ClusterOptions* FindCluster(const Options& options, std::string_view name) {
  const auto found =
      std::find_if(options.clusters.begin(), options.clusters.end(),
                   [name](const ClusterOptions& cluster) { return cluster.name == name; });
  return found == options.clusters.end() ? nullptr : &*found;
}

std::string ReadPrefix(YamlContext& context, const ConfigNode& entry) {
  std::string prefix = context.ScalarOf(entry);
  if (entry.is_scalar() && prefix.empty())
    context.Fail(entry, "'" + entry.key + "' is empty: leave it out");
  if (prefix.size() > kRoutePrefixBytesMax) {
    context.Fail(entry, "'" + entry.key + "' is longer than " +
                            std::to_string(kRoutePrefixBytesMax) + " bytes");
  }
  return prefix;
}

MirrorOptions ReadMirror(YamlContext& context, const ConfigNode& node) {
  MirrorOptions mirror;
  if (!context.ExpectMap(node, "mirror")) return mirror;
  for (const ConfigNode& entry : node.items) {
    if (entry.key == "cluster") {
      mirror.cluster = ReadClusterName(context, entry);
    } else if (entry.key == "percent") {
      const std::optional<int64_t> percent = ParseInt64(context.ScalarOf(entry));
      if (percent && *percent >= 1 && *percent <= 100) {
        mirror.percent = static_cast<int>(*percent);
      } else {
        context.Fail(entry, "'percent' must be a number from 1 to 100");
      }
    } else {
      context.Fail(entry, "unknown key " + Quoted(entry.key) + " in a mirror" +
                              DidYouMean(NearestName(entry.key, kMirrorKeys)));
    }
  }
  if (mirror.cluster.empty()) context.Fail(node, "a mirror needs a cluster");
  return mirror;
}

void ReadEntry(YamlContext& context, const ConfigNode& entry, RouteOptions& route) {
  if (entry.key == "match") {
    route.match = context.ScalarOf(entry);
  } else if (entry.key == "cluster") {
    route.cluster = ReadClusterName(context, entry);
  } else if (entry.key == "strip-prefix") {
    route.strip_prefix = ReadPrefix(context, entry);
  } else if (entry.key == "add-prefix") {
    route.add_prefix = ReadPrefix(context, entry);
  } else if (entry.key == "mirror") {
    route.mirror = ReadMirror(context, entry);
  } else if (entry.key == "move-from") {
    route.move_from = ReadClusterName(context, entry);
  } else if (entry.key == "policies") {
    route.policies = ReadYamlPolicies(context, entry);
  } else if (entry.key == "priority") {
    route.priority = ReadYamlPriority(context, entry);
  } else {
    std::vector<std::string_view> names;
    for (const RouteKey& key : kRouteKeys) names.push_back(key.name);
    context.Fail(entry, "unknown key " + Quoted(entry.key) + " in a route" +
                            DidYouMean(NearestName(entry.key, names)));
  }
}

// Keys of the route that do not begin so would be left as they are, and could meet those that do.
void CheckPrefixes(YamlContext& context, const ConfigNode& node, const RouteOptions& route) {
  const ClusterOptions* const cluster = FindCluster(context.builder().options(), route.cluster);
  const bool any = !route.strip_prefix.empty() || !route.add_prefix.empty();
  if (any && cluster != nullptr && !cluster->is_upstream())
    context.Fail(node, "strip-prefix and add-prefix are for upstream clusters, and " +
                           Quoted(route.cluster) + " is the engine");
  const std::string_view literal =
      std::string_view(route.match).substr(0, route.match.find_first_of("*?[\\"));
  if (!literal.starts_with(route.strip_prefix)) {
    context.Fail(node, "strip-prefix " + Quoted(route.strip_prefix) +
                           " must be the beginning of every key of the route: of its match, " +
                           Quoted(route.match));
  }
}

void CheckOtherCluster(YamlContext& context, const ConfigNode& node, const RouteOptions& route,
                       std::string_view key, const std::string& name) {
  if (name.empty()) return;
  const ClusterOptions* const cluster = FindCluster(context.builder().options(), name);
  if (name == route.cluster)
    context.Fail(node, std::string(key) + " names the route's own cluster, " + Quoted(name));
  if (cluster != nullptr && !cluster->is_upstream())
    context.Fail(node, std::string(key) + " must be an upstream cluster, and " + Quoted(name) +
                           " is the engine");
}

// What would make two keys one, or change them in a place that nobody looks at.
void CheckMove(YamlContext& context, const ConfigNode& node, const RouteOptions& route) {
  if (route.move_from.empty()) return;
  if (!route.strip_prefix.empty() || !route.add_prefix.empty())
    context.Fail(node, "move-from is not for routes with strip-prefix or add-prefix");
  if (!route.mirror.cluster.empty()) {
    context.Fail(node,
                 "move-from is not for routes with a mirror: the keys that are moved would "
                 "not be mirrored");
  }
}

// Its replicas are asked what they have from now on.
void CheckFanout(YamlContext& context, const ConfigNode& node, const RouteOptions& route) {
  const ReplicaFanoutOptions& fanout = route.policies.replica_fanout;
  if (!fanout.said) return;
  if (!route.strip_prefix.empty() || !route.add_prefix.empty() || !route.mirror.cluster.empty() ||
      !route.move_from.empty()) {
    context.Fail(node,
                 "replica_fanout is not for routes with strip-prefix, add-prefix, mirror or "
                 "move-from");
  }
  for (ClusterOptions& cluster : context.builder().options().clusters) {
    if (cluster.name != route.cluster) continue;
    if (cluster.kind != ClusterKind::kReplicas && cluster.kind != ClusterKind::kSentinel &&
        cluster.kind != ClusterKind::kRedisCluster) {
      context.Fail(node,
                   "replica_fanout needs a cluster of kind replicas, sentinel or "
                   "redis_cluster, and " +
                       Quoted(cluster.name) + " is of kind " + std::string(KindName(cluster.kind)));
    }
    if (cluster.read_from != ReadFrom::kPrimary) {
      context.Fail(node, "replica_fanout says who answers reads, and " + Quoted(cluster.name) +
                             " has a read-from: leave one of them out");
    }
    cluster.fans_out = cluster.fans_out || fanout.mode != PolicyMode::kOff;
  }
}

}  // namespace

std::span<const RouteKey> RouteKeys() { return kRouteKeys; }

std::string ReadClusterName(YamlContext& context, const ConfigNode& entry) {
  std::string name = context.ScalarOf(entry);
  const Options& options = context.builder().options();
  if (FindCluster(options, name) != nullptr) return name;
  std::vector<std::string_view> names;
  for (const ClusterOptions& cluster : options.clusters) names.push_back(cluster.name);
  context.Fail(entry,
               "no cluster has the name " + Quoted(name) + DidYouMean(NearestName(name, names)));
  return name;
}

void ReadYamlRoute(YamlContext& context, const ConfigNode& node) {
  if (!context.ExpectMap(node, "a route")) return;
  RouteOptions route;
  Options& options = context.builder().options();
  for (const ConfigNode& entry : node.items) ReadEntry(context, entry, route);
  if (route.match.empty()) context.Fail(node, "a route needs a match: a pattern of keys");
  if (route.cluster.empty()) context.Fail(node, "a route needs a cluster");
  CheckPrefixes(context, node, route);
  CheckOtherCluster(context, node, route, "mirror", route.mirror.cluster);
  CheckOtherCluster(context, node, route, "move-from", route.move_from);
  CheckMove(context, node, route);
  CheckFanout(context, node, route);
  for (const RouteOptions& other : options.routes) {
    if (other.match == route.match) context.Fail(node, "two routes match " + Quoted(route.match));
  }
  options.routes.push_back(std::move(route));
}

}  // namespace tidegate
