#include "config/config_store.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/redis_conf.h"
#include "config/rewrite.h"

namespace tidegate {
namespace {

bool HasGlob(std::string_view pattern) {
  return pattern.find_first_of("[*?") != std::string_view::npos;
}

Error UnknownOption(std::string_view name) {
  return Error{"ERR Unknown option or number of arguments for CONFIG SET - '" + std::string(name) +
               "'"};
}

Error SetFailed(std::string_view name, std::string_view why) {
  return Error{"ERR CONFIG SET failed (possibly related to argument '" + std::string(name) +
               "') - " + std::string(why)};
}

// One change with its row. Redis names a row's alias where the client did, so both are kept.
struct Change {
  const OptionRow* row;
  std::string_view name;  // as it stands in the table: the row's name or its alias
  std::string_view value;
};

bool MayChangeProtected(const Options& options, bool client_is_local) {
  switch (options.enable_protected_configs) {
    case ProtectedAction::kYes:
      return true;
    case ProtectedAction::kLocal:
      return client_is_local;
    case ProtectedAction::kNo:
      break;
  }
  return false;
}

// Finds the rows and refuses what may not be set, before anything is.
Result<std::vector<Change>> FindChanges(std::span<const NameAndValue> asked, bool may_protected) {
  std::vector<Change> changes;
  for (const NameAndValue& one : asked) {
    const OptionRow* row = FindOption(one.name);
    if (row == nullptr) return UnknownOption(one.name);
    if (!row->run_time) return SetFailed(one.name, "can't set immutable config");
    if (row->protected_config && !may_protected) {
      return SetFailed(one.name, "can't set protected config");
    }
    const std::string_view name = EqualsIgnoreCase(one.name, row->name) ? row->name : row->alias;
    for (const Change& earlier : changes) {
      if (earlier.name == name) return SetFailed(one.name, "duplicate parameter");
    }
    changes.push_back({row, name, one.value});
  }
  return changes;
}

// Adds what one row is called and holds, for each of its names that matches.
void AddMatches(const OptionRow& row, std::string_view pattern, const Options& options,
                std::set<std::string>& seen,
                std::vector<std::pair<std::string, std::string>>& found) {
  for (const std::string_view name : {row.name, row.alias}) {
    if (name.empty() || !GlobMatch(pattern, name, true)) continue;
    if (!seen.insert(std::string(name)).second) continue;
    found.emplace_back(name, PrintOption(row, options));
  }
}

}  // namespace

ConfigStore::ConfigStore(Options options, std::vector<ConfigFile> files)
    : files_(std::move(files)), snapshot_(std::make_shared<const Options>(std::move(options))) {}

ConfigStore::ConfigStore(LoadedConfig loaded)
    : ConfigStore(std::move(loaded.options), std::move(loaded.files)) {}

std::shared_ptr<const Options> ConfigStore::Snapshot() const {
  MutexLock lock(snapshot_mutex_);
  return snapshot_;
}

void ConfigStore::Publish(std::shared_ptr<const Options> next) {
  {
    MutexLock lock(snapshot_mutex_);
    snapshot_.swap(next);
  }
  // Behind the snapshot, so that whoever sees the new version gets the new settings.
  version_.fetch_add(1, std::memory_order_release);
}

std::vector<std::pair<std::string, std::string>> ConfigStore::Get(
    std::span<const std::string_view> patterns) const {
  const std::shared_ptr<const Options> options = Snapshot();
  std::vector<std::pair<std::string, std::string>> found;
  std::set<std::string> seen;
  for (const std::string_view pattern : patterns) {
    if (!HasGlob(pattern)) {
      const OptionRow* row = FindOption(pattern);
      if (row == nullptr || !seen.insert(std::string(pattern)).second) continue;
      found.emplace_back(pattern, PrintOption(*row, *options));
      continue;
    }
    ForEachOption([&](const OptionRow& row) {
      if (!row.hidden) AddMatches(row, pattern, *options, seen, found);
    });
  }
  return found;
}

Status ConfigStore::Set(std::span<const NameAndValue> asked, bool client_is_local) {
  return Apply(asked, client_is_local, nullptr);
}

Status ConfigStore::Reload(std::span<const NameAndValue> changes, const Options& structure) {
  return Apply(changes, false, &structure);
}

Status ConfigStore::Apply(std::span<const NameAndValue> asked, bool client_is_local,
                          const Options* structure) {
  MutexLock lock(change_mutex_);
  const std::shared_ptr<const Options> before = Snapshot();
  const Result<std::vector<Change>> changes =
      FindChanges(asked, MayChangeProtected(*before, client_is_local));
  if (!changes.ok()) return changes.error();
  auto next = std::make_shared<Options>(*before);
  if (structure != nullptr) {
    next->clusters = structure->clusters;
    next->routes = structure->routes;
    next->hot_keys_predicted = structure->hot_keys_predicted;
    next->declared_commands = structure->declared_commands;
    TakeListeners(*next, *structure);
  }
  std::vector<std::string_view> changed;
  for (const Change& change : changes.value()) {
    const std::string value(change.value);
    const std::vector<std::string> words =
        change.row->many_words ? SplitAtSpaces(value) : std::vector<std::string>{value};
    if (OptionFault fault = SetOption(*change.row, *next, words)) {
      return SetFailed(change.name, *fault);
    }
    if (PrintOption(*change.row, *next) != PrintOption(*change.row, *before)) {
      changed.push_back(change.row->name);
    }
  }
  if (OptionFault fault = FinishOptions(*next))
    return SetFailed(asked.empty() ? "clusters" : asked.front().name, *fault);
  TG_RETURN_IF_ERROR(RunHooks(*before, *next, changed));
  Publish(std::move(next));
  return {};
}

Status ConfigStore::RunHooks(const Options& before, const Options& next,
                             std::span<const std::string_view> names) {
  std::vector<const Hook*> agreed;
  for (const Hook& hook : hooks_) {
    if (std::find(names.begin(), names.end(), hook.name) == names.end()) continue;
    const Status status = hook.apply(next);
    if (status.ok()) {
      agreed.push_back(&hook);
      continue;
    }
    // Back to what was; a hook cannot refuse the settings it lived with a moment ago.
    for (const Hook* earlier : agreed) static_cast<void>(earlier->apply(before));
    return SetFailed(hook.name, status.error().message);
  }
  return {};
}

void ConfigStore::OnApply(std::string_view name, ApplyHook hook) {
  TG_CHECK(FindOption(name) != nullptr && FindOption(name)->name == name);
  MutexLock lock(change_mutex_);
  hooks_.push_back({std::string(name), std::move(hook)});
}

Status ConfigStore::Rewrite() {
  MutexLock lock(change_mutex_);
  if (files_.empty()) return Error{"ERR The server is running without a config file"};
  for (const ConfigFile& file : files_) {
    if (file.format == ConfigFormat::kYaml) {
      return Error{"ERR Rewriting config file: " + file.path +
                   " is YAML, which CONFIG REWRITE leaves to you"};
    }
  }
  if (files_.size() > 1) {
    return Error{"ERR Rewriting config file: the server was started with more than one"};
  }
  const std::string& path = files_.front().path;
  Result<std::string> old_text = ReadConfigFile(path);
  if (!old_text.ok()) return Error{"ERR Rewriting config file: " + old_text.error().message};
  const Status replaced = ReplaceFile(path, RewriteRedisConf(*old_text, *Snapshot()));
  if (!replaced.ok()) return Error{"ERR Rewriting config file: " + replaced.error().message};
  return {};
}

std::string ConfigStore::config_file() const { return files_.empty() ? "" : files_.front().path; }

}  // namespace tidegate
