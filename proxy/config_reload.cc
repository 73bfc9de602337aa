#include "proxy/config_reload.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/log.h"
#include "config/option_table.h"
#include "proxy/process_limits.h"

namespace tidegate {

namespace {

// What YAML says beside the settings.
void WarnOfStructure(const Options& current, const Options& fresh) {
  const auto warn = [](std::string_view what) {
    log::Warning("Reload: '" + std::string(what) + "' has changed and needs a restart");
  };
  const bool same_listeners = current.extra_listeners == fresh.extra_listeners &&
                              current.first_listener_name == fresh.first_listener_name &&
                              current.unix_listener_name == fresh.unix_listener_name &&
                              ListenerClusters(current) == ListenerClusters(fresh);
  if (!same_listeners) warn("listeners");
  if (current.declared_commands != fresh.declared_commands) warn("commands");
}

// What a mirror or a move of keys consists of: the route, and the clusters that it names.
std::vector<std::pair<RouteOptions, std::vector<ClusterOptions>>> RoutesWithState(
    const Options& options) {
  std::vector<std::pair<RouteOptions, std::vector<ClusterOptions>>> found;
  for (const RouteOptions& route : options.routes) {
    if (route.mirror.cluster.empty() && route.move_from.empty()) continue;
    std::vector<ClusterOptions>& clusters =
        found.emplace_back(route, std::vector<ClusterOptions>()).second;
    for (const ClusterOptions& cluster : options.clusters) {
      if (cluster.name == route.cluster || cluster.name == route.mirror.cluster ||
          cluster.name == route.move_from)
        clusters.push_back(cluster);
    }
  }
  return found;
}

}  // namespace

Status ReloadConfig(ConfigStore& config, Options fresh) {
  fresh.maxclients = RaiseDescriptorLimit(fresh.maxclients);
  const std::shared_ptr<const Options> current = config.Snapshot();
  if (RoutesWithState(*current) != RoutesWithState(fresh)) {
    return Error{
        "a route with 'mirror' or 'move-from', or a cluster that it names, has changed: that needs "
        "a "
        "restart"};
  }
  // The listeners stay as they are, so what their clients have must stay.
  for (const std::string& name : ListenerClusters(*current)) {
    const bool found =
        std::any_of(fresh.clusters.begin(), fresh.clusters.end(),
                    [&name](const ClusterOptions& cluster) { return cluster.name == name; });
    if (!found)
      return Error{"a listener has the cluster '" + name + "': that it goes needs a restart"};
  }
  WarnOfStructure(*current, fresh);
  std::vector<std::string> values;
  std::vector<std::string_view> names;
  ForEachOption([&](const OptionRow& row) {
    std::string value = PrintOption(row, fresh);
    if (value == PrintOption(row, *current)) return;
    if (!row.run_time || row.at_start || row.protected_config) {
      log::Warning("Reload: '" + std::string(row.name) + "' has changed and needs a restart");
      return;
    }
    names.push_back(row.name);
    values.push_back(std::move(value));
  });
  std::vector<NameAndValue> changes;
  std::string list;
  const auto add = [&list](std::string_view what) {
    list += (list.empty() ? "" : ", ") + std::string(what);
  };
  for (size_t i = 0; i < names.size(); ++i) {
    changes.push_back({names[i], values[i]});
    add(names[i]);
  }
  if (current->clusters != fresh.clusters) add("clusters");
  if (current->routes != fresh.routes) add("routes");
  if (current->hot_keys_predicted != fresh.hot_keys_predicted) add("hot-keys-predicted");
  if (list.empty()) {
    log::Notice("Reload: nothing to change");
    return {};
  }
  TG_RETURN_IF_ERROR(config.Reload(changes, fresh));
  log::Notice("Reload: changed " + list);
  return {};
}

}  // namespace tidegate
