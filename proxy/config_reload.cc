#include "proxy/config_reload.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/log.h"
#include "config/option_table.h"
#include "proxy/process_limits.h"

namespace tidegate {

Status ReloadConfig(ConfigStore& config, Options fresh) {
  fresh.maxclients = RaiseDescriptorLimit(fresh.maxclients);
  const std::shared_ptr<const Options> current = config.Snapshot();
  std::vector<std::string> values;
  std::vector<std::string_view> names;
  ForEachOption([&](const OptionRow& row) {
    std::string value = PrintOption(row, fresh);
    if (value == PrintOption(row, *current) || IsListenerOption(row.name)) return;
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
  if (current->declared_commands != fresh.declared_commands) add("commands");
  Options listens = *current;
  TakeListeners(listens, fresh);
  if (listens != *current) add("listeners");
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
