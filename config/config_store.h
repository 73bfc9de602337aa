// ConfigStore: the settings of a running server. CONFIG GET, SET and REWRITE end here.
// Readers take immutable snapshots: a worker keeps the one it has, compares version() once per loop
// turn (one relaxed load) and takes a new one only when it moved, so that CONFIG SET costs the
// request path nothing. Why not per-field atomics: a command must see all of one CONFIG SET or
// nothing of it. A change is made on a copy, then offered to the hooks of the settings it touches,
// then published: a hook may veto, and then everything is as before. Threads: any, everywhere. Set
// and Rewrite exclude each other; hooks run on the thread that calls Set, with the old snapshot
// still published, and must not call Set or OnApply.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "config/loader.h"
#include "config/options.h"

namespace tidegate {

// One `name value` of CONFIG SET; borrows for the call.
struct NameAndValue {
  std::string_view name;
  std::string_view value;
};

class ConfigStore final {
 public:
  // Told of the settings as they are about to be. An error vetoes the change; its message follows
  // "CONFIG SET failed (possibly related to argument 'x') - ". When a later hook vetoes, hooks that
  // already agreed are called again with the settings as they were.
  using ApplyHook = std::function<Status(const Options& next)>;

  // `files` are the sources the options came from, for Rewrite(); command line only: none.
  ConfigStore(Options options, std::vector<ConfigFile> files);
  explicit ConfigStore(LoadedConfig loaded);
  ConfigStore(const ConfigStore&) = delete;
  ConfigStore& operator=(const ConfigStore&) = delete;

  std::shared_ptr<const Options> Snapshot() const TG_EXCLUDES(snapshot_mutex_);

  // Moves with every published change; starts at 1.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // CONFIG GET: names and values in Redis's textual forms, each name once. A pattern without glob
  // characters is looked up in any case and answered under the name as asked; unknown ones give
  // nothing. Aliases count as names of their own, as in Redis.
  std::vector<std::pair<std::string, std::string>> Get(
      std::span<const std::string_view> patterns) const;

  // CONFIG SET, all or nothing. The error is the whole error reply with its code: "ERR Unknown …".
  // `client_is_local` decides the value `local` of enable-protected-configs.
  Status Set(std::span<const NameAndValue> changes, bool client_is_local = false)
      TG_EXCLUDES(change_mutex_);

  // The same, and the clusters, routes, listeners and declared commands are those of `structure`:
  // what a reload does. Known to be right together, as a file that was loaded is.
  Status Reload(std::span<const NameAndValue> changes, const Options& structure)
      TG_EXCLUDES(change_mutex_);

  // Calls `hook` whenever Set is about to change the setting `name` (canonical name, not an alias).
  // At start only, before the workers run.
  void OnApply(std::string_view name, ApplyHook hook) TG_EXCLUDES(change_mutex_);

  // CONFIG REWRITE: writes the settings into the redis.conf the server was started with. Comments,
  // order and lines that still say the truth stay as they are; a changed setting replaces its line,
  // a new one goes to the end. The file is replaced atomically. The error is the whole error reply.
  Status Rewrite() TG_EXCLUDES(change_mutex_);

  // Path of the first file, "" for none: INFO's config_file.
  std::string config_file() const;

 private:
  struct Hook {
    std::string name;
    ApplyHook apply;
  };

  // `structure`: null, or whose clusters, routes and so on are taken.
  Status Apply(std::span<const NameAndValue> asked, bool client_is_local, const Options* structure)
      TG_EXCLUDES(change_mutex_);
  Status RunHooks(const Options& before, const Options& next,
                  std::span<const std::string_view> names) TG_REQUIRES(change_mutex_);
  void Publish(std::shared_ptr<const Options> next) TG_EXCLUDES(snapshot_mutex_);

  const std::vector<ConfigFile> files_;
  Mutex change_mutex_;  // one change at a time; taken before snapshot_mutex_
  std::vector<Hook> hooks_ TG_GUARDED_BY(change_mutex_);
  mutable Mutex snapshot_mutex_;
  std::shared_ptr<const Options> snapshot_ TG_GUARDED_BY(snapshot_mutex_);
  std::atomic<uint64_t> version_{1};
};

}  // namespace tidegate
