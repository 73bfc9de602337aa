// Server: the whole of one Tidegate in one object: settings, command table, engine, workers,
// listeners, and the services that commands about the process use. No globals, so that two servers
// can live in one test process.
//
//   main thread: Create -> Run (signals, accepting, shutdown) -> exit status
//   workers:     Worker::Run each, see worker.h
//
// Threads: "any thread" unless said otherwise. Owner of the rest: the main thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "config/config_store.h"
#include "config/loader.h"
#include "proxy/observe/access_log.h"
#include "proxy/observe/activity_meter.h"
#include "proxy/observe/error_stats.h"
#include "proxy/observe/latency_monitor.h"
#include "proxy/observe/save_status.h"
#include "proxy/observe/slowlog.h"
#include "proxy/pubsub/pubsub_hub.h"
#include "proxy/session/client_pause.h"
#include "proxy/session/command_stats.h"
#include "proxy/session/session.h"
#include "storage/command.h"
#include "storage/engine.h"

namespace tidegate {

class Acceptor;
class EventLoop;
class BackgroundBackup;
class BackgroundSave;
class BigKeys;
class CommandSets;
class HotKeyService;
class Persistence;
class PolicyRegistry;
class WriteStripes;
class ScriptTexts;
class SignalWatcher;
class Timer;
class UpstreamControl;
class UpstreamTls;
class WakeUp;
class Worker;

// What SHUTDOWN asks for.
struct ShutdownRequest {
  bool now = false;    // close clients at once instead of letting replies finish
  bool force = false;  // also when saving fails
};

// Sums over all workers (and the acceptor), for INFO and metrics. RESETSTAT starts those marked *
// at 0.
struct ServerTotals {
  uint64_t connections_received = 0;  // *
  uint64_t connections_rejected = 0;  // *
  uint64_t sessions = 0;
  uint64_t sessions_suspended = 0;
  uint64_t session_input_bytes_max = 0;   // of all workers
  uint64_t session_output_bytes_max = 0;  // of all workers
  uint64_t commands_processed = 0;        // *
  uint64_t net_input_bytes = 0;           // *
  uint64_t net_output_bytes = 0;          // *
  uint64_t input_buffer_closings = 0;     // *
  uint64_t output_limit_closings = 0;     // *
  uint64_t idle_closings = 0;             // *
  uint64_t age_closings = 0;              // *
  uint64_t protocol_errors = 0;           // *
  uint64_t reads_processed = 0;           // *
  uint64_t writes_processed = 0;          // *
  uint64_t auth_failures = 0;             // *
  uint64_t monitors = 0;
  int64_t loop_turn_nanos_max = 0;  // longest turn of any worker; *
};

// Sums over all workers of one command, since start or RESETSTAT.
struct CommandTotals {
  uint64_t calls = 0;
  uint64_t nanos = 0;
  uint64_t failed = 0;
  uint64_t rejected = 0;
  std::vector<uint64_t> latency;  // by LatencyHistogram bucket; empty: none recorded
};

class Server final {
 public:
  using Families = std::span<const std::span<const CommandSpec>>;

  // `process_families`: the commands beside those of the engine, see proxy/commands/families.h.
  static Result<std::unique_ptr<Server>> Create(LoadedConfig config, Families process_families);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Main thread: starts the workers, accepts until shutdown is asked for, drains. The process's
  // exit status. `on_ready` is called once clients can connect.
  int Run(const std::function<void()>& on_ready);
  // Main thread, while it runs: takes in what of `fresh` may change now, settings and what they are
  // about: clusters, routes, listeners. An error leaves everything as it was. server_reload.cc
  Status Reload(Options fresh);
  // Ends Run(). Any thread.
  void RequestShutdown(ShutdownRequest request);
  // SHUTDOWN ABORT: whether a shutdown was going on and is not any more. Draining cannot be undone.
  bool AbortShutdown() { return false; }
  bool shutting_down() const { return shutting_down_.load(std::memory_order_relaxed); }

