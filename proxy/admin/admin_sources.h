// AdminSources: everything the admin pages may look at, and the two things that they may do: have a
// backup made, and drain a node of an upstream. They run on threads of their own, so each source
// can be read from any thread and none waits for a worker: counters that their owners write without
// locks, immutable settings, and functions that only load a figure.
//
// Why not the Server itself: the pages can then be tested with counters a test sets, and nothing
// here can reach a session. All pointers outlive the AdminServer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config_store.h"
#include "proxy/discovery/discovery.h"
#include "proxy/observe/backup_facts.h"
#include "proxy/observe/hot_key_facts.h"
#include "proxy/observe/route_figures.h"
#include "proxy/observe/save_status.h"
#include "proxy/observe/slowlog.h"
#include "proxy/session/route_acts.h"
#include "proxy/worker.h"
#include "storage/backup.h"
#include "storage/command.h"
#include "storage/engine.h"
#include "storage/persistence.h"

namespace tidegate {

class BigKeys;
class PolicyRegistry;
struct EngineCounters;
struct LocalCacheFigures;

struct WorkerSource {
  const WorkerCounters* counters = nullptr;
  const CommandStats* commands = nullptr;
  const WorkerUpstreams* upstreams = nullptr;
  std::function<RouteActFigures()> acts;  // mirrors and moves
  const LocalCacheFigures* cache = nullptr;
  const RouteMeter* routes = nullptr;
  const EngineCounters* engine = nullptr;    // of its thread
  std::function<size_t()> mailbox_messages;  // that wait; null: none ever do
};

// What became of one that was asked for.
struct BackupAnswer {
  enum class Outcome : uint8_t { kMade, kOff, kBusy, kBadName, kFailed };
  Outcome outcome = Outcome::kOff;
  BackupReport report;  // kMade
  double seconds = 0;
  std::string error;  // kBadName, kFailed
};

enum class Readiness : uint8_t { kStarting, kReady, kDraining };

struct AdminSources {
  std::vector<WorkerSource> workers;              // by index
  std::function<const CommandTable&()> commands;  // a reload may change which there are
  Engine* engine = nullptr;
  const ConfigStore* config = nullptr;
  const Persistence* persistence = nullptr;         // null without appendonly
  const discovery::Discovery* discovery = nullptr;  // null: none
  BigKeys* big_keys = nullptr;                      // null: there is none
  const PolicyRegistry* policies = nullptr;         // null: there are none
  int64_t start_unix_ms = 0;
  std::function<Readiness()> readiness;
  std::function<uint64_t()> connections_rejected;
  std::function<uint64_t()> error_replies;
  std::function<std::vector<SlowlogEntry>()> slowlog;  // newest first; null: none
  std::function<SaveFacts()> saves;
  std::function<BackupFacts()> backups;
  std::function<HotKeyFacts()> hot_keys;
  // Makes a backup, and waits for it.
  std::function<BackupAnswer(std::string_view name)> make_backup;
};

}  // namespace tidegate