  ConfigStore& config() { return config_; }
  // Which there are now; a reload may change that. Their rows stay to the end.
  const CommandTable& commands() const { return *commands_.load(std::memory_order_acquire); }
  // Of any table there will be all ids are below.
  size_t command_ids_max() const { return command_ids_max_; }
  // Commands that the configuration declares have ids from here on; others may have them later.
  size_t command_ids_known() const { return command_ids_known_; }
  Engine& engine() { return *engine_; }
  // Null without appendonly.
  Persistence* persistence() { return persistence_.get(); }
  std::span<const std::unique_ptr<Worker>> workers() const { return workers_; }
  UpstreamTls& upstream_tls() { return *upstream_tls_; }
  ScriptTexts& script_texts() { return *script_texts_; }
  WriteStripes& write_stripes() { return *write_stripes_; }
  // Its Switch: the main thread's.
  UpstreamControl& upstream_control() { return *upstream_control_; }

  // The main thread's: for what is done before there are clients.
  EngineThread& engine_thread() { return *engine_thread_; }
  SaveStatus& save_status() { return save_status_; }
  BackgroundSave& background_save() { return *background_save_; }
  BackgroundBackup& background_backup() { return *background_backup_; }
  HotKeyService& hot_keys() { return *hot_keys_; }

  BigKeys& big_keys() { return *big_keys_; }
  PolicyRegistry& policies() { return *policies_; }
  Slowlog& slowlog() { return slowlog_; }
  AccessLog& access_log() { return access_log_; }
  LatencyMonitor& latency_monitor() { return latency_monitor_; }
  ErrorStats& error_stats() { return error_stats_; }
  PubSubHub& pubsub() { return pubsub_; }
  const PubSubHub& pubsub() const { return pubsub_; }
  const ActivityMeter& activity() const { return activity_; }
  // About ten times a second, from one worker.
  void SampleActivity();
  const ClientPause& pause() const { return pause_; }
  void BeginPause(PauseMode mode, int64_t now_unix_ms, int64_t until_unix_ms) {
    MutexLock lock(pause_mutex_);
    pause_.Begin(mode, now_unix_ms, until_unix_ms);
    engine_->settings().frozen_until_ms = pause_.until_unix_ms();
  }
  // Ends the pause and runs what it held back.
  void EndPause();
  void TidyPause(int64_t now_unix_ms) { pause_.EndIfOver(now_unix_ms); }
  // Called on the main thread for SIGHUP. Set before Run().
  void OnReload(std::function<void()> reload) { reload_ = std::move(reload); }
  // Acceptor only.
  void CountRejectedConnection() { connections_rejected_.Add(1); }
  // Since start, whatever RESETSTAT did.
  uint64_t connections_rejected() const { return connections_rejected_.Get(); }
  // A draining worker has no sessions left; with the last such call all workers stop.
  void WorkerIsEmpty();
  // A worker's thread is about to end.
  void WorkerEnded();

  // Executes the suspended command of a session again.
  void Wake(SessionTicket ticket);
  uint64_t NextSessionId() { return next_session_id_.fetch_add(1, std::memory_order_relaxed); }

  // Sessions in MONITOR mode, everywhere: the request path's one look.
  std::atomic<int>& monitors() { return monitors_; }

  ServerTotals Totals() const;
  CommandTotals TotalsOfCommand(uint32_t command_id, bool with_latency = false) const;
  // The id is another command's from now on.
  void ForgetStatsOf(uint32_t command_id);
  // CONFIG RESETSTAT, for everything here and in the engine.
  void ResetStats();

  int64_t start_unix_ms() const { return start_unix_ms_; }
  // 40 hexadecimal digits, new at each start. INFO's run_id.
  const std::string& run_id() const { return run_id_; }
  const std::string& executable() const { return executable_; }  // absolute path
  // The port of the first TCP listener as it was bound (with port 0 the one the system picked); 0:
  // none.
  uint16_t tcp_port() const { return tcp_port_; }
  // Listening addresses as "tcp 127.0.0.1:6379", one per socket, for the log. The main thread's.
  const std::vector<std::string>& listening() const { return listening_; }

 private:
  explicit Server(LoadedConfig config);

  Status Assemble(Families process_families);
  Status AssembleCommands(const Options& options, Families process_families);
  void TakeCommands(const CommandTable& next);
  Status InstallConfigHooks();
  // server_persistence.cc. With appendonly: opens the data directory, loads what is there, and has
  // the engine append to its journal.
  Status OpenPersistence(const Options& options);
  Status StopPersistence();
  // Where it listens is what the acceptor says.
  void FollowListeners();
  void WatchSignals();
  void OnTerminationSignal(std::string_view name, const std::string& flags);
  void SaveAndShutdown();
  static void OnKeyEvents(void* server, EngineThread& thread, std::span<const KeyEvent> events);
  void OnWakeUp();
  void BeginDrain();

  ConfigStore config_;
  std::unique_ptr<CommandSets> command_sets_;
  std::atomic<const CommandTable*> commands_{nullptr};  // of them
  size_t command_ids_max_ = 0;
  size_t command_ids_known_ = 0;
  std::unique_ptr<PolicyRegistry> policies_;  // outlives upstream_control_, which fills it
  std::unique_ptr<Persistence> persistence_;  // outlives the engine, which appends to it
  std::unique_ptr<Engine> engine_;
  EngineThread* engine_thread_ = nullptr;
  std::unique_ptr<BackgroundSave> background_save_;
  std::unique_ptr<BackgroundBackup> background_backup_;
  std::unique_ptr<UpstreamTls> upstream_tls_;          // outlives the workers and the control plane
  std::unique_ptr<UpstreamControl> upstream_control_;  // outlives the workers, which report to it
  std::unique_ptr<ScriptTexts> script_texts_;          // of upstreams; outlives the workers
  std::unique_ptr<WriteStripes> write_stripes_;        // of upstreams; outlives the workers
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<HotKeyService> hot_keys_;  // looks at the workers
  Slowlog slowlog_;
  AccessLog access_log_;
  LatencyMonitor latency_monitor_;
  ErrorStats error_stats_;
  ActivityMeter activity_;
  PubSubHub pubsub_;
  Mutex pause_mutex_;  // so that the pause and the engine's freeze begin and end together
  ClientPause pause_;
  std::atomic<uint64_t> next_session_id_{1};
  std::atomic<int> monitors_{0};
  WorkerCounter connections_rejected_;  // the acceptor's
  std::atomic<bool> shutting_down_{false};
  std::atomic<bool> shutdown_now_{false};

  const int64_t start_unix_ms_;
  SaveStatus save_status_;
  const std::string run_id_;
  const std::string executable_;
  std::vector<std::string> listening_;
  std::atomic<uint16_t> tcp_port_{0};

  struct StatsBase;  // what RESETSTAT subtracts
  mutable Mutex stats_base_mutex_;
  std::unique_ptr<StatsBase> stats_base_ TG_GUARDED_BY(stats_base_mutex_);

  // The main thread's.
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<WakeUp> wake_up_;
  std::function<void()> reload_;
  std::atomic<size_t> workers_left_{0};     // whose threads run
  std::atomic<size_t> workers_serving_{0};  // that have sessions, or may get some
  bool draining_ = false;
  // A signal asked for a shutdown that saves, as the option says; and for one whatever happens.
  bool saving_for_shutdown_ = false;
  bool shutdown_forced_ = false;
  ClientState main_client_;
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<std::unique_ptr<SignalWatcher>> signals_;

  std::unique_ptr<BigKeys> big_keys_;
};

}  // namespace tidegate
